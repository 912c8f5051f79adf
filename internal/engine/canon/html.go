// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/text/encoding/charmap"
)

// parseHTML reads a page into elements as parseXML does. It takes the tokens of HTML and nests them by itself: end tags
// that may be left out are, and what is left open ends with its parent. The full algorithm of browsers may make many nodes
// of one tag; for a comparison it is enough that both sides are read alike, at a cost that grows with the page only.
func parseHTML(data []byte, l Limits) (*Tree, error) {
	b := &htmlBuilder{builder: newBuilder(nil, l)}
	if !utf8.Valid(data) {
		if bytes.IndexByte(data, 0) >= 0 {
			return b.tree("HTML", errUTF8)
		}
		text, err := charmap.Windows1252.NewDecoder().Bytes(data) // as browsers do
		if err != nil {
			return b.tree("HTML", err)
		}
		data = text
	}
	return b.tree("HTML", b.document(html.NewTokenizer(bytes.NewReader(data))))
}

type htmlBuilder struct {
	*builder
	names []string // of the open elements
	json  bool     // within a script that holds data
}

func (b *htmlBuilder) document(z *html.Tokenizer) error {
	if err := b.begin("", Element, 0); err != nil {
		return err
	}
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return err
			}
			if err := b.closeTo(0); err != nil {
				return err
			}
			if b.t.nodes[0].n == 0 {
				return errNothing
			}
			return b.end()
		case html.TextToken:
			if err := b.chars(z.Text()); err != nil {
				return err
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			if err := b.start(z); err != nil {
				return err
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if at := b.innermost(string(name)); at >= 0 {
				if err := b.closeTo(at); err != nil {
					return err
				}
			}
		default: // comments and the document type say nothing
		}
	}
}

func (b *htmlBuilder) start(z *html.Tokenizer) error {
	raw, more := z.TagName()
	name := string(raw)
	if err := b.implied(name); err != nil {
		return err
	}
	if err := b.begin(name, Element, 0); err != nil {
		return err
	}
	b.names = append(b.names, name)
	var attrs []html.Attribute
	for more && len(attrs) <= b.lim.Nodes {
		var key, value []byte
		key, value, more = z.TagAttr()
		attrs = append(attrs, html.Attribute{Key: string(key), Val: string(value)})
	}
	slices.SortStableFunc(attrs, func(x, y html.Attribute) int { return strings.Compare(x.Key, y.Key) })
	b.json = false
	for i, a := range attrs {
		if i > 0 && attrs[i-1].Key == a.Key {
			continue // the first of one name counts
		}
		if name == "script" && a.Key == "type" {
			kind, _ := kindOf(MediaType(a.Val))
			b.json = kind == JSON
		}
		if a.Key == "class" {
			a.Val = strings.Join(strings.Fields(a.Val), " ")
		}
		if err := b.text("@"+a.Key, a.Val); err != nil {
			return err
		}
	}
	if isVoid(name) {
		return b.closeTo(len(b.names) - 1)
	}
	return nil
}

// chars adds text, white space normalised where browsers do so.
func (b *htmlBuilder) chars(text []byte) error {
	in := ""
	if n := len(b.names); n > 0 {
		in = b.names[n-1]
	}
	switch in {
	case "script", "style", "pre", "textarea":
		text = bytes.TrimSpace(text)
	default:
		text = bytes.Join(bytes.Fields(text), []byte{' '})
	}
	if len(text) == 0 {
		return nil
	}
	if b.json && in == "script" {
		return b.within(TextName, "application/json", text, Context{})
	}
	return b.leaf(TextName, String, 0, text)
}

// innermost is the place of the innermost open element of that name, or -1.
func (b *htmlBuilder) innermost(name string) int {
	for i := len(b.names) - 1; i >= 0; i-- {
		if b.names[i] == name {
			return i
		}
	}
	return -1
}

// closeTo closes open elements until n are left.
func (b *htmlBuilder) closeTo(n int) error {
	for len(b.names) > n {
		b.names = b.names[:len(b.names)-1]
		if err := b.end(); err != nil {
			return err
		}
	}
	return nil
}

// implied closes what ends where an element of that name starts.
func (b *htmlBuilder) implied(name string) error {
	ends, within := impliedEnds(name)
	for i := len(b.names) - 1; i >= 0 && len(ends) > 0; i-- {
		if slices.Contains(ends, b.names[i]) {
			return b.closeTo(i)
		}
		if slices.Contains(within, b.names[i]) {
			return nil
		}
	}
	return nil
}

// impliedEnds are the elements that end where one of that name starts, and those beyond which that does not reach
// (HTML, 13.1.2.4).
func impliedEnds(name string) (ends, within []string) {
	switch name {
	case "li":
		return []string{"li"}, []string{"ul", "ol", "menu"}
	case "dt", "dd":
		return []string{"dt", "dd"}, []string{"dl"}
	case "option", "optgroup":
		return []string{"option"}, []string{"select", "datalist"}
	case "td", "th":
		return []string{"td", "th"}, []string{"tr", "table"}
	case "tr":
		return []string{"tr"}, []string{"tbody", "thead", "tfoot", "table"}
	case "tbody", "tfoot", "thead":
		return []string{"tbody", "thead", "tfoot"}, []string{"table"}
	case "body":
		return []string{"head"}, nil
	case "address", "article", "aside", "blockquote", "details", "div", "dl", "fieldset", "figcaption", "figure", "footer",
		"form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "nav", "ol", "p", "pre", "section", "table", "ul":
		return []string{"p"}, []string{"button", "td", "th", "div", "section", "article", "li", "object", "body"}
	}
	return nil, nil
}

func isVoid(name string) bool {
	switch name {
	case "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr":
		return true
	}
	return false
}
