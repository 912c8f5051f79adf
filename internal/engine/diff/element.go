// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"

	"microstax/internal/engine/canon"
)

// elements compares two elements: what they have under each name as an array, and the order of different names.
func (w *walker) elements(i, j int32) {
	ka, kb := w.a.Children(i), w.b.Children(j)
	ordered := len(ka) == len(kb)
	for len(ka) > 0 || len(kb) > 0 {
		var name []byte
		if len(kb) == 0 || len(ka) > 0 && bytes.Compare(w.a.Key(ka[0]), w.b.Key(kb[0])) <= 0 {
			name = w.a.Key(ka[0])
		} else {
			name = w.b.Key(kb[0])
		}
		xs, restA := ofName(w.a, ka, name)
		ys, restB := ofName(w.b, kb, name)
		ka, kb = restA, restB
		ordered = ordered && len(xs) == len(ys)
		w.push(named(name))
		w.arrays(xs, ys, true)
		w.pop()
	}
	if ordered {
		w.sequence(i, j)
	}
}

// ofName splits off the first children, which are all that have the name.
func ofName(t *canon.Tree, kids []int32, name []byte) (of, rest []int32) {
	n := 0
	for n < len(kids) && bytes.Equal(t.Key(kids[n]), name) {
		n++
	}
	return kids[:n], kids[n:]
}

// sequence records that children of different names stand in another order.
func (w *walker) sequence(i, j int32) {
	p, q := i+1, j+1
	for range w.a.Children(i) {
		if !bytes.Equal(w.a.Key(p), w.b.Key(q)) {
			w.atNode(KindOrder, UpTo(Canonical), found{class: "order", model: "order", was: w.a.Show(p), is: w.b.Show(q)})
			return
		}
		p, q = w.a.Next(p), w.b.Next(q)
	}
}
