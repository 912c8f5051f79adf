// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"sync"
	"time"
)

// traces remember, for a while, what entered with a trace: the routing key, the user's session, and which shadow
// sessions are mirroring a hop of it at the moment. A service that forwards only traceparent is routed by it. Only live
// traffic takes these locks.
type traces struct {
	shards [32]traceShard
}

type traceShard struct {
	mu    sync.Mutex
	known map[string]*trace
	fifo  []string // in order of arrival
}

type trace struct {
	key     string
	session string
	own     bool // the session only orders: see mirror.Job.OwnUnit
	at      time.Time
	inside  []hop
}

// hop is a mirrored hop under way.
type hop struct{ session, caller string }

// Bounds of the memory of traces, for each of the shards.
const (
	traceTTL  = time.Minute
	maxTraces = 4096
)

func newTraces() *traces {
	t := &traces{}
	for i := range t.shards {
		t.shards[i].known = map[string]*trace{}
	}
	return t
}

func (t *traces) shard(id string) *traceShard {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return &t.shards[h%uint32(len(t.shards))]
}

// enter remembers a trace. One that is known keeps what was known first: the session that it entered with.
func (t *traces) enter(id, key, session string, own bool) {
	s := t.shard(id)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.known[id]; x != nil {
		if x.key == "" {
			x.key = key
		}
		x.at = now
		return
	}
	s.known[id] = &trace{key: key, session: session, own: own, at: now}
	s.fifo = append(s.fifo, id)
	for len(s.fifo) > 0 {
		oldest := s.known[s.fifo[0]]
		if oldest != nil && len(s.fifo) <= maxTraces && now.Sub(oldest.at) < traceTTL {
			break
		}
		delete(s.known, s.fifo[0])
		s.fifo = s.fifo[1:]
	}
}

// lookup is what is known of a trace.
func (t *traces) lookup(id string) (key, session string, own, known bool) {
	s := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.known[id]
	if x == nil {
		return "", "", false, false
	}
	return x.key, x.session, x.own, true
}

// begin notes a mirrored hop, and says whether the trace is already inside another caller's mirrored hop of the same
// shadow session: then this hop is a consequence of it, to be compared as a call and not mirrored again.
func (t *traces) begin(id string, h hop) (nested bool) {
	s := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.known[id]
	if x == nil {
		return false
	}
	for _, open := range x.inside {
		if open.session == h.session && open.caller != h.caller {
			return true
		}
	}
	x.inside = append(x.inside, h)
	return false
}

// end takes back what begin noted.
func (t *traces) end(id string, h hop) {
	s := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.known[id]
	if x == nil {
		return
	}
	for i, open := range x.inside {
		if open == h {
			x.inside = append(x.inside[:i], x.inside[i+1:]...)
			return
		}
	}
}
