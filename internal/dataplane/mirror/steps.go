// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"microstax/internal/dataplane/tap"
)

// steps are the messages of a copy whose client waited for answers before it said more: a shadow gets each when it has
// answered as often as the baseline had.
type steps struct {
	ends  []int // where they end in the body
	turns []int // how many of the server's messages came before each
}

// stepsOf are a capture's steps, or nil where its body can be sent at once.
func stepsOf(c *tap.Capture) *steps {
	ends, turns := c.Pace.Steps()
	if ends == nil {
		return nil
	}
	return &steps{ends, turns}
}

// stepper is a request's body that is given step by step, while answers are noted.
type stepper struct {
	*steps
	ctx      context.Context //nolint:containedctx // the request's
	data     []byte
	at, next int
	patience time.Duration

	answers tap.GRPCCounter // the answer's reader's
	heard   atomic.Int64
	more    chan struct{} // of capacity 1
}

func newStepper(ctx context.Context, s *steps, data []byte, patience time.Duration) *stepper {
	return &stepper{steps: s, ctx: ctx, data: data, patience: patience, more: make(chan struct{}, 1)}
}

// Read implements io.Reader.
func (s *stepper) Read(p []byte) (int, error) {
	if s.at == len(s.data) {
		return 0, io.EOF
	}
	end := len(s.data)
	if s.next < len(s.ends) {
		end = s.ends[s.next]
		if s.next == 0 || s.at == s.ends[s.next-1] {
			if !s.wait(s.turns[s.next]) {
				s.patience = min(s.patience, outOfStep)
			}
		}
	}
	n := copy(p, s.data[s.at:end])
	if s.at += n; s.at == end {
		s.next++
	}
	return n, nil
}

// Close implements io.Closer.
func (s *stepper) Close() error { return nil }

// wait returns when the shadow has answered n times, and false when it does not in time.
func (s *stepper) wait(n int) bool {
	if s.heard.Load() >= int64(n) {
		return true
	}
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	for s.heard.Load() < int64(n) {
		select {
		case <-s.more:
		case <-s.ctx.Done():
			return false
		case <-timer.C:
			return false
		}
	}
	return true
}

// note takes bytes of the answer.
func (s *stepper) note(p []byte) {
	s.heard.Store(int64(s.answers.Feed(p)))
	select {
	case s.more <- struct{}{}:
	default:
	}
}
