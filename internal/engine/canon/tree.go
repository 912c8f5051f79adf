// SPDX-License-Identifier: Apache-2.0

package canon

import "bytes"

// Type is a JSON type.
type Type uint8

// The types.
const (
	Null Type = iota
	Bool
	Number
	String
	Array
	Object
)

// String is the type's name for people.
func (t Type) String() string {
	return [...]string{"null", "boolean", "number", "string", "array", "object", "?"}[min(t, Object+1)]
}

// span is a piece of the source, or of aux where the source had escapes.
type span struct {
	off, n uint32
	aux    bool
}

// node is one value. Nodes stand in document order: the children of node i are i+1, then each one size after the last.
type node struct {
	key  span   // member name, unescaped
	text span   // unescaped string, or the raw scalar
	raw  span   // as spelled in the source, containers too
	size uint32 // nodes in this subtree, itself included
	n    uint32 // children
	ord  uint32 // where the children's indices start in Tree.order
	typ  Type
}

// Tree is a document as one slice of nodes: no maps, no pointers. Node 0 is the root. Members of an object are listed in
// the order of their names, so that two objects are compared by one walk.
type Tree struct {
	src, aux []byte
	nodes    []node
	order    []int32
}

func (t *Tree) bytes(s span) []byte {
	if s.aux {
		return t.aux[s.off : s.off+s.n]
	}
	return t.src[s.off : s.off+s.n]
}

// Len is the number of nodes.
func (t *Tree) Len() int { return len(t.nodes) }

// Type is the node's JSON type.
func (t *Tree) Type(i int32) Type { return t.nodes[i].typ }

// Raw is the value as spelled in the source. Not to be changed.
func (t *Tree) Raw(i int32) []byte { return t.bytes(t.nodes[i].raw) }

// Text is a string's content with escapes undone, and the raw text of any other scalar. Not to be changed.
func (t *Tree) Text(i int32) []byte { return t.bytes(t.nodes[i].text) }

// Key is the member name under which the node stands in its object. Not to be changed.
func (t *Tree) Key(i int32) []byte { return t.bytes(t.nodes[i].key) }

// Children are the elements of an array in order, or the members of an object ordered by name. Not to be changed.
func (t *Tree) Children(i int32) []int32 {
	nd := &t.nodes[i]
	return t.order[nd.ord : nd.ord+nd.n]
}

// Scalar says whether the node is neither array nor object.
func (t *Tree) Scalar(i int32) bool { return t.nodes[i].typ < Array }

// Member is the object's member of that name, or -1.
func (t *Tree) Member(object int32, name []byte) int32 {
	kids := t.Children(object)
	lo, hi := 0, len(kids)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if bytes.Compare(t.Key(kids[mid]), name) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(kids) && bytes.Equal(t.Key(kids[lo]), name) {
		return kids[lo]
	}
	return -1
}

// EqualNodes says whether two subtrees have the same canonical value. Its recursion is as deep as the trees, which parse
// bounds.
func EqualNodes(a *Tree, i int32, b *Tree, j int32) bool {
	x, y := &a.nodes[i], &b.nodes[j]
	if x.typ != y.typ || x.n != y.n || x.size != y.size {
		return false
	}
	switch x.typ {
	case Null:
		return true
	case Bool:
		return bytes.Equal(a.bytes(x.text), b.bytes(y.text))
	case Number:
		return EqualNumbers(a.bytes(x.text), b.bytes(y.text))
	case String:
		return EqualStrings(a.bytes(x.text), b.bytes(y.text))
	default: // a container: its children
	}
	ka, kb := a.Children(i), b.Children(j)
	for k := range ka {
		if x.typ == Object && !bytes.Equal(a.Key(ka[k]), b.Key(kb[k])) {
			return false
		}
		if !EqualNodes(a, ka[k], b, kb[k]) {
			return false
		}
	}
	return true
}
