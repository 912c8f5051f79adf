// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"
	"cmp"
	"fmt"
	"math/bits"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"microstax/internal/engine/canon"
	"microstax/internal/exchange"
)

// side is one body with the headers that describe it.
type side struct {
	body    *exchange.Body
	headers []exchange.Header
	target  string // of the request
	request bool   // the body is the request's
}

// bodies compares two bodies, and says why it did so more coarsely than their media types ask for.
func (c *collector) bodies(a, b side, o *Options) (marks []string) {
	x, y := a.open(o), b.open(o)
	if x.Media == y.Media && x.Kind != canon.Whole && y.Kind != canon.Whole && bytes.Equal(x.Data, y.Data) && sameBoundary(a, b, &x) {
		return nil
	}
	if x.CouldBeJSON() && y.CouldBeJSON() && c.lockstep(&x, &y, o.Limits) {
		c.relations(&x, &y, o.Limits)
		return nil
	}
	x.Parse()
	y.Parse()
	for _, m := range []string{x.Mark, y.Mark} {
		if m != "" && (len(marks) == 0 || marks[0] != m) {
			marks = append(marks, m)
		}
	}
	if x.Kind == canon.Text && y.Sniffed || y.Kind == canon.Text && x.Sniffed {
		x.Kind, y.Kind = canon.Text, canon.Text // text that happens to be JSON on one side
	}
	switch {
	case x.Kind == canon.Empty || y.Kind == canon.Empty:
		c.emptiness(a, b, &x, &y)
	case x.Kind == canon.Whole || y.Kind == canon.Whole:
		c.wholes(a, b, &x, &y)
	case x.Tree != nil && y.Tree != nil && x.Kind == y.Kind:
		before := c.emitted
		c.trees(x.Tree, y.Tree)
		c.layout(before, x.Data, y.Data)
		if x.Kind == canon.JSON {
			c.relations(&x, &y, o.Limits)
		}
	case bytes.Equal(x.Data, y.Data):
	case x.Kind == canon.Text && y.Kind == canon.Text:
		c.texts(x.Data, y.Data)
	case x.Kind == canon.Binary && y.Kind == canon.Binary:
		if was, is := canon.Sniff(x.Data), canon.Sniff(y.Data); was != is {
			c.atBody(KindType, UpTo(Type), found{class: "type", was: describe(a, &x), is: describe(b, &y)})
			break
		}
		c.binaries(int64(len(x.Data)), int64(len(y.Data)), xxhash.Sum64(x.Data), xxhash.Sum64(y.Data))
	default:
		c.atBody(KindType, UpTo(Type), found{class: "type", was: describe(a, &x), is: describe(b, &y)})
	}
	return marks
}

func (s side) open(o *Options) canon.Body {
	return canon.Open(*s.body, s.headers, canon.Context{Descriptors: o.Descriptors, Target: s.target, Request: s.request}, o.Limits)
}

// sameBoundary says whether the same bytes mean the same: those of a multipart body do by what its media type says.
func sameBoundary(a, b side, x *canon.Body) bool {
	if x.Kind != canon.Multipart && x.Kind != canon.GRPC && x.Kind != canon.Protobuf {
		return true
	}
	was, _ := exchange.Get(a.headers, "content-type")
	is, _ := exchange.Get(b.headers, "content-type")
	return was == is
}

// emptiness compares bodies of which at least one is empty.
func (c *collector) emptiness(a, b side, x, y *canon.Body) {
	switch {
	case x.Kind == y.Kind:
	case y.Kind == canon.Empty:
		c.atBody(KindMissing, UpTo(Presence), found{class: "missing", was: describe(a, x)})
	default:
		c.atBody(KindExtra, UpTo(Presence), found{class: "extra", is: describe(b, y)})
	}
}

// wholes compares bodies of which at least one could not be looked into: by length and hash of what was sent.
func (c *collector) wholes(a, b side, x, y *canon.Body) {
	if (x.Kind == canon.Whole && !a.body.Truncated) != (y.Kind == canon.Whole && !b.body.Truncated) {
		c.atBody(KindType, UpTo(Type), found{class: "type", was: describe(a, x), is: describe(b, y)})
		return
	}
	c.binaries(a.body.Length, b.body.Length, hash(a.body), hash(b.body))
}

func hash(b *exchange.Body) uint64 {
	if b.Truncated {
		return b.Hash
	}
	return xxhash.Sum64(b.Data)
}

// binaries compares by length and hash.
func (c *collector) binaries(la, lb int64, ha, hb uint64) {
	switch {
	case la != lb:
		levels := UpTo(Tolerant)
		if bits.Len64(uint64(la)) != bits.Len64(uint64(lb)) {
			levels = UpTo(Format)
		}
		class := "other"
		if lb < la {
			class = "truncated"
		}
		c.atBody(KindLength, levels, found{class: class, model: "number", was: length(la), is: length(lb)})
	case ha != hb:
		c.atBody(KindValue, UpTo(Tolerant), found{class: "other", model: "token", was: digest(la, ha), is: digest(lb, hb)})
	}
}

func length(n int64) []byte { return append(strconv.AppendInt(nil, n, 10), " bytes"...) }

func digest(n int64, h uint64) []byte { return fmt.Appendf(nil, "%d bytes, xxh64 %016x", n, h) }

// describe is a body in a few words and its beginning.
func describe(s side, b *canon.Body) []byte {
	switch {
	case b.Kind == canon.Whole:
		return fmt.Appendf(nil, "%d bytes, %s", s.body.Length, b.Mark)
	case b.Kind == canon.Binary:
		return fmt.Appendf(nil, "%s, %d bytes", cmp.Or(canon.Sniff(b.Data), "binary"), len(b.Data))
	}
	return append([]byte(b.Kind.String()+": "), b.Data[:min(len(b.Data), maxShown)]...)
}
