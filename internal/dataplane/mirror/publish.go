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
		case <-r.out.more:
			gather.Reset(gatherFor)
			<-gather.C
			list, last := r.out.take()
			r.account(ctx)
			for i := range list {
				if o := list[i].Observation; o != nil {
					list[i].Observation = r.opts.Redactor.Observation(o)
				}
				r.send(ctx, list[i])
			}
			if last {
				return
			}
		case <-tick.C:
			r.account(ctx)
		}
	}
}

// gatherFor is how long what was observed may wait for more.
const gatherFor = 2 * time.Millisecond

// account publishes the counts.
func (r *Runner) account(ctx context.Context) {
	t, any := r.count.tally(r.opts.Shadow.Session, time.Now())
	now := told{share: r.shed.theta(), sessions: r.shed.lost.Load()}
	if !any && now == r.told {
		return
	}
	t.Share, t.ShedSessions = now.share, now.sessions-r.told.sessions
	r.told = now
	r.send(ctx, observation.Envelope{Tally: &t})
}

// told is what the publisher has said of the sessions that are shed.
type told struct {
	share    float64
	sessions int64
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

func (r *Runner) newID() string { return id.New(id.Observation, time.Now(), r.opts.Entropy) }

func (r *Runner) newObservation(j *Job) *observation.Observation {
	return &observation.Observation{
		ID: r.newID(), Session: r.opts.Shadow.Session, Service: j.Entry.Service, At: j.Capture.Start, TraceID: j.TraceID,
		Unit: r.unit(j), OwnUnit: j.OwnUnit, Lane: r.Lanes(j.Entry), Inclusion: r.inclusion(j),
	}
}

func (r *Runner) unit(j *Job) string {
	if j.OwnUnit {
		return ""
	}
	return r.opts.Redactor.Token("session", j.Session)
}
