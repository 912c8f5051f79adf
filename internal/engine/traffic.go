// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"maps"
	"slices"

	api "microstax/api/v1"
	"microstax/internal/engine/stats"
	"microstax/internal/observation"
)

// The sizes of the sketches: exact up to there, within 1/√size beyond.
const (
	trafficSketch = 1024
	sketchSize    = 64
)

// sayUnseen is from which bound on the unseen is worth saying: above it, hardly anything is known.
const sayUnseen = 0.5

// traffic accounts for every request: received = compared + dropped + in flight.
type traffic struct {
	Received   int64            `json:"r,omitempty"`
	Mirrored   int64            `json:"m,omitempty"`
	Compared   int64            `json:"c,omitempty"`
	Identical  int64            `json:"i,omitempty"`
	Dropped    map[string]int64 `json:"d,omitempty"`
	Contexts   stats.Distinct   `json:"x"`
	Mismatched stats.Distinct   `json:"y"`
	Load       load             `json:"l,omitzero"`

	Capture *observation.Capture `json:"p,omitempty"` // of passive taps
}

func newTraffic() traffic {
	return traffic{
		Dropped: map[string]int64{}, Contexts: stats.NewDistinct(trafficSketch), Mismatched: stats.NewDistinct(trafficSketch),
	}
}

func (t *traffic) dropped() int64 { return sumOf(t.Dropped) }

func sumOf(counts map[string]int64) int64 {
	n := int64(0)
	for _, d := range counts {
		n += d
	}
	return n
}

// inFlight is negative only when the counts that came in do not add up; the verdict then says so.
func (t *traffic) inFlight() int64 { return t.Received - t.Compared - t.dropped() }

// report is the traffic as reported: always the four reasons of the contract, others when there are any.
func (a *Analysis) trafficReport() api.Traffic {
	t := &a.traffic
	out := api.Traffic{
		Received: t.Received, Mirrored: t.Mirrored, Compared: t.Compared, Identical: t.Identical, InFlight: t.inFlight(),
		Dropped: map[string]int64{
			string(observation.QueueFull): 0, string(observation.BodyTooLarge): 0,
			string(observation.SampledOut): 0, string(observation.TimedOut): 0,
		},
		UniqueContexts: t.Contexts.Count(), MismatchedContexts: t.Mismatched.Count(),
		Load: t.Load.report(), Shedding: t.Load.shedding(t.Dropped[string(observation.Shed)]),
		Endpoints: make([]api.EndpointTraffic, 0, len(a.endpoints)),
	}
	for _, reason := range slices.Sorted(maps.Keys(t.Dropped)) {
		if n := t.Dropped[reason]; n != 0 {
			out.Dropped[reason] = n
		}
	}
	for _, ep := range a.endpoints {
		if ep.Into != 0 {
			continue
		}
		out.Endpoints = append(out.Endpoints, api.EndpointTraffic{
			Service: ep.Service, Endpoint: ep.Name, Received: ep.Received + ep.Compared, Compared: ep.Compared, Different: ep.Different,
			Dropped: maps.Clone(ep.Dropped),
		})
	}
	slices.SortFunc(out.Endpoints, func(x, y api.EndpointTraffic) int {
		return cmp.Or(cmp.Compare(x.Service, y.Service), cmp.Compare(x.Endpoint, y.Endpoint))
	})
	out.Capture = captureReport(t.Capture)
	if b := a.unseen.rate.Bound(alpha); b <= sayUnseen {
		out.Unseen = b
	}
	return out
}
