// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"

	"microstax/internal/engine/canon"
)

// What holds between the values of one answer should hold in the other, though every value is another one: a total is the
// sum of its lines, a product, a count; what was updated was created before. Some relations hold by chance; by chance the
// control breaks them as often as the candidate.

const (
	maxRelated  = 256 << 10 // bytes of a document that is looked at
	maxObjects  = 64        // objects at one path
	maxPlaces   = 1000      // paths at which there are objects
	maxOperands = 10        // numbers, and times, of one object
	leastTotal  = 10        // smaller numbers are sums of others too often
)

// relation is one thing that holds in every object at a path.
type relation struct {
	op       byte // s: sum over a list, p: sum of products over a list, n: length of a list, +, *, and < of times
	of       string
	list     string
	one, two string
}

// String is the relation for people, and part of a finding's path.
func (r relation) String() string {
	switch r.op {
	case 's':
		return r.of + " = Σ " + r.list + "[*]." + r.one
	case 'p':
		return r.of + " = Σ " + r.list + "[*]." + r.one + " × " + r.two
	case 'n':
		return r.of + " = number of " + r.list
	case '*':
		return r.of + " = " + r.one + " × " + r.two
	case '<':
		return r.of + " ≤ " + r.one
	}
	return r.of + " = " + r.one + " + " + r.two
}

// relations compares two JSON documents in which values differ that may belong together.
func (c *collector) relations(x, y *canon.Body, l canon.Limits) {
	if c.full || len(x.Data) > maxRelated || len(y.Data) > maxRelated || !c.relatable() {
		return
	}
	a, errA := canon.Parse(x.Data, l)
	b, errB := canon.Parse(y.Data, l)
	if errA != nil || errB != nil {
		return
	}
	w := &relator{collector: c, a: a, b: b}
	w.all(objectsOf(a), objectsOf(b))
}

// relatable says whether at least two places differ that may be in a relation: numbers, times and lists of one object, or of one and
// of a list within it.
func (c *collector) relatable() bool {
	var parents []string
	for i := range c.out {
		d := &c.out[i]
		list := strings.HasSuffix(d.Path, "[*]") && (d.Kind == KindMissing || d.Kind == KindExtra)
		if !list && (d.Kind != KindValue || d.Model != "number" && d.Model != "timestamp") {
			continue
		}
		at := strings.TrimSuffix(d.Path, "[*]")
		if n := strings.LastIndexByte(at, '.'); n > 0 {
			parents = append(parents, at[:n])
		}
	}
	slices.Sort(parents)
	for i := 1; i < len(parents); i++ {
		if rest, within := strings.CutPrefix(parents[i], parents[i-1]); within && (rest == "" || strings.HasSuffix(rest, "[*]")) {
			return true
		}
	}
	return false
}

// objects are all objects at one path.
type objects struct {
	path  string
	segs  []seg
	nodes []int32
}

// objectsOf gathers the objects of a document by their general path, in the order in which the paths are first seen.
func objectsOf(t *canon.Tree) []objects {
	var out []objects
	index := map[string]int{}
	var segs []seg
	var walk func(i int32)
	walk = func(i int32) {
		if t.Scalar(i) {
			return
		}
		if t.Type(i) == canon.Object {
			path := general(segs)
			k, known := index[path]
			if !known && len(out) >= maxPlaces {
				return
			}
			if !known {
				k = len(out)
				index[path] = k
				out = append(out, objects{path: path, segs: slices.Clone(segs)})
			}
			if len(out[k].nodes) < maxObjects {
				out[k].nodes = append(out[k].nodes, i)
			}
		}
		for n, kid := range t.Children(i) {
			if t.Type(i) == canon.Object {
				segs = append(segs, member(t.Key(kid)))
			} else {
				segs = append(segs, element(int32(n), false))
			}
			walk(kid)
			segs = segs[:len(segs)-1]
		}
	}
	walk(0)
	return out
}

type relator struct {
	*collector
	a, b *canon.Tree
}

// all looks for what holds at each path of either document, and whether it does in the other.
func (w *relator) all(as, bs []objects) {
	other := make(map[string]objects, len(bs))
	for _, y := range bs {
		other[y.path] = y
	}
	for _, x := range as {
		y, both := other[x.path]
		if !both || !w.varies(x.path) {
			continue
		}
		seen := map[relation]bool{}
		for _, r := range append(relationsIn(w.a, x.nodes[0]), relationsIn(w.b, y.nodes[0])...) {
			if seen[r] || !w.bothVary(x.path, r) {
				continue
			}
			seen[r] = true
			was, _ := inAll(w.a, x.nodes, r)
			is, at := inAll(w.b, y.nodes, r)
			switch {
			case was == holds && is == broken:
				w.changed(x, r, r.String(), append([]byte("it does not hold: "), w.b.Show(at)...))
			case was == broken && is == holds:
				w.changed(x, r, "it did not hold", []byte(r.String()))
			}
		}
	}
}

// varies says whether at least two places within the objects at a path differ.
func (w *relator) varies(path string) bool {
	n := 0
	for i := range w.out {
		if p := w.out[i].Path; len(p) > len(path) && p[len(path)] == '.' && p[:len(path)] == path {
			n++
		}
	}
	return n >= 2
}

// inAll says whether a relation holds wherever it can be told, and where it is broken.
func inAll(t *canon.Tree, nodes []int32, r relation) (truth, int32) {
	all := unknown
	for _, i := range nodes {
		switch says(t, i, r) {
		case broken:
			return broken, i
		case holds:
			all = holds
		default: // it says nothing of this one
		}
	}
	return all, 0
}

// changed records a relation that holds on one side only.
func (w *relator) changed(at objects, r relation, was string, is []byte) {
	w.segs = append(append(w.segs[:0], at.segs...), member([]byte(r.of)))
	defer func() { w.segs = w.segs[:0] }()
	if w.stop() {
		return
	}
	if levels := w.weaken(KindValue, UpTo(Tolerant), func(r *rule) reach { return r.node(w.segs) }); levels != 0 {
		path := at.path + ": " + r.String()
		w.add(KindValue, path, func() string { return path }, levels, found{class: "relation", was: []byte(was), is: is})
	}
}

// bothVary says whether at least two of the values in a relation differ between the documents; when only one does, that says
// it all.
func (w *relator) bothVary(path string, r relation) bool {
	n := 0
	for _, name := range [...]string{r.of, r.list, r.one, r.two} {
		if name == "" || r.list != "" && name != r.of && name != r.list {
			continue
		}
		at := path + "." + name
		for i := range w.out {
			if p := w.out[i].Path; p == at || name == r.list && strings.HasPrefix(p, at+"[") {
				n++
				break
			}
		}
	}
	return n >= 2
}

type truth uint8

const (
	unknown truth = iota // something that it needs is not there
	holds
	broken
)

// relationsIn are the relations that hold in one object.
func relationsIn(t *canon.Tree, i int32) []relation {
	var numbers, times, lists []string
	for _, m := range t.Children(i) {
		name := string(t.Key(m))
		if writeable(name) == "" {
			continue
		}
		switch {
		case t.Type(m) == canon.Number && len(numbers) < maxOperands:
			numbers = append(numbers, name)
		case t.Type(m) == canon.String && len(times) < maxOperands && t.ClassOf(m) == canon.ClassRFC3339:
			times = append(times, name)
		case t.Type(m) == canon.Array && len(lists) < maxOperands && len(t.Children(m)) > 1:
			lists = append(lists, name)
		}
	}
	var out []relation
	keep := func(r relation) {
		if says(t, i, r) == holds {
			out = append(out, r)
		}
	}
	for _, of := range numbers {
		total, _ := number(t, i, of)
		if math.Abs(total) < leastTotal {
			continue
		}
		for _, list := range lists {
			keep(relation{op: 'n', of: of, list: list})
			overList(t, i, of, list, keep)
		}
		for k, one := range numbers {
			for _, two := range numbers[k+1:] {
				if one != of && two != of {
					keep(relation{op: '+', of: of, one: one, two: two})
					keep(relation{op: '*', of: of, one: one, two: two})
				}
			}
		}
	}
	for k, of := range times { // by name, so that of two orders there is one relation
		for _, one := range times[k+1:] {
			out = append(out, relation{op: '<', of: of, one: one})
		}
	}
	return out
}

// overList tries sums over the elements of a list.
func overList(t *canon.Tree, i int32, of, list string, keep func(relation)) {
	var numbers []string
	first := t.Children(t.Member(i, []byte(list)))[0]
	if t.Type(first) != canon.Object {
		return
	}
	for _, m := range t.Children(first) {
		if name := string(t.Key(m)); t.Type(m) == canon.Number && len(numbers) < maxOperands && writeable(name) != "" {
			numbers = append(numbers, name)
		}
	}
	for k, one := range numbers {
		keep(relation{op: 's', of: of, list: list, one: one})
		for _, two := range numbers[k+1:] {
			keep(relation{op: 'p', of: of, list: list, one: one, two: two})
		}
	}
}

// writeable is a name that a path writes as it is, or "".
func writeable(name string) string {
	var b strings.Builder
	if writeName(&b, []byte(name)); b.String() != "."+name || nameClass([]byte(name)) != "" {
		return ""
	}
	return name
}

func number(t *canon.Tree, i int32, name string) (float64, bool) {
	m := t.Member(i, []byte(name))
	if m < 0 || t.Type(m) != canon.Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(t.Text(m)), 64)
	return f, err == nil
}

// says tells whether a relation holds in an object.
func says(t *canon.Tree, i int32, r relation) truth {
	if r.op == '<' {
		return inOrder(t, i, r)
	}
	total, ok := number(t, i, r.of)
	if !ok {
		return unknown
	}
	want, known := 0.0, false
	if r.list == "" {
		x, okX := number(t, i, r.one)
		y, okY := number(t, i, r.two)
		if want, known = x+y, okX && okY && x != 0 && y != 0; r.op == '*' {
			want, known = x*y, known && x != 1 && y != 1
		}
	} else {
		want, known = overAll(t, i, r)
	}
	if !known {
		return unknown
	}
	// As exact as the total is written.
	exact := .51 * math.Pow10(-canon.Decimals(string(t.Text(t.Member(i, []byte(r.of))))))
	if math.Trunc(total) == total && math.Trunc(want) == want {
		exact = 0
	}
	if math.Abs(total-want) <= exact+1e-9*math.Abs(want) {
		return holds
	}
	return broken
}

func overAll(t *canon.Tree, i int32, r relation) (float64, bool) {
	m := t.Member(i, []byte(r.list))
	if m < 0 || t.Type(m) != canon.Array {
		return 0, false
	}
	if r.op == 'n' {
		return float64(len(t.Children(m))), true
	}
	sum := 0.0
	for _, e := range t.Children(m) {
		if t.Type(e) != canon.Object {
			return 0, false
		}
		x, ok := number(t, e, r.one)
		if !ok {
			return 0, false
		}
		if r.op == 'p' {
			y, ok := number(t, e, r.two)
			if !ok {
				return 0, false
			}
			x *= y
		}
		sum += x
	}
	return sum, true
}

func inOrder(t *canon.Tree, i int32, r relation) truth {
	m, n := t.Member(i, []byte(r.of)), t.Member(i, []byte(r.one))
	if m < 0 || n < 0 || t.ClassOf(m) != canon.ClassRFC3339 || t.ClassOf(n) != canon.ClassRFC3339 {
		return unknown
	}
	if bytes.Equal(t.Text(m), t.Text(n)) {
		return holds
	}
	x, okX := canon.Time(string(t.Text(m)), canon.ClassRFC3339)
	y, okY := canon.Time(string(t.Text(n)), canon.ClassRFC3339)
	switch {
	case !okX || !okY:
		return unknown
	case x.After(y):
		return broken
	}
	return holds
}

// tag compares the entity tags of two answers with other bodies: the same strong one says that they are the same
// (RFC 9110, 8.8.3), so that caches keep the old one.
func (c *collector) tag(a, b side) {
	was, okA := etag(a)
	is, okB := etag(b)
	if okA && okB && was == is && !strings.HasPrefix(was, "W/") && !equalBodies(a.body, b.body) {
		const path = "etag: same body"
		c.plain(KindHeader, path, "etag", UpTo(Tolerant), found{class: "relation", was: []byte(was), is: []byte(is + ", with another body")})
	}
}

func etag(s side) (string, bool) {
	for _, h := range s.headers {
		if strings.EqualFold(h.Name, "etag") {
			return strings.TrimSpace(h.Value), h.Value != ""
		}
	}
	return "", false
}
