// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	api "microstax/api/v1"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/noise"
	"microstax/internal/engine/pairing"
	"microstax/internal/observation"
)

// What is kept as examples: the first that differ at each place, and a thinning sample of the rest.
const (
	keptPerPlace = 25
	whyDifferent = "different"
	whySample    = "sample"
)

// Observe judges one observation and takes it into the evidence.
func (a *Analysis) Observe(o *observation.Observation) Judged {
	j := a.observe(o)
	if o.Alike { // there is nothing in it to look at
		j.Keep, j.Why = false, ""
	}
	return j
}

func (a *Analysis) observe(o *observation.Observation) Judged {
	i, ep := a.endpointOf(o)
	c := a.compare(o, ep)
	context := o.Context
	if context == 0 {
		context = requestHash(o.Service, &o.Baseline.Request)
	}
	a.seen(o.At)
	ep.Compared++
	a.traffic.Compared++
	a.traffic.Load.observe(&o.Load)
	a.traffic.Contexts.Add(context)
	ep.Contexts.Add(context)
	a.observeCalls(i, o)
	j := Judged{Endpoint: ep.Name, Identical: c.identical(), Differences: c.shown()}
	a.conform(i, o, !j.Identical)
	if j.Identical {
		a.traffic.Identical++
	}

	s := a.users.of(o)
	a.unseen.observe(cell{i, o.Baseline.Response.Status}, len(s.visits) == 0 && !s.poisoned, &s.told)
	if s.poisoned {
		a.aftermath(s, &c)
		return a.sample(j, ep)
	}
	slow := a.observeLatency(i, o)
	ep.Clean++
	alone := o.OwnUnit || o.Unit == ""
	g := a.gate(ep.Service)
	if alone || s.firstAt(ep.Service) {
		g.Units++
	}
	v, isNew := s.visit(i)
	remembered := v != nil
	if !remembered { // compared and shown, but without a say in the gate
		a.users.full++
		v = &visit{endpoint: uint32(i)}
	}
	if isNew {
		ep.Visits++
	}
	was := *v
	v.counted = v.counted || remembered && (c.usable || len(c.flags) > 0)
	different, touched := a.judge(o, s, v, &c, context)
	ep.Gate.update(was, *v)
	if o.Control != nil {
		g.Twins++
	}
	if c.paired && c.usable {
		ep.Pairs++
		g.Pairs++
	}
	a.poison(o, s, &c, touched)
	a.explainable(i, o, context, touched)
	a.trace(touched)
	if different {
		ep.Different++
		a.traffic.Mismatched.Add(context)
	}
	if slow {
		j.Keep, j.Why = true, whyDifferent
		j.Findings = append(j.Findings, a.slowID(ep), a.tailID(ep, 0), a.tailID(ep, 1))
	}
	return a.keep(j, ep, different, touched)
}

// endpointOf is the endpoint of an observation. One that is told as alike has no body; whoever made it has put the operation
// behind the path.
func (a *Analysis) endpointOf(o *observation.Observation) (int, *endpoint) {
	r := &o.Baseline.Request
	if o.Alike {
		path, operation, _ := strings.Cut(r.Target, pairing.OperationMark)
		return a.endpoint(o.Service, r.Method, path, operation)
	}
	return a.endpoint(o.Service, r.Method, r.Target, pairing.Operation(r))
}

// touch is a hypothesis for which an observation is evidence.
type touch struct {
	place   int
	class   string
	only    diff.Set // levels at which the candidate alone differs
	turn    int      // when in the course of the request it shows; answers come after all calls
	example bool     // it became the example
}

// judge gives the session its say at every place that differs. It says whether the candidate differs above noise, and
// at which hypotheses it differs where the control does not.
func (a *Analysis) judge(o *observation.Observation, s *user, v *visit, c *comparison, context uint64) (bool, []touch) {
	different := false
	var touched []touch
	for k := range c.places {
		m := &c.places[k]
		i := a.hypothesis(place{int(v.endpoint), m.kind, m.path, m.variant})
		h := a.places[i]
		ep := a.endpoints[h.Endpoint]
		if l, ok := a.quiet(h, ep, m.shown.Model); ok {
			if m.candidate.Has(l) {
				v.candidate = true
				v.causes = withCause(v.causes, i)
				different = different || !m.control.Has(l)
			}
			v.control = v.control || m.control.Has(l)
		}
		a.learn(h, ep, m)
		if mk := s.mark(i); mk != nil {
			was := *mk
			mk.candidate |= m.candidate
			mk.control |= m.control
			h.contribute(was, *mk)
			a.number(h)
		} else {
			a.users.full++
		}
		if t, alone := h.request(o, m, context); alone {
			t.place, t.turn = i, m.turn
			touched = append(touched, t)
			if !h.Slot.Latched && h.hopeful() {
				a.follow(&h.Slot, h.evidence(ep.Visits), h.units())
			}
		}
	}
	return different, touched
}

// learn takes the control's part of a difference as noise.
func (a *Analysis) learn(h *hypothesis, ep *endpoint, m *merged) {
	if m.control == 0 {
		return
	}
	h.Noise.Add(m.control, m.controlModel)
	h.Noise.Spread.Add(m.controlDelta)
	if h.Kind != diff.KindHeader {
		return
	}
	name := headerName{ep.Service, h.Path}
	n := a.headers[name]
	if n == nil && len(a.headers) < maxHeaders {
		n = &noise.Counts{}
		a.headers[name] = n
	}
	if n != nil {
		n.Add(m.control, m.controlModel)
	}
}

// request counts one request at a hypothesis, and says whether the candidate alone differs in it at any level.
func (h *hypothesis) request(o *observation.Observation, m *merged, context uint64) (touch, bool) {
	only := m.candidate &^ m.control
	for l := range diff.Levels {
		switch c, n := m.candidate.Has(l), m.control.Has(l); {
		case c && !n:
			h.Levels[l].Only++
		case n && !c:
			h.Levels[l].Twin++
		}
	}
	if only == 0 {
		return touch{}, false
	}
	h.vote(m.shown.Class)
	h.Contexts.Add(context)
	h.Requests.Add(xxhash.Sum64String(o.ID))
	h.Seen = widen(h.Seen, [2]time.Time{o.At, o.At})
	e := example{
		Observation: o.ID, At: m.shown.At, Was: m.shown.Was, Is: m.shown.Is, Alone: m.control == 0,
		Size: o.Baseline.Response.Body.Length + o.Candidate.Response.Body.Length + o.Baseline.Request.Body.Length,
	}
	t := touch{class: m.shown.Class, only: only}
	if h.Example.better(e) {
		h.Example = e
		t.example = true
	}
	return t, true
}

// poison ends a session's say when a write went another way on one side only: from here on it lives in another world.
func (a *Analysis) poison(o *observation.Observation, s *user, c *comparison, touched []touch) {
	if !isWrite(o.Baseline.Request.Method) {
		return
	}
	candidate, control := diverged(c.candidate), o.Control != nil && diverged(c.control)
	if candidate == control {
		return
	}
	s.poisoned = true
	for _, t := range touched {
		if k := a.places[t.place].Kind; k == diff.KindStatus || k == diff.KindError {
			s.by = uint32(t.place) + 1
			return
		}
	}
}

// aftermath counts a difference in a poisoned session with what poisoned it.
func (a *Analysis) aftermath(s *user, c *comparison) {
	if s.by > 0 && len(c.candidate) > 0 {
		a.places[s.by-1].Aftermath++
	}
}

// keep decides whether the observation is worth storing, and names the findings it is evidence for.
func (a *Analysis) keep(j Judged, ep *endpoint, different bool, touched []touch) Judged {
	for _, t := range touched {
		h := a.places[t.place]
		j.Findings = append(j.Findings, h.id)
		if alias := a.aliasID(h, t.class); alias != "" {
			j.Findings = append(j.Findings, alias)
		}
		if t.example || different && h.Kept < keptPerPlace {
			j.Keep, j.Why = true, whyDifferent
		}
	}
	if !j.Keep {
		return a.sample(j, ep)
	}
	for _, t := range touched {
		a.places[t.place].Kept++
	}
	slices.Sort(j.Findings)
	j.Findings = slices.Compact(j.Findings)
	return j
}

// sample keeps the 1st, 2nd, 4th, 8th, … observation of every endpoint.
func (a *Analysis) sample(j Judged, ep *endpoint) Judged {
	if bits.OnesCount64(uint64(ep.Compared)) == 1 {
		j.Keep, j.Why = true, whySample
	}
	return j
}

// identical says whether the candidate answered and called as the baseline did.
func (c *comparison) identical() bool {
	for _, f := range c.flags {
		if f.Candidate {
			return false
		}
	}
	return len(c.candidate) == 0
}

// shown lists the differences for people, candidate first.
func (c *comparison) shown() []api.Difference {
	var out []api.Difference
	add := func(d diff.Difference, side observation.Side) {
		if len(out) >= maxShown {
			return
		}
		l, _ := d.Levels.Weakest()
		out = append(out, api.Difference{
			Kind: string(d.Kind), Path: d.Path, Level: l.Name(), Baseline: d.Was, Candidate: d.Is, Side: string(side),
		})
	}
	for _, d := range c.candidate {
		add(d, observation.Candidate)
	}
	for _, f := range c.flags {
		d := diff.Difference{Kind: f.Kind, Path: f.Path, Was: f.Was, Is: f.Is}
		if d.Levels = f.CandidateLevels; f.Candidate {
			add(d, observation.Candidate)
		}
		if d.Levels = f.ControlLevels; f.Control {
			add(d, observation.Control)
		}
	}
	for _, d := range c.control {
		add(d, observation.Control)
	}
	return out
}
