// SPDX-License-Identifier: Apache-2.0

// Package mem is the bus inside one process: a bounded queue in memory. What waits in it is lost when the process dies,
// which invariant 7 of the architecture allows.
//
// The order is that of publishing, over all sessions. Run delivers on its caller's goroutine; the bus starts none.
package mem

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"microstax/internal/bus"
	"microstax/internal/fault"
	"microstax/internal/observation"
)

// DefaultCapacity is how many envelopes wait where Options leave it open: a second of a thousand a second. What they may
// hold in all is bounded by the byte budget under which the data plane captures bodies.
const DefaultCapacity = 1024

// Options of a bus.
type Options struct {
	Capacity int          // envelopes that may wait; 0 for DefaultCapacity
	Logger   *slog.Logger // gets the handler's errors; nil discards them
}

// Bus is a bus.Bus in memory.
type Bus struct {
	log    *slog.Logger
	slots  chan struct{} // one token for each envelope that waits: full when the queue is
	heavy  chan struct{} // of capacity 1: its holder takes several places
	wake   chan struct{} // of capacity 1: something was queued since Run looked
	closed chan struct{}

	mu      sync.Mutex
	queue   []waiting // guarded by mu
	shut    bool      // guarded by mu; closed is closed
	running bool      // guarded by mu
}

var _ bus.Bus = (*Bus)(nil)

// New makes a bus.
func New(o Options) *Bus {
	if o.Capacity <= 0 {
		o.Capacity = DefaultCapacity
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Bus{
		log:    o.Logger,
		slots:  make(chan struct{}, o.Capacity),
		heavy:  make(chan struct{}, 1),
		wake:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
}

// Publish implements bus.Bus.
func (b *Bus) Publish(ctx context.Context, e observation.Envelope) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-b.closed:
		return bus.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case b.slots <- struct{}{}:
	}
	n, err := b.more(ctx, b.weight(&e))
	if err != nil {
		b.leave(n)
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut { // Close came between: what is accepted after it would never be delivered
		b.leave(n)
		return bus.ErrClosed
	}
	b.queue = append(b.queue, waiting{e, n})
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

// perSlot is how many bytes of bodies take one place: large observations take several, so that the queue is bounded in
// bytes too.
const perSlot = 64 << 10

// waiting is an envelope in the queue, with the places that it takes.
type waiting struct {
	observation.Envelope
	slots int
}

// weight is how many places an envelope takes; never more than half of all.
func (b *Bus) weight(e *observation.Envelope) int {
	if e.Observation == nil {
		return 1
	}
	return min(1+e.Observation.Bytes()/perSlot, max(cap(b.slots)/2, 1))
}

// more takes places beyond the first, one publisher at a time: two that wait for each other's would wait for ever. It
// gives how many are taken in all, also when it fails.
func (b *Bus) more(ctx context.Context, want int) (taken int, err error) {
	if taken = 1; want == 1 {
		return taken, nil
	}
	select {
	case b.heavy <- struct{}{}:
		defer func() { <-b.heavy }()
	case <-b.closed:
		return taken, bus.ErrClosed
	case <-ctx.Done():
		return taken, ctx.Err()
	}
	for ; taken < want; taken++ {
		select {
		case b.slots <- struct{}{}:
		case <-b.closed:
			return taken, bus.ErrClosed
		case <-ctx.Done():
			return taken, ctx.Err()
		}
	}
	return taken, nil
}

func (b *Bus) leave(n int) {
	for range n {
		<-b.slots
	}
}

// Run implements bus.Bus. It returns nil when ctx has ended or the bus is closed, and what had been published by then
// is delivered. The context that h gets has ctx's values but never ends, so that h can store what it is given.
func (b *Bus) Run(ctx context.Context, h bus.Handler) error {
	if !b.begin() {
		return fault.E("run bus", fault.Conflict, errors.New("it runs already"))
	}
	defer b.end()
	hctx := context.WithoutCancel(ctx)
	for {
		select {
		case <-ctx.Done():
			b.deliver(hctx, h, b.Depth())
			return nil
		case <-b.closed:
			b.deliver(hctx, h, b.Depth())
			return nil
		case <-b.wake:
			// In small steps, so that a publisher that never pauses cannot keep Run from seeing the end of ctx.
			b.deliver(hctx, h, 1)
			b.rewake()
		}
	}
}

func (b *Bus) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running {
		return false
	}
	b.running = true
	return true
}

// end leaves a wake-up for the Run after this one.
func (b *Bus) end() {
	b.mu.Lock()
	b.running = false
	b.mu.Unlock()
	b.rewake()
}

func (b *Bus) rewake() {
	if b.Depth() == 0 {
		return
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *Bus) deliver(ctx context.Context, h bus.Handler, n int) {
	for range n {
		e, ok := b.next()
		if !ok {
			return
		}
		if err := h(ctx, e); err != nil {
			b.log.ErrorContext(ctx, "observation was not handled", "session", e.Session(), "error", err)
		}
	}
}

func (b *Bus) next() (observation.Envelope, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return observation.Envelope{}, false
	}
	first := b.queue[0]
	b.queue[0] = waiting{} // let go of it
	if b.queue = b.queue[1:]; len(b.queue) == 0 {
		b.queue = nil
	}
	b.leave(first.slots)
	return first.Envelope, true
}

// Depth implements bus.Bus. What the handler works at no longer waits.
func (b *Bus) Depth() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// Close implements bus.Bus. Closing twice is harmless.
func (b *Bus) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.shut {
		b.shut = true
		close(b.closed)
	}
	return nil
}
