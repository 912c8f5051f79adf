// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// whole stands for all sessions, in the scale in which shares of them are kept: a session's place among all is 32 bits of
// its hash, and it is part of a share that is larger.
const whole = 1 << 32

// shedder says which of a user's sessions are mirrored while the shadows cannot take all of them. What decides is a hash
// of the session and nothing else: what is left stays a fair sample, and a session is mirrored whole, or from its
// beginning up to a point, or not at all. Both shadows lose the same. Methods may be called concurrently.
type shedder struct {
	salt  uint64        // so that every shadow session draws another sample
	share atomic.Uint64 // θ, of whole
	out   atomic.Pointer[outcasts]
	lost  atomic.Int64 // sessions that were shed
}

func newShedder(session string) *shedder {
	s := &shedder{salt: xxhash.Sum64String(session)}
	s.share.Store(whole)
	return s
}

// point is where a session stands among all; the same for all of its requests, after a restart too.
func (s *shedder) point(key string) uint64 {
	x := xxhash.Sum64String(key) + s.salt // the finalizer of SplitMix64 makes salted hashes independent of each other
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Choice is what becomes of a session's request.
type Choice uint8

// The choices.
const (
	Mirror Choice = iota
	SampleOut
	ShedSession
)

// idle says that nothing is shed and nothing was: every session of the sample is mirrored.
func (s *shedder) idle() bool { return s.share.Load() == whole && s.out.Load() == nil }

// decide says what becomes of a request of the session at a point, with the sample (of whole) that is configured for its
// service. A request that is its own session leaves no trace behind.
func (s *shedder) decide(point, sample uint64, own bool, now time.Time) Choice {
	place := point >> 32
	if place >= sample {
		return SampleOut
	}
	share, out := s.share.Load(), s.out.Load()
	if share == whole && out == nil {
		return Mirror
	}
	if place >= sample*(share>>16)>>16 {
		if !own {
			s.cast(point, now)
		}
		return ShedSession
	}
	if !own && out != nil && out.holds(point, now) { // it was shed before: half of it would be compared out of context
		return ShedSession
	}
	return Mirror
}

// cast notes that a session was shed.
func (s *shedder) cast(point uint64, now time.Time) {
	out := s.out.Load()
	if out == nil {
		s.out.CompareAndSwap(nil, new(outcasts))
		out = s.out.Load()
	}
	if out.add(point, now) {
		s.lost.Add(1)
	}
}

// set changes the share of sessions that are mirrored.
func (s *shedder) set(theta float64) { s.share.Store(uint64(min(max(theta, 0), 1) * whole)) }

// theta is the share of the sampled sessions that are mirrored.
func (s *shedder) theta() float64 { return float64(s.share.Load()) / whole }

// outcasts remembers, in a bounded space, which sessions were shed, so that they are not taken up again in their middle as
// soon as there is room. That lasts for a while only: a user who never leaves is not left out for good. When more are shed
// than there is space for, the oldest are forgotten. Races lose a note at worst.
type outcasts [outcastSets * outcastWays]atomic.Uint64

const (
	outcastSets = 1 << 14
	outcastWays = 4 // 512 KiB in all, for up to 65,536 sessions; there only once something was shed
	// A note is 48 bits of the session's hash and 16 of time.
	noteTick = 15 * time.Second
	noteMask = 1<<16 - 1
	// forgetAfter is for how many ticks a session that was shed stays out: five minutes.
	forgetAfter = 20
)

func (o *outcasts) set(point uint64) []atomic.Uint64 {
	i := point & (outcastSets - 1) * outcastWays
	return o[i : i+outcastWays]
}

func tick(now time.Time) uint64 { return uint64(now.Unix()) / uint64(noteTick/time.Second) & noteMask } //nolint:gosec // wraps

// add notes a session, and says whether it is new.
func (o *outcasts) add(point uint64, now time.Time) bool {
	if o.holds(point, now) {
		return false
	}
	at := tick(now)
	set := o.set(point)
	oldest, age := 0, uint64(0)
	for i := range set {
		n := set[i].Load()
		a := (at - n&noteMask) & noteMask
		if n == 0 {
			a = noteMask + 1
		}
		if a > age {
			oldest, age = i, a
		}
	}
	set[oldest].Store(point&^noteMask | at)
	return true
}

// holds says whether a session is noted.
func (o *outcasts) holds(point uint64, now time.Time) bool {
	at := tick(now)
	set := o.set(point)
	for i := range set {
		n := set[i].Load()
		if n == 0 || n&^noteMask != point&^noteMask {
			continue
		}
		age := (at - n&noteMask) & noteMask
		if age > forgetAfter {
			set[i].Store(0)
			return false
		}
		return true
	}
	return false
}

// pressure is how a session's queue stands.
type pressure struct {
	Fill    float64       // the fuller of the ring and the byte budget, 0 to 1
	Age     time.Duration // how long the copy that waits longest has waited
	Offered float64       // copies a second that were taken into the ring
	Served  float64       // and that shadows and judgement were done with
	Growing bool          // more and more of them: a slow shadow is being given more places
	Halted  bool          // the breaker is open: nothing waits, whatever the load
}

// throttle finds the share of sessions that the shadows can take: down by a factor when too much waits, up again slowly
// when there has been room for a while (hysteresis). It is pure: time comes in.
type throttle struct {
	theta float64
	bound time.Duration // how long a copy may wait
	cut   time.Time     // the last time it went down
	calm  time.Time     // since when there is room; zero: there is none
}

const (
	fullAt    = 0.7
	almostAt  = 0.9
	roomBelow = 0.3
	// A cut is by what was served of what was offered, a little more to drain what waits, within these factors. When a
	// ring fills quickly, less is known of what can be served than after copies have waited for long.
	spare      = 0.8
	leastCut   = 0.7
	quickCut   = 0.3
	deepestCut = 0.05
	cutEvery   = time.Second // a cut has to show before the next
	hurryEvery = 200 * time.Millisecond
	rise       = 1.1
	riseEvery  = 5 * time.Second
	// leastShare is the smallest share that is kept.
	leastShare = 1.0 / 512
)

func newThrottle(bound time.Duration) *throttle { return &throttle{theta: 1, bound: bound} }

// step gives the share for now on.
func (t *throttle) step(now time.Time, p pressure) float64 {
	if p.Halted {
		t.calm = time.Time{}
		return t.theta
	}
	// What came before the last cut says nothing of the share since.
	late := p.Age > t.bound && now.Add(-p.Age).After(t.cut) && !p.Growing
	switch {
	case p.Fill > fullAt || late:
		t.calm = time.Time{}
		wait := cutEvery
		if p.Fill > almostAt {
			wait = hurryEvery
		}
		if now.Sub(t.cut) < wait {
			return t.theta
		}
		factor, deepest := leastCut, deepestCut
		if !late {
			deepest = quickCut
		}
		if p.Offered > 0 {
			factor = math.Min(math.Max(spare*p.Served/p.Offered, deepest), leastCut)
		}
		t.theta, t.cut = math.Max(t.theta*factor, leastShare), now
	case p.Fill < roomBelow && p.Age < t.bound/4:
		if t.calm.IsZero() {
			t.calm = now
		}
		if now.Sub(t.calm) >= riseEvery && t.theta < 1 {
			t.theta, t.calm = math.Min(t.theta*rise, 1), now
		}
	default:
		t.calm = time.Time{}
	}
	return t.theta
}
