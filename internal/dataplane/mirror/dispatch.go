// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"time"

	"microstax/internal/dataplane/route"
	"microstax/internal/observation"
)

// dispatch takes jobs in order and starts each when its time has come and a place is free.
func (r *Runner) dispatch(ctx context.Context) {
	for {
		j, ok := r.next()
		if !ok {
			return
		}
		if why, ok := r.admit(ctx, &j); !ok {
			r.abandon(&j, why)
			continue
		}
		t := r.tasks.Get().(*task) //nolint:errcheck,forcetypeassert // the pool holds nothing else
		t.job, t.end, t.candidateFirst = j, j.Capture.Start.Add(j.Capture.Duration), r.rng.Uint64()&1 == 0
		r.count.mirrored.Add(1)
		t.order = r.sequences(t.room[:0], &j)
		if r.order.enter(j.Capture.Start, t) {
			r.crew.start(ctx, t)
		}
	}
}

// next is the job that waits longest; false when there will be none. When none is left it lets some gather, for a moment
// in which nobody who offers one has to wake it: that is the user's path.
func (r *Runner) next() (j Job, ok bool) {
	select {
	case j = <-r.ring:
		return j, true
	default:
	}
	r.gather.Reset(gatherJobs)
	select {
	case <-r.gather.C:
	case <-r.quit:
	}
	select {
	case j = <-r.ring:
		return j, true
	default:
	}
	select {
	case j = <-r.ring:
		return j, true
	case <-r.quit:
		return j, false
	}
}

// gatherJobs is how long a copy may wait for more before the shadows get it.
const gatherJobs = 500 * time.Microsecond

// crowd is how many copies have to wait for one address to be taken for that of many users.
const crowd = 32

// sequences says which requests a job has to keep its order with: those of its session, and those of the one that its
// answer begins. For want of a session a connection is one; and when little is going on, all that an address sends may be
// one person's, step by step.
func (r *Runner) sequences(s []sequence, j *Job) []sequence {
	if !j.OwnUnit && j.Session != "" {
		s = append(s, sequence{session: j.Session})
	}
	if j.Granted != "" {
		s = append(s, sequence{session: j.Granted})
	}
	address := j.Client
	if address == j.Session {
		address = ""
	}
	if address == "" && j.OwnUnit {
		address = j.Session
	}
	if key := (sequence{session: address}); address != "" && len(r.ring) <= crowd && !r.order.long(key) {
		s = append(s, key)
	}
	if (j.OwnUnit || j.Session == "") && j.Conn != 0 { // always, so that the order outlasts the change to a crowd
		s = append(s, sequence{conn: j.Conn})
	}
	return s
}

// finished ends a task, which must not be used any more, and starts those that waited for it.
func (r *Runner) finished(ctx context.Context, t *task) {
	for _, next := range r.order.leave(t) {
		r.crew.start(ctx, next)
	}
	t.job.Capture.Release()
	*t = task{}
	r.tasks.Put(t)
	r.limit.release()
}

// admit waits until the baseline's calls are recorded and a place is free.
func (r *Runner) admit(ctx context.Context, j *Job) (observation.DropReason, bool) {
	if ctx.Err() != nil {
		return observation.Stopped, false
	}
	now := time.Now()
	end := j.Capture.Start.Add(j.Capture.Duration)
	if now.Sub(end) > maxWait {
		return observation.TimedOut, false
	}
	if wait := lag - now.Sub(end); j.Entry.CallsOut && wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return observation.Stopped, false
		}
	}
	if n := r.lanes(j.Entry); n != r.bound {
		r.bound = n
		r.limit.set(n)
	}
	return r.place(ctx, j)
}

// place waits for a free one. While the breaker is open nothing waits.
func (r *Runner) place(ctx context.Context, j *Job) (observation.DropReason, bool) {
	if r.fuse.shut() {
		if r.fuse.pass(time.Now()) && r.limit.take() {
			return "", true
		}
		return BreakerOpen, false
	}
	began := time.Time{}
	for !r.limit.take() {
		if began.IsZero() {
			began = time.Now()
			r.gather.Reset(stallAfter)
		}
		select {
		case <-r.limit.wake:
		case <-ctx.Done():
			return observation.Stopped, false
		case <-r.gather.C:
			// Services with calls of their own may run one at a time, and take their time.
			if !j.Entry.CallsOut && r.fuse.stalled(began, time.Now(), j.Capture.Duration) {
				return BreakerOpen, false
			}
			r.gather.Reset(stallAfter)
		}
	}
	return "", true
}

// lanes is how many copies may be under way: one as long as calls can only be attributed by there being one, the
// configured number once the shadows have shown that they pass the trace on, or when they call nobody.
func (r *Runner) lanes(e *route.Entry) int {
	n := e.Settings.Concurrency
	if n <= 0 {
		n = defaultConcurrency
	}
	switch {
	case e.CallsOut && !r.scenes.traced():
		return 1
	case !e.CallsOut && n == defaultConcurrency: // another number is somebody's will
		return min(n+int(r.fuse.extra.Load()), maxInFlight)
	}
	return n
}

const defaultConcurrency = 64

// Lanes says whether the session runs one request at a time.
func (r *Runner) Lanes(e *route.Entry) bool { return r.lanes(e) == 1 }

func (r *Runner) abandon(j *Job, why observation.DropReason) {
	r.drop(j, why)
	j.Capture.Release()
}
