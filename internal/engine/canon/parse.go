// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Parse reads one JSON document, strictly (RFC 8259; UTF-8 only, no duplicate names), within the limits. The tree refers
// to data.
func Parse(data []byte, l Limits) (*Tree, error) { return parse(data, false, l.withDefaults()) }

// builder makes a tree from a stream of tokens.
type builder struct {
	t     *Tree
	lim   Limits
	open  []int32 // containers not yet closed, outermost first
	key   span    // name read, its value not yet
	named bool
}

// parse reads one document, or with many any number of them into a synthetic array.
func parse(data []byte, many bool, l Limits) (*Tree, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	t := &Tree{src: data[:len(data):len(data)], nodes: make([]node, 0, min(l.Nodes, len(data)/12+4))}
	b := &builder{t: t, lim: l}
	if many {
		t.nodes = append(t.nodes, node{typ: Array, raw: span{n: uint32(len(data))}})
		b.open = append(b.open, 0)
	}
	// Names are checked here when members are sorted; the decoder would keep a map for it.
	dec := jsontext.NewDecoder(bytes.NewBuffer(t.src), jsontext.AllowDuplicateNames(true))
	for {
		err := b.next(dec)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("parse JSON: %w", err)
		}
		if !many && len(b.open) == 0 && t.nodes[0].size < uint32(len(t.nodes)) {
			return nil, errors.New("parse JSON: more than one document")
		}
	}
	if many {
		if err := b.shut(0, 0, int64(len(data))); err != nil {
			return nil, fmt.Errorf("parse JSON: %w", err)
		}
	}
	if len(t.nodes) == 0 {
		return nil, errors.New("parse JSON: no document")
	}
	return t, nil
}

// next takes one token.
func (b *builder) next(dec *jsontext.Decoder) error {
	switch kind := dec.PeekKind(); kind {
	case '{', '[':
		if _, err := dec.ReadToken(); err != nil {
			return err
		}
		if len(b.open) >= b.lim.Depth {
			return fmt.Errorf("nested more than %d deep", b.lim.Depth)
		}
		typ := Object
		if kind == '[' {
			typ = Array
		}
		i, err := b.add(typ, span{off: uint32(dec.InputOffset()) - 1})
		b.open = append(b.open, i)
		return err
	case '}', ']':
		if _, err := dec.ReadToken(); err != nil {
			return err
		}
		i := b.open[len(b.open)-1]
		b.open = b.open[:len(b.open)-1]
		return b.shut(i, int64(b.t.nodes[i].raw.off), dec.InputOffset())
	default:
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		return b.scalar(kind, raw, dec.InputOffset())
	}
}

// scalar takes a member name or a scalar value that ends at offset end.
func (b *builder) scalar(kind jsontext.Kind, raw jsontext.Value, end int64) error {
	at := span{off: uint32(end) - uint32(len(raw)), n: uint32(len(raw))}
	if kind != '"' {
		typ := Null
		switch kind {
		case 't', 'f':
			typ = Bool
		case '0':
			typ = Number
		default: // null
		}
		i, err := b.add(typ, at)
		b.t.nodes[i].text = at
		return err
	}
	text, err := b.unquote(raw, at)
	if err != nil {
		return err
	}
	if n := len(b.open); n > 0 && !b.named && b.t.nodes[b.open[n-1]].typ == Object {
		b.key, b.named = text, true
		return nil
	}
	i, err := b.add(String, at)
	b.t.nodes[i].text = text
	return err
}

func (b *builder) unquote(raw jsontext.Value, at span) (span, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return span{off: at.off + 1, n: at.n - 2}, nil
	}
	off := len(b.t.aux)
	aux, err := jsontext.AppendUnquote(b.t.aux, []byte(raw))
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
	b.key, b.named = span{}, false
	if n := len(b.open); n > 0 {
		b.t.nodes[b.open[n-1]].n++
	}
	if len(b.t.nodes) > b.lim.Nodes {
		return i, fmt.Errorf("more than %d values", b.lim.Nodes)
	}
	return i, nil
}

// shut closes container i, whose source is from start to end: its children are listed, those of an object by name.
func (b *builder) shut(i int32, start, end int64) error {
	t := b.t
	nd := &t.nodes[i]
	nd.size = uint32(len(t.nodes)) - uint32(i)
	nd.raw = span{off: uint32(start), n: uint32(end - start)}
	nd.ord = uint32(len(t.order))
	sorted := true
	for c, last := i+1, int32(-1); c < int32(len(t.nodes)); c += int32(t.nodes[c].size) {
		if nd.typ == Object && last >= 0 && bytes.Compare(t.Key(last), t.Key(c)) >= 0 {
			sorted = false
		}
		t.order = append(t.order, c)
		last = c
	}
	if sorted {
		return nil
	}
	kids := t.order[nd.ord:]
	slices.SortFunc(kids, func(x, y int32) int { return bytes.Compare(t.Key(x), t.Key(y)) })
	for k := 1; k < len(kids); k++ {
		if bytes.Equal(t.Key(kids[k-1]), t.Key(kids[k])) {
			return fmt.Errorf("duplicate member %.40q", t.Key(kids[k]))
		}
	}
	return nil
}
