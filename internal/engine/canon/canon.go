// SPDX-License-Identifier: Apache-2.0

// Package canon brings one message body into the form in which it can be compared: content encodings undone, the media
// kind decided, everything that has a structure as one compact kind of tree, the rest as bytes; and it names the class of
// single values (uuid, timestamp, token, …).
//
// Whatever comes in, memory is bounded: decoded bytes, ratio, depth and nodes have limits, and what is beyond them is
// marked and compared more coarsely, never dropped. The package is pure; its values may be read concurrently.
package canon

import (
	"bytes"
	"fmt"

	"microstax/internal/exchange"
)

// Kind is what a body is, for comparison.
type Kind uint8

// The kinds.
const (
	Empty     Kind = iota
	JSON           // one JSON document
	JSONLines      // a sequence of JSON documents; the tree's root is an array of them
	Form           // application/x-www-form-urlencoded; the tree's root is an object of strings and arrays of strings
	Multipart      // parts, each by its name; the tree's root is an element
	Protobuf       // one message
	GRPC           // length-prefixed messages: gRPC, gRPC-Web, Connect
	HTML           // elements
	XML            // elements
	Events         // server-sent events; the tree's root is an array of objects
	Text           // lines
	Binary         // length and hash only
	Whole          // no content at hand: truncated by the capture, or not decodable; length and hash only
)

// String is the kind's name in reports.
func (k Kind) String() string {
	return [...]string{"empty", "json", "json lines", "form", "multipart", "protobuf", "grpc", "html", "xml", "events",
		"text", "binary", "whole"}[min(k, Whole)]
}

// Limits bound what decoding may cost. A zero field means the default.
type Limits struct {
	Bytes int // decoded bytes; default 8 MiB
	Ratio int // decoded bytes for each encoded one, judged beyond 64 KiB; default 400
	Nodes int // values in a tree; default 20,000
	Depth int // of a tree; default 200

	nested int // how many bodies this one stands in
}

// Context is what besides its own headers says how a body is to be read.
type Context struct {
	Descriptors *Descriptors // of protobuf messages; nil when there are none
	Target      string       // of the request, which names the method of gRPC
	Request     bool         // the body is the request's
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Bytes, 8<<20)
	set(&l.Ratio, 400)
	set(&l.Nodes, 20_000)
	set(&l.Depth, 200)
	return l
}

// Body is a body ready to be compared.
type Body struct {
	Kind    Kind
	Media   string // essence of the media type, lower case; "" when none was given
	Sniffed bool   // JSON, although the media type does not say so
	Tree    *Tree  // for what has a structure; else nil
	Data    []byte // decoded bytes, whatever the kind; not to be changed
	Mark    string // why the body is compared more coarsely than its media type asks for; "" when it is not

	contentType string
	headers     []exchange.Header
	ctx         Context
	lim         Limits
	parsed      bool
}

// Decode makes a captured body comparable: Open and Parse. It never fails: what cannot be decoded is of kind Whole, Binary
// or Text, and Mark says why. The result refers to b.Data.
func Decode(b exchange.Body, headers []exchange.Header, l Limits) Body {
	out := Open(b, headers, Context{}, l)
	out.Parse()
	return out
}

// Open undoes content codings and says what the media type asks for; Parse does the rest, when it is needed.
func Open(b exchange.Body, headers []exchange.Header, ctx Context, l Limits) Body {
	l = l.withDefaults()
	contentType, _ := exchange.Get(headers, "content-type")
	out := Body{Media: MediaType(contentType), Data: b.Data, contentType: contentType, headers: headers, ctx: ctx, lim: l}
	switch {
	case b.Length == 0 && len(b.Data) == 0:
		out.parsed = true
		return out // Empty
	case b.Truncated:
		out.Kind, out.Mark, out.parsed = Whole, "truncated by the capture", true
		return out
	}
	if codings := contentCodings(headers); codings != "" {
		data, err := undo(b.Data, codings, l)
		if err != nil {
			out.Kind, out.Mark, out.parsed = Whole, err.Error(), true
			return out
		}
		if out.Data = data; len(data) == 0 {
			out.parsed = true
			return out
		}
	}
	out.Kind, _ = kindOf(out.Media)
	return out
}

// Parse builds the tree of a body that Open gave, and settles its kind.
func (b *Body) Parse() {
	if b.parsed {
		return
	}
	b.parsed = true
	kind, known := kindOf(b.Media)
	if kind == Text {
		b.Kind = Text
		if (!known || b.Media == "text/plain") && b.sniff() {
			return
		}
		if !known {
			b.Kind = b.textOrBinary()
		}
		return
	}
	tree, err := b.structure(kind)
	if err != nil {
		b.Mark, b.Kind = err.Error(), b.textOrBinary()
		return
	}
	b.Kind, b.Tree = kind, tree
}

// structure is the tree of a body of a kind, nil for kinds that have none.
func (b *Body) structure(kind Kind) (t *Tree, err error) {
	// Some of this is read with decoders of others, on input that may be hostile; a bug in one must not end the comparison.
	defer func() {
		if p := recover(); p != nil {
			t, err = nil, fmt.Errorf("parse %s: gave up: %v", kind, p)
		}
	}()
	switch kind {
	case JSON:
		return parse(b.Data, false, b.lim)
	case JSONLines:
		data := b.Data
		if b.Media == "application/json-seq" { // RFC 7464: each text has a record separator in front
			data = bytes.ReplaceAll(data, []byte{0x1e}, []byte{'\n'})
		}
		return parse(data, true, b.lim)
	case Form:
		return parseForm(b.Data, b.lim)
	case Multipart:
		t, b.Mark, err = parseMultipart(b.Data, b.contentType, b.ctx, b.lim)
		return t, err
	case Protobuf:
		return parseProtobuf(b.Data, b.contentType, b.ctx, b.lim)
	case GRPC:
		return parseGRPC(b.Data, b.contentType, b.headers, b.ctx, b.lim)
	case HTML:
		return parseHTML(b.Data, b.lim)
	case XML:
		return parseXML(b.Data, b.lim)
	case Events:
		return parseEvents(b.Data, b.lim)
	default:
		return nil, nil
	}
}

// CouldBeJSON says whether the body is JSON by its media type, or looks like it where none says what it is.
func (b *Body) CouldBeJSON() bool {
	kind, known := kindOf(b.Media)
	if b.parsed || kind != Text || known && b.Media != "text/plain" {
		return !b.parsed && kind == JSON
	}
	return looksLikeJSON(b.Data)
}

func looksLikeJSON(data []byte) bool {
	start := bytes.TrimLeft(data, " \t\r\n")
	return len(start) > 0 && (start[0] == '{' || start[0] == '[')
}

// sniff recognises JSON that is sent without its media type, as many servers do.
func (b *Body) sniff() bool {
	if !looksLikeJSON(b.Data) {
		return false
	}
	tree, err := parse(b.Data, false, b.lim)
	if err != nil {
		return false
	}
	b.Kind, b.Tree, b.Sniffed = JSON, tree, true
	return true
}

func (b *Body) textOrBinary() Kind {
	if isText(b.Data) {
		return Text
	}
	return Binary
}

// Equal says whether two bodies have the same canonical value: key order, white space and the spelling of numbers and
// strings aside. Bodies that are not trees are equal when their bytes are.
func Equal(a, b *Body) bool {
	if a.Kind == Whole || b.Kind == Whole {
		return a.Kind == b.Kind && bytes.Equal(a.Data, b.Data)
	}
	if a.Tree != nil && b.Tree != nil {
		return EqualNodes(a.Tree, 0, b.Tree, 0)
	}
	return a.Kind == b.Kind && bytes.Equal(a.Data, b.Data)
}
