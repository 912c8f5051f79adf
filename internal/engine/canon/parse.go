// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Parse reads one JSON document, strictly (RFC 8259; UTF-8 only, no duplicate names), within the limits. The tree refers
// to data.
func Parse(data []byte, l Limits) (*Tree, error) { return parse(data, false, l.withDefaults()) }

var errUTF8 = errors.New("invalid UTF-8")

// builder makes a tree from a source, front to back.
type builder struct {
	t    *Tree
	lim  Limits
	open []int32 // containers not yet closed, outermost first
	key  span    // name read, its value not yet
	mark string  // why something in it is compared more coarsely
}

// parse reads one document, or with many any number of them into a synthetic array.
func parse(data []byte, many bool, l Limits) (*Tree, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	t := &Tree{src: data[:len(data):len(data)], nodes: make([]node, 0, min(l.Nodes, len(data)/12+4))}
	b := &builder{t: t, lim: l}
	if err := b.documents(many); err != nil {
		return nil, fmt.Errorf("parse JSON: %w", err)
	}
	return t, nil
}

// documents reads the whole source.
func (b *builder) documents(many bool) error {
	src := b.t.src
	if !utf8.Valid(src) {
		return errUTF8
	}
	if many {
		if _, err := b.push(Array, 0); err != nil {
			return err
		}
	}
	i, n := space(src, 0), 0
	for ; i < len(src); n++ {
		if n > 0 && !many {
			return errors.New("more than one document")
		}
		var err error
		if i, err = b.value(i); err != nil {
			return err
		}
		i = space(src, i)
	}
	switch {
	case many:
		return b.pop(len(src))
	case n == 0:
		return errors.New("no document")
	}
	return nil
}

// value reads the value at i with all that is in it.
func (b *builder) value(i int) (int, error) {
	src, base := b.t.src, len(b.open)
	for {
		var err error
		if i, err = b.start(i); err != nil {
			return 0, err
		}
		for len(b.open) > base { // after a value, or at the end of an empty container
			if i = space(src, i); i >= len(src) {
				return 0, io.ErrUnexpectedEOF
			}
			closing := byte('}')
			if b.t.nodes[b.open[len(b.open)-1]].typ == Array {
				closing = ']'
			}
			if src[i] == closing {
				i++
				if err := b.pop(i); err != nil {
					return 0, err
				}
				continue
			}
			if src[i] != ',' {
				return 0, cutOr(src, i)
			}
			if i = space(src, i+1); closing == '}' {
				if i, err = b.name(i); err != nil {
					return 0, err
				}
			}
			break
		}
		if len(b.open) == base {
			return i, nil
		}
	}
}

// start reads a scalar at i, or opens containers down to the first scalar or an empty container.
func (b *builder) start(i int) (int, error) {
	src := b.t.src
	for {
		if i >= len(src) {
			return 0, io.ErrUnexpectedEOF
		}
		c := src[i]
		if c != '{' && c != '[' {
			return b.scalar(i)
		}
		typ := Object
		if c == '[' {
			typ = Array
		}
		if _, err := b.push(typ, i); err != nil {
			return 0, err
		}
		if i = space(src, i+1); i < len(src) && src[i] == c+2 {
			return i, nil
		}
		if c == '{' {
			var err error
			if i, err = b.name(i); err != nil {
				return 0, err
			}
		}
	}
}

// name reads a member's name at i.
func (b *builder) name(i int) (int, error) {
	src := b.t.src
	if i >= len(src) || src[i] != '"' {
		return 0, cutOr(src, i)
	}
	end, escaped, err := stringEnd(src, i)
	if err != nil {
		return 0, err
	}
	if b.key, err = b.unquote(i, end, escaped); err != nil {
		return 0, err
	}
	if i = space(src, end); i >= len(src) || src[i] != ':' {
		return 0, cutOr(src, i)
	}
	return space(src, i+1), nil
}

// scalar reads a scalar at i.
func (b *builder) scalar(i int) (int, error) {
	src := b.t.src
	var typ Type
	var end int
	var text span
	var err error
	switch c := src[i]; {
	case c == '"':
		var escaped bool
		if end, escaped, err = stringEnd(src, i); err != nil {
			return 0, err
		}
		typ = String
		if text, err = b.unquote(i, end, escaped); err != nil {
			return 0, err
		}
	case c == '-' || c-'0' <= 9:
		typ = Number
		end, err = numberEnd(src, i)
	default:
		end, typ, err = literalEnd(src, i)
	}
	if err != nil {
		return 0, err
	}
	raw := between(i, end)
	if typ != String {
		text = raw
	}
	at, err := b.add(typ, raw)
	b.t.nodes[at].text = text
	return end, err
}

func between(from, to int) span { return span{off: uint32(from), n: uint32(to - from)} }

func (b *builder) unquote(i, end int, escaped bool) (span, error) {
	if !escaped {
		return between(i+1, end-1), nil
	}
	off := len(b.t.aux)
	aux, err := jsontext.AppendUnquote(b.t.aux, b.t.src[i:end])
	if err != nil {
		return span{}, err
	}
	b.t.aux = aux
	return span{off: uint32(off), n: uint32(len(aux) - off), aux: true}, nil
}

// add appends a node under the innermost open container. Its index is valid even when there is an error.
func (b *builder) add(typ Type, raw span) (int32, error) {
	i := int32(len(b.t.nodes))
	b.t.nodes = append(b.t.nodes, node{typ: typ, raw: raw, size: 1, key: b.key})
	b.key = span{}
	if n := len(b.open); n > 0 {
		b.t.nodes[b.open[n-1]].n++
	}
	if len(b.t.nodes) > b.lim.Nodes {
		return i, fmt.Errorf("more than %d values", b.lim.Nodes)
	}
	return i, nil
}

// push opens a container whose source starts at i.
func (b *builder) push(typ Type, i int) (int32, error) {
	if len(b.open) >= b.lim.Depth {
		return 0, fmt.Errorf("nested more than %d deep", b.lim.Depth)
	}
	at, err := b.add(typ, between(i, i))
	b.open = append(b.open, at)
	return at, err
}

// pop closes the innermost container, whose source ends at end: its children are listed, those of an object by name.
func (b *builder) pop(end int) error {
	t, i := b.t, b.open[len(b.open)-1]
	b.open = b.open[:len(b.open)-1]
	nd := &t.nodes[i]
	nd.size = uint32(len(t.nodes)) - uint32(i)
	nd.raw = between(int(nd.raw.off), end)
	nd.ord = uint32(len(t.order))
	sorted := true
	for c, last := i+1, int32(-1); c < int32(len(t.nodes)); c += int32(t.nodes[c].size) {
		if nd.typ >= Object && last >= 0 && bytes.Compare(t.Key(last), t.Key(c)) >= 0 {
			sorted = false
		}
		t.order = append(t.order, c)
		last = c
	}
	if sorted {
		return nil
	}
	kids := t.order[nd.ord:]
	slices.SortStableFunc(kids, func(x, y int32) int { return bytes.Compare(t.Key(x), t.Key(y)) })
	for k := 1; nd.typ == Object && k < len(kids); k++ {
		if bytes.Equal(t.Key(kids[k-1]), t.Key(kids[k])) {
			return fmt.Errorf("duplicate member %.40q", t.Key(kids[k]))
		}
	}
	return nil
}
