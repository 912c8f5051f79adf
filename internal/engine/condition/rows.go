// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"cmp"
	"math/bits"
	"slices"
)

// set is a set of rows.
type set [(sampleSize + caseSize + 63) / 64]uint64

func (s *set) add(i int) { s[i/64] |= 1 << (i % 64) }

func (s *set) has(i int) bool { return s[i/64]>>(i%64)&1 == 1 }

func (s set) and(o set) set {
	for i := range s {
		s[i] &= o[i]
	}
	return s
}

func (s set) or(o set) set {
	for i := range s {
		s[i] |= o[i]
	}
	return s
}

func (s set) without(o set) set {
	for i := range s {
		s[i] &^= o[i]
	}
	return s
}

// planes is a small weight for each row, as binary digits: their sum over a set costs a few population counts.
type planes [3]set

func (p *planes) put(row int, weight uint32) {
	for b := range p {
		if weight>>b&1 == 1 {
			p[b].add(row)
		}
	}
}

func (p *planes) sum(s *set) int {
	n := 0
	for b := range p {
		for i := range s {
			n += bits.OnesCount64(s[i]&p[b][i]) << b
		}
	}
	return n
}

// maxWeight is how often one request counts at most: many equal requests say little more than a few.
const maxWeight = 4

// rows are the requests to be told apart.
type rows struct {
	profile *Profile
	facts   [][]pair
	fails   [2]planes // by half
	passes  [2]planes
	all     set     // every row
	scale   float64 // how many requests that do not show the difference one row stands for, beside one that does
}

// table lines up the cases that show the difference at one of the levels, and the sampled requests that do not show it.
func (p *Profile) table(c *Cases, levels uint8) *rows {
	t := &rows{profile: p, scale: 1}
	reach := min(p.reach(), c.reach())
	failing := map[uint64]bool{}
	for i := range c.list {
		f := &c.list[i]
		r := p.requests[f.hash]
		if r == nil || f.levels&levels == 0 {
			continue
		}
		failing[f.hash] = true
		row := t.row(r)
		for h := range f.count {
			t.fails[h].put(row, min(f.count[h], maxWeight))
		}
	}
	for _, hash := range p.sample {
		if hash > reach || failing[hash] {
			continue
		}
		r := p.requests[hash]
		row := t.row(r)
		for h := range r.seen {
			t.passes[h].put(row, min(r.seen[h], maxWeight))
		}
	}
	if pr := p.reach(); c.reach() > pr { // the cases reach further than the sample does
		t.scale = float64(c.reach()) / float64(pr)
	}
	return t
}

func (t *rows) row(r *request) int {
	i := len(t.facts)
	t.facts = append(t.facts, r.facts)
	t.all.add(i)
	return i
}

// count is what a set comes to in one half: weights of rows that differ, and of those that do not.
func (t *rows) count(s *set, h Half) (fails, passes int) {
	return t.fails[h].sum(s), t.passes[h].sum(s)
}

// column is all that is known under one name.
type column struct {
	name   string
	has    set            // rows with the name
	values map[uint16]set // rows by value
}

// columns lists what is known by name, in the order of names.
func (t *rows) columns() []*column {
	byName := map[uint16]*column{}
	for row, facts := range t.facts {
		for _, f := range facts {
			c := byName[f.Name]
			if c == nil {
				c = &column{name: t.profile.names[f.Name], values: map[uint16]set{}}
				byName[f.Name] = c
			}
			c.has.add(row)
			s := c.values[f.Value]
			s.add(row)
			c.values[f.Value] = s
		}
	}
	out := make([]*column, 0, len(byName))
	for _, c := range byName {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *column) int { return cmp.Compare(a.name, b.name) })
	return out
}
