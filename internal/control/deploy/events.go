// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"sync"

	v1 "microstax/api/v1"
)

// broadcast sends events to subscribers without ever waiting for one: a subscriber that lags loses its oldest events, and
// that is counted.
type broadcast struct {
	waiting int

	mu     sync.Mutex
	subs   map[chan v1.Event]bool // guarded by mu, and so are sends and closes: a closed channel is in no map
	lost   int64                  // guarded by mu
	closed bool                   // guarded by mu
}

func newBroadcast(waiting int) *broadcast {
	return &broadcast{waiting: waiting, subs: map[chan v1.Event]bool{}}
}

// subscribe gives the events from now on. The channel closes when ctx ends or the broadcast is closed.
func (b *broadcast) subscribe(ctx context.Context) <-chan v1.Event {
	ch := make(chan v1.Event, b.waiting)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || ctx.Err() != nil {
		close(ch)
		return ch
	}
	b.subs[ch] = true
	context.AfterFunc(ctx, func() { b.leave(ch) })
	return ch
}

func (b *broadcast) leave(ch chan v1.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs[ch] {
		delete(b.subs, ch)
		close(ch)
	}
}

// send gives an event to every subscriber. It never waits, which is why it may send under the lock.
func (b *broadcast) send(e v1.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.subs {
		for sent := false; !sent; {
			select {
			case ch <- e:
				sent = true
			default:
				select {
				case <-ch:
					b.lost++
				default: // the subscriber has just read one
				}
			}
		}
	}
}

// close ends every subscription.
func (b *broadcast) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for ch := range b.subs {
		delete(b.subs, ch)
		close(ch)
	}
}

// dropped is how many events subscribers have lost.
func (b *broadcast) dropped() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// Events gives what happens in an environment from now on: progress, and changes of status. The channel closes when ctx or
// the environment ends. A reader that lags by more than 64 events loses the oldest of them; nothing waits for it.
func (c *Controller) Events(ctx context.Context, ref string) (<-chan v1.Event, error) {
	a, err := c.find(ctx, "follow events", ref)
	if err != nil {
		return nil, err
	}
	return a.events.subscribe(ctx), nil
}

// LostEvents is how many events the slow readers of one environment have lost.
func (c *Controller) LostEvents(ctx context.Context, ref string) (int64, error) {
	a, err := c.find(ctx, "count lost events", ref)
	if err != nil {
		return 0, err
	}
	return a.events.dropped(), nil
}
