// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"time"

	"microstax/internal/id"
	"microstax/internal/observation"
)

// publish sends observations on, each after the counts that it is part of. Those of a moment go together: to be woken for
// each would cost more than to send it.
func (r *Runner) publish(ctx context.Context) {
	tick := time.NewTicker(tallyEvery)
	defer tick.Stop()
	gather := time.NewTimer(0)
	<-gather.C
	for {
		select {
		case o, ok := <-r.out:
			if ok && len(r.out) == 0 {
				gather.Reset(gatherFor)
				<-gather.C
			}
			more := len(r.out)
			r.tell(ctx)
			if !ok {
				return
			}
			r.pass(ctx, o)
			for range more {
				if o, ok := <-r.out; ok {
					r.pass(ctx, o)
				}
			}
		case <-tick.C:
			r.tell(ctx)
		}
	}
}

// gatherFor is how long what was observed may wait for more, and outRing how many may.
const (
	gatherFor = 2 * time.Millisecond
	outRing   = 512
)

func (r *Runner) pass(ctx context.Context, o *observation.Observation) {
	if !o.Alike {
		o = r.opts.Redactor.Observation(o)
	}
	r.send(ctx, observation.Envelope{Observation: o})
}

func (r *Runner) tell(ctx context.Context) {
	if t, any := r.count.tally(r.opts.Shadow.Session, time.Now()); any {
		r.send(ctx, observation.Envelope{Tally: &t})
	}
}

// send publishes; when the session was cut off, what is left still goes out if the bus takes it at once.
func (r *Runner) send(ctx context.Context, e observation.Envelope) {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
	}
	if err := r.opts.Publisher.Publish(ctx, e); err != nil {
		r.opts.Logger.Warn("publish observation", "session", r.opts.Shadow.Session, "error", err)
	}
}

func (r *Runner) newObservation(j *Job) *observation.Observation {
	return &observation.Observation{
		ID: id.New(id.Observation, time.Now(), r.opts.Entropy), Session: r.opts.Shadow.Session,
		Service: j.Entry.Service, At: j.Capture.Start, TraceID: j.TraceID,
		Unit: r.unit(j), OwnUnit: j.OwnUnit, Lane: r.Lanes(j.Entry),
	}
}

func (r *Runner) unit(j *Job) string {
	if j.OwnUnit {
		return ""
	}
	return r.opts.Redactor.Token("session", j.Session)
}
