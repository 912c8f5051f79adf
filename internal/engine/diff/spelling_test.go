// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
)

// markup is an element that can be written in many ways.
type markup struct {
	name     string
	attrs    []string // names; each has its own name as value
	children []markup // of which those without a name are text
	text     string
}

func genMarkup(depth int) *rapid.Generator[markup] {
	return rapid.Custom(func(t *rapid.T) markup {
		m := markup{name: rapid.SampledFrom([]string{"a", "b", "item", "x-y"}).Draw(t, "name")}
		m.attrs = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"id", "sku", "lang", "q"}), 0, 3, rapid.ID).Draw(t, "attrs")
		for range rapid.IntRange(0, 4).Draw(t, "children") {
			// Two texts side by side would be one.
			if n := len(m.children); (n == 0 || m.children[n-1].name != "") && (depth == 0 || rapid.Bool().Draw(t, "is text")) {
				m.children = append(m.children, markup{text: rapid.StringMatching(`[a-c]{1,3}( [0-9<&é]{1,2})?`).Draw(t, "text")})
			} else if depth > 0 {
				m.children = append(m.children, genMarkup(depth-1).Draw(t, "child"))
			}
		}
		return m
	})
}

// write writes the element; in another spelling attributes come backwards, in other quotes, with space, comments and character references.
func (m markup) write(b *strings.Builder, other bool) {
	if m.name == "" {
		for i, r := range m.text {
			switch {
			case r == ' ' && other:
				b.WriteString(" \n\t ")
			case r == '<' || r == '&' || other && i == 0:
				fmt.Fprintf(b, "&#%d;", r)
			default:
				b.WriteRune(r)
			}
		}
		return
	}
	b.WriteString("<" + m.name)
	for i := range m.attrs {
		if other {
			name := m.attrs[len(m.attrs)-1-i]
			b.WriteString("\n  " + name + " = '" + name + "'")
		} else {
			b.WriteString(" " + m.attrs[i] + `="` + m.attrs[i] + `"`)
		}
	}
	b.WriteString(">")
	for _, c := range m.children {
		if other && c.name != "" {
			b.WriteString("\n <!-- said aside -->\n")
		}
		c.write(b, other)
	}
	b.WriteString("</" + m.name + ">")
}

func (m markup) spelled(other bool) string {
	var b strings.Builder
	m.write(&b, other)
	return b.String()
}

// onlyBytes checks that two bodies differ in their spelling alone, and each from itself in nothing.
func onlyBytes(t *rapid.T, a, b *exchange.Exchange) {
	for _, d := range diff.Exchanges(a, b, diff.Options{}) {
		if d.Levels != diff.UpTo(diff.Bytes) && d.Path != "content-type" {
			t.Fatalf("%+v between\n%s\n%s", d, a.Response.Body.Data, b.Response.Body.Data)
		}
	}
	for _, e := range []*exchange.Exchange{a, b} {
		again := *e
		again.Response.Headers = append([]exchange.Header{{Name: "X", Value: "1"}}, e.Response.Headers...)
		if ds := diff.Exchanges(e, &again, diff.Options{}); len(ds) != 1 {
			t.Fatalf("against itself: %+v", ds)
		}
	}
}

func TestSpellingOfMarkupIsOnlyBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := genMarkup(3).Draw(t, "markup")
		onlyBytes(t, xml(m.spelled(false)), xml(m.spelled(true)))
		onlyBytes(t, html(m.spelled(false)), html(m.spelled(true)))
	})
}

func TestSpellingOfPartsEventsFormsAndLinesIsOnlyBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		docs := rapid.SliceOfN(genDoc(3), 1, 4).Draw(t, "documents")
		var parts, backwards []string
		var events, otherEvents, lines, otherLines strings.Builder
		for i, d := range docs {
			p := "part" + strconv.Itoa(i) + "||application/json|"
			parts, backwards = append(parts, p+d.json(false)), append([]string{p + d.json(true)}, backwards...)
			events.WriteString("id: " + strconv.Itoa(i) + "\ndata: " + d.json(false) + "\n\n")
			otherEvents.WriteString(": ping\r\ndata:" + strings.ReplaceAll(d.json(true), "\n", "\r\ndata:") + "\r\nid:" + strconv.Itoa(i) + "\r\n\r\n")
			lines.WriteString(d.json(false) + "\n")
			otherLines.WriteString(d.json(true) + "\r\n\n")
		}
		onlyBytes(t, upload("one", parts...), upload("two", backwards...))
		if strings.ContainsAny(events.String(), "{[") { // a scalar in an event is text
			for _, d := range docs {
				if d.elems == nil && !d.object {
					return
				}
			}
		}
		onlyBytes(t, sse(events.String()), sse(otherEvents.String()))
		onlyBytes(t, answer(200, "application/x-ndjson", lines.String()), answer(200, "application/x-ndjson", otherLines.String()))
		onlyBytes(t, answer(200, "application/x-www-form-urlencoded", "a=1&b=x+y&a=2"), answer(200, "application/x-www-form-urlencoded", "b=%78%20y&a=%31&&a=2"))
	})
}

func TestOrderOfProtobufFieldsIsOnlyBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var fields, other []message
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 40), 1, 8, rapid.ID).Draw(t, "numbers") {
			m := message(nil)
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				m = m.varint(protowire.Number(n), rapid.Uint64().Draw(t, "varint"))
			case 1:
				m = m.fixed64(protowire.Number(n), rapid.Uint64().Draw(t, "fixed"))
			case 2:
				m = m.bytes(protowire.Number(n), rapid.String().Draw(t, "text"))
			default:
				m = m.bytes(protowire.Number(n), string(message(nil).varint(1, 5).bytes(2, rapid.String().Draw(t, "inner"))))
			}
			fields, other = append(fields, m), append([]message{m}, other...)
		}
		join := func(ms []message) (out message) {
			for _, m := range ms {
				out = append(out, m...)
			}
			return out
		}
		onlyBytes(t, proto(join(fields)), proto(join(other)))
		onlyBytes(t, answer(200, "application/grpc", frame(0, join(fields))), answer(200, "application/grpc", frame(0, join(other))))
	})
}
