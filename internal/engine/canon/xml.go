// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// parseXML reads a document into elements: attributes as @name, text with its white space normalised as #text, children by
// their local names. Prefixes are spelling; a namespace shows as @xmlns where it is another than the parent's. Entities
// other than the five of XML itself are not expanded but refused.
func parseXML(data []byte, l Limits) (*Tree, error) {
	b := &xmlBuilder{builder: newBuilder(data, l), spaces: []string{""}}
	b.dec = xml.NewDecoder(bytes.NewReader(data))
	b.dec.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		b.recoded = true
		switch strings.ToLower(charset) {
		case "iso-8859-1", "latin1":
			return charmap.ISO8859_1.NewDecoder().Reader(in), nil
		case "windows-1252":
			return charmap.Windows1252.NewDecoder().Reader(in), nil
		case "us-ascii":
			return in, nil
		}
		return nil, fmt.Errorf("unknown character set %.20q", charset)
	}
	return b.tree("XML", b.document())
}

type xmlBuilder struct {
	*builder
	dec     *xml.Decoder
	spaces  []string // namespaces of the open elements, outermost first
	chars   []byte   // text read since the last tag
	recoded bool     // offsets of the decoder are not those of the source
}

func (b *xmlBuilder) document() error {
	if err := b.begin("", Element, 0); err != nil {
		return err
	}
	for {
		from := b.dec.InputOffset()
		tok, err := b.dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := b.token(tok, int(from)); err != nil {
			return err
		}
	}
	if b.t.nodes[0].n == 0 {
		return errNothing
	}
	return b.end()
}

func (b *xmlBuilder) token(tok xml.Token, from int) error {
	switch tok := tok.(type) {
	case xml.CharData:
		b.chars = append(b.chars, tok...)
	case xml.StartElement:
		if err := b.flush(); err != nil {
			return err
		}
		return b.element(tok, from)
	case xml.EndElement:
		if err := b.flush(); err != nil {
			return err
		}
		b.spaces = b.spaces[:len(b.spaces)-1]
		end := int(b.dec.InputOffset())
		if open := b.t.nodes[b.open[len(b.open)-1]].raw.off; b.recoded || end > len(b.t.src) {
			end = int(open)
		}
		return b.pop(end)
	}
	return nil // comments, instructions and the document type say nothing
}

func (b *xmlBuilder) element(e xml.StartElement, from int) error {
	if b.recoded {
		from = 0
	}
	b.key = b.copied([]byte(e.Name.Local))
	if _, err := b.push(Element, from); err != nil {
		return err
	}
	if e.Name.Space != b.spaces[len(b.spaces)-1] {
		if err := b.text("@xmlns", e.Name.Space); err != nil {
			return err
		}
	}
	b.spaces = append(b.spaces, e.Name.Space)
	if len(b.t.nodes)+len(e.Attr) > b.lim.Nodes {
		return fmt.Errorf("more than %d values", b.lim.Nodes)
	}
	slices.SortStableFunc(e.Attr, func(x, y xml.Attr) int { return strings.Compare(attributeName(x), attributeName(y)) })
	for _, a := range e.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		if err := b.text(attributeName(a), a.Value); err != nil {
			return err
		}
	}
	return nil
}

// attributeName is @name, with the namespace where there is one.
func attributeName(a xml.Attr) string {
	switch a.Name.Space {
	case "":
		return "@" + a.Name.Local
	case "http://www.w3.org/XML/1998/namespace", "xml":
		return "@xml:" + a.Name.Local
	case "http://www.w3.org/2001/XMLSchema-instance":
		return "@xsi:" + a.Name.Local
	}
	return "@{" + a.Name.Space + "}" + a.Name.Local
}

// flush adds the text before a tag.
func (b *xmlBuilder) flush() error {
	text := bytes.Join(bytes.Fields(b.chars), []byte{' '})
	b.chars = b.chars[:0]
	if len(text) == 0 || len(b.open) < 2 {
		return nil
	}
	return b.leaf(TextName, String, 0, text)
}
