// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// What is built differently where the answer is.
const (
	// SameGzipLevel: receipts are compressed less.
	SameGzipLevel Change = "same-gzip-level"
	// SameFaster: an order takes no work beside its calls.
	SameFaster Change = "same-faster"
	// Same: nothing at all is different.
	Same Change = "same"
)

// equivalents are built differently and behave the same: nothing may be found.
func equivalents() []Behaviour {
	isJSON := func(x *reply) bool { return x.head.Get("Content-Type") == "application/json" }
	return []Behaviour{
		{Name: Same, What: "nothing is different", Shows: Never},
		{Name: SameGzipLevel, What: "receipts are compressed less", Shows: Never, Spelling: true},
		{Name: "same-members", What: "the members of every document are in another order", Shows: Never, Spelling: true, answer: func(x *reply) {
			if isJSON(x) {
				x.edit(reverseMembers)
			}
		}},
		{Name: "same-indented", What: "documents are indented", Shows: Never, Spelling: true, answer: func(x *reply) {
			var b bytes.Buffer
			if isJSON(x) && json.Indent(&b, x.body.Bytes(), "", "  ") == nil {
				x.body = b
			}
		}},
		{Name: "same-numbers", What: "890 is written 890.0, and 4.3 is written 4.30e0", Shows: Never, Spelling: true, answer: func(x *reply) {
			if isJSON(x) {
				x.edit(respell)
			}
		}},
		{Name: "same-escapes", What: "letters beyond ASCII, and /, are written as escapes", Shows: Never, Spelling: true, answer: func(x *reply) {
			if isJSON(x) {
				x.write(json.RawMessage(escaped(x.body.String())))
			}
		}},
		{Name: "same-pieces", What: "bodies are sent in pieces, without a length", Shows: Never, answer: func(x *reply) { x.pieces = true }},
		{Name: "same-cookie", What: "the attributes of a cookie are in another order and case", Shows: Never, Spelling: true,
			answer: header(getAccount, func(h http.Header) {
				parts := strings.Split(h.Get("Set-Cookie"), "; ")
				slices.Reverse(parts[1:])
				for i := range parts[1:] {
					name, value, _ := strings.Cut(parts[i+1], "=")
					if parts[i+1] = strings.ToLower(name); value != "" {
						parts[i+1] += "=" + value
					}
				}
				h.Set("Set-Cookie", strings.Join(parts, "; "))
			})},
		{Name: SameFaster, What: "an order is placed without the work that it took", Shows: Never},
	}
}

func reverseMembers(o *object) {
	slices.Reverse(o.members)
	for _, m := range o.members {
		inside(m.value, reverseMembers)
	}
}

// inside applies a change to the objects in a value.
func inside(v any, change func(o *object)) {
	switch v := v.(type) {
	case *object:
		change(v)
	case []any:
		for _, e := range v {
			inside(e, change)
		}
	}
}

func respell(o *object) {
	for i, m := range o.members {
		switch v := m.value.(type) {
		case json.Number:
			if strings.Contains(v.String(), ".") {
				o.members[i].value = json.Number(v.String() + "0e0")
			} else {
				o.members[i].value = json.Number(v.String() + ".0")
			}
		default:
			inside(v, respell)
		}
	}
}

// escaped writes what is not ASCII, and /, as \u escapes (RFC 8259, 7).
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 && r != '/' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
