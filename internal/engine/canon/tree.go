// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"strconv"
)

// Type is the type of a value: those of JSON, and one for what is marked up by names that may repeat.
type Type uint8

// The types.
const (
	Null Type = iota
	Bool
	Number
	String
	Array
	Object
	Element // of XML and HTML, a message of protobuf, a part: an object whose members' names may occur more than once
)

// TextName is the name under which an element has text, or a part its content. It is not written in paths.
const TextName = "#text"

// String is the type's name for people.
func (t Type) String() string {
	return [...]string{"null", "boolean", "number", "string", "array", "object", "element", "?"}[min(t, Element+1)]
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
	tag  Tag
}

// Tag tells apart values of one type that are not written alike where they come from.
type Tag uint8

// The tags: how a value of protobuf is written when no descriptor says what it is. Zero is everywhere else.
const (
	TagVarint Tag = iota + 1
	TagFixed32
	TagFixed64
	TagBytes // text, bytes and messages are written alike: which of them a value is was guessed from the value
	TagGroup
)

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

// Tag is the node's tag.
func (t *Tree) Tag(i int32) Tag { return t.nodes[i].tag }

// Children are the elements of an array in order, or the members of an object ordered by name; those of an element that
// have one name are in their order. Not to be changed.
func (t *Tree) Children(i int32) []int32 {
	nd := &t.nodes[i]
	return t.order[nd.ord : nd.ord+nd.n]
}

// Next is the node behind i and all that is in it: what follows in the order of the document.
func (t *Tree) Next(i int32) int32 { return i + int32(t.nodes[i].size) }

// Scalar says whether the node is neither array nor object nor element.
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
	if x.typ != y.typ || x.tag != y.tag || x.n != y.n || x.size != y.size {
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
	case Element:
		return equalElements(a, i, b, j)
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

// equalElements compares the children of two elements in the order of the documents, which is part of their value.
func equalElements(a *Tree, i int32, b *Tree, j int32) bool {
	p, q := i+1, j+1
	for range a.nodes[i].n {
		if !bytes.Equal(a.Key(p), b.Key(q)) || !EqualNodes(a, p, b, q) {
			return false
		}
		p, q = a.Next(p), b.Next(q)
	}
	return true
}

// maxShown is about how much of a value Show writes.
const maxShown = 240

// Show is the value for people: as it is spelled in the source where that is text, else the beginning of it in a notation
// like JSON's. Not to be changed.
func (t *Tree) Show(i int32) []byte {
	if raw := t.Raw(i); len(raw) > 0 || t.Scalar(i) {
		return raw
	}
	return t.appendShown(nil, i)
}

func (t *Tree) appendShown(dst []byte, i int32) []byte {
	switch typ := t.Type(i); {
	case len(dst) > maxShown:
		return dst
	case typ == String:
		return strconv.AppendQuote(dst, string(t.Text(i)[:min(len(t.Text(i)), maxShown)]))
	case t.Scalar(i):
		return append(dst, t.Text(i)...)
	}
	brackets := "{}"
	if t.Type(i) == Array {
		brackets = "[]"
	}
	dst = append(dst, brackets[0])
	for k, c := range t.Children(i) {
		if k > 0 {
			dst = append(dst, ", "...)
		}
		if len(dst) > maxShown {
			return append(dst, "…"...)
		}
		if key := t.Key(c); len(key) > 0 && string(key) != TextName {
			dst = append(append(dst, key[:min(len(key), maxShown)]...), ": "...)
		}
		dst = t.appendShown(dst, c)
	}
	return append(dst, brackets[1])
}
