// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// pair is one fact by its places in the profile's lists.
type pair struct{ Name, Value uint16 }

// request is one different request: method, target and body.
type request struct {
	hash  uint64
	facts []pair
	seen  [2]uint32 // how often, by half; counted for the sample only
}

// Profile is a uniform sample of the different requests of one endpoint, and the facts of those that cases refer to. The
// zero value is not usable: make it with NewProfile.
type Profile struct {
	names, values   []string
	nameOf, valueOf map[string]uint16
	requests        map[uint64]*request
	sample          []uint64 // hashes of the sample, ascending
	dropped         int64    // facts for which there was no room
	full            bool     // a request was turned away or pushed out, so that the sample is not all there is
}

// NewProfile makes an empty profile.
func NewProfile() *Profile {
	return &Profile{nameOf: map[string]uint16{}, valueOf: map[string]uint16{}, requests: map[uint64]*request{}}
}

// Wants says whether the request with that hash would be in the sample, so that its facts are worth finding out; a request
// that is there already is only counted.
func (p *Profile) Wants(hash uint64, half Half) bool {
	if r, known := p.requests[hash]; known {
		if _, sampled := slices.BinarySearch(p.sample, hash); sampled {
			r.seen[half]++
			return false
		}
	}
	if len(p.sample) < sampleSize || hash < p.sample[len(p.sample)-1] {
		return true
	}
	p.full = true
	return false
}

// Add takes a request that Wants asked for into the sample.
func (p *Profile) Add(hash uint64, half Half, facts []Fact) {
	at, known := slices.BinarySearch(p.sample, hash)
	if known {
		return
	}
	r := p.hold(hash, facts)
	r.seen[half]++
	p.sample = slices.Insert(p.sample, at, hash)
	if len(p.sample) > sampleSize {
		p.sample, p.full = p.sample[:sampleSize], true
	}
}

// hold keeps the facts of a request.
func (p *Profile) hold(hash uint64, facts []Fact) *request {
	r := p.requests[hash]
	if r == nil {
		r = &request{hash: hash, facts: p.intern(facts)}
		p.requests[hash] = r
	}
	return r
}

// intern gives facts by number. What finds no room is counted and left out.
func (p *Profile) intern(facts []Fact) []pair {
	out := make([]pair, 0, len(facts))
	for _, f := range facts {
		n, ok := index(&p.names, p.nameOf, f.Name, maxNames)
		if !ok {
			p.dropped++
			continue
		}
		v, ok := index(&p.values, p.valueOf, f.Value, maxValues)
		if !ok {
			p.dropped++
			if v, ok = index(&p.values, p.valueOf, "<other>", maxValues+1); !ok {
				continue
			}
		}
		out = append(out, pair{n, v})
	}
	slices.SortFunc(out, func(a, b pair) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value)) })
	return slices.Compact(out)
}

func index(list *[]string, at map[string]uint16, s string, limit int) (uint16, bool) {
	if i, known := at[s]; known {
		return i, true
	}
	if len(*list) >= limit {
		return 0, false
	}
	i := uint16(len(*list))
	*list = append(*list, s)
	at[s] = i
	return i, true
}

// Sweep forgets the requests that are neither in the sample nor in any of the cases, and what only they said.
func (p *Profile) Sweep(cases []*Cases) {
	keep := make(map[uint64]bool, len(p.sample))
	for _, h := range p.sample {
		keep[h] = true
	}
	for _, c := range cases {
		for i := range c.list {
			keep[c.list[i].hash] = true
		}
	}
	names, values := p.names, p.values
	p.names, p.values, p.nameOf, p.valueOf = nil, nil, map[string]uint16{}, map[string]uint16{}
	old := &Profile{names: names, values: values}
	for _, h := range slices.Sorted(maps.Keys(p.requests)) {
		if !keep[h] {
			delete(p.requests, h)
			continue
		}
		r := p.requests[h]
		r.facts = p.intern(old.spell(r.facts))
	}
}

// Held is how many requests are held: those of the sample, of cases, and those that Sweep would forget.
func (p *Profile) Held() int { return len(p.requests) }

// reach is the largest hash up to which the sample is all there is.
func (p *Profile) reach() uint64 {
	if !p.full || len(p.sample) == 0 {
		return math.MaxUint64
	}
	return p.sample[len(p.sample)-1]
}

// Merge takes another profile of the same endpoint in. The result does not depend on the order of merging, as long as no
// bound on names and values is reached.
func (p *Profile) Merge(o *Profile) {
	reach := min(p.reach(), o.reach())
	for _, h := range o.sample {
		r := o.requests[h]
		at, known := slices.BinarySearch(p.sample, h)
		mine := p.requests[h]
		if mine == nil {
			mine = p.hold(h, o.spell(r.facts))
		}
		if known {
			mine.seen[0], mine.seen[1] = mine.seen[0]+r.seen[0], mine.seen[1]+r.seen[1]
			continue
		}
		mine.seen = r.seen
		p.sample = slices.Insert(p.sample, at, h)
	}
	for h, r := range o.requests { // those of cases
		if p.requests[h] == nil {
			p.hold(h, o.spell(r.facts))
		}
	}
	end, _ := slices.BinarySearch(p.sample, reach)
	if end < len(p.sample) {
		end++
	}
	p.full = p.full || o.full || min(end, sampleSize) < len(p.sample)
	p.sample = p.sample[:min(end, sampleSize)]
}

// spell writes facts out.
func (p *Profile) spell(ps []pair) []Fact {
	out := make([]Fact, len(ps))
	for i, f := range ps {
		out[i] = Fact{p.names[f.Name], p.values[f.Value]}
	}
	return out
}

// failure is one different request that showed the difference.
type failure struct {
	hash   uint64
	count  [2]uint32 // by half
	levels uint8     // at which the candidate alone differed in it
}

// Cases are the requests in which one difference showed. The zero value is empty and ready.
type Cases struct {
	list []failure // ascending by hash
	full bool
}

// Add counts a request that shows the difference at some levels, a set of bits that is only compared. The profile keeps its
// facts.
func (c *Cases) Add(p *Profile, hash uint64, half Half, levels uint8, facts func() []Fact) {
	at, known := slices.BinarySearchFunc(c.list, hash, func(f failure, h uint64) int { return cmp.Compare(f.hash, h) })
	if !known {
		if len(c.list) >= caseSize && at == len(c.list) {
			c.full = true
			return
		}
		if p.requests[hash] == nil {
			p.hold(hash, facts())
		}
		c.list = slices.Insert(c.list, at, failure{hash: hash})
		if len(c.list) > caseSize {
			c.list, c.full = c.list[:caseSize], true
		}
	}
	c.list[at].count[half]++
	c.list[at].levels |= levels
}

// Merge takes the cases of the same difference in.
func (c *Cases) Merge(o *Cases) {
	reach := min(c.reach(), o.reach())
	for _, f := range o.list {
		at, known := slices.BinarySearchFunc(c.list, f.hash, func(g failure, h uint64) int { return cmp.Compare(g.hash, h) })
		if known {
			g := &c.list[at]
			g.count[0], g.count[1], g.levels = g.count[0]+f.count[0], g.count[1]+f.count[1], g.levels|f.levels
			continue
		}
		c.list = slices.Insert(c.list, at, f)
	}
	end := len(c.list)
	for end > 0 && c.list[end-1].hash > reach {
		end--
	}
	c.full = c.full || o.full || min(end, caseSize) < len(c.list)
	c.list = c.list[:min(end, caseSize)]
}

func (c *Cases) reach() uint64 {
	if !c.full || len(c.list) == 0 {
		return math.MaxUint64
	}
	return c.list[len(c.list)-1].hash
}
