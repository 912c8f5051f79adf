// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"container/list"
	"net/netip"
	"time"

	"microstax/internal/dataplane/http1"
	"microstax/internal/observation"
)

// Limits bound what a tap holds; zero fields get the defaults.
type Limits struct {
	Ring  int // bytes of packets that may wait in the kernel's ring; default 32 MiB
	Flows int // connections followed at a time; beyond it the one that is silent for longest is given up; default 20,000
	Held  int // bytes of all connections that wait for what lies before them; default 64 MiB
	Head  int // bytes of a request's head; default 64 KiB
}

func (l *Limits) fill() {
	def := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	def(&l.Ring, 32<<20)
	def(&l.Flows, 20_000)
	def(&l.Held, 64<<20)
	def(&l.Head, 64<<10)
}

// How long a silent connection is followed, and how long one that has ended is remembered, so that stragglers are not
// taken for a new one.
const (
	idleFor  = 10 * time.Minute
	buryFor  = 5 * time.Second
	maxGrave = 20_000
)

// graceElsewhere is how long bytes may be missing that their receiver has acknowledged, where neither side is on this
// machine: packets of two directions may come by in the wrong order. On the receiver's machine, and on the sender's, what
// is acknowledged has passed before, or passed unseen.
const graceElsewhere = 20 * time.Millisecond

type flowKey struct{ client, server netip.AddrPort }

// table is all connections of a tap. It belongs to one goroutine.
type table struct {
	port     uint16
	serves   func(netip.Addr) bool
	watcher  Watcher
	limits   Limits
	grace    time.Duration // see graceElsewhere
	flows    map[flowKey]*flow
	order    *list.List // the silent for longest first
	graves   []grave    // the oldest first
	suspects map[*flow]struct{}
	head     http1.Head
	held     int
	next     uint64
	counts   observation.Capture // since they were told
	// What an exchange usually takes, in bytes, of those between which nothing was lost.
	turns, turnUp, turnDown int64
}

type grave struct {
	f  *flow
	at time.Time
}

func newTable(port uint16, serves func(netip.Addr) bool, w Watcher, l Limits) *table {
	l.fill()
	return &table{
		port: port, serves: serves, watcher: w, limits: l,
		flows: map[flowKey]*flow{}, order: list.New(), suspects: map[*flow]struct{}{},
	}
}

// packet takes a segment that passed.
func (t *table) packet(seg *segment, at time.Time) {
	key, toServer := flowKey{seg.src, seg.dst}, true
	f := t.flows[key]
	if f == nil {
		back := flowKey{seg.dst, seg.src}
		if f = t.flows[back]; f != nil {
			key, toServer = back, false
		}
	}
	opening := seg.has(flagSYN) && !seg.has(flagACK)
	if f != nil && opening && toServer && (f.buried() || !f.fresh || f.isn != seg.seq) { // the port is used again
		if !f.buried() {
			f.end(endGivenUp, false, at)
		}
		t.forget(f)
		f = nil
	}
	if f == nil {
		if !opening && seg.length == 0 && !seg.has(flagSYN) {
			return
		}
		if toServer = t.opens(seg); !toServer {
			key = flowKey{seg.dst, seg.src}
		}
		if f = t.add(key, opening, at); f == nil {
			return
		}
	}
	f.touched = at
	if f.place != nil {
		t.order.MoveToBack(f.place)
	}
	f.take(seg, toServer, at)
}

// opens says whether a segment of a connection that is not known goes to its server.
func (t *table) opens(seg *segment) bool {
	switch {
	case seg.dst.Port() != t.port:
		return false
	case seg.src.Port() != t.port:
		return true
	}
	return !seg.has(flagSYN) || !seg.has(flagACK)
}

// add begins to follow a connection, if it is one to follow.
func (t *table) add(key flowKey, opening bool, at time.Time) *flow {
	if !t.serves(key.server.Addr()) {
		if opening {
			t.counts.Elsewhere++
		}
		return nil
	}
	for len(t.flows) >= t.limits.Flows && t.giveUp(at) {
	}
	t.next++
	t.counts.Connections++
	f := &flow{t: t, id: t.next, client: key.client, server: key.server, touched: at}
	f.place = t.order.PushBack(f)
	t.flows[key] = f
	return f
}

// giveUp makes room for one connection.
func (t *table) giveUp(at time.Time) bool {
	if len(t.graves) > 0 {
		t.forget(t.graves[0].f)
		t.graves = t.graves[1:]
		return true
	}
	oldest := t.order.Front()
	if oldest == nil {
		return false
	}
	f := oldest.Value.(*flow) //nolint:errcheck,forcetypeassert // there is nothing else in it
	t.counts.Evicted++
	f.end(endGivenUp, false, at)
	t.forget(f)
	return true
}

func (f *flow) buried() bool { return f.place == nil }

// bury remembers a connection that has ended for a moment.
func (t *table) bury(f *flow, at time.Time) {
	if f.buried() {
		return
	}
	f.speech = ignored
	t.order.Remove(f.place)
	f.place = nil
	t.watch(f, false)
	t.graves = append(t.graves, grave{f, at})
	if len(t.graves) > maxGrave {
		t.forget(t.graves[0].f)
		t.graves = t.graves[1:]
	}
}

func (t *table) forget(f *flow) {
	if key := (flowKey{f.client, f.server}); t.flows[key] == f {
		delete(t.flows, key)
	}
}

// watch has the flow looked at by sweep.
func (t *table) watch(f *flow, on bool) {
	if on == f.suspect {
		return
	}
	if f.suspect = on; on {
		t.suspects[f] = struct{}{}
	} else {
		delete(t.suspects, f)
	}
}

// sweep gives up on what did not come in time.
func (t *table) sweep(now time.Time) {
	for f := range t.suspects {
		f.check(now)
	}
	for len(t.graves) > 0 && now.Sub(t.graves[0].at) >= buryFor {
		t.forget(t.graves[0].f)
		t.graves = t.graves[1:]
	}
	for oldest := t.order.Front(); oldest != nil; oldest = t.order.Front() {
		f := oldest.Value.(*flow) //nolint:errcheck,forcetypeassert // there is nothing else in it
		if now.Sub(f.touched) < idleFor {
			break
		}
		f.end(endGivenUp, false, now)
		t.forget(f)
	}
}

// close ends all connections.
func (t *table) close(now time.Time) {
	for f := range t.suspects { // what is missing now was not on its way
		f.hurry(now)
	}
	for oldest := t.order.Front(); oldest != nil; oldest = t.order.Front() {
		f := oldest.Value.(*flow) //nolint:errcheck,forcetypeassert // likewise
		f.end(endStopped, false, now)
	}
}

// missed counts exchanges that nothing else is known of.
func (t *table) missed(n int64) {
	t.counts.Missed += n
	t.watcher.Missed(n)
}

// measure takes how far both directions went from one request to the next.
func (t *table) measure(up, down int) {
	t.turns++
	t.turnUp += int64(up)
	t.turnDown += int64(down)
}

// usual is how many exchanges as many bytes of both directions usually make.
func (t *table) usual(up, down int64) (byUp, byDown int64) {
	guess := func(bytes, sum int64) int64 {
		if bytes <= 0 {
			return 0
		}
		if sum == 0 {
			return 1
		}
		return max((bytes*t.turns+sum/2)/sum, 1)
	}
	return guess(up, t.turnUp), guess(down, t.turnDown)
}
