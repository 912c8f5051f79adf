// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// splicer copies JSON text, and puts something else in the place of some values. Everything between them stays as it
// is, to the byte.
type splicer struct {
	in   []byte
	dec  *jsontext.Decoder
	out  []byte
	done int // bytes of in that are in out, or replaced
	text func(value string) string
	mark func(v jsontext.Value) string // what stands for a value that a path leads to
}

// json redacts the values that the paths lead to. false when data is no JSON; several documents in a row are fine.
func (p *pass) json(data []byte) ([]byte, bool) {
	s := newSplicer(data)
	s.mark = p.valueToken
	return s.run(p.r.paths)
}

// json replaces known secrets wherever they are in JSON: in strings, in names, and as numbers. false when data is none.
func (s *scrubber) json(data []byte) ([]byte, bool) {
	sp := newSplicer(data)
	sp.text = s.text
	return sp.run(nil)
}

// bom is the byte order mark that some servers put in front.
const bom = "\ufeff"

func newSplicer(data []byte) *splicer {
	s := &splicer{in: bytes.TrimPrefix(data, []byte(bom))}
	s.out = append(s.out, data[:len(data)-len(s.in)]...)
	s.dec = jsontext.NewDecoder(bytes.NewReader(s.in), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return s
}

// run gives the text with everything replaced.
func (s *splicer) run(paths []path) ([]byte, bool) {
	for {
		if s.dec.PeekKind() == 0 {
			if _, err := s.dec.ReadToken(); !errors.Is(err, io.EOF) {
				return nil, false
			}
			return append(s.out, s.in[s.done:]...), true
		}
		if err := s.value(paths); err != nil {
			return nil, false
		}
	}
}

// value goes through one value; paths are those that lead on from here.
func (s *splicer) value(paths []path) error {
	for _, p := range paths {
		if len(p) == 0 {
			return s.replaceValue()
		}
	}
	if len(paths) == 0 && s.text == nil {
		return s.dec.SkipValue()
	}
	switch s.dec.PeekKind() {
	case '{':
		return s.object(paths)
	case '[':
		return s.array(paths)
	default:
		return s.scalar()
	}
}

func (s *splicer) object(paths []path) error {
	if _, err := s.dec.ReadToken(); err != nil {
		return err
	}
	for s.dec.PeekKind() != '}' {
		raw, err := s.dec.ReadValue()
		if err != nil {
			return err
		}
		name := plain(raw)
		if s.text != nil {
			if clean := s.text(name); clean != name {
				s.replace(len(raw), clean)
			}
		}
		if err := s.value(lead(paths, name)); err != nil {
			return err
		}
	}
	_, err := s.dec.ReadToken()
	return err
}

func (s *splicer) array(paths []path) error {
	if _, err := s.dec.ReadToken(); err != nil {
		return err
	}
	for i := 0; s.dec.PeekKind() != ']'; i++ {
		if err := s.value(lead(paths, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	_, err := s.dec.ReadToken()
	return err
}

// lead are the paths that go on at a member or an element.
func lead(paths []path, name string) []path {
	var out []path
	for _, p := range paths {
		if p[0].matches(name) {
			out = append(out, p[1:])
		}
	}
	return out
}

func (s *splicer) scalar() error {
	v, err := s.dec.ReadValue()
	if err != nil || s.text == nil {
		return err
	}
	if kind := v.Kind(); kind != '"' && kind != '0' {
		return nil
	}
	if text := plain(v); s.text(text) != text {
		s.replace(len(v), s.text(text))
	}
	return nil
}

func (s *splicer) replaceValue() error {
	v, err := s.dec.ReadValue()
	if err != nil {
		return err
	}
	if token := s.mark(v); token != "" {
		s.replace(len(v), token)
	}
	return nil
}

// replace puts a string in the place of the n bytes that were read last.
func (s *splicer) replace(n int, text string) {
	end := int(s.dec.InputOffset())
	s.out = append(s.out, s.in[s.done:end-n]...)
	s.out, _ = jsontext.AppendQuote(s.out, text) //nolint:errcheck // invalid UTF-8 is replaced, and it is a string all the same
	s.done = end
}

// valueToken is what stands for a value that a path leads to; "" where it may stay: null and the empty string say
// nothing but that there is nothing. Values of different types have different tokens, so that a change of type stays a
// change.
func (p *pass) valueToken(v jsontext.Value) string {
	switch v.Kind() {
	case 'n':
		return ""
	case '"':
		return p.secret(plain(v))
	case '0':
		p.secret(string(v)) // to be found elsewhere
		return p.r.Token("number", string(v))
	case '{', '[':
		p.members(v)
		c := v.Clone()
		// Another order of names or other white space is the same value. Numbers stay as they are: as floats, two long
		// ones could become equal.
		if err := c.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err == nil {
			v = c
		}
		return p.r.Token("structure", string(v))
	default:
		return p.r.Token("bool", string(v))
	}
}

// members notes the strings and numbers inside of a value as secret, to be found elsewhere.
func (p *pass) members(v jsontext.Value) {
	s := newSplicer(v)
	s.text = func(t string) string {
		if len(t) >= minInside { // short ones, such as a currency, would hit too much
			p.secret(t)
		}
		return t
	}
	s.run(nil)
}

// plain is the text of a string or a number.
func plain(v jsontext.Value) string {
	if v.Kind() != '"' {
		return string(v)
	}
	out, _ := jsontext.AppendUnquote(nil, v) //nolint:errcheck // invalid UTF-8 is replaced, and the rest is what it is
	return string(out)
}
