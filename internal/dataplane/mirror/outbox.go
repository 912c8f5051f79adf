// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"sync"

	"microstax/internal/observation"
)

// outbox holds what was observed and not published yet, in order. Those who put something in wait while it is full.
type outbox struct {
	session string
	more    chan struct{} // capacity 1: there is something, or the box was closed

	mu     sync.Mutex
	room   sync.Cond // of mu
	list   []observation.Envelope
	count  int // observations in list
	closed bool
}

// outRing is how many observations may wait to be published, perBatch how many of those that are alike travel together at
// most, and firstBatch for how many there is room at first.
const (
	outRing    = 512
	perBatch   = 128
	firstBatch = 8
)

func (b *outbox) init(session string) {
	b.session, b.more, b.room.L = session, make(chan struct{}, 1), &b.mu
}

// alike puts in an observation with nothing to see.
func (b *outbox) alike(a observation.Alike) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enter()
	if n := len(b.list); n > 0 && b.list[n-1].Alike != nil && len(b.list[n-1].Alike.List) < perBatch {
		last := b.list[n-1].Alike
		last.List = append(last.List, a)
		return
	}
	first := append(make([]observation.Alike, 0, firstBatch), a)
	b.list = append(b.list, observation.Envelope{Alike: &observation.AlikeBatch{Session: b.session, List: first}})
}

// whole puts in any other.
func (b *outbox) whole(o *observation.Observation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enter()
	b.list = append(b.list, observation.Envelope{Observation: o})
}

// enter waits for room for one more, and tells the publisher. The caller holds mu.
func (b *outbox) enter() {
	for b.count >= outRing {
		b.room.Wait()
	}
	if b.count++; b.count == 1 {
		b.signal()
	}
}

func (b *outbox) signal() {
	select {
	case b.more <- struct{}{}:
	default: // it knows
	}
}

// take empties the box; last says that nothing more will come.
func (b *outbox) take() (list []observation.Envelope, last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list = b.list
	b.list, b.count = make([]observation.Envelope, 0, min(len(list), outRing)), 0
	b.room.Broadcast()
	return list, b.closed
}

// close says that nothing more will be put in.
func (b *outbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.signal()
}
