// SPDX-License-Identifier: Apache-2.0

// Package bustest is the conformance suite of the bus seam. Adapters call Run from their tests; nothing else uses it.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"microstax/internal/bus"
	"microstax/internal/observation"
)

// Run checks a bus. open gives a new one that takes capacity envelopes before it is full; the suite closes it.
func Run(t *testing.T, open func(t *testing.T, capacity int) bus.Bus) {
	t.Helper()
	tests := []struct {
		name     string
		capacity int
		run      func(t *testing.T, b bus.Bus)
	}{
		{"envelopes arrive as they were published, in order", 4, order},
		{"many publishers, order within each session", 4, sessions},
		{"publishing waits while the bus is full", 2, full},
		{"an ended context is refused before anything is queued", 2, endedContext},
		{"a closed bus refuses", 2, refuses},
		{"closing ends those who wait", 1, closeEndsWaiting},
		{"closing delivers the rest", 100, closeDelivers},
		{"the end of the context delivers the rest, with a context that works", 100, endDelivers},
		{"a second Run delivers what the first left", 10, runAgain},
		{"only one Run at a time", 2, oneRun},
		{"an error of the handler stops nothing", 10, handlerError},
		{"one envelope at a time", 10, oneAtATime},
		{"nothing is lost when closing races with publishing", 3, closeRace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { // not parallel: each looks for goroutines that it left
			leaks := goleak.IgnoreCurrent()
			b := open(t, tt.capacity)
			tt.run(t, b)
			if err := b.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			goleak.VerifyNone(t, leaks)
		})
	}
}

func envelope(session string, n int) observation.Envelope {
	return observation.Envelope{Observation: &observation.Observation{ID: strconv.Itoa(n), Session: session}}
}

func number(e observation.Envelope) int {
	n, err := strconv.Atoi(e.Observation.ID)
	if err != nil {
		panic(err) // the suite made it
	}
	return n
}

func publish(t *testing.T, b bus.Bus, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := b.Publish(t.Context(), envelope("ses_1", i)); err != nil {
			t.Fatalf("publish %d: %v", i, err)
		}
	}
}

// collector is a handler that keeps the numbers it gets, and tells when there are want of them.
type collector struct {
	mu   sync.Mutex
	got  []int // guarded by mu
	want int
	full chan struct{}
}

func collect(want int) *collector { return &collector{want: want, full: make(chan struct{})} }

func (c *collector) handle(_ context.Context, e observation.Envelope) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, number(e))
	if len(c.got) == c.want {
		close(c.full)
	}
	return nil
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// start runs the bus and gives a function that waits for Run's return.
func start(ctx context.Context, b bus.Bus, h bus.Handler) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, h) }()
	return func() error { return <-done }
}

func order(t *testing.T, b bus.Bus) {
	const n = 50
	c := collect(n)
	wait := start(t.Context(), b, c.handle)
	publish(t, b, 0, n)
	<-c.full
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	if !slices.Equal(c.got, upTo(n)) {
		t.Errorf("got %v, want 0 to %d in order", c.got, n-1)
	}
	if b.Depth() != 0 {
		t.Errorf("depth of an empty bus: got %d", b.Depth())
	}
}

func sessions(t *testing.T, b bus.Bus) {
	const n, publishers = 50, 4
	last := map[string]int{}
	wait := start(t.Context(), b, func(_ context.Context, e observation.Envelope) error {
		if want := last[e.Session()]; number(e) != want {
			t.Errorf("session %s: got %d, want %d", e.Session(), number(e), want)
		}
		last[e.Session()]++
		return nil
	})
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range n {
				if err := b.Publish(t.Context(), envelope(fmt.Sprintf("ses_%d", p), i)); err != nil {
					t.Errorf("publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	b.Close() //nolint:errcheck // closed again, and checked, by Run
	if err := wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	for p := range publishers {
		if got := last[fmt.Sprintf("ses_%d", p)]; got != n {
			t.Errorf("session %d: got %d envelopes, want %d", p, got, n)
		}
	}
}

func full(t *testing.T, b bus.Bus) {
	publish(t, b, 0, 2)
	if b.Depth() != 2 {
		t.Errorf("depth: got %d, want 2", b.Depth())
	}
	ctx, cancel := context.WithCancel(t.Context())
	given := make(chan error, 1)
	go func() { given <- b.Publish(ctx, envelope("ses_1", 99)) }()
	cancel()
	if err := <-given; !errors.Is(err, context.Canceled) {
		t.Fatalf("publish to a full bus: got %v, want to wait until the context ends", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- b.Publish(t.Context(), envelope("ses_1", 2)) }()
	c := collect(3)
	wait := start(t.Context(), b, c.handle)
	if err := <-waiting; err != nil {
		t.Errorf("publish once there is room: %v", err)
	}
	<-c.full
	b.Close() //nolint:errcheck // closed again, and checked, by Run
	wait()    //nolint:errcheck // others look at it
	if !slices.Equal(c.got, upTo(3)) {
		t.Errorf("got %v, want [0 1 2]: what was given up must not arrive", c.got)
	}
}

func endedContext(t *testing.T, b bus.Bus) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // an implementation that leaves it to chance fails at one of them
		if err := b.Publish(ctx, envelope("ses_1", 0)); !errors.Is(err, context.Canceled) {
			t.Fatalf("publish: got %v, want context.Canceled", err)
		}
	}
	if b.Depth() != 0 {
		t.Errorf("depth: got %d, want 0", b.Depth())
	}
}
