// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"fmt"
	"math"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) //nolint:gochecknoglobals // a constant

func TestShareOfSessionsIsMirroredWhole(t *testing.T) {
	t.Parallel()
	const n = 20_000
	s := newShedder("ses_1")
	count := func(sample, theta float64) (in, out, away int) {
		s.set(theta)
		for i := range n {
			switch s.decide(s.point(fmt.Sprint("user-", i)), uint64(sample*whole), true, epoch) {
			case Mirror:
				in++
			case SampleOut:
				out++
			case ShedSession:
				away++
			}
		}
		return in, out, away
	}
	for _, c := range []struct{ sample, theta float64 }{{1, 1}, {.25, 1}, {1, .1}, {.5, .3}, {0, 1}, {1, .01}} {
		in, out, away := count(c.sample, c.theta)
		for _, x := range []struct {
			name string
			got  int
			want float64
		}{{"mirrored", in, c.sample * c.theta}, {"sampled out", out, 1 - c.sample}, {"shed", away, c.sample * (1 - c.theta)}} {
			if sd := math.Sqrt(x.want * (1 - x.want) / n); math.Abs(float64(x.got)/n-x.want) > 5*sd+1e-9 {
				t.Errorf("sample %v, share %v: %d of %d %s, want about %v", c.sample, c.theta, x.got, n, x.name, x.want)
			}
		}
	}
}

func TestAnotherSessionDrawsAnotherSample(t *testing.T) {
	t.Parallel()
	a, b := newShedder("ses_1"), newShedder("ses_2")
	both, n := 0, 10_000
	for i := range n {
		key := fmt.Sprint("user-", i)
		if again := newShedder("ses_1"); a.point(key) != again.point(key) {
			t.Fatal("a point changes with a restart")
		}
		if a.point(key)>>63 == 0 && b.point(key)>>63 == 0 {
			both++
		}
	}
	if math.Abs(float64(both)/float64(n)-.25) > .025 {
		t.Errorf("%d of %d users are in the lower half of both, want a quarter", both, n)
	}
}

// TestShedSessionsStayOut: what was cut is not taken up again in its middle, and a new session is when there is room.
func TestShedSessionsStayOut(t *testing.T) {
	t.Parallel()
	s := newShedder("ses_1")
	var high string
	for i := 0; ; i++ {
		if high = fmt.Sprint("user-", i); s.point(high)>>32 > whole*9/10 {
			break
		}
	}
	p := s.point(high)
	steps := []struct {
		name  string
		theta float64
		after time.Duration
		want  Choice
	}{
		{"at first", 1, 0, Mirror},
		{"when the share falls below it", .5, time.Second, ShedSession},
		{"when there is room again", 1, time.Minute, ShedSession},
		{"still", 1, 4 * time.Minute, ShedSession},
		{"not for good", 1, 6 * time.Minute, Mirror},
	}
	for _, st := range steps {
		s.set(st.theta)
		if got := s.decide(p, whole, false, epoch.Add(st.after)); got != st.want {
			t.Errorf("%s: %d, want %d", st.name, got, st.want)
		}
	}
	if n := s.lost.Load(); n != 1 {
		t.Errorf("%d sessions shed, want 1", n)
	}
}

func TestOutcastsAreBounded(t *testing.T) {
	t.Parallel()
	s := newShedder("ses_1")
	s.set(leastShare)
	const n = 30_000
	for i := range n {
		s.decide(s.point(fmt.Sprint(i)), whole, false, epoch)
	}
	s.set(1)
	kept := 0
	for i := range n {
		if s.decide(s.point(fmt.Sprint(i)), whole, false, epoch) == ShedSession {
			kept++
		}
	}
	if kept < n*95/100 {
		t.Errorf("%d of %d shed sessions are known", kept, n)
	}
}

func TestDecideDoesNotAllocate(t *testing.T) { //nolint:paralleltest // counts allocations
	s := newShedder("ses_1")
	s.set(.5)
	s.decide(s.point("x"), whole, false, epoch)
	i := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		i += 0x9e3779b97f4a7c15
		s.decide(i, whole, false, epoch)
		s.point("cookie:sid=0123456789abcdef0123456789abcdef")
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// model is a model of the shadows: users send in turn, one server takes so many a second, and what waits is cut when the
// share falls.
type model struct {
	s        *shedder
	throttle *throttle
	ring     int
	waiting  []job0
	lost     int
	lowest   float64
}

type job0 struct {
	user uint64
	at   time.Time
}

// run lets time pass in steps of 10 ms, with so many requests and so much service a second.
func (q *model) run(from time.Time, d time.Duration, users, offered, capacity int, fresh bool) {
	var due, room float64
	var in, out float64
	for step := range int(d / (10 * time.Millisecond)) {
		now := from.Add(time.Duration(step) * 10 * time.Millisecond)
		taken, served := 0, 0
		for due += float64(offered) / 100; due >= 1; due-- {
			u := uint64(step*7919+taken*104729) % uint64(users)
			taken++
			key := fmt.Sprint("user-", u)
			if fresh {
				key = fmt.Sprint("user-", u, now.Unix()/30)
			}
			p := q.s.point(key)
			if q.s.decide(p, whole, false, now) != Mirror {
				continue
			}
			in++
			if len(q.waiting) >= q.ring {
				q.lost++
				continue
			}
			q.waiting = append(q.waiting, job0{p, now})
		}
		for room = min(room+float64(capacity)/100, float64(capacity)/10); room >= 1 && len(q.waiting) > 0; {
			j := q.waiting[0]
			q.waiting = q.waiting[1:]
			if q.s.decide(j.user, whole, false, now) == Mirror {
				served++
				room--
			}
		}
		out += float64(served)
		if step%10 == 9 {
			p := pressure{Fill: float64(len(q.waiting)) / float64(q.ring), Offered: in * 10, Served: out * 10}
			if len(q.waiting) > 0 {
				p.Age = now.Sub(q.waiting[0].at)
			}
			q.s.set(q.throttle.step(now, p))
			in, out = 0, 0
			q.lowest = min(q.lowest, q.throttle.theta)
		}
	}
}

// TestThrottleFindsTheShare: a server that takes a tenth of the load gets about that, nothing falls out of the ring, and
// the share is not driven far below what there is room for.
func TestThrottleFindsTheShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                     string
		users, offered, capacity int
		fresh                    bool
		least, most              float64 // share, at its lowest
	}{
		{"200 users that stay, a tenth of the load", 200, 500, 50, false, .04, .12},
		{"users that come and go", 200, 500, 50, true, .03, .12},
		{"half the load", 1000, 2000, 1000, false, .15, .55},
		{"a hundredth", 5000, 5000, 50, false, .003, .012},
		{"room for all", 200, 500, 600, false, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q := &model{s: newShedder("ses_1"), throttle: newThrottle(5 * time.Second), ring: 8192, lowest: 1}
			q.run(epoch, 2*time.Minute, c.users, c.offered, c.capacity, c.fresh)
			t.Logf("share %.3f, lowest %.3f, %d sessions shed, %d lost, %d wait", q.throttle.theta, q.lowest, q.s.lost.Load(), q.lost, len(q.waiting))
			if q.lost > 0 {
				t.Errorf("%d copies found the ring full", q.lost)
			}
			if q.lowest < c.least || q.lowest > c.most {
				t.Errorf("the share went down to %.4f, want %v to %v", q.lowest, c.least, c.most)
			}
		})
	}
}

func TestThrottleRisesSlowlyAndStandsStillWhileHalted(t *testing.T) {
	t.Parallel()
	th := newThrottle(5 * time.Second)
	now := epoch
	if got := th.step(now, pressure{Fill: .8, Offered: 100, Served: 50}); got != .4 {
		t.Fatalf("cut to %v, want 0.4", got)
	}
	if got := th.step(now.Add(500*time.Millisecond), pressure{Fill: .8, Offered: 100, Served: 50}); got != .4 {
		t.Errorf("cut again before the first could show: %v", got)
	}
	for i := range 100 {
		if got := th.step(now.Add(time.Duration(1+i)*time.Second), pressure{Halted: true}); got != .4 {
			t.Fatalf("moved to %v while the breaker is open", got)
		}
	}
	now = now.Add(2 * time.Minute)
	for i := range 4 {
		if got := th.step(now.Add(time.Duration(i)*time.Second), pressure{}); got != .4 {
			t.Fatalf("rose after %d s", i)
		}
	}
	if got := th.step(now.Add(6*time.Second), pressure{Fill: .5}); got != .4 {
		t.Errorf("rose with the ring half full: %v", got)
	}
	for range 200 {
		now = now.Add(time.Second)
		th.step(now, pressure{})
	}
	if th.theta != 1 {
		t.Errorf("share is %v after minutes of room", th.theta)
	}
}
