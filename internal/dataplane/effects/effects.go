// SPDX-License-Identifier: Apache-2.0

// Package effects decides what a shadow's outgoing call gets: the answer that the baseline's own call got for the same
// user request, the dependency itself where that is safe or asked for, or a refusal. A write that the baseline did not
// make never leaves.
//
// A Book keeps the baseline's calls for a while; a Script is what one mirrored request may be answered from, with what
// either shadow has used of it. Both are safe for concurrent use; nothing here is on a user's path.
package effects

import (
	"sort"
	"sync"
	"time"

	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// Record is one call that the baseline made.
type Record struct {
	Caller     string
	Dependency string
	TraceID    string // as the caller forwarded it; "" when it forwarded none
	Exchange   exchange.Exchange
	look       likeness
}

// Limits of a book: how long and how many calls are kept for the copies that still wait.
const (
	keepRecords = 30 * time.Second
	maxRecords  = 50_000
)

// Book keeps the calls that the baseline's services made lately, in order of their start.
type Book struct {
	mu      sync.Mutex
	records []*Record
	evicted int64
}

// Add keeps a call, and forgets those too old or too many to be asked for.
func (b *Book) Add(r Record) {
	r.look = look(&r.Exchange.Request)
	b.mu.Lock()
	defer b.mu.Unlock()
	i := len(b.records)
	for i > 0 && b.records[i-1].Exchange.Start.After(r.Exchange.Start) {
		i--
	}
	b.records = append(b.records, nil)
	copy(b.records[i+1:], b.records[i:])
	b.records[i] = &r
	drop := max(0, len(b.records)-maxRecords)
	b.evicted += int64(drop)
	horizon := r.Exchange.Start.Add(-keepRecords)
	for drop < len(b.records) && b.records[drop].Exchange.End().Before(horizon) {
		drop++
	}
	clear(b.records[:drop])
	b.records = b.records[drop:]
}

// Script collects what a mirrored request can be answered from: the calls of its trace, and those without any trace that
// began while it was served, with some slack behind. Calls of other traces stay out. exact says that every call was
// attributed by trace.
func (b *Book) Script(traceID string, start, end time.Time) *Script {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &Script{Exact: true}
	first := sort.Search(len(b.records), func(i int) bool { return !b.records[i].Exchange.Start.Before(start) })
	for _, r := range b.records[first:] {
		if r.Exchange.Start.After(end) {
			break
		}
		switch r.TraceID {
		case "":
			s.Exact = false
		case traceID:
		default:
			continue
		}
		s.records = append(s.records, r)
	}
	for i := range s.sides {
		s.sides[i].used = make([]bool, len(s.records))
	}
	return s
}

// Script is what one mirrored request is answered from.
type Script struct {
	Exact bool // the baseline's calls are known exactly, by trace

	mu      sync.Mutex
	records []*Record
	sides   [2]progress
}

// progress is what one side has used of a script and the calls it has made.
type progress struct {
	used  []bool
	calls []observation.Call
	open  int
	idle  chan struct{} // closed when open falls to zero; nil while nobody waits
}

// Side is which shadow calls.
type Side int

// The sides.
const (
	Control Side = iota
	Candidate
)

// Policy is what the Blueprint says of a shadow's calls.
type Policy string

// The policies.
const (
	Replay      Policy = "replay"
	Passthrough Policy = "passthrough"
	Block       Policy = "block"
)

// Decision is what a call gets.
type Decision struct {
	Effect  observation.Effect
	Tier    observation.Tier
	Matched int  // index of the baseline's call, or -1
	Tainted bool // the answer is not what this call would have got
	Forward bool // make the call really
	// Answer is the recorded answer to give, after waiting Delay; nil when Forward is set or nothing fits.
	Answer *exchange.Response
	Failed exchange.Outcome // the baseline's call failed like this: fail in the same way
	Delay  time.Duration
}

// Thresholds of matching: at least near for the same call with slightly other arguments, at least similar for a guess.
const (
	nearEnough    = 0.90
	similarEnough = 0.50
)

// Decide says what a call of one side gets, and marks what it used. owned calls go to the side's own instance.
func (s *Script) Decide(side Side, req *exchange.Request, dependency string, owned bool, policy Policy) Decision {
	l := look(req)
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.match(side, &l, dependency)
	switch {
	case owned:
		return Decision{Effect: observation.Owned, Tier: m.tier, Matched: s.use(side, m), Forward: true}
	case policy == Passthrough:
		return Decision{Effect: observation.Passed, Tier: m.tier, Matched: s.use(side, m), Forward: true}
	case policy == Block:
		return Decision{Effect: observation.Blocked, Tier: m.tier, Matched: s.use(side, m), Tainted: true}
	}
	if m.index >= 0 && !replayable(&s.records[m.index].Exchange) {
		m = found{tier: m.tier, index: -1}
	}
	if m.index < 0 {
		if l.safe {
			return Decision{Effect: observation.ReadThrough, Tier: observation.None, Matched: -1, Forward: true}
		}
		return Decision{Effect: observation.Fenced, Tier: observation.None, Matched: -1, Tainted: true}
	}
	if m.tier == observation.Similar && l.safe {
		// Another question: its own answer is better than somebody else's.
		return Decision{Effect: observation.ReadThrough, Tier: m.tier, Matched: s.use(side, m), Forward: true}
	}
	return s.replay(side, m, l.safe)
}

func (s *Script) replay(side Side, m found, safe bool) Decision {
	rec := s.records[m.index]
	d := Decision{
		Effect: observation.Replayed, Tier: m.tier, Matched: m.index,
		Delay: rec.Exchange.Duration, Tainted: m.tier == observation.Similar,
	}
	if m.tier == observation.Repeat {
		if !safe {
			d.Effect = observation.Fenced
		}
		d.Matched = -1
	} else {
		s.use(side, m)
	}
	if rec.Exchange.Outcome != exchange.OK {
		d.Failed = rec.Exchange.Outcome
		return d
	}
	d.Answer = &rec.Exchange.Response
	return d
}

// replayable says whether a recorded call can answer: it has a whole answer, or it failed.
func replayable(e *exchange.Exchange) bool {
	return e.Outcome != exchange.OK || e.Response.Status > 0 && !e.Response.Body.Truncated
}

// found is the best recorded call for a request.
type found struct {
	index int
	tier  observation.Tier
}

func (s *Script) use(side Side, m found) int {
	if m.index >= 0 && m.tier != observation.Repeat {
		s.sides[side].used[m.index] = true
		return m.index
	}
	return -1
}

// match looks for the recorded call that fits best: equal and unused; else the more similar of the best unused and the
// best used one, as long as they are near; else one that is similar and unused. Of equally good ones the earliest wins.
// A used one that fits better than all unused ones is the same call made again.
func (s *Script) match(side Side, l *likeness, dependency string) found {
	used := s.sides[side].used
	best, bestUsed := found{index: -1, tier: observation.None}, -1
	bestSim, usedSim := 0.0, 0.0
	for i, r := range s.records {
		if r.Dependency != dependency || r.look.operation != l.operation {
			continue
		}
		equal := equalLikeness(&r.look, l)
		sim := 1.0
		if !equal {
			sim = similarity(&r.look, l)
		}
		if used[i] {
			if sim >= nearEnough && sim > usedSim {
				bestUsed, usedSim = i, sim
			}
			continue
		}
		if equal {
			return found{index: i, tier: observation.Exact}
		}
		if sim > bestSim {
			best.index, bestSim = i, sim
		}
	}
	switch {
	case bestSim >= nearEnough && bestSim >= usedSim:
		best.tier = observation.Near
	case bestUsed >= 0:
		return found{index: bestUsed, tier: observation.Repeat}
	case bestSim >= similarEnough:
		best.tier = observation.Similar
	default:
		return found{index: -1, tier: observation.None}
	}
	return best
}

// Begin notes that a call is under way.
func (s *Script) Begin(side Side) {
	s.mu.Lock()
	s.sides[side].open++
	s.mu.Unlock()
}

// End notes a finished call.
func (s *Script) End(side Side, c observation.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.sides[side]
	p.calls = append(p.calls, c)
	if p.open--; p.open == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// Idle returns a channel that closes when the side has no call under way.
func (s *Script) Idle(side Side) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.sides[side]
	if p.open == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	return p.idle
}

// Story is what each side called, in order of start; Matched of the shadows' calls counts along the baseline's. Where the
// baseline's calls are not known exactly only those are told that answered a shadow: the rest may be anybody's.
func (s *Script) Story() (baseline, control, candidate []observation.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	control = inOrder(append([]observation.Call(nil), s.sides[Control].calls...))
	candidate = inOrder(append([]observation.Call(nil), s.sides[Candidate].calls...))
	place := make([]int, len(s.records))
	for i, r := range s.records {
		if place[i] = -1; !s.Exact && !s.sides[Control].used[i] && !s.sides[Candidate].used[i] {
			continue
		}
		place[i] = len(baseline)
		baseline = append(baseline, observation.Call{
			Caller: r.Caller, Dependency: r.Dependency, Exchange: r.Exchange,
			Effect: observation.Live, Matched: -1, Write: !r.look.safe,
		})
	}
	for _, calls := range [][]observation.Call{control, candidate} {
		for i := range calls {
			if calls[i].Matched >= 0 {
				calls[i].Matched = place[calls[i].Matched]
			}
		}
	}
	return baseline, control, candidate
}

// inOrder sorts by start; the lists are short and nearly sorted.
func inOrder(cs []observation.Call) []observation.Call {
	for i := 1; i < len(cs); i++ {
		for j := i; j > 0 && cs[j].Exchange.Start.Before(cs[j-1].Exchange.Start); j-- {
			cs[j], cs[j-1] = cs[j-1], cs[j]
		}
	}
	return cs
}

// Safe says whether a method promises to change nothing (RFC 9110, 9.2.1).
func Safe(method string) bool { return safeMethod(method) }

// Homeless is the decision for a call that belongs to no mirrored request that is known: it may ask, never write.
func Homeless(req *exchange.Request, owned bool, policy Policy) Decision {
	d := Decision{Tier: observation.None, Matched: -1, Tainted: true}
	switch {
	case owned:
		d.Effect, d.Forward = observation.Owned, true
	case policy == Passthrough:
		d.Effect, d.Forward = observation.Passed, true
	case policy == Block:
		d.Effect = observation.Blocked
	case safeMethod(req.Method):
		d.Effect, d.Forward = observation.ReadThrough, true
	default:
		d.Effect = observation.Fenced
	}
	return d
}
