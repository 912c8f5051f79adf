// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"
	"math"

	"microstax/internal/engine/canon"
)

// maxAssigned is up to how many elements of each side the best assignment is computed; it costs the cube.
const maxAssigned = 64

// key is the name of a scalar member that identifies the elements on both sides, or nil: all elements are objects and
// have it, no value occurs twice on a side, and the sides share values. Identifiers made up afresh share none.
func (w *walker) key(xs, ys []item) []byte {
	if len(xs) == 0 || len(ys) == 0 {
		return nil
	}
	for _, name := range canon.KeyNames() {
		if share := w.shared(xs, ys, []byte(name)); share > 0 {
			return []byte(name)
		}
	}
	if w.a.Type(xs[0].node) < canon.Object {
		return nil
	}
	var best []byte
	most := 0.5 // an arbitrary member must identify most elements, else values that happen to be equal would
	for _, m := range w.a.Children(xs[0].node) {
		name := w.a.Key(m)
		share := w.shared(xs, ys, name)
		if share > most || share == most && best != nil && len(name) < len(best) {
			best, most = name, share
		}
	}
	return best
}

// shared is the share of key values that both sides have, 0 when the member is no key.
func (w *walker) shared(xs, ys []item, name []byte) float64 {
	seen := make(map[uint64]bool, len(xs))
	for _, x := range xs {
		k := keyValue(w.a, x.node, name)
		if k < 0 || seen[w.ha[k]] {
			return 0
		}
		seen[w.ha[k]] = true
	}
	both := 0
	other := make(map[uint64]bool, len(ys))
	for _, y := range ys {
		k := keyValue(w.b, y.node, name)
		if k < 0 || other[w.hb[k]] {
			return 0
		}
		other[w.hb[k]] = true
		if seen[w.hb[k]] {
			both++
		}
	}
	return float64(both) / float64(len(xs)+len(ys)-both)
}

// keyValue is the scalar that a container has under the name, or -1: its member, its attribute, or the text of the only
// element of that name.
func keyValue(t *canon.Tree, i int32, name []byte) int32 {
	if t.Type(i) < canon.Object {
		return -1
	}
	m := t.Member(i, name)
	if m < 0 && t.Type(i) == canon.Element && name[0] != '@' {
		m = t.Member(i, append([]byte{'@'}, name...))
	}
	if m >= 0 && t.Type(m) == canon.Element {
		if kids := t.Children(m); len(kids) == 1 && string(t.Key(kids[0])) == canon.TextName {
			m = kids[0]
		}
	}
	if m < 0 || t.Type(m) != canon.String && t.Type(m) != canon.Number {
		return -1
	}
	return m
}

// join pairs elements whose key is the same. Couples are in the order of xs.
func (w *walker) join(xs, ys []item, name []byte) (pairs []couple, left, right []item) {
	at := make(map[uint64]item, len(ys))
	for _, y := range ys {
		at[w.hb[keyValue(w.b, y.node, name)]] = y
	}
	for _, x := range xs {
		h := w.ha[keyValue(w.a, x.node, name)]
		if y, ok := at[h]; ok {
			pairs = append(pairs, couple{x, y})
			delete(at, h)
		} else {
			left = append(left, x)
		}
	}
	for _, y := range ys {
		if _, ok := at[w.hb[keyValue(w.b, y.node, name)]]; ok {
			right = append(right, y)
		}
	}
	return pairs, left, right
}

// likeliest pairs items so that as little as possible differs. Whichever side is called the baseline, the pairs are the
// same: the smaller side has the rows, and among equals the one with the smaller hash.
func (w *walker) likeliest(xs, ys []item) (pairs []couple, left, right []item) {
	flip := len(xs) > len(ys) || len(xs) == len(ys) && w.sum(w.ha, xs) > w.sum(w.hb, ys)
	rows, cols := len(xs), len(ys)
	if flip {
		rows, cols = cols, rows
	}
	cost := make([]int64, rows*cols)
	for r := range rows {
		for q := range cols {
			x, y := r, q
			if flip {
				x, y = q, r
			}
			unlike := int64(math.Round(1000 * (1 - w.likeness(xs[x].node, ys[y].node))))
			cost[r*cols+q] = unlike<<12 + int64(abs(xs[x].pos-ys[y].pos))
		}
	}
	partner := hungarian(cost, rows, cols)
	if flip {
		inverse := make([]int, cols)
		for i := range inverse {
			inverse[i] = -1
		}
		for r, q := range partner {
			inverse[q] = r
		}
		partner = inverse
	}
	taken := make([]bool, len(ys))
	for i, j := range partner {
		if j < 0 {
			left = append(left, xs[i])
			continue
		}
		taken[j] = true
		pairs = append(pairs, couple{xs[i], ys[j]})
	}
	for j, y := range ys {
		if !taken[j] {
			right = append(right, y)
		}
	}
	return pairs, left, right
}

func (w *walker) sum(h []uint64, items []item) uint64 {
	s := uint64(0)
	for i, m := range items {
		s += h[m.node] * uint64(2*i+1)
	}
	return s
}

func abs(n int32) int32 { return max(n, -n) }

// likeness is how much of two containers is the same, from 0 to 1: members or elements that are equal count whole, those
// that are at least of one type a little.
func (w *walker) likeness(i, j int32) float64 {
	if w.a.Type(i) != w.b.Type(j) {
		return 0
	}
	ka, kb := w.a.Children(i), w.b.Children(j)
	if len(ka)+len(kb) == 0 {
		return 1
	}
	score, all := 0.0, 0
	object := w.a.Type(i) >= canon.Object
	for p, q := 0, 0; p < len(ka) || q < len(kb); all++ {
		order := 0
		switch {
		case q == len(kb):
			order = -1
		case p == len(ka):
			order = 1
		case object:
			order = bytes.Compare(w.a.Key(ka[p]), w.b.Key(kb[q]))
		}
		switch {
		case order < 0:
			p++
		case order > 0:
			q++
		default:
			if w.ha[ka[p]] == w.hb[kb[q]] {
				score++
			} else if w.a.Type(ka[p]) == w.b.Type(kb[q]) {
				score += 0.25
			}
			p, q = p+1, q+1
		}
	}
	return score / float64(all)
}

// hungarian gives each row the column so that the sum of costs is least; rows must not outnumber columns. (Kuhn 1955, in
// the form with potentials: cubic.)
func hungarian(cost []int64, rows, cols int) []int {
	u, v := make([]int64, rows+1), make([]int64, cols+1)
	row := make([]int, cols+1) // which row has the column; index 0 stands for none
	way := make([]int, cols+1)
	least, used := make([]int64, cols+1), make([]bool, cols+1)
	for r := 1; r <= rows; r++ {
		row[0] = r
		for j := range least {
			least[j], used[j] = math.MaxInt64, false
		}
		at := 0
		for row[at] != 0 {
			used[at] = true
			delta, next := int64(math.MaxInt64), 0
			for j := 1; j <= cols; j++ {
				if used[j] {
					continue
				}
				if d := cost[(row[at]-1)*cols+j-1] - u[row[at]] - v[j]; d < least[j] {
					least[j], way[j] = d, at
				}
				if least[j] < delta {
					delta, next = least[j], j
				}
			}
			for j := 0; j <= cols; j++ {
				if used[j] {
					u[row[j]] += delta
					v[j] -= delta
				} else {
					least[j] -= delta
				}
			}
			at = next
		}
		for at != 0 {
			row[at], at = row[way[at]], way[at]
		}
	}
	out := make([]int, rows)
	for j := 1; j <= cols; j++ {
		if row[j] > 0 {
			out[row[j]-1] = j - 1
		}
	}
	return out
}
