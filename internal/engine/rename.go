// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"slices"
	"strings"

	"microstax/internal/engine/pairing"
)

// rename follows the learner of templates: endpoints that turn out to be one are added up. Counters are additive; where
// one user session was at both, its two says become one.
func (a *Analysis) rename(service string, renames map[string]string) {
	renames = a.withOperations(service, renames)
	for _, old := range slices.Sorted(maps.Keys(renames)) {
		from := endpointName{service, old}
		i, known := a.byName[from]
		if !known || renames[old] == old {
			continue
		}
		delete(a.byName, from)
		to := endpointName{service, renames[old]}
		if j, exists := a.byName[to]; exists {
			a.fold(i, j)
			continue
		}
		a.byName[to] = i
		a.endpoints[i].Name = to.Name
		for _, h := range a.places {
			if h.Endpoint == i {
				h.id = a.placeID(h)
			}
		}
	}
}

// withOperations are the renames, and the same of the operations at the endpoints that they are about.
func (a *Analysis) withOperations(service string, renames map[string]string) map[string]string {
	out := renames
	for name := range a.byName {
		base, operation, ok := strings.Cut(name.Name, pairing.OperationMark)
		if !ok || name.Service != service {
			continue
		}
		if to, known := renames[base]; known {
			if len(out) == len(renames) {
				out = maps.Clone(renames)
			}
			out[name.Name] = to + pairing.OperationMark + operation
		}
	}
	return out
}

// fold adds endpoint i to endpoint j.
func (a *Analysis) fold(i, j int) {
	from, to := a.endpoints[i], a.endpoints[j]
	to.add(from)
	places := map[uint32]uint32{}
	for k, h := range a.places {
		if h.Endpoint != i || h.Into != 0 {
			continue
		}
		delete(a.byPlace, place{i, h.Kind, h.Path, h.Variant})
		key := place{j, h.Kind, h.Path, h.Variant}
		h.Endpoint = j
		if into, exists := a.byPlace[key]; exists {
			a.places[into].add(h)
			h.Into = into + 1
			to.Places--
			places[uint32(k)] = uint32(into)
			continue
		}
		h.id = a.placeID(h)
		a.byPlace[key] = k
	}
	a.foldBreaches(i, j)
	a.unseen.fold(i, j)
	for name, n := range a.calls {
		if name.endpoint != i {
			continue
		}
		delete(a.calls, name)
		name.endpoint = j
		if c := a.calls[name]; c != nil {
			c.Baseline, c.Control, c.Candidate = c.Baseline+n.Baseline, c.Control+n.Control, c.Candidate+n.Candidate
		} else {
			a.calls[name] = n
		}
	}
	for e := a.users.order.Front(); e != nil; e = e.Next() {
		a.foldUser(e.Value.(*user), uint32(i), uint32(j), places)
	}
	*from = endpoint{Service: from.Service, Into: j + 1, Contexts: from.Contexts}
}

// foldUser makes one session's visits to both endpoints, and its marks at both of two places, one.
func (a *Analysis) foldUser(s *user, i, j uint32, places map[uint32]uint32) {
	g := &a.endpoints[j].Gate
	at := slices.IndexFunc(s.visits, func(v visit) bool { return v.endpoint == i })
	if at >= 0 {
		v := s.visits[at]
		if other := slices.IndexFunc(s.visits, func(v visit) bool { return v.endpoint == j }); other < 0 {
			s.visits[at].endpoint = j
		} else {
			w := &s.visits[other]
			was := *w
			w.counted, w.candidate, w.control = w.counted || v.counted, w.candidate || v.candidate, w.control || v.control
			for _, c := range v.causes {
				w.causes = withCause(w.causes, int(c))
			}
			g.update(was, *w)
			g.add(v, -1)
			a.endpoints[j].Visits--
			s.visits = slices.Delete(s.visits, at, at+1)
		}
	}
	for k := 0; k < len(s.marks); k++ {
		into, folded := places[s.marks[k].place]
		if !folded {
			continue
		}
		m := s.marks[k]
		other := slices.IndexFunc(s.marks, func(m mark) bool { return m.place == into })
		if other < 0 {
			s.marks[k].place = into
			continue
		}
		h, w := a.places[into], &s.marks[other]
		was := *w
		w.candidate |= m.candidate
		w.control |= m.control
		h.contribute(was, *w)
		h.contribute(m, mark{})
		s.marks = slices.Delete(s.marks, k, k+1)
		k--
	}
	if s.by > 0 {
		if into, folded := places[s.by-1]; folded {
			s.by = into + 1
		}
	}
}

// add takes the other endpoint's counts into this one's.
func (ep *endpoint) add(o *endpoint) {
	for reason, n := range o.Dropped {
		ep.drop(reason, n)
	}
	ep.Received += o.Received - sumOf(o.Dropped) // those of a state that did not tell reasons
	ep.Compared += o.Compared
	ep.Different += o.Different
	ep.Clean += o.Clean
	ep.Pairs += o.Pairs
	ep.Visits += o.Visits
	ep.Gate.join(&o.Gate, func(key string) string { return key })
	ep.Checked += o.Checked
	ep.Places += o.Places
	ep.CallBase += o.CallBase
	ep.CallPairs += o.CallPairs
	ep.Contexts.Merge(o.Contexts)
	ep.Latency.Baseline.Merge(&o.Latency.Baseline)
	ep.Latency.Control.Merge(&o.Latency.Control)
	ep.Latency.Candidate.Merge(&o.Latency.Candidate)
	ep.Latency.Slower = ep.Latency.Slower.Add(o.Latency.Slower)
	for k := range ep.Latency.Tails {
		ep.Latency.Tails[k].add(&o.Latency.Tails[k])
	}
	ep.Slot = ep.Slot.Join(o.Slot)
	if ep.Slow.Observation == "" {
		ep.Slow = o.Slow
	}
	ep.SlowAt = widen(ep.SlowAt, o.SlowAt)
	ep.addProfile(o)
}

// add takes the other hypothesis' counts into this one's.
func (h *hypothesis) add(o *hypothesis) {
	for l := range h.Levels {
		x, y := &h.Levels[l], o.Levels[l]
		x.Candidate, x.Control, x.Both = x.Candidate+y.Candidate, x.Control+y.Control, x.Both+y.Both
		x.Only, x.Twin = x.Only+y.Only, x.Twin+y.Twin
	}
	h.Noise.Sum(o.Noise)
	for c, n := range o.Classes {
		if h.Classes == nil {
			h.Classes = map[string]int64{}
		}
		h.Classes[c] += n
	}
	h.Contexts.Merge(o.Contexts)
	h.Requests.Merge(o.Requests)
	h.Aftermath += o.Aftermath
	h.addExplained(o)
	h.Kept += o.Kept
	if o.Example.Observation != "" && h.Example.better(o.Example) {
		h.Example = o.Example
	}
	h.Seen = widen(h.Seen, o.Seen)
	h.Slot = h.Slot.Join(o.Slot)
}
