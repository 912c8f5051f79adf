// SPDX-License-Identifier: Apache-2.0

package bustest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"microstax/internal/bus"
	"microstax/internal/observation"
)

func refuses(t *testing.T, b bus.Bus) {
	for range 2 {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := b.Publish(t.Context(), envelope("ses_1", 0)); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("publish: got %v, want ErrClosed", err)
	}
	if err := b.Run(t.Context(), collect(1).handle); err != nil {
		t.Errorf("run of a closed, empty bus: got %v, want to return at once", err)
	}
}

func closeEndsWaiting(t *testing.T, b bus.Bus) {
	publish(t, b, 0, 1)
	given := make(chan error, 1)
	go func() { given <- b.Publish(t.Context(), envelope("ses_1", 1)) }()
	b.Close() //nolint:errcheck // closed again, and checked, by Run
	if err := <-given; !errors.Is(err, bus.ErrClosed) {
		t.Errorf("publish that waits when the bus is closed: got %v, want ErrClosed", err)
	}
}

func closeDelivers(t *testing.T, b bus.Bus) {
	publish(t, b, 0, 100)
	b.Close() //nolint:errcheck // closed again, and checked, by Run
	c := collect(100)
	if err := b.Run(t.Context(), c.handle); err != nil {
		t.Errorf("run: %v", err)
	}
	if !slices.Equal(c.got, upTo(100)) {
		t.Errorf("got %v, want 0 to 99 in order", c.got)
	}
}

func endDelivers(t *testing.T, b bus.Bus) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []int
	first := make(chan struct{})
	wait := start(ctx, b, func(hctx context.Context, e observation.Envelope) error {
		if number(e) == 0 {
			<-first // everything is published and ctx has ended when the handler goes on
		}
		if err := hctx.Err(); err != nil {
			t.Errorf("context of handler at %d: %v", number(e), err)
		}
		got = append(got, number(e))
		return nil
	})
	publish(t, b, 0, 60)
	cancel()
	close(first)
	if err := wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	if !slices.Equal(got, upTo(60)) {
		t.Errorf("got %v, want 0 to 59 in order", got)
	}
}

func runAgain(t *testing.T, b bus.Bus) {
	ctx, cancel := context.WithCancel(t.Context())
	c := collect(3)
	wait := start(ctx, b, c.handle)
	publish(t, b, 0, 3)
	<-c.full
	cancel()
	if err := wait(); err != nil {
		t.Errorf("first run: %v", err)
	}
	publish(t, b, 3, 7)
	again := collect(4)
	wait = start(t.Context(), b, again.handle)
	<-again.full
	b.Close() //nolint:errcheck // closed again, and checked, by Run
	if err := wait(); err != nil {
		t.Errorf("second run: %v", err)
	}
	if !slices.Equal(again.got, []int{3, 4, 5, 6}) {
		t.Errorf("second run: got %v, want 3 to 6", again.got)
	}
}

func oneRun(t *testing.T, b bus.Bus) {
	in, out := make(chan struct{}), make(chan struct{})
	wait := start(t.Context(), b, func(context.Context, observation.Envelope) error {
		close(in)
		<-out
		return nil
	})
	publish(t, b, 0, 1)
	<-in
	if err := b.Run(t.Context(), collect(1).handle); err == nil {
		t.Errorf("a second run beside the first: got no error")
	}
	close(out)
	b.Close() //nolint:errcheck // closed again, and checked, by Run
	if err := wait(); err != nil {
		t.Errorf("first run: %v", err)
	}
}

func handlerError(t *testing.T, b bus.Bus) {
	publish(t, b, 0, 5)
	b.Close() //nolint:errcheck // closed again, and checked, by Run
	calls := 0
	if err := b.Run(t.Context(), func(context.Context, observation.Envelope) error { calls++; return errors.New("no") }); err != nil {
		t.Errorf("run: got %v, want the handler's errors to end in the log", err)
	}
	if calls != 5 {
		t.Errorf("got %d calls, want 5", calls)
	}
}

func oneAtATime(t *testing.T, b bus.Bus) {
	var inside atomic.Int32
	c := collect(100)
	wait := start(t.Context(), b, func(ctx context.Context, e observation.Envelope) error {
		if inside.Add(1) != 1 {
			t.Errorf("two calls of the handler at once")
		}
		defer inside.Add(-1)
		return c.handle(ctx, e)
	})
	publish(t, b, 0, 100)
	<-c.full
	b.Close() //nolint:errcheck // closed again, and checked, by Run
	wait()    //nolint:errcheck // others look at it
}

func closeRace(t *testing.T, b bus.Bus) {
	const publishers, each = 4, 25
	var accepted, delivered atomic.Int64
	enough := make(chan struct{})
	wait := start(t.Context(), b, func(context.Context, observation.Envelope) error {
		if delivered.Add(1) == each {
			close(enough)
		}
		return nil
	})
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for i := range each {
				switch err := b.Publish(t.Context(), envelope("ses_1", i)); {
				case err == nil:
					accepted.Add(1)
				case !errors.Is(err, bus.ErrClosed):
					t.Errorf("publish: %v", err)
				}
			}
		})
	}
	<-enough
	b.Close() //nolint:errcheck // closed again, and checked, by Run
	wg.Wait()
	if err := wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	if accepted.Load() != delivered.Load() {
		t.Errorf("%d were accepted and %d delivered", accepted.Load(), delivered.Load())
	}
}
