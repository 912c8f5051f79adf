// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"microstax/internal/dataplane/tap"
)

// copyOf is a request that began and was answered.
type copyOf struct{ began, ready time.Time }

// replay runs copies through queue and pacer, as the dispatcher does, with a server that takes nothing during a stall.
// It returns when each left, in the order of the copies.
func replay(t *testing.T, copies []copyOf, from, to time.Time) []time.Time {
	t.Helper()
	p, q := pacer{bound: 5 * time.Second}, queue{}
	byReady := make([]int, len(copies))
	at := map[*tap.Capture]int{}
	for i := range copies {
		byReady[i] = i
	}
	slices.SortFunc(byReady, func(a, b int) int { return cmp.Compare(copies[a].ready.UnixNano(), copies[b].ready.UnixNano()) })
	sent := make([]time.Time, len(copies))
	now := copies[0].began
	for left := len(copies); left > 0; {
		for len(byReady) > 0 && !copies[byReady[0]].ready.After(now) {
			i := byReady[0]
			byReady = byReady[1:]
			c := tap.New(copies[i].began, nil, 0, nil)
			at[c] = i
			p.learn(copies[i].began, copies[i].ready)
			q.push(Job{Capture: c})
		}
		if q.len() == 0 {
			now = copies[byReady[0]].ready
			continue
		}
		if w := p.wait(q.top().Capture.Start, now); w > 0 {
			now = now.Add(min(w, soon))
			continue
		}
		waited := !now.Before(from) && now.Before(to)
		if waited {
			now = to
		}
		j := q.pop()
		i := at[j.Capture]
		p.sent(copies[i].began, copies[i].ready, now, waited)
		sent[i] = now
		left--
	}
	return sent
}

// most is how many of the times lie within a window of that length at most.
func most(times []time.Time, window time.Duration) int {
	times = slices.Clone(times)
	slices.SortFunc(times, time.Time.Compare)
	best, from := 0, 0
	for i := range times {
		for times[i].Sub(times[from]) > window {
			from++
		}
		best = max(best, i-from+1)
	}
	return best
}

func traffic(n int, gap, took, slow time.Duration) []copyOf {
	rng := rand.New(rand.NewPCG(1, 2))
	at := epoch
	copies := make([]copyOf, n)
	for i := range copies {
		at = at.Add(time.Duration(rng.ExpFloat64() * float64(gap)))
		d := took
		if i%10 == 7 {
			d = slow
		}
		copies[i] = copyOf{at, at.Add(d)}
	}
	return copies
}

func TestCopiesLeaveAsRequestsCame(t *testing.T) {
	t.Parallel()
	copies := traffic(4000, 2*time.Millisecond, 3*time.Millisecond, 60*time.Millisecond)
	sent := replay(t, copies, time.Time{}, time.Time{})
	var lags []time.Duration
	for i, c := range copies[1000:] { // once it knows the baseline
		lags = append(lags, sent[1000+i].Sub(c.began))
	}
	slices.Sort(lags)
	p5, p50, p95 := lags[len(lags)/20], lags[len(lags)/2], lags[len(lags)*19/20]
	if p95-p5 > 12*time.Millisecond {
		t.Errorf("lags spread from %v over %v to %v, although one request in ten is 57 ms slower", p5, p50, p95)
	}
	if p95 > 80*time.Millisecond {
		t.Errorf("copies lag by %v", p95)
	}
}

func TestNoBurstAfterAStall(t *testing.T) {
	t.Parallel()
	copies := traffic(6000, time.Millisecond, 2*time.Millisecond, 2*time.Millisecond)
	from := epoch.Add(time.Second)
	sent := replay(t, copies, from, from.Add(500*time.Millisecond))
	came := make([]time.Time, len(copies))
	for i := range copies {
		came[i] = copies[i].began
	}
	const window = 50 * time.Millisecond
	if in, out := most(came, window), most(sent, window); float64(out) > 2.4*float64(in) {
		t.Errorf("%d copies left within %v, and never more than %d requests came in as much", out, window, in)
	}
	last := len(copies) - 1
	if lag := sent[last].Sub(copies[last].began); lag > 50*time.Millisecond {
		t.Errorf("still %v behind at the end", lag)
	}
}

func TestBeyondTheBoundCopiesLeaveAtOnce(t *testing.T) {
	t.Parallel()
	p := pacer{bound: time.Second, gap: longGap}
	p.sent(epoch, epoch, epoch.Add(2*time.Second), true)
	if w := p.wait(epoch.Add(10*time.Millisecond), epoch.Add(2*time.Second)); w != 0 {
		t.Errorf("waits %v although it is 2 s late", w)
	}
	p = pacer{bound: time.Second, gap: longGap}
	if !p.direct() {
		t.Error("a fast baseline waits")
	}
	p.sent(epoch, epoch, epoch.Add(300*time.Millisecond), false)
	if !p.direct() {
		t.Error("waits although the shadows had room")
	}
	p.sent(epoch, epoch, epoch.Add(300*time.Millisecond), true)
	if w := p.wait(epoch.Add(10*time.Millisecond), epoch.Add(300*time.Millisecond)); w < 5*time.Millisecond || w > 10*time.Millisecond {
		t.Errorf("waits %v behind one that began 10 ms before", w)
	}
}

// TestEarlierRequestsLeaveFirst: a request that another one waited for leaves first.
func TestEarlierRequestsLeaveFirst(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	var q queue
	for range 500 {
		q.push(Job{Capture: tap.New(epoch.Add(time.Duration(rng.IntN(1e9))), nil, 0, nil)})
		if rng.IntN(3) == 0 {
			first := q.pop().Capture.Start
			for i := range q.jobs {
				if q.jobs[i].Capture.Start.Before(first) {
					t.Fatal("one that began later left first")
				}
			}
		}
	}
	for before := (time.Time{}); q.len() > 0; {
		j := q.pop()
		if j.Capture.Start.Before(before) {
			t.Fatal("out of order")
		}
		before = j.Capture.Start
	}
}

func TestDenseTrafficIsNotHeld(t *testing.T) {
	t.Parallel()
	p, at := pacer{bound: time.Second}, epoch
	for range 1000 {
		at = at.Add(50 * time.Microsecond)
		p.learn(at, at.Add(20*time.Millisecond))
	}
	p.sent(at, at, at.Add(500*time.Millisecond), true)
	if !p.direct() || p.wait(at, at) > 0 {
		t.Errorf("copies of 20,000 requests a second are held: %v", p.wait(at, at))
	}
}
