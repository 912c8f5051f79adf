// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// What a condition must come to.
const (
	minFails   = 2    // weighted requests that differ and meet it, to be looked at
	minHalf    = 4    // weighted requests that differ, in each half
	recall     = 0.9  // share of those that differ that meet it
	likelihood = 2.0  // how much likelier it is to be met by what differs than by what does not
	evidence   = 20.0 // e-value on the unseen half
)

// The beam of the search, and how good a shorter conjunction must be beside a longer one.
const (
	beamWidth = 20
	beamDepth = 3
	shorter   = 0.95 // a conjunction of fewer predicates is taken for this share of the best score
	simpler   = 0.98 // and a simpler one of as many for this
)

// Explain finds the condition that tells the requests that show a difference at one of the levels from those that do
// not, and says false where there is none that both halves of the traffic bear out, or where nearly all differ.
func (p *Profile) Explain(c *Cases, levels uint8) (Condition, bool) {
	t := p.table(c, levels)
	fails, passes := t.count(&t.all, Learn)
	unseen, _ := t.count(&t.all, Unseen)
	if fails < minHalf || unseen < minHalf || passes == 0 {
		return Condition{}, false
	}
	best, found := t.search(t.predicates())
	if !found {
		return Condition{}, false
	}
	return t.check(best)
}

// conjunction is predicates that hold together.
type conjunction struct {
	parts []predicate
	rows  set
	cost  int
	score float64
}

func (c conjunction) text() string {
	texts := make([]string, len(c.parts))
	for i, p := range c.parts {
		texts[i] = p.text
	}
	slices.Sort(texts)
	return strings.Join(texts, " and ")
}

// better orders conjunctions: by score, then the simpler, then by text.
func better(a, b conjunction) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(len(a.parts), len(b.parts)), cmp.Compare(a.cost, b.cost), cmp.Compare(a.text(), b.text()))
}

// search is a beam search for the conjunction of the highest weighted relative accuracy, p(P) (p(F|P) − p(F)), on the
// half to learn from.
func (t *rows) search(ps []predicate) (conjunction, bool) {
	var all, beam []conjunction
	for _, p := range ps {
		beam = append(beam, t.scored(conjunction{parts: []predicate{p}, rows: p.rows, cost: p.cost}))
	}
	beam = narrowed(beam)
	all = append(all, beam...)
	for range beamDepth - 1 {
		var next []conjunction
		for _, c := range beam {
			for _, p := range ps {
				if p.not { // by exclusion anything fits
					continue
				}
				rows := c.rows.and(p.rows)
				if rows == c.rows || rows == p.rows || slices.ContainsFunc(c.parts, func(q predicate) bool { return q.text == p.text }) {
					continue // it says nothing more
				}
				parts := append(slices.Clone(c.parts), p)
				if n := t.scored(conjunction{parts: parts, rows: rows, cost: c.cost + p.cost}); n.score > c.score {
					next = append(next, n)
				}
			}
		}
		beam = narrowed(next)
		all = append(all, beam...)
	}
	slices.SortFunc(all, better)
	if len(all) == 0 || all[0].score <= 0 {
		return conjunction{}, false
	}
	return choose(all), true
}

// choose takes the shortest of those that are nearly as good as the best, and the simplest of those that are hardly worse.
func choose(all []conjunction) conjunction {
	least, parts := all[0].score*shorter, beamDepth
	for _, c := range all {
		if c.score >= least {
			parts = min(parts, len(c.parts))
		}
	}
	all = slices.DeleteFunc(all, func(c conjunction) bool { return len(c.parts) != parts })
	least = all[0].score * simpler
	all = slices.DeleteFunc(all, func(c conjunction) bool { return c.score < least })
	return slices.MinFunc(all, func(a, b conjunction) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(b.score, a.score), cmp.Compare(a.text(), b.text()))
	})
}

// narrowed keeps the best of a beam, and of those that hold for the same rows the simplest alone.
func narrowed(cs []conjunction) []conjunction {
	slices.SortFunc(cs, better)
	var out []conjunction
	for _, c := range cs {
		if !slices.ContainsFunc(out, func(o conjunction) bool { return o.rows == c.rows }) {
			out = append(out, c)
		}
		if len(out) == beamWidth {
			break
		}
	}
	return out
}

// scored works out the weighted relative accuracy.
func (t *rows) scored(c conjunction) conjunction {
	f, s := t.count(&c.rows, Learn)
	allF, allS := t.count(&t.all, Learn)
	n := float64(allF) + t.scale*float64(allS)
	met := float64(f) + t.scale*float64(s)
	c.score = (float64(f) - met*float64(allF)/n) / n
	return c
}

// check asks the unseen half.
func (t *rows) check(c conjunction) (Condition, bool) {
	for _, h := range []Half{Learn, Unseen} {
		k, pass := t.count(&c.rows, h)
		n, passes := t.count(&t.all, h)
		q := (float64(pass) + 1) / (float64(passes) + 2)
		share := float64(k) / float64(n)
		if share < recall || share < likelihood*float64(pass)/float64(max(passes, 1)) {
			return Condition{}, false
		}
		if h == Unseen && logBinomialE(k, n, q) < math.Log(evidence) {
			return Condition{}, false
		}
	}
	out := Condition{Text: c.text()}
	out.Held, out.OtherHeld = t.plain(&c.rows)
	out.Of, out.Others = t.plain(&t.all)
	return out, true
}

// plain counts the rows of the unseen half, whatever their weights.
func (t *rows) plain(s *set) (fails, passes int) {
	for row := range t.facts {
		if !s.has(row) {
			continue
		}
		var one set
		one.add(row)
		f, p := t.count(&one, Unseen)
		fails, passes = fails+min(f, 1), passes+min(p, 1)
	}
	return fails, passes
}

// logBinomialE is the log e-value of k hits in n against a chance of at most q each: the likelihood ratio of a uniform
// mixture over the chances. Where fewer hit than q n there is no evidence.
func logBinomialE(k, n int, q float64) float64 {
	if float64(k) <= q*float64(n) {
		return math.Inf(-1)
	}
	beta := lgamma(k+1) + lgamma(n-k+1) - lgamma(n+2)
	return beta - float64(k)*math.Log(q) - float64(n-k)*math.Log1p(-q)
}

func lgamma(n int) float64 {
	x, _ := math.Lgamma(float64(n))
	return x
}
