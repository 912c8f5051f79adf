// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"microstax/internal/engine/condition"
	"microstax/internal/engine/noise"
	"microstax/internal/engine/pairing"
	"microstax/internal/engine/stats"
	"microstax/internal/observation"
)

// merger adds up analyses that each saw a part of the traffic of one session.
type merger struct {
	to        *Analysis
	from      []*Analysis
	endpoints [][]int // of each part: index in the whole, by index in the part
	places    [][]int
}

// Merge is the analysis of all the parts together. Counters and sketches add up, so that neither the order nor the grouping
// of the parts matters (grouping does for paths whose ids are only learnt from their number, which more parts at once know
// better). The parts stay as they are, but must not be used at the same time. A user session should be in one
// part only; where it is in several, it still counts once, except that a part does not know of what the session went through
// in another one. Earlier answers of the baseline, and what was latched in a part on its own stake, are left out.
func Merge(cfg Config, parts ...*Analysis) *Analysis {
	m := &merger{to: New(cfg)}
	for _, p := range parts {
		if p.traffic.Received != 0 || len(p.endpoints) > 0 {
			m.from = append(m.from, p)
			m.to.shards += max(p.shards, 1)
		}
	}
	m.mergeLearners()
	m.mergeEndpoints()
	for _, ep := range m.to.endpoints {
		if ep.Profile != nil {
			m.to.profiled++
		}
	}
	m.mergePlaces()
	if len(m.from) > 1 {
		m.to.unlatch()
	}
	for k, p := range m.from {
		m.mergeGates(k, p)
		m.mergeCalls(k, p)
		m.mergeBreaches(k, p)
		for name, c := range p.headers {
			if m.to.headers[name] == nil {
				m.to.headers[name] = &noise.Counts{}
			}
			m.to.headers[name].Sum(*c)
		}
		m.to.traffic.add(&p.traffic)
		m.to.unseen.merge(&p.unseen, m.endpoints[k])
		m.to.seen(p.start)
		m.to.seen(p.end)
		m.to.ranks = m.to.ranks.add(p.ranks)
	}
	for k, p := range m.from {
		m.mergeUsers(k, p)
	}
	return m.to
}

// unlatch forgets what parts latched, each on a stake of its own.
func (a *Analysis) unlatch() {
	for _, h := range a.places {
		h.Slot.Latched = false
	}
	for _, ep := range a.endpoints {
		ep.Slot.Latched = false
		for k := range ep.Latency.Tails {
			ep.Latency.Tails[k].Slot.Latched = false
		}
	}
}

func (r ranks) add(o ranks) ranks {
	return ranks{r.Promise + o.Promise, r.Clean + o.Clean, r.Noisy + o.Noisy}
}

func (m *merger) mergeLearners() {
	byService := map[string][]*pairing.Learner{}
	for _, p := range m.from {
		for service, l := range p.learners {
			byService[service] = append(byService[service], l)
		}
	}
	for service, ls := range byService {
		l := pairing.NewLearner()
		l.Merge(ls...)
		m.to.learners[service] = l
	}
}

// mergeEndpoints adds up endpoints by the name that they have now that all paths are known.
func (m *merger) mergeEndpoints() {
	renames := map[string]map[string]string{}
	for service, l := range m.to.learners {
		renames[service] = l.Renames()
	}
	now := func(ep *endpoint) endpointName {
		return endpointName{ep.Service, cmp.Or(renames[ep.Service][ep.Name], ep.Name)}
	}
	names := map[endpointName]bool{}
	for _, p := range m.from {
		for _, ep := range p.endpoints {
			if ep.Into == 0 {
				names[now(ep)] = true
			}
		}
	}
	for _, n := range slices.SortedFunc(maps.Keys(names), func(x, y endpointName) int {
		return cmp.Or(cmp.Compare(x.Service, y.Service), cmp.Compare(x.Name, y.Name))
	}) {
		m.to.byName[n] = len(m.to.endpoints)
		m.to.endpoints = append(m.to.endpoints, newEndpoint(n))
	}
	for _, p := range m.from {
		at := make([]int, len(p.endpoints))
		for i, ep := range p.endpoints {
			if ep.Into == 0 {
				at[i] = m.to.byName[now(ep)]
				m.to.endpoints[at[i]].join(ep)
			}
		}
		for i, ep := range p.endpoints {
			for ep.Into != 0 {
				at[i] = at[ep.Into-1]
				ep = p.endpoints[ep.Into-1]
			}
		}
		m.endpoints = append(m.endpoints, at)
	}
}

// mergePlaces adds up hypotheses, and brings them into the order in which they were first seen.
func (m *merger) mergePlaces() {
	keys := make([][]place, len(m.from))
	sum := map[place]*hypothesis{}
	for k, p := range m.from {
		keys[k] = make([]place, len(p.places))
		for i, h := range p.places {
			key := place{m.endpoints[k][h.Endpoint], h.Kind, h.Path, h.Variant}
			keys[k][i] = key
			if h.Into != 0 {
				continue
			}
			if sum[key] == nil {
				sum[key] = newHypothesis(key)
			}
			sum[key].join(h)
		}
	}
	for key, h := range sum {
		h.id = m.to.placeID(h)
		m.to.places = append(m.to.places, h)
		m.to.endpoints[key.endpoint].Places++
	}
	slices.SortFunc(m.to.places, func(x, y *hypothesis) int {
		return cmp.Or(x.Seen[0].Compare(y.Seen[0]), cmp.Compare(x.id, y.id), cmp.Compare(x.Variant, y.Variant))
	})
	for i, h := range m.to.places {
		m.to.byPlace[place{h.Endpoint, h.Kind, h.Path, h.Variant}] = i
	}
	for k := range m.from {
		at := make([]int, len(keys[k]))
		for i, key := range keys[k] {
			at[i] = m.to.byPlace[key]
		}
		m.places = append(m.places, at)
	}
	for k, p := range m.from {
		for i, h := range p.places {
			for first, n := range h.Earlier {
				m.to.places[m.places[k][i]].earlier(m.places[k][first], n)
			}
		}
	}
	for _, h := range m.to.places {
		for len(h.Earlier) > maxEarlier {
			delete(h.Earlier, slices.MinFunc(slices.Collect(maps.Keys(h.Earlier)), func(x, y int) int {
				return cmp.Or(cmp.Compare(h.Earlier[x], h.Earlier[y]), cmp.Compare(y, x))
			}))
		}
	}
}

// earlier counts requests in which another hypothesis came first.
func (h *hypothesis) earlier(first int, n int64) {
	if h.Earlier == nil {
		h.Earlier = map[int]int64{}
	}
	h.Earlier[first] += n
}

func (m *merger) mergeBreaches(k int, p *Analysis) {
	for n, from := range p.breaches {
		n.endpoint = m.endpoints[k][n.endpoint]
		c := m.to.breaches[n]
		if c == nil {
			c = &breachCount{Detail: from.Detail}
			m.to.breaches[n] = c
		}
		c.Detail = min(c.Detail, from.Detail)
		c.Baseline, c.Control, c.Candidate = c.Baseline+from.Baseline, c.Control+from.Control, c.Candidate+from.Candidate
	}
}

func (m *merger) mergeGates(k int, p *Analysis) {
	for i, ep := range p.endpoints {
		if ep.Into == 0 {
			m.to.endpoints[m.endpoints[k][i]].Gate.join(&ep.Gate, func(key string) string { return m.causes(k, key) })
		}
	}
	for service, from := range p.gates {
		g := m.to.gate(service)
		g.Units, g.Pairs, g.Twins = g.Units+from.Units, g.Pairs+from.Pairs, g.Twins+from.Twins
	}
}

// causes is a set of causes of a part, as the whole numbers them.
func (m *merger) causes(k int, key string) string {
	if key == anyCause {
		return key
	}
	var causes []uint32
	for c := range strings.SplitSeq(key, ",") {
		i, err := strconv.Atoi(c)
		if err != nil || i < 0 || i >= len(m.places[k]) {
			return anyCause
		}
		causes = withCause(causes, m.places[k][i])
	}
	return causeKey(causes)
}

func (m *merger) mergeCalls(k int, p *Analysis) {
	for name, n := range p.calls {
		name.endpoint = m.endpoints[k][name.endpoint]
		c := m.to.calls[name]
		if c == nil {
			c = &callCount{}
			m.to.calls[name] = c
		}
		c.Baseline, c.Control, c.Candidate = c.Baseline+n.Baseline, c.Control+n.Control, c.Candidate+n.Candidate
	}
}

// join adds the endpoint of another part.
func (ep *endpoint) join(o *endpoint) {
	slow, places, gate := ep.Slow.clearer(o.Slow), ep.Places, ep.Gate
	ep.Gate = visits{} // its causes have other numbers in the part
	if ep.Profile == nil && o.Profile != nil {
		ep.Profile = condition.NewProfile() // the part keeps its own
	}
	slot := ep.Slot.Unite(o.Slot)
	var slots [2]stats.Slot
	for k := range slots {
		slots[k] = ep.Latency.Tails[k].Slot.Unite(o.Latency.Tails[k].Slot)
	}
	ep.add(o)
	for k := range slots {
		ep.Latency.Tails[k].Slot = slots[k]
	}
	ep.Slow, ep.Slot, ep.Places, ep.Gate = slow, slot, places, gate
}

// join adds the hypothesis of another part.
func (h *hypothesis) join(o *hypothesis) {
	shown, slot := h.Example.clearer(o.Example), h.Slot.Unite(o.Slot)
	earlier := h.Earlier
	h.add(o)
	h.Example, h.Slot, h.Earlier = shown, slot, earlier // what came earlier is told by numbers of the part
}

// clearer is the better of two examples, whichever way they come.
func (e example) clearer(o example) example {
	rank := func(e example) int64 {
		if e.Alone {
			return e.Size
		}
		return math.MaxInt64
	}
	switch {
	case e.Observation == "":
		return o
	case o.Observation == "":
		return e
	case cmp.Or(cmp.Compare(rank(e), rank(o)), cmp.Compare(e.Size, o.Size), cmp.Compare(e.Observation, o.Observation)) <= 0:
		return e
	}
	return o
}

func (t *traffic) add(o *traffic) {
	t.Received, t.Mirrored = t.Received+o.Received, t.Mirrored+o.Mirrored
	t.Compared, t.Identical = t.Compared+o.Compared, t.Identical+o.Identical
	for reason, n := range o.Dropped {
		t.Dropped[reason] += n
	}
	t.Load.add(&o.Load)
	if o.Capture != nil {
		if t.Capture == nil {
			t.Capture = &observation.Capture{}
		}
		t.Capture.Add(*o.Capture)
	}
	t.Contexts.Merge(o.Contexts)
	t.Mismatched.Merge(o.Mismatched)
}
