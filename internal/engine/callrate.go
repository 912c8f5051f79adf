// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"slices"

	api "microstax/api/v1"
	"microstax/internal/engine/calls"
	"microstax/internal/observation"
)

// callName identifies an operation of a dependency as an endpoint calls it.
type callName struct {
	endpoint              int
	dependency, operation string
}

// callCount counts the calls of one operation, by who made them.
type callCount struct {
	Baseline  int64 `json:"b,omitempty"` // only where they can be told from other requests' calls
	Control   int64 `json:"n,omitempty"`
	Candidate int64 `json:"c,omitempty"`
}

// observeCalls counts outgoing calls. Where the baseline's are not traced, those that answered the control are taken for
// its own: a window of time holds neighbouring requests' calls too.
func (a *Analysis) observeCalls(i int, o *observation.Observation) {
	ep := a.endpoints[i]
	if o.CallsTraced || o.Control != nil {
		ep.CallBase++
		for k := range o.BaselineCalls {
			if o.CallsTraced || answered(o.ControlCalls, k) {
				a.callCount(i, &o.BaselineCalls[k]).Baseline++
			}
		}
	}
	if o.Control != nil {
		ep.CallPairs++
		for k := range o.ControlCalls {
			a.callCount(i, &o.ControlCalls[k]).Control++
		}
	}
	for k := range o.CandidateCalls {
		a.callCount(i, &o.CandidateCalls[k]).Candidate++
	}
}

// answered says whether the baseline's call k answered one of these.
func answered(cs []observation.Call, k int) bool {
	return slices.ContainsFunc(cs, func(c observation.Call) bool { return c.Matched == k })
}

func (a *Analysis) callCount(i int, c *observation.Call) *callCount {
	name := callName{i, c.Dependency, calls.Operation(c)}
	n := a.calls[name]
	if n == nil && len(a.calls) >= maxCallRows {
		name.operation = elsewhere
		n = a.calls[name]
	}
	if n == nil {
		n = &callCount{}
		a.calls[name] = n
	}
	return n
}

// callReport is the table of calls per request.
func (a *Analysis) callReport() []api.CallRate {
	out := make([]api.CallRate, 0, len(a.calls))
	for name, n := range a.calls {
		ep := a.endpoints[name.endpoint]
		out = append(out, api.CallRate{
			Service: ep.Service, Endpoint: ep.Name, Dependency: name.dependency, Operation: name.operation,
			BaselinePerRequest: mean(n.Baseline, ep.CallBase), ControlPerRequest: mean(n.Control, ep.CallPairs),
			CandidatePerRequest: mean(n.Candidate, ep.Compared),
		})
	}
	slices.SortFunc(out, func(x, y api.CallRate) int {
		return cmp.Or(cmp.Compare(x.Service, y.Service), cmp.Compare(x.Endpoint, y.Endpoint),
			cmp.Compare(x.Dependency, y.Dependency), cmp.Compare(x.Operation, y.Operation))
	})
	return out
}

func mean(sum, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(sum) / float64(n)
}
