// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// maxNested is how deep bodies may stand within bodies: a multipart part that is multipart itself.
const maxNested = 3

// newBuilder starts a tree whose texts are copied, or lie in src.
func newBuilder(src []byte, l Limits) *builder {
	return &builder{t: &Tree{src: src[:len(src):len(src)]}, lim: l}
}

// copied is a text that does not lie in the source.
func (b *builder) copied(text []byte) span {
	off := len(b.t.aux)
	b.t.aux = append(b.t.aux, text...)
	return span{off: uint32(off), n: uint32(len(text)), aux: true}
}

// begin opens a container under a name; "" is for elements of arrays and for the root.
func (b *builder) begin(name string, typ Type, tag Tag) error {
	b.key = b.copied([]byte(name))
	i, err := b.push(typ, 0)
	if err == nil {
		b.t.nodes[i].tag = tag
	}
	return err
}

// end closes what begin opened.
func (b *builder) end() error { return b.pop(0) }

// leaf adds a scalar under a name.
func (b *builder) leaf(name string, typ Type, tag Tag, text []byte) error {
	b.key = b.copied([]byte(name))
	at := b.copied(text)
	i, err := b.add(typ, at)
	b.t.nodes[i].text, b.t.nodes[i].tag = at, tag
	return err
}

func (b *builder) text(name, text string) error { return b.leaf(name, String, 0, []byte(text)) }

// left is what limits leave for a document within the one that is built.
func (b *builder) left() Limits {
	l := b.lim
	l.Nodes, l.Depth, l.nested = l.Nodes-len(b.t.nodes), l.Depth-len(b.open), l.nested+1
	return l
}

// graft adds a whole tree under a name.
func (b *builder) graft(name string, sub *Tree) error {
	if len(b.t.nodes)+len(sub.nodes) > b.lim.Nodes {
		return fmt.Errorf("more than %d values", b.lim.Nodes)
	}
	t := b.t
	key := b.copied([]byte(name))
	src, aux := uint32(len(t.aux)), uint32(len(t.aux)+len(sub.src))
	t.aux = append(append(t.aux, sub.src...), sub.aux...)
	moved := func(s span) span {
		if s.aux {
			s.off += aux
		} else {
			s.off += src
		}
		s.aux = true
		return s
	}
	at, order := int32(len(t.nodes)), uint32(len(t.order))
	for _, nd := range sub.nodes {
		nd.key, nd.text, nd.raw = moved(nd.key), moved(nd.text), moved(nd.raw)
		nd.ord += order
		t.nodes = append(t.nodes, nd)
	}
	for _, o := range sub.order {
		t.order = append(t.order, o+at)
	}
	t.nodes[at].key = key
	if n := len(b.open); n > 0 {
		t.nodes[b.open[n-1]].n++
	}
	return nil
}

// within adds a body that stands within another under a name, by its own media type, and as text or by length and hash
// where that cannot be.
func (b *builder) within(name, contentType string, data []byte, ctx Context) error {
	l := b.left()
	if l.nested <= maxNested && l.Nodes > 0 && l.Depth > 0 && len(data) > 0 {
		sub := Body{Media: MediaType(contentType), Data: data, contentType: contentType, ctx: ctx, lim: l}
		sub.Parse()
		if sub.Tree != nil {
			return b.graft(name, sub.Tree)
		}
		if b.mark == "" && sub.Mark != "" {
			b.mark = sub.Mark
		}
	}
	return b.plain(name, contentType, data)
}

// plain adds what has no structure: text as it is, anything else by length and hash.
func (b *builder) plain(name, contentType string, data []byte) error {
	kind, known := kindOf(MediaType(contentType))
	if kind == Text && known || isText(data) {
		if utf8.Valid(data) {
			return b.leaf(name, String, 0, bytes.TrimSuffix(data, []byte("\r\n")))
		}
	}
	return b.leaf(name, String, 0, fmt.Appendf(nil, "%d bytes, xxh64 %016x", len(data), xxhash.Sum64(data)))
}

func isText(data []byte) bool { return bytes.IndexByte(data, 0) < 0 && utf8.Valid(data) }

// tree is what was built, of which root is the only node at the top.
func (b *builder) tree(what string, err error) (*Tree, error) {
	switch {
	case err != nil:
		return nil, fmt.Errorf("parse %s: %w", what, err)
	case len(b.t.nodes) == 0:
		return nil, fmt.Errorf("parse %s: %w", what, errNothing)
	}
	return b.t, nil
}

var errNothing = errors.New("nothing in it")
