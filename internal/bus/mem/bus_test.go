// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"microstax/internal/bus"
	"microstax/internal/bus/bustest"
	"microstax/internal/bus/mem"
	"microstax/internal/observation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//nolint:paralleltest // the suite looks for goroutines left behind
func TestConformance(t *testing.T) {
	bustest.Run(t, func(_ *testing.T, capacity int) bus.Bus { return mem.New(mem.Options{Capacity: capacity}) })
}

//nolint:paralleltest // the suite looks for goroutines left behind
func TestHandlerErrorsAreLogged(t *testing.T) {
	var out bytes.Buffer
	b := mem.New(mem.Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if err := b.Publish(t.Context(), observation.Envelope{Tally: &observation.Tally{Session: "ses_7"}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context(), func(context.Context, observation.Envelope) error { return errors.New("store is away") }); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "ses_7") || !strings.Contains(got, "store is away") {
		t.Errorf("log: got %q, want session and error", got)
	}
}

//nolint:paralleltest // the suite looks for goroutines left behind
func TestDefaultCapacity(t *testing.T) {
	b := mem.New(mem.Options{})
	for range mem.DefaultCapacity {
		if err := b.Publish(t.Context(), observation.Envelope{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	full := make(chan error, 1)
	go func() { full <- b.Publish(ctx, observation.Envelope{}) }()
	cancel()
	if err := <-full; !errors.Is(err, context.Canceled) || b.Depth() != mem.DefaultCapacity {
		t.Errorf("publish to a full bus: got %v at depth %d", err, b.Depth())
	}
}
