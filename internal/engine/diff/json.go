// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"

	"microstax/internal/engine/canon"
)

// walker compares two trees.
type walker struct {
	*collector
	a, b   *canon.Tree
	ha, hb []uint64 // hashes of the subtrees; made when the first arrays need them
}

// trees compares two documents.
func (c *collector) trees(a, b *canon.Tree) {
	w := &walker{collector: c, a: a, b: b}
	w.value(0, 0)
}

func (w *walker) hashes() {
	if w.ha == nil {
		w.ha, w.hb = w.a.Hashes(), w.b.Hashes()
	}
}

func (w *walker) push(s seg) { w.segs = append(w.segs, s) }
func (w *walker) pop()       { w.segs = w.segs[:len(w.segs)-1] }

// value compares the node i of the one tree with node j of the other. The recursion is as deep as the trees, which the
// parser bounds.
func (w *walker) value(i, j int32) {
	if w.full {
		return
	}
	ta, tb := w.a.Type(i), w.b.Type(j)
	switch {
	case w.a.Tag(i) == canon.TagBytes && w.b.Tag(j) == canon.TagBytes && ta != tb:
		// One of them was taken for a message, the other for text or bytes: what they are is not known.
		w.atNode(KindValue, UpTo(Format), found{class: "other", was: w.a.Show(i), is: w.b.Show(j)})
	case w.a.Tag(i) != w.b.Tag(j):
		w.atNode(KindType, UpTo(Type), found{class: "type", was: w.a.Show(i), is: w.b.Show(j)})
	case ta != tb || ta < canon.Array:
		w.scalars(w.a, i, w.b, j)
	case bytes.Equal(w.a.Raw(i), w.b.Raw(j)) && len(w.a.Raw(i)) > 0 && ta == canon.Object:
		// The same bytes are the same value. (A form's object has no bytes of its own.)
	case ta == canon.Object:
		w.objects(w.a.Children(i), w.b.Children(j))
	case ta == canon.Element:
		w.elements(i, j)
	default:
		w.arrays(w.a.Children(i), w.b.Children(j), false)
	}
}

// item is an element of an array, or a member of an object, with its place for people.
type item struct {
	node int32
	pos  int32
}

// objects walks the members of both by name.
func (w *walker) objects(ka, kb []int32) {
	var restA, restB []item // members under a name made up afresh each time: they may have a partner of another name
	i, j := 0, 0
	for i < len(ka) || j < len(kb) {
		order := 0
		switch {
		case j == len(kb):
			order = -1
		case i == len(ka):
			order = 1
		default:
			order = bytes.Compare(w.a.Key(ka[i]), w.b.Key(kb[j]))
		}
		switch {
		case order < 0:
			if random(nameClass(w.a.Key(ka[i]))) {
				restA = append(restA, item{ka[i], 0})
			} else {
				w.missing(member(w.a.Key(ka[i])), ka[i])
			}
			i++
		case order > 0:
			if random(nameClass(w.b.Key(kb[j]))) {
				restB = append(restB, item{kb[j], 0})
			} else {
				w.extra(member(w.b.Key(kb[j])), kb[j])
			}
			j++
		default:
			w.push(member(w.a.Key(ka[i])))
			w.value(ka[i], kb[j])
			w.pop()
			i, j = i+1, j+1
		}
	}
	if len(restA)+len(restB) > 0 {
		w.renamed(restA, restB)
	}
}

// renamed pairs members whose names are fresh identifiers: those of one class by what they hold.
func (w *walker) renamed(as, bs []item) {
	for len(as) > 0 || len(bs) > 0 {
		class := ""
		if len(as) > 0 {
			class = nameClass(w.a.Key(as[0].node))
		} else {
			class = nameClass(w.b.Key(bs[0].node))
		}
		var xs, ys []item
		xs, as = parted(as, func(m item) bool { return nameClass(w.a.Key(m.node)) == class })
		ys, bs = parted(bs, func(m item) bool { return nameClass(w.b.Key(m.node)) == class })
		pairs, left, right := w.assign(xs, ys)
		for _, p := range pairs {
			w.push(member(w.a.Key(p.a.node)))
			w.atNode(KindValue, UpTo(Tolerant), found{class: "other", model: modelOfName(class), was: w.a.Key(p.a.node), is: w.b.Key(p.b.node)})
			w.value(p.a.node, p.b.node)
			w.pop()
		}
		for _, m := range left {
			w.missing(member(w.a.Key(m.node)), m.node)
		}
		for _, m := range right {
			w.extra(member(w.b.Key(m.node)), m.node)
		}
	}
}

func modelOfName(class string) string {
	if class == "time" {
		return "timestamp"
	}
	return canon.Model(class)
}

// parted splits items into those that hold and the others, in order.
func parted(items []item, holds func(item) bool) (yes, no []item) {
	for _, m := range items {
		if holds(m) {
			yes = append(yes, m)
		} else {
			no = append(no, m)
		}
	}
	return yes, no
}

func (w *walker) missing(s seg, i int32) {
	w.push(s)
	w.atNode(KindMissing, UpTo(Presence), found{class: "missing", was: w.a.Show(i)})
	w.pop()
}

func (w *walker) extra(s seg, j int32) {
	w.push(s)
	w.atNode(KindExtra, UpTo(Presence), found{class: "extra", is: w.b.Show(j)})
	w.pop()
}

// layout records that two documents of the same value are written differently, when nothing else differed since before.
func (c *collector) layout(before int, a, b []byte) {
	if c.emitted > before || bytes.Equal(a, b) {
		return
	}
	c.segs = c.segs[:0]
	was, is := around(a, b)
	c.atNode(KindValue, UpTo(Bytes), found{class: "other", was: was, is: is})
}
