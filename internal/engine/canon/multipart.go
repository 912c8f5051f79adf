// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"slices"
	"strings"
)

// part is one part of a multipart body.
type part struct {
	name    string // of the field; "part" where parts have no names
	headers []string
	data    []byte
}

const (
	maxParts       = 2000
	maxPartHeaders = 64
	maxPartHeader  = 8 << 10
)

// parseMultipart reads the parts (RFC 2046, 5.1; RFC 7578) into one element, each by its name: @filename, @type, and its
// content by its own media type. The boundary, and the order of parts of different names, are spelling.
func parseMultipart(data []byte, contentType string, ctx Context, l Limits) (*Tree, string, error) {
	b := newBuilder(nil, l)
	t, err := b.tree("multipart", b.multipart(data, contentType, ctx))
	return t, b.mark, err
}

func (b *builder) multipart(data []byte, contentType string, ctx Context) error {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return err
	}
	if params["boundary"] == "" || len(params["boundary"]) > 70 {
		return errors.New("no boundary, or one of more than 70 characters")
	}
	parts, err := splitParts(data, params["boundary"])
	if err != nil {
		return err
	}
	slices.SortStableFunc(parts, func(x, y part) int { return strings.Compare(x.name, y.name) })
	if err := b.begin("", Element, 0); err != nil {
		return err
	}
	for i := range parts {
		if err := b.part(&parts[i], ctx); err != nil {
			return fmt.Errorf("part %.40q: %w", parts[i].name, err)
		}
	}
	return b.end()
}

// splitParts cuts the body at its boundary. What stands before the first and behind the last says nothing.
func splitParts(data []byte, boundary string) ([]part, error) {
	dash := []byte("--" + boundary)
	if !bytes.HasPrefix(data, dash) {
		i := bytes.Index(data, append([]byte("\n"), dash...))
		if i < 0 {
			return nil, errors.New("the boundary does not occur")
		}
		data = data[i+1:]
	}
	data = data[len(dash):]
	delimiter := append([]byte("\n"), dash...)
	var parts []part
	for {
		if bytes.HasPrefix(data, []byte("--")) {
			return parts, nil
		}
		if len(parts) >= maxParts {
			return nil, fmt.Errorf("more than %d parts", maxParts)
		}
		line := bytes.IndexByte(data, '\n')
		if line < 0 || len(bytes.TrimSpace(data[:line])) > 0 {
			return nil, errors.New("text behind a boundary")
		}
		data = data[line:] // the line feed is kept: a part without content ends with the one that began it
		end := bytes.Index(data, delimiter)
		if end < 0 {
			return nil, io.ErrUnexpectedEOF
		}
		p, err := parsePart(data[min(1, end):end])
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
		data = data[end+len(delimiter):]
	}
}

// parsePart splits a part into its headers and its content.
func parsePart(data []byte) (part, error) {
	p := part{name: "part"}
	for {
		line, rest, more := bytes.Cut(data, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		data = rest
		if len(line) == 0 || !more {
			break
		}
		if len(p.headers) >= maxPartHeaders || len(line) > maxPartHeader {
			return p, errors.New("more headers than a part has")
		}
		p.headers = append(p.headers, string(line))
	}
	p.data = bytes.TrimSuffix(data, []byte{'\r'}) // that of the line break before the boundary
	if _, params, err := mime.ParseMediaType(p.header("content-disposition")); err == nil && params["name"] != "" {
		p.name = strings.ToValidUTF8(params["name"], "\uFFFD")
	}
	return p, nil
}

func (p *part) header(name string) string {
	for _, h := range p.headers {
		if n, v, ok := strings.Cut(h, ":"); ok && strings.EqualFold(strings.TrimSpace(n), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// content is the part's content with its transfer encoding undone (RFC 2045, 6).
func (p *part) content(l Limits) ([]byte, error) {
	var r io.Reader
	switch strings.ToLower(p.header("content-transfer-encoding")) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, bytes.NewReader(p.data))
	case "quoted-printable":
		r = quotedprintable.NewReader(bytes.NewReader(p.data))
	default:
		return p.data, nil
	}
	return readBounded(r, len(p.data), l)
}

func (b *builder) part(p *part, ctx Context) error {
	if err := b.begin(p.name, Element, 0); err != nil {
		return err
	}
	_, params, _ := mime.ParseMediaType(p.header("content-disposition"))
	contentType := p.header("content-type")
	for _, a := range [...]struct{ name, value string }{
		{"@filename", params["filename"]}, {"@id", p.header("content-id")}, {"@range", p.header("content-range")},
		{"@type", MediaType(contentType)},
	} {
		if a.value == "" {
			continue
		}
		if err := b.text(a.name, strings.ToValidUTF8(a.value, "\uFFFD")); err != nil {
			return err
		}
	}
	data, err := p.content(b.lim)
	if err != nil {
		return err
	}
	if contentType == "" {
		contentType = "text/plain" // RFC 7578, 4.4
	}
	if err := b.within(TextName, contentType, data, ctx); err != nil {
		return err
	}
	return b.end()
}
