// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// predicate is one thing that holds for some rows.
type predicate struct {
	text string
	name string
	cost int // how hard it is to take in: the smaller of two that fit alike is shown
	rows set
	not  bool
}

// The costs: what is said of a value before what is said of its form, and the request before the answer.
const (
	costEqual = iota
	costPresent
	costBound
	costForm
	costNot
	costSource = 8 // for each step away from the request
)

func source(name string) int {
	switch {
	case strings.HasPrefix(name, fromRequest+"header."):
		return costSource / 2
	case strings.HasPrefix(name, fromRequest):
		return 0
	case strings.HasPrefix(name, fromCall):
		return costSource
	}
	return 2 * costSource
}

// predicates are those that hold for some rows and not for all, and for at least a few that differ.
func (t *rows) predicates() []predicate {
	var out []predicate
	put := func(c *column, cost int, s set, format string, args ...any) {
		if fails, _ := t.count(&s, Learn); fails < minFails || s == t.all {
			return
		}
		out = append(out, predicate{text: fmt.Sprintf(format, args...), name: c.name, cost: cost + source(c.name), rows: s, not: cost == costNot})
	}
	for _, c := range t.columns() {
		t.equalities(c, put)
		t.bounds(c, put)
		t.forms(c, put)
		if c.has != t.all {
			put(c, costPresent, c.has, "%s is present", c.name)
			put(c, costPresent, t.all.without(c.has), "%s is absent", c.name)
		}
	}
	return out
}

type putter func(c *column, cost int, s set, format string, args ...any)

// equalities are "currency = "JPY"" and, where nearly everything differs, "currency ≠ "EUR"".
func (t *rows) equalities(c *column, put putter) {
	for _, v := range t.ordered(c) {
		value, rows := t.profile.values[v], c.values[v]
		if value == "<other>" {
			continue
		}
		if opaque(value) {
			if len(c.values) > 1 {
				put(c, costForm, rows, "%s is %s", c.name, strings.Trim(value, "<>"))
			}
			continue
		}
		put(c, costEqual, rows, "%s = %s", c.name, value)
		if _, passes := t.count(&rows, Learn); passes >= minFails && len(c.values) > 1 {
			put(c, costNot, c.has.without(rows), "%s ≠ %s", c.name, value)
		}
	}
}

func (t *rows) ordered(c *column) []uint16 {
	vs := make([]uint16, 0, len(c.values))
	for v := range c.values {
		vs = append(vs, v)
	}
	slices.SortFunc(vs, func(a, b uint16) int { return cmp.Compare(t.profile.values[a], t.profile.values[b]) })
	return vs
}

// stray is the share of what differs that may lie outside a bound.
const stray = 0.025

// bounds are "amount ≥ 100" at the values where what differs begins and ends.
func (t *rows) bounds(c *column, put putter) {
	numbers := t.numbers(c)
	if len(numbers) < 3 {
		return
	}
	total := 0
	for _, n := range numbers {
		total += n.fails
	}
	edge := func(from, step int) int { // the first number beyond which hardly any that differs lies
		for i, outside := from, 0; i >= 0 && i < len(numbers); i += step {
			if outside += numbers[i].fails; float64(outside) > stray*float64(total) {
				return i
			}
		}
		return from
	}
	met := func(holds func(x float64) bool) (s set) {
		for _, n := range numbers {
			if holds(n.x) {
				s = s.or(n.rows)
			}
		}
		return s
	}
	first, last := edge(0, 1), edge(len(numbers)-1, -1)
	if first > 0 {
		bound := round(numbers[t.next(numbers, first, -1)].x, numbers[first].x)
		put(c, costBound, met(func(x float64) bool { return x >= bound }), "%s ≥ %s", c.name, plain(bound))
	}
	if last < len(numbers)-1 {
		bound := round(numbers[t.next(numbers, last, 1)].x, numbers[last].x)
		put(c, costBound, met(func(x float64) bool { return x <= bound }), "%s ≤ %s", c.name, plain(bound))
	}
}

// next is the nearest number that the half to learn from has seen, in the direction of step.
func (t *rows) next(numbers []numbered, i, step int) int {
	for k := i + step; k >= 0 && k < len(numbers); k += step {
		if fails, passes := t.count(&numbers[k].rows, Learn); fails+passes > 0 {
			return k
		}
	}
	return i
}

// round is the number of the fewest digits beyond outside, up to inside: whoever set a limit hardly wrote 91095.
func round(outside, inside float64) float64 {
	for digits := 1; digits < 17; digits++ {
		x := inside
		if x != 0 {
			unit := math.Pow(10, math.Floor(math.Log10(math.Abs(x)))+1-float64(digits))
			if outside < inside {
				x = math.Floor(x/unit) * unit
			} else {
				x = math.Ceil(x/unit) * unit
			}
		}
		if outside < x && x <= inside || inside <= x && x < outside {
			return x
		}
	}
	return inside
}

func plain(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// numbered is one number among the values of a column.
type numbered struct {
	x     float64
	text  string
	rows  set
	fails int
}

// numbers are the column's, ascending.
func (t *rows) numbers(c *column) []numbered {
	var out []numbered
	for _, v := range t.ordered(c) {
		if x, err := strconv.ParseFloat(t.profile.values[v], 64); err == nil {
			n := numbered{x: x, text: t.profile.values[v], rows: c.values[v]}
			n.fails, _ = t.count(&n.rows, Learn)
			out = append(out, n)
		}
	}
	slices.SortStableFunc(out, func(a, b numbered) int { return cmp.Compare(a.x, b.x) })
	return out
}

// forms are what strings look like.
func (t *rows) forms(c *column, put putter) {
	var beyond, zero, spaced set
	for v, rows := range c.values {
		s, err := strconv.Unquote(t.profile.values[v])
		if err != nil {
			continue
		}
		if strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) >= 0 {
			beyond = beyond.or(rows)
		}
		if len(s) > 1 && s[0] == '0' {
			zero = zero.or(rows)
		}
		if strings.TrimSpace(s) != s {
			spaced = spaced.or(rows)
		}
	}
	put(c, costForm, beyond, "%s has characters beyond ASCII", c.name)
	put(c, costForm, zero, "%s begins with 0", c.name)
	put(c, costForm, spaced, "%s begins or ends with space", c.name)
}
