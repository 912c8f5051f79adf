// SPDX-License-Identifier: Apache-2.0

package mirror

import "time"

// pacer says when a copy leaves: so that copies follow each other as the baseline's requests did,
//
//	sent = began + hold + behind
//
// hold is how long the baseline mostly takes until a request can be copied, so that the slower ones do not change the
// spacing. behind is how late the queue is, after the shadows could not take more for a while: what waited leaves in the
// spacing in which it came, up to twice as fast until the delay is made up, not in one burst. A queue that is later than the
// bound leaves as fast as it can, and so does everything while requests come too densely. The dispatcher owns it; it is pure: times come in.
type pacer struct {
	bound  time.Duration
	hold   time.Duration
	behind time.Duration
	last   time.Time     // when the latest request of those sent began
	came   time.Time     // when the one that was learnt last began
	gap    time.Duration // between two requests, in the mean of some dozens
}

const (
	// maxHold is the longest that copies wait for those of slower requests that began before; what takes the baseline
	// longer leaves when it is there.
	maxHold  = 250 * time.Millisecond
	shortest = 100 * time.Microsecond
	// dense are requests that follow each other so closely that timers cannot tell them apart: more than 2,500 a second.
	dense   = 400 * time.Microsecond
	longGap = 10 * time.Millisecond
	// soon is a wait that is not worth a timer.
	soon = 2 * time.Millisecond
	// stall is how late a copy may leave without that being a delay which those behind it have to keep: what piles up
	// meanwhile is little, and to hold it costs memory.
	stall = 100 * time.Millisecond
	// makeUp is the part of the time in which requests came by which a delay gets shorter: until it is made up copies
	// leave at most twice as fast as requests came.
	makeUp = 2
)

// learn takes when a request began and when it could be copied: hold moves towards what one in fifty takes longer than.
func (p *pacer) learn(began, ready time.Time) {
	if p.came.IsZero() {
		p.gap = longGap
	} else {
		p.gap += (min(max(began.Sub(p.came), 0), longGap) - p.gap) / 64
	}
	p.came = began
	if ready.Sub(began) > p.hold {
		p.hold = min(max(p.hold+p.hold/20, shortest), maxHold)
		return
	}
	p.hold = max(p.hold-p.hold/1000, shortest)
}

// direct says that copies leave when they come: nothing has to be put in order that is worth a timer.
func (p *pacer) direct() bool { return p.gap < dense || p.hold <= soon && p.behind <= soon }

// wait is how long the copy of a request that began then has to wait; 0 when it may leave.
func (p *pacer) wait(began, now time.Time) time.Duration {
	if p.behind >= p.bound || p.gap < dense {
		return 0
	}
	if d := began.Add(p.hold + p.behind).Sub(now); d > soon {
		return d
	}
	return 0
}

// sent notes that a copy left now, which was ready then, and whether the shadows had no place for it at first. Lateness
// for other reasons, such as a busy processor, is made up at once: to spread it would cost more of what is short.
func (p *pacer) sent(began, ready, now time.Time, waited bool) {
	if p.last.IsZero() {
		p.last = began
	}
	if ahead := began.Sub(p.last); ahead > 0 {
		p.behind = max(p.behind-ahead/makeUp, 0)
		p.last = began
	}
	expected := began.Add(p.hold)
	if ready.After(expected) { // its own slowness says nothing of the queue
		expected = ready
	}
	if late := now.Sub(expected); waited && late > p.behind+stall {
		p.behind = late
	}
}

// queue holds jobs until they leave, those first whose requests began first.
type queue struct{ jobs []Job }

func (q *queue) before(i, j int) bool { return q.jobs[i].Capture.Start.Before(q.jobs[j].Capture.Start) }

func (q *queue) len() int { return len(q.jobs) }

// top is the job whose turn is next; there must be one.
func (q *queue) top() *Job { return &q.jobs[0] }

func (q *queue) push(j Job) {
	q.jobs = append(q.jobs, j)
	for i := len(q.jobs) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.before(i, up) {
			return
		}
		q.jobs[i], q.jobs[up] = q.jobs[up], q.jobs[i]
		i = up
	}
}

func (q *queue) pop() Job {
	last := len(q.jobs) - 1
	j := q.jobs[0]
	q.jobs[0], q.jobs[last] = q.jobs[last], Job{}
	q.jobs = q.jobs[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			return j
		}
		if r := down + 1; r < last && q.before(r, down) {
			down = r
		}
		if !q.before(down, i) {
			return j
		}
		q.jobs[i], q.jobs[down] = q.jobs[down], q.jobs[i]
		i = down
	}
}
