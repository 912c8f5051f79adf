// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"slices"
	"time"

	"microstax/internal/dataplane/http1"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// ending is why a connection is not followed any more.
type ending uint8

const (
	endClosed  ending = iota // both sides have ended it
	endReset                 // one side has broken it
	endGivenUp               // it was idle for too long, pushed out, or replaced by another
	endStopped               // the tap ends
)

// ended is called when one direction has come to its end, with everything before it.
func (f *flow) ended(up bool, at time.Time) {
	if up {
		if r := f.current; r != nil { // the request stays unfinished
			f.finish(r, observation.ClientGone, at)
			if i := slices.Index(f.waiting, r); i == 0 {
				f.answering = false
				f.waiting = nil
				f.down.lose()
			} else if i > 0 {
				f.waiting = f.waiting[:i]
			}
			f.current = nil
		}
		return
	}
	if f.answering && f.answer.Kind == http1.UntilEOF {
		f.answerWhole(at)
	}
}

// finish ends a request that got no whole answer.
func (f *flow) finish(r *request, why observation.DropReason, at time.Time) {
	if r.capture != nil && !r.over && !r.done {
		r.capture.Finished(at, exchange.Reset, "connection ended before the answer did")
	}
	r.end(why)
}

// end stops following the connection. byClient says who reset it.
func (f *flow) end(how ending, byClient bool, at time.Time) {
	lossy := f.up.behind() || f.down.behind()
	if lossy || len(f.down.rest) > 0 {
		f.disprove()
	}
	f.confirm()
	rest := f.waiting
	if f.current != nil && !slices.Contains(rest, f.current) {
		rest = append(rest, f.current)
	}
	for _, r := range rest {
		why := observation.NoBaseline
		switch {
		case how == endStopped:
			why = observation.Stopped
		case how == endGivenUp, lossy, r.spoilt:
			why = observation.CaptureLost
		case r.done, how == endReset && byClient, f.up.ended && !r.whole:
			why = observation.ClientGone
		}
		f.finish(r, why, at)
	}
	f.waiting, f.current = nil, nil
	if f.speech == speaksHTTP && !f.up.known {
		f.missBlind(f.up.farthest(f.blind.from), f.down.farthest(f.blind.ack))
	}
	if f.speech == unknown && f.blind.turns > 0 {
		f.t.counts.Unsynced++
	}
	if f.speech != ignored {
		f.drop()
	}
	f.t.bury(f, at)
}
