// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of the documents that are looked at.
const (
	maxBody   = 256 << 10
	maxLeaves = 5000
)

// leaf is one value of a document.
type leaf struct {
	pointer    string
	text       string
	number     bool
	listed     bool // it stands in an array
	start, end int  // its bytes
}

// leaves takes a JSON document apart; false when it is none, or too large.
func leaves(body []byte) ([]leaf, bool) {
	if len(body) == 0 || len(body) > maxBody {
		return nil, false
	}
	if c := bytes.TrimLeft(body, " \t\r\n"); len(c) == 0 || c[0] != '{' && c[0] != '[' {
		return nil, false
	}
	dec := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	var ls []leaf
	for {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return ls, true
		}
		if err != nil || len(ls) > maxLeaves {
			return nil, false
		}
		kind := tok.Kind()
		if kind != '"' && kind != '0' {
			continue
		}
		if in, n := dec.StackIndex(dec.StackDepth()); in == '{' && n%2 == 1 {
			continue // a member's name
		}
		l := leaf{pointer: string(dec.StackPointer()), text: tok.String(), number: kind == '0', end: int(dec.InputOffset())}
		l.start = l.end - len(l.text)
		for i := 1; i <= dec.StackDepth(); i++ {
			if in, _ := dec.StackIndex(i); in == '[' {
				l.listed = true
			}
		}
		ls = append(ls, l)
	}
}

// identifies is what a leaf is the id of, in the singular and lower case: by its own name (orderId), by the name of what
// it stands in (order.id), or by the collection that the request's path ends in. "" when its name says nothing of an id.
func (l leaf) identifies(path string) string {
	parts := strings.Split(l.pointer, "/")
	name := parts[len(parts)-1]
	if of := namedID(name); of != "" {
		return of
	}
	if !strings.EqualFold(name, "id") && !strings.EqualFold(name, "_id") {
		return ""
	}
	for i := len(parts) - 2; i > 0; i-- {
		if !isCount(parts[i]) {
			return singular(parts[i])
		}
	}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i := len(segments) - 1; i >= 0; i-- {
		if !isCount(segments[i]) && !madeUp(segments[i]) {
			return singular(segments[i])
		}
	}
	return ""
}

// namedID is what a name like orderId, order_id or order-number identifies, or "".
func namedID(name string) string {
	lower := strings.ToLower(name)
	for _, suffix := range []string{"_id", "-id", "_number", "-number", "_no", "_ref", "_key"} {
		if of, ok := strings.CutSuffix(lower, suffix); ok && of != "" {
			return singular(of)
		}
	}
	for _, suffix := range []string{"Id", "ID", "Number", "Ref", "Key"} {
		if of, ok := strings.CutSuffix(name, suffix); ok && of != "" {
			return singular(strings.ToLower(of))
		}
	}
	return ""
}

// singular is a noun's singular, near enough to tell orders and order for the same.
func singular(s string) string {
	s = strings.ToLower(s)
	switch {
	case strings.HasSuffix(s, "ies") && len(s) > 4:
		return s[:len(s)-3] + "y"
	case strings.HasSuffix(s, "ss"):
		return s
	case strings.HasSuffix(s, "s") && len(s) > 2:
		return s[:len(s)-1]
	}
	return s
}

// replaceNumbers replaces numbers in a JSON body whose names say what they identify.
func replaceNumbers(body []byte, by *generations) []byte {
	ls, ok := leaves(body)
	if !ok {
		return body
	}
	var out []byte
	done := 0
	for _, l := range ls {
		parts := strings.Split(l.pointer, "/")
		of := namedID(parts[len(parts)-1])
		if of == "" || !isCount(l.text) {
			continue
		}
		v, ok := by.get(key{of, l.text})
		if !ok {
			continue
		}
		start, end := l.start, l.end
		if !l.number { // without its quotes
			start, end = l.end-len(l.text)-1, l.end-1
		}
		if start < done || string(body[start:end]) != l.text {
			continue
		}
		out = append(append(out, body[done:start]...), v...)
		done = end
	}
	if out == nil {
		return body
	}
	return append(out, body[done:]...)
}
