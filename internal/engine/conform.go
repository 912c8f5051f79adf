// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"math/bits"
	"slices"

	api "microstax/api/v1"
	"microstax/internal/engine/canon"
	"microstax/internal/engine/openapi"
	"microstax/internal/observation"
)

// The bounds of what is checked against descriptions.
const (
	checkedFully = 64    // observations of an endpoint that are checked whatever they show
	maxBreaches  = 2_000 // kinds of breach told apart
)

// breachName identifies a kind of breach.
type breachName struct {
	endpoint   int
	rule, path string
}

// breachCount is in how many checked answers each side shows it.
type breachCount struct {
	Baseline  int64  `json:"b,omitempty"`
	Control   int64  `json:"n,omitempty"`
	Candidate int64  `json:"c,omitempty"`
	Detail    string `json:"d,omitempty"`
}

// description is the service's, or nil.
func (a *Analysis) description(service string) *openapi.Description {
	d, known := a.described[service]
	if !known {
		if document := a.cfg.OpenAPI[service]; document != "" {
			d, _ = openapi.Parse([]byte(document)) //nolint:errcheck // it was read when the session began
		}
		a.described[service] = d
	}
	return d
}

// descriptors are those of the service's protobuf messages, or nil.
func (a *Analysis) descriptors(service string) *canon.Descriptors {
	d, known := a.messages[service]
	if !known {
		if set := a.cfg.Protobuf[service]; len(set) > 0 {
			d, _ = canon.ParseDescriptors(set) //nolint:errcheck // it was read when the session began
		}
		a.messages[service] = d
	}
	return d
}

// conform checks the answers of one observation against the service's description: all at first, then those that differ
// and a thinning sample of the others.
func (a *Analysis) conform(i int, o *observation.Observation, different bool) {
	d := a.description(o.Service)
	ep := a.endpoints[i]
	if d == nil || o.Alike || !different && ep.Compared > checkedFully && bits.OnesCount64(uint64(ep.Compared)) != 1 {
		return
	}
	ep.Checked++
	for _, b := range d.Check(&o.Baseline) {
		if c := a.breach(i, b); c != nil {
			c.Baseline++
		}
	}
	for _, b := range d.Check(&o.Candidate) {
		if c := a.breach(i, b); c != nil {
			c.Candidate++
		}
	}
	if o.Control == nil {
		return
	}
	for _, b := range d.Check(o.Control) {
		if c := a.breach(i, b); c != nil {
			c.Control++
		}
	}
}

// breach finds or makes the count of a kind of breach; nil beyond the bound.
func (a *Analysis) breach(i int, b openapi.Breach) *breachCount {
	n := breachName{i, b.Rule, b.Path}
	c := a.breaches[n]
	if c == nil && len(a.breaches) < maxBreaches {
		c = &breachCount{Detail: b.Detail}
		a.breaches[n] = c
	}
	return c
}

// foldBreaches adds the breaches of endpoint i to endpoint j.
func (a *Analysis) foldBreaches(i, j int) {
	for n, c := range a.breaches {
		if n.endpoint != i {
			continue
		}
		delete(a.breaches, n)
		n.endpoint = j
		if to := a.breaches[n]; to != nil {
			to.Baseline, to.Control, to.Candidate = to.Baseline+c.Baseline, to.Control+c.Control, to.Candidate+c.Candidate
		} else {
			a.breaches[n] = c
		}
	}
}

// conformReport lists the breaches, those of the candidate alone first.
func (a *Analysis) conformReport() []api.Breach {
	out := []api.Breach{}
	for n, c := range a.breaches {
		ep := a.endpoints[n.endpoint]
		out = append(out, api.Breach{
			Service: ep.Service, Endpoint: ep.Name, Rule: n.rule, Path: n.path, Detail: c.Detail,
			Baseline: c.Baseline, Control: c.Control, Candidate: c.Candidate, Checked: ep.Checked,
		})
	}
	slices.SortFunc(out, func(x, y api.Breach) int {
		return cmp.Or(cmp.Compare(y.Candidate-y.Baseline, x.Candidate-x.Baseline), cmp.Compare(x.Service, y.Service),
			cmp.Compare(x.Endpoint, y.Endpoint), cmp.Compare(x.Path, y.Path), cmp.Compare(x.Rule, y.Rule))
	})
	return out
}
