// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Step is one step into a document: a member's name, or an element's index.
type Step struct {
	Name  []byte
	Index int32
	Array bool
}

// Pair is one place at which two documents are not written alike, with the value that each has there.
type Pair struct {
	Path []Step
	A, B []byte
}

const (
	maxPairs   = 256 // places; beyond that trees are cheaper
	maxMembers = 64  // of an object that is read in lock-step: every name is looked for among those before it
	maxKnown   = 500 // elements that are told apart by their ids
)

// Lockstep reads two JSON documents side by side and gives the smallest values that hold all that is not alike, without
// building trees: bytes that both have are read once. What is not among the pairs is byte for byte the same but for white
// space between tokens. An array of which more than one element differs is one pair, and so is an object whose members are not
// in the same order; so is an array in which an element changed what it is known by. It gives false when a document is not
// JSON or beyond the limits in depth, or when trees are the better way; then nothing is known.
func Lockstep(a, b []byte, l Limits) ([]Pair, bool) {
	l = l.withDefaults()
	bom := []byte("\xef\xbb\xbf")
	w := lock{
		a: bytes.TrimPrefix(a, bom), b: bytes.TrimPrefix(b, bom), depth: l.Depth,
		path: make([]step, 0, 16), names: make([]piece, 0, 48), ids: make([]piece, 0, 64),
	}
	if !utf8.Valid(w.a) || !utf8.Valid(w.b) {
		return nil, false
	}
	w.space()
	if !w.value() {
		return nil, false
	}
	w.space()
	return w.out, w.i == len(w.a) && w.i+w.shift == len(w.b)
}

// piece is a piece of a; the zero one is none.
type piece struct{ from, to uint32 }

// step is a Step as it is noted on the way: the name's piece, or the index. There are no pointers in it, since most are never
// looked at again.
type step struct {
	name  piece
	index int32 // -1 for a member
}

// lock is where the reading is: at i of a and at i+shift of b. From i to same both are the same bytes; when same is not
// beyond i, they differ at i, or that has yet to be looked at.
type lock struct {
	a, b           []byte
	i, shift, same int
	path           []step
	names          []piece // of the objects that are open
	out            []Pair
	id             piece   // of the object that was read last, when it has one that is the same on both sides
	ids            []piece // of the elements that were read, of the arrays that are open
	depth          int
	again          int // bytes read again because an object or array turned out not to be alike
}

// space skips white space on both sides, and looks how far both are the same from there.
func (w *lock) space() {
	i := space(w.a, w.i)
	if i < w.same {
		w.i = i
		return
	}
	// Where the sameness ends within white space, either side may have more of it.
	j := space(w.b, min(w.i+w.shift, len(w.b)))
	w.at(i, j)
	w.same = i + sameBytes(w.a[i:], w.b[j:])
}

// at goes on from i and j, of which nothing is known yet.
func (w *lock) at(i, j int) { w.i, w.shift, w.same = i, j-i, i }

// sameBytes is the length of the common beginning.
func sameBytes(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)>>3
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// both takes one byte that both have.
func (w *lock) both(c byte) bool {
	if w.i < w.same && w.a[w.i] == c {
		w.i++
		return true
	}
	return false
}

// value reads a value on both sides.
func (w *lock) value() bool {
	if w.i < w.same {
		switch w.a[w.i] {
		case '{':
			return len(w.path) < w.depth && w.object()
		case '[':
			return len(w.path) < w.depth && w.array()
		}
		end, err := scalarEnd(w.a, w.i)
		if err != nil {
			return false
		}
		// A string ends with its quote; a number or a word has ended only if what follows is the same, too.
		if end < w.same || end == w.same && w.a[w.i] == '"' {
			w.i = end
			return true
		}
	}
	return w.differs(w.i, w.i+w.shift)
}

// differs reads a value from i and j on each side, and notes it when it is not the same.
func (w *lock) differs(i, j int) bool {
	ei, errA := valueEnd(w.a, i, w.depth-len(w.path))
	ej, errB := valueEnd(w.b, j, w.depth-len(w.path))
	if errA != nil || errB != nil {
		return false
	}
	w.at(ei, ej)
	w.id = piece{}
	if !bytes.Equal(w.a[i:ei], w.b[j:ej]) {
		if len(w.out) >= maxPairs {
			return false
		}
		w.out = append(w.out, Pair{Path: w.steps(), A: w.a[i:ei], B: w.b[j:ej]})
	}
	return true
}

func (w *lock) text(p piece) []byte { return w.a[p.from:p.to] }

// steps is the path to where the reading is.
func (w *lock) steps() []Step {
	out := make([]Step, len(w.path))
	for i, s := range w.path {
		if s.index >= 0 {
			out[i] = Step{Index: s.index, Array: true}
		} else {
			out[i] = Step{Name: w.text(s.name)}
		}
	}
	return out
}

// mark is what to return to when a container is not alike.
type mark struct{ i, j, out, path, names, ids int }

func (w *lock) mark() mark {
	return mark{i: w.i, j: w.i + w.shift, out: len(w.out), path: len(w.path), names: len(w.names), ids: len(w.ids)}
}

// whole makes the container that began at m one pair.
func (w *lock) whole(m mark) bool {
	w.again += w.i - m.i
	w.out, w.path, w.names, w.ids = w.out[:m.out], w.path[:m.path], w.names[:m.names], w.ids[:m.ids]
	return w.again <= 2*len(w.a)+4096 && w.differs(m.i, m.j)
}

func (w *lock) object() bool {
	m := w.mark()
	w.i++
	w.space()
	w.id = piece{}
	if w.both('}') {
		return true
	}
	var id piece
	seen := uint64(0)
	for {
		if w.i >= len(w.a) {
			return false
		}
		i := w.i
		if w.a[i] != '"' {
			return w.whole(m)
		}
		end, escaped, err := stringEnd(w.a, i)
		if err != nil {
			return false
		}
		at := piece{uint32(i + 1), uint32(end - 1)}
		name := w.text(at)
		if end > w.same || escaped || len(w.names)-m.names >= maxMembers {
			return w.whole(m)
		}
		if bit := nameBit(name); seen&bit == 0 {
			seen |= bit
		} else if w.named(name, m.names) {
			return false
		}
		w.names = append(w.names, at)
		w.path = append(w.path, step{name: at, index: -1})
		w.i = end
		w.space()
		if !w.both(':') {
			return false
		}
		w.space()
		from, before := w.i, len(w.out)
		if !w.value() {
			return false
		}
		if string(name) == "id" && len(w.out) == before {
			id = w.plainID(from, w.i)
		}
		w.path = w.path[:m.path]
		w.space()
		switch {
		case w.both(','):
			w.space()
		case w.both('}'):
			w.names, w.id = w.names[:m.names], id
			return true
		default:
			return w.whole(m)
		}
	}
}

// nameBit is one of 64, so that most names are known to be new without a search.
func nameBit(name []byte) uint64 {
	h := uint(len(name)) * 7
	if n := len(name); n > 0 {
		h += uint(name[0]) + 31*uint(name[n-1]) + 5*uint(name[n/2])
	}
	return 1 << (h & 63)
}

func (w *lock) named(name []byte, from int) bool {
	for _, n := range w.names[from:] {
		if bytes.Equal(w.text(n), name) {
			return true
		}
	}
	return false
}

func (w *lock) array() bool {
	m := w.mark()
	w.i++
	w.space()
	if w.both(']') {
		return true
	}
	different, known := 0, true
	for n := int32(0); ; n++ {
		w.path = append(w.path, step{index: n})
		before := len(w.out)
		w.id = piece{}
		object := w.i < w.same && w.a[w.i] == '{'
		if !w.value() {
			return false
		}
		id := w.id
		if !object {
			id = piece{}
		}
		known = known && id != piece{} && n < maxKnown
		if known {
			w.ids = append(w.ids, id)
		}
		if len(w.out) > before {
			different++
			if (id == piece{}) && w.identity(before) {
				return w.whole(m)
			}
		}
		if different > 1 && !known {
			return w.whole(m)
		}
		w.path = w.path[:m.path]
		w.space()
		switch {
		case w.both(','):
			w.space()
		case w.both(']'):
			if different > 1 && !w.distinct(w.ids[m.ids:]) {
				return w.whole(m)
			}
			w.ids, w.id = w.ids[:m.ids], piece{}
			return true
		default:
			return w.whole(m)
		}
	}
}

// plainID is a value that identifies something, when equal ones are spelled alike: ASCII without escapes, or a whole number.
func (w *lock) plainID(from, to int) piece {
	if from >= to {
		return piece{}
	}
	text := w.a[from] == '"'
	for _, c := range w.a[from:to] {
		if text && (c >= 0x80 || c == '\\') || !text && c-'0' > 9 {
			return piece{}
		}
	}
	return piece{uint32(from), uint32(to)}
}

// distinct says whether no id occurs twice. It reorders them.
func (w *lock) distinct(ids []piece) bool {
	slices.SortFunc(ids, func(x, y piece) int { return bytes.Compare(w.text(x), w.text(y)) })
	for i := 1; i < len(ids); i++ {
		if bytes.Equal(w.text(ids[i-1]), w.text(ids[i])) {
			return false
		}
	}
	return true
}

// identity says whether the element that was just read may be another one than its counterpart, rather than the same with
// another content: the pairs from there on are what differs in it.
func (w *lock) identity(from int) bool {
	for _, p := range w.out[from:] {
		switch len(p.Path) - len(w.path) {
		case 0:
			if p.A[0] == '{' && p.B[0] == '{' {
				return true
			}
		case 1:
			if s := p.Path[len(w.path)]; !s.Array && isKeyName(string(s.Name)) {
				return true
			}
		}
	}
	return false
}

// KeyNames are members that usually identify an element of an array, best first.
func KeyNames() []string {
	return []string{"id", "_id", "key", "code", "sku", "slug", "name", "type"}
}

func isKeyName(name string) bool {
	switch name {
	case "id", "_id", "key", "code", "sku", "slug", "name", "type":
		return true
	}
	return false
}
