// SPDX-License-Identifier: Apache-2.0

// Package canon brings one message body into the form in which it can be compared: content encodings undone, the media
// kind decided, JSON and forms as a compact tree, everything else as bytes; and it names the class of single values
// (uuid, timestamp, token, …).
//
// Whatever comes in, memory is bounded: decoded bytes, ratio, depth and nodes have limits, and what is beyond them is
// marked and compared more coarsely, never dropped. The package is pure; its values may be read concurrently.
package canon

import (
	"bytes"
	"unicode/utf8"

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
	Text           // lines
	HTML           // compared as text
	XML            // compared as text
	Events         // server-sent events, compared as text
	Binary         // length and hash only
	Whole          // no content at hand: truncated by the capture, or not decodable; length and hash only
)

// String is the kind's name in reports.
func (k Kind) String() string {
	return [...]string{"empty", "json", "json lines", "form", "text", "html", "xml", "events", "binary", "whole"}[min(k, Whole)]
}

// Textual says whether bodies of the kind are compared as lines.
func (k Kind) Textual() bool { return k == Text || k == HTML || k == XML || k == Events }

// Limits bound what decoding may cost. A zero field means the default.
type Limits struct {
	Bytes int // decoded bytes; default 8 MiB
	Ratio int // decoded bytes for each encoded one, judged beyond 64 KiB; default 400
	Nodes int // of a JSON tree; default 20,000
	Depth int // of a JSON tree; default 200
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
	Tree    *Tree  // for JSON, JSONLines and Form; else nil
	Data    []byte // decoded bytes, whatever the kind; not to be changed
	Mark    string // why the body is compared more coarsely than its media type asks for; "" when it is not
}

// Decode makes a captured body comparable. It never fails: what cannot be decoded is of kind Whole, Binary or Text, and
// Mark says why. The result refers to b.Data.
func Decode(b exchange.Body, headers []exchange.Header, l Limits) Body {
	l = l.withDefaults()
	contentType, _ := exchange.Get(headers, "content-type")
	out := Body{Media: MediaType(contentType), Data: b.Data}
	switch {
	case b.Length == 0 && len(b.Data) == 0:
		return out // Empty
	case b.Truncated:
		out.Kind, out.Mark = Whole, "truncated by the capture"
		return out
	}
	if codings := contentCodings(headers); codings != "" {
		data, err := undo(b.Data, codings, l)
		if err != nil {
			out.Kind, out.Mark = Whole, err.Error()
			return out
		}
		if out.Data = data; len(data) == 0 {
			return out
		}
	}
	out.classify(l)
	return out
}

// classify decides the kind of the decoded bytes, and builds the tree.
func (b *Body) classify(l Limits) {
	kind, known := kindOf(b.Media)
	switch kind {
	case JSON, JSONLines:
		tree, err := parse(b.Data, kind == JSONLines, l)
		if err == nil {
			b.Kind, b.Tree = kind, tree
			return
		}
		b.Mark = err.Error()
		b.Kind = b.textOrBinary()
	case Form:
		tree, err := parseForm(b.Data, l)
		if err == nil {
			b.Kind, b.Tree = kind, tree
			return
		}
		b.Mark = err.Error()
		b.Kind = b.textOrBinary()
	case Text:
		b.Kind = Text
		if (!known || b.Media == "text/plain") && b.sniff(l) {
			return
		}
		if !known {
			b.Kind = b.textOrBinary()
		}
	default:
		b.Kind = kind
	}
}

// sniff recognises JSON that is sent without its media type, as many servers do.
func (b *Body) sniff(l Limits) bool {
	start := bytes.TrimLeft(b.Data, " \t\r\n")
	if len(start) == 0 || start[0] != '{' && start[0] != '[' {
		return false
	}
	tree, err := parse(b.Data, false, l)
	if err != nil {
		return false
	}
	b.Kind, b.Tree, b.Sniffed = JSON, tree, true
	return true
}

func (b *Body) textOrBinary() Kind {
	if utf8.Valid(b.Data) && bytes.IndexByte(b.Data, 0) < 0 {
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
