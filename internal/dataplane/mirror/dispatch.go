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
		if r.outside(&j) {
			r.abandon(&j, observation.Shed)
			continue
		}
		crowded, why := r.admit(ctx, &j)
		if why != "" {
			r.abandon(&j, why)
			continue
		}
		t := r.tasks.Get().(*task) //nolint:errcheck,forcetypeassert // the pool holds nothing else
		t.job, t.end, t.candidateFirst = j, j.Capture.Start.Add(j.Capture.Duration), r.rng.Uint64()&1 == 0
		t.waited = crowded
		r.count.mirrored.Add(1)
		t.order = r.sequences(t.room[:0], &j)
		if r.order.enter(j.Capture.Start, t) {
			r.crew.start(ctx, t)
		}
	}
}

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
	if key := (sequence{session: address}); address != "" && len(r.ring)+r.held.len() <= crowd && !r.order.long(key) {
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
	r.gauge.served.Add(1)
	r.limit.release()
}

// admit waits until the baseline's calls are recorded and a place is free. It says whether there was none at first, and
// why the job cannot go; "" when it can.
func (r *Runner) admit(ctx context.Context, j *Job) (crowded bool, why observation.DropReason) {
	if ctx.Err() != nil {
		return false, observation.Stopped
	}
	now := time.Now()
	ready := j.ready()
	if now.Sub(ready) > maxWait {
		return false, observation.TimedOut
	}
	if wait := ready.Sub(now); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return false, observation.Stopped
		}
	}
	if n := r.lanes(j.Entry); n != r.bound {
		r.bound = n
		r.limit.set(n)
	}
	if crowded, why = r.place(ctx, j, ready); why == "" {
		r.pace.sent(j.Capture.Start, ready, time.Now(), crowded)
	}
	return crowded, why
}

// place waits for a free one. While the breaker is open nothing waits.
func (r *Runner) place(ctx context.Context, j *Job, ready time.Time) (crowded bool, why observation.DropReason) {
	if r.fuse.shut() {
		if r.fuse.pass(time.Now()) && r.limit.take() {
			return false, ""
		}
		return false, BreakerOpen
	}
	if r.limit.take() {
		return false, ""
	}
	r.gauge.waitsSince.Store(ready.UnixNano())
	defer r.gauge.waitsSince.Store(0)
	began := time.Now()
	r.gather.Reset(stallAfter)
	for !r.limit.take() {
		select {
		case <-r.limit.wake:
		case <-r.cut:
			r.winnow()
		case <-ctx.Done():
			return true, observation.Stopped
		case <-r.gather.C:
			// Services with calls of their own may run one at a time, and take their time.
			if !j.Entry.CallsOut && r.fuse.stalled(began, time.Now(), j.Capture.Duration) {
				return true, BreakerOpen
			}
			r.gather.Reset(stallAfter)
		}
	}
	return true, ""
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
