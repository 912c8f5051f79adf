// SPDX-License-Identifier: Apache-2.0

// Package bus is the seam on which observations travel from the data plane to the judgement. Adapters stand in folders
// below and pass bustest's suite. It is transport, never the system of record.
//
// Order is kept within one shadow session. Publishing waits while the bus is full: only the shadow's side publishes, so
// waiting there is back-pressure, and users never feel it.
package bus

import (
	"context"
	"errors"

	"microstax/internal/observation"
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("bus is closed")

// Handler gets envelopes one at a time, in order within a session. An error is logged by the bus and does not stop it.
type Handler func(ctx context.Context, e observation.Envelope) error

// Bus carries envelopes from publishers to one handler. Methods may be called concurrently.
type Bus interface {
	// Publish hands over an envelope, waiting while the bus is full. It returns ctx's error when that ends first, and
	// ErrClosed after Close. The envelope must not be changed afterwards.
	Publish(ctx context.Context, e observation.Envelope) error
	// Run delivers to h until ctx ends or Close; then what was published is still delivered. Only one Run at a time.
	Run(ctx context.Context, h Handler) error
	// Depth is how many envelopes wait.
	Depth() int
	// Close refuses further envelopes and lets Run return when the rest is delivered.
	Close() error
}
