// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"slices"
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
	batch  []observation.Alike // what comes after list; the room is used again
	count  int                 // observations in both
	bytes  int                 // of their bodies
	closed bool
}

// outRing is how many observations may wait to be published, and perBatch how many of those that are alike travel together
// at most.
const (
	outRing  = 512
	outBytes = 16 << 20 // of bodies that wait: then nobody puts in more
	perBatch = 128
)

func (b *outbox) init(session string) {
	b.session, b.more, b.room.L = session, make(chan struct{}, 1), &b.mu
}

// alike puts in an observation with nothing to see.
func (b *outbox) alike(a observation.Alike) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enter()
	if b.batch = append(b.batch, a); len(b.batch) == perBatch {
		b.pack()
	}
}

// pack makes an envelope of the batch. The caller holds mu.
func (b *outbox) pack() {
	if len(b.batch) == 0 {
		return
	}
	b.list = append(b.list, observation.Envelope{Alike: &observation.AlikeBatch{Session: b.session, List: slices.Clone(b.batch)}})
	clear(b.batch) // let go of their strings
	b.batch = b.batch[:0]
}

// whole puts in any other.
func (b *outbox) whole(o *observation.Observation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enter()
	b.pack()
	b.bytes += o.Bytes()
	b.list = append(b.list, observation.Envelope{Observation: o})
}

// enter waits for room for one more, and tells the publisher. The caller holds mu.
func (b *outbox) enter() {
	for b.count >= outRing || b.bytes >= outBytes {
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
	b.pack()
	list = b.list
	b.list, b.count = nil, 0
	b.bytes = 0
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
