// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"microstax/internal/dataplane/effects"
	"microstax/internal/dataplane/tap"
)

// Called is one call that the baseline made.
type Called struct {
	Caller, Dependency, TraceID string
	Capture                     *tap.Capture
}

// Record takes a call that the baseline made, and owns its capture. It never waits; a call without a place is lost, and
// counted.
func (r *Runner) Record(c Called) {
	if r.closed.Load() {
		c.Capture.Release()
		return
	}
	select {
	case r.calls <- c:
	default:
		c.Capture.Release()
		r.lost.Add(1)
	}
}

// LostRecords is how many baseline calls could not be kept.
func (r *Runner) LostRecords() int64 { return r.lost.Load() }

func (r *Runner) record(quit <-chan struct{}) {
	for {
		select {
		case c := <-r.calls:
			r.book.Add(effects.Record{
				Caller: c.Caller, Dependency: c.Dependency, TraceID: c.TraceID, Exchange: c.Capture.Exchange(),
			})
			c.Capture.Release()
		case <-quit:
			for len(r.calls) > 0 { // nobody asks for them any more; their bytes are wanted back
				c := <-r.calls
				c.Capture.Release()
			}
			return
		}
	}
}
