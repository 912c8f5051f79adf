// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/observation"
)

// BreakerOpen says that the shadows did not answer at the time: what came was not sent, but for a probe now and then.
const BreakerOpen observation.DropReason = "breakerOpen"

// Bounds of what a shadow gets.
const (
	breakAfter   = 20                    // failures in a row that open the breaker
	stallAfter   = time.Second           // so long without any answer while all places are taken opens it too
	probeFirst   = 50 * time.Millisecond // before the first probe, and twice as long before each further one
	probeMost    = time.Second           // until it is this: a shadow that is gone costs next to nothing, and is soon found again
	maxInFlight  = 2048                  // places that a slow shadow may get, where the number is not configured
	manyInFlight = 1024                  // places after which their number grows slowly
	floorFor     = 5 * time.Second       // how long the best time of an answer counts, and once more
)

// breaker judges from how shadows answer what they are sent. One that is only slow gets more places, as long as more of
// them do not make it slower. One that fails again and again, or does not answer at all, gets probes only, until it
// answers: neither connections nor copies pile up for it. Methods may be called concurrently.
type breaker struct {
	open  atomic.Bool
	extra atomic.Int64 // places beyond the configured ones
	// frozen says that more places are of no use: the shadows are at their limit.
	frozen atomic.Bool

	mu       sync.Mutex
	failures int           // in a row
	answered time.Time     // the last answer of any kind, or the last time that there were free places
	asked    int           // how often more places would have been of use
	wait     time.Duration // before the next probe
	probe    atomic.Int64  // when the next may leave, in ns since 1970; changed under mu
	best     [2]time.Duration
	turned   time.Time // when best was shifted
}

// shut says whether the breaker is open.
func (b *breaker) shut() bool { return b.open.Load() }

// done notes how a copy fared; full says that all places were taken.
func (b *breaker) done(ok, full bool, took time.Duration, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !ok {
		b.extra.Store(0)
		if b.failures++; b.failures >= breakAfter && !b.open.Load() {
			b.trip(now)
		}
		return
	}
	b.failures, b.answered = 0, now
	b.open.Store(false)
	if b.best[0] == 0 || now.Sub(b.turned) > floorFor {
		b.best[1], b.best[0], b.turned = b.best[0], took, now
	}
	b.best[0] = min(b.best[0], took)
	floor := b.best[0]
	if b.best[1] > 0 {
		floor = min(floor, b.best[1])
	}
	if full && took <= 2*floor && !b.frozen.Load() {
		b.grow()
	}
}

// grow gives places: quickly at first, so that little piles up meanwhile; slowly where each costs memory that is needed
// only for what has piled up.
func (b *breaker) grow() {
	b.asked++
	switch n := b.extra.Load(); {
	case n < manyInFlight/2:
		b.extra.Store(n + 2)
	case n < manyInFlight:
		b.extra.Store(n + 1)
	case n < maxInFlight && b.asked%16 == 0:
		b.extra.Store(n + 1)
	}
}

// stalled opens the breaker when nothing was answered for too long, with all places taken since at least then. A
// baseline that takes long itself gives its shadows more time.
func (b *breaker) stalled(since, now time.Time, baseline time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answered.After(since) {
		since = b.answered
	}
	if now.Sub(since) < max(stallAfter, 3*baseline) {
		return false
	}
	b.extra.Store(0)
	b.trip(now)
	return true
}

// trip opens the breaker. The caller holds mu.
func (b *breaker) trip(now time.Time) {
	b.wait = probeFirst
	b.probe.Store(now.Add(b.wait).UnixNano())
	b.open.Store(true)
}

// due says whether a copy that comes now could leave: only the first one after a while, when the breaker is open.
func (b *breaker) due(now time.Time) bool { return !b.open.Load() || now.UnixNano() >= b.probe.Load() }

// pass says whether a copy may leave: each while the breaker is closed, else a probe.
func (b *breaker) pass(now time.Time) bool {
	if !b.open.Load() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.UnixNano() < b.probe.Load() {
		return false
	}
	b.wait = min(2*b.wait, probeMost)
	b.probe.Store(now.Add(b.wait).UnixNano())
	return true
}
