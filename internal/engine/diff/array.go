// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"strconv"

	"microstax/internal/engine/canon"
)

// maxElements is how many elements of an array are aligned; longer ones are compared by place.
const maxElements = 2000

// couple is an element of the one array and its partner in the other.
type couple struct{ a, b item }

// arrays compares two arrays, or what two elements have under one name: by place when that is enough, else as multisets, by
// key, or by likeness.
func (w *walker) arrays(ka, kb []int32, silent bool) {
	if len(ka) > maxElements || len(kb) > maxElements {
		w.longArrays(ka, kb, silent)
		return
	}
	if len(ka) == len(kb) && w.samePlaces(ka, kb) {
		w.byPlace(ka, kb, silent)
		return
	}
	w.hashes()
	xs, ys := items(ka), items(kb)
	if same, left, right := w.multiset(xs, ys); len(left)+len(right) == 0 {
		w.disorder(same)
		return
	}
	var pairs, known []couple
	var left, right []item
	if name := w.key(xs, ys); name != nil {
		pairs, left, right = w.join(xs, ys, name)
		known = pairs
	} else {
		known, left, right = w.multiset(xs, ys)
		pairs, left, right = w.pairUp(left, right)
		pairs = append(pairs, known...)
	}
	w.disorder(known)
	for _, p := range pairs {
		w.push(element(p.a.pos, silent))
		w.value(p.a.node, p.b.node)
		w.pop()
	}
	for _, m := range left {
		w.missing(element(m.pos, silent), m.node)
	}
	for _, m := range right {
		w.extra(element(m.pos, silent), m.node)
	}
}

func items(kids []int32) []item {
	out := make([]item, len(kids))
	for i, n := range kids {
		out[i] = item{n, int32(i)}
	}
	return out
}

// samePlaces says whether at most one place differs, and that by what its element holds, not by what it is known by.
func (w *walker) samePlaces(ka, kb []int32) bool {
	differ := -1
	for i := range ka {
		if canon.EqualNodes(w.a, ka[i], w.b, kb[i]) {
			continue
		}
		if differ >= 0 {
			return false
		}
		differ = i
	}
	return differ < 0 || !w.knownApart(ka[differ], kb[differ])
}

// knownApart says whether two elements have other values of the first name that usually identifies an element.
func (w *walker) knownApart(i, j int32) bool {
	for _, name := range canon.KeyNames() {
		x, y := keyValue(w.a, i, []byte(name)), keyValue(w.b, j, []byte(name))
		if x >= 0 || y >= 0 {
			return x < 0 || y < 0 || !canon.EqualNodes(w.a, x, w.b, y)
		}
	}
	return false
}

// byPlace compares elements with equal index, up to the cap.
func (w *walker) byPlace(ka, kb []int32, silent bool) {
	for i := range min(len(ka), maxElements) {
		s := element(int32(i), silent)
		s.lone = silent && len(ka) == 1
		w.push(s)
		w.value(ka[i], kb[i])
		w.pop()
	}
}

// longArrays compares arrays beyond the cap: their length, and where that is equal the elements by place, all behind the
// cap as one.
func (w *walker) longArrays(ka, kb []int32, silent bool) {
	if len(ka) != len(kb) {
		w.atNode(KindLength, UpTo(Format), found{class: "other",
			was: []byte(strconv.Itoa(len(ka)) + " elements"), is: []byte(strconv.Itoa(len(kb)) + " elements")})
		return
	}
	w.byPlace(ka, kb, silent)
	for i := maxElements; i < len(ka); i++ {
		if !canon.EqualNodes(w.a, ka[i], w.b, kb[i]) {
			w.push(element(int32(i), silent))
			w.atNode(KindValue, UpTo(Tolerant), found{class: "other", was: w.a.Show(ka[i]), is: w.b.Show(kb[i])})
			w.pop()
			return
		}
	}
}

// disorder records that elements which both arrays have stand in another order.
func (w *walker) disorder(pairs []couple) {
	for i := 1; i < len(pairs); i++ {
		if pairs[i-1].b.pos > pairs[i].b.pos {
			first := pairs[0]
			for _, p := range pairs {
				if p.b.pos < first.b.pos {
					first = p
				}
			}
			w.atNode(KindOrder, UpTo(Canonical), found{class: "order", model: "order",
				was: w.a.Show(pairs[0].a.node), is: w.b.Show(first.b.node)})
			return
		}
	}
}

// multiset pairs equal elements, the first of them with the first. Couples are in the order of xs.
func (w *walker) multiset(xs, ys []item) (same []couple, left, right []item) {
	places := make(map[uint64][]int, len(ys))
	for j, y := range ys {
		h := w.hb[y.node]
		places[h] = append(places[h], j)
	}
	taken := make([]bool, len(ys))
	for _, x := range xs {
		h := w.ha[x.node]
		q := places[h]
		if len(q) > 0 && canon.EqualNodes(w.a, x.node, w.b, ys[q[0]].node) {
			taken[q[0]] = true
			same = append(same, couple{x, ys[q[0]]})
			places[h] = q[1:]
		} else {
			left = append(left, x)
		}
	}
	for j, y := range ys {
		if !taken[j] {
			right = append(right, y)
		}
	}
	return same, left, right
}

// assign pairs equal items first, then the others by likeness.
func (w *walker) assign(xs, ys []item) (pairs []couple, left, right []item) {
	w.hashes()
	pairs, left, right = w.multiset(xs, ys)
	more, left, right := w.pairUp(left, right)
	return append(pairs, more...), left, right
}

// pairUp pairs items that are not equal: as many as there can be, so that a change of value does not look like one thing
// gone and another come.
func (w *walker) pairUp(xs, ys []item) (pairs []couple, left, right []item) {
	if len(xs) == 0 || len(ys) == 0 {
		return nil, xs, ys
	}
	if len(xs) <= maxAssigned && len(ys) <= maxAssigned && len(xs)+len(ys) > 2 && w.containers(xs, ys) {
		return w.likeliest(xs, ys)
	}
	n := min(len(xs), len(ys))
	for i := range n {
		pairs = append(pairs, couple{xs[i], ys[i]})
	}
	return pairs, xs[n:], ys[n:]
}

// containers says whether there is anything in the items that could make one likelier than another.
func (w *walker) containers(xs, ys []item) bool {
	for _, x := range xs {
		if w.a.Scalar(x.node) {
			return false
		}
	}
	for _, y := range ys {
		if w.b.Scalar(y.node) {
			return false
		}
	}
	return true
}
