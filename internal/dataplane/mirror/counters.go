// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"sync/atomic"
	"time"

	"microstax/internal/observation"
)

// fate is what became of one request that was not compared.
type fate struct {
	service, method, path string
	reason                observation.DropReason
}

// maxFates bounds the fates that wait to be told; beyond it only their number and reason are kept.
const maxFates = 4096

// maxPath is how much of a path a fate keeps, in bytes.
const maxPath = 256

// reasons in the order of counters.bare.
var reasons = [...]observation.DropReason{ //nolint:gochecknoglobals // a table that nobody writes
	observation.QueueFull, observation.BodyTooLarge, observation.SampledOut, observation.Excluded, observation.TimedOut,
	observation.ClientGone, observation.NoBaseline, observation.Upgraded, observation.ControlError, observation.Stopped,
	Unattributed, BreakerOpen, observation.Shed, observation.OverBudget, observation.CaptureLost,
}

// Unattributed says that calls of a shadow could not be told apart: its service lost the trace while several requests
// were under way.
const Unattributed observation.DropReason = "unattributed"

// counters account for every request that reached a mirrored hop. The user's path only adds to atomics and offers to a
// bounded channel.
type counters struct {
	received atomic.Int64
	mirrored atomic.Int64
	fates    chan fate
	bare     [len(reasons)]atomic.Int64 // fates that found no place, by reason

	captured captured

	sentReceived, sentMirrored int64 // what was told already; the publisher's
}

func newCounters() *counters { return &counters{fates: make(chan fate, maxFates)} }

// drop counts one request that is not compared.
func (c *counters) drop(service, method, path string, r observation.DropReason) {
	if len(path) > maxPath {
		path = path[:maxPath]
	}
	select {
	case c.fates <- fate{service, method, path, r}:
		return
	default:
	}
	for i := range reasons {
		if reasons[i] == r {
			c.bare[i].Add(1)
			return
		}
	}
}

// tally is what was counted since the last one, and whether there is anything. Fates are read before the number of
// requests received, so that no drop is told without the request that it is.
func (c *counters) tally(session string, now time.Time) (observation.Tally, bool) {
	groups := map[fate]int64{}
	for range maxFates {
		select {
		case f := <-c.fates:
			groups[f]++
			continue
		default:
		}
		break
	}
	for i := range reasons {
		if n := c.bare[i].Swap(0); n > 0 {
			groups[fate{reason: reasons[i]}] += n
		}
	}
	t := observation.Tally{Session: session, At: now}
	for f, n := range groups {
		t.Dropped = append(t.Dropped, observation.Group{
			Service: f.service, Method: f.method, Path: f.path, Reason: f.reason, Count: n,
		})
	}
	received, mirrored := c.received.Load(), c.mirrored.Load()
	t.Received, t.Mirrored = received-c.sentReceived, mirrored-c.sentMirrored
	c.sentReceived, c.sentMirrored = received, mirrored
	t.Capture = c.captured.take()
	return t, t.Received > 0 || t.Mirrored > 0 || len(t.Dropped) > 0 || t.Capture != nil
}
