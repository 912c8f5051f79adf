// SPDX-License-Identifier: Apache-2.0

package engine

import "slices"

// mergeUsers adds a part's sessions, oldest first. The part's counters are in already: what a session says twice is taken out.
func (m *merger) mergeUsers(k int, p *Analysis) {
	m.to.users.evicted += p.users.evicted
	m.to.users.full += p.users.full
	for e := p.users.order.Back(); e != nil; e = e.Prev() {
		s := m.renumber(k, e.Value.(*user))
		known, ok := m.to.users.byKey[s.key]
		if !ok {
			m.to.users.byKey[s.key] = m.to.users.order.PushFront(s)
			m.to.users.trim()
			continue
		}
		m.to.uniteUsers(known.Value.(*user), s)
	}
}

// renumber is a copy of a session with the whole's numbers. Within the part two visits or two marks may have become one
// through a template that only the whole knows: they count once.
func (m *merger) renumber(k int, u *user) *user {
	s := &user{key: u.key, poisoned: u.poisoned, told: u.told, services: slices.Clone(u.services)}
	if u.by > 0 {
		s.by = uint32(m.places[k][u.by-1]) + 1
	}
	for _, v := range u.visits {
		v.endpoint = uint32(m.endpoints[k][v.endpoint])
		var causes []uint32
		for _, c := range v.causes {
			causes = withCause(causes, m.places[k][c])
		}
		v.causes = causes
		m.to.addVisit(s, v)
	}
	for _, mk := range u.marks {
		mk.place = uint32(m.places[k][mk.place])
		m.to.addMark(s, mk)
	}
	return s
}

// addVisit gives a session a visit that is counted already; where it has one to that endpoint, the two become one.
func (a *Analysis) addVisit(s *user, v visit) {
	i := slices.IndexFunc(s.visits, func(w visit) bool { return w.endpoint == v.endpoint })
	if i < 0 {
		s.visits = append(s.visits, v)
		return
	}
	w := &s.visits[i]
	was, g := *w, &a.endpoints[v.endpoint].Gate
	w.counted, w.candidate, w.control = w.counted || v.counted, w.candidate || v.candidate, w.control || v.control
	for _, c := range v.causes {
		w.causes = withCause(w.causes, int(c))
	}
	g.update(was, *w)
	g.add(v, -1)
	a.endpoints[v.endpoint].Visits--
}

// addMark gives a session a mark that is counted already; where it has one at that place, the two become one.
func (a *Analysis) addMark(s *user, m mark) {
	i := slices.IndexFunc(s.marks, func(w mark) bool { return w.place == m.place })
	if i < 0 {
		s.marks = append(s.marks, m)
		return
	}
	w, h := &s.marks[i], a.places[m.place]
	was := *w
	w.candidate |= m.candidate
	w.control |= m.control
	h.contribute(was, *w)
	h.contribute(m, mark{})
}

// uniteUsers adds one part's memory of a session to another's.
func (a *Analysis) uniteUsers(s, o *user) {
	for _, service := range o.services {
		if !s.firstAt(service) {
			a.gate(service).Units--
		}
	}
	for _, v := range o.visits {
		a.addVisit(s, v)
	}
	for _, mk := range o.marks {
		a.addMark(s, mk)
	}
	s.poisoned, s.told = s.poisoned || o.poisoned, s.told || o.told
	if s.by == 0 || o.by > 0 && o.by < s.by {
		s.by = o.by
	}
}
