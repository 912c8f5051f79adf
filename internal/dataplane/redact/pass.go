// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// Values found secret are looked for elsewhere too, unless that would hit innocent text.
const (
	// minInside is the least length, in bytes, at which a secret is looked for inside of other text. A shorter one must
	// be a whole JSON value, header or parameter to be recognised.
	minInside = 8
	// minWhole is the least length at which it is looked for at all: a PIN of 1 must not redact all ones.
	minWhole = 4
	// minUnnamed is the least length for values that no rule names, such as cookies: theme=dark must not redact the
	// word, nor seen=2026-03-04 all dates.
	minUnnamed = 16
	// maxSeen bounds the secrets that are looked for in one observation.
	maxSeen = 4096
)

// class is that of all values: a credential that an answer hands out must have the same token in the next request.
const class = "secret"

// pass is the redaction of one observation: first everything in its known place, then what was found there wherever
// else it stands.
type pass struct {
	r         *Redactor
	seen      map[string]bool // secrets to look for elsewhere
	bodies    []*body
	exchanges []*exchange.Exchange
}

func (p *pass) calls(calls []observation.Call) []observation.Call {
	if calls == nil {
		return nil
	}
	out := slices.Clone(calls)
	for i := range out {
		p.exchange(&out[i].Exchange)
	}
	return out
}

// exchange redacts in place; e itself is a copy, what it refers to is not.
func (p *pass) exchange(e *exchange.Exchange) {
	p.exchanges = append(p.exchanges, e)
	p.body(&e.Request.Body, e.Request.Headers)
	p.body(&e.Response.Body, e.Response.Headers)
	target := e.Request.Target
	e.Request.Target = p.target(target)
	if target != "" {
		e.Error = strings.ReplaceAll(e.Error, target, e.Request.Target)
	}
	e.Request.Headers = p.headers(e.Request.Headers)
	e.Request.Trailers = p.headers(e.Request.Trailers)
	e.Response.Headers = p.headers(e.Response.Headers)
	e.Response.Trailers = p.headers(e.Response.Trailers)
}

// secret is the token of a value that a rule names.
func (p *pass) secret(value string) string { return p.token(value, true) }

// usual is the token of a value that is always secret.
func (p *pass) usual(value string) string { return p.token(value, false) }

func (p *pass) token(value string, named bool) string {
	if value == "" { // says nothing, and being empty is worth comparing
		return ""
	}
	if (named && len(value) >= minWhole || len(value) >= minUnnamed) && len(p.seen) < maxSeen {
		p.seen[value] = true
	}
	return p.r.Token(class, value)
}

// finish takes the secrets that were found out of all other places, and writes the bodies back.
func (p *pass) finish() {
	s := p.scrubber()
	for _, e := range p.exchanges {
		if s == nil {
			break
		}
		e.Request.Target = s.text(e.Request.Target)
		s.headers(e.Request.Headers)
		s.headers(e.Request.Trailers)
		s.headers(e.Response.Headers)
		s.headers(e.Response.Trailers)
		e.Response.Reason = s.text(e.Response.Reason)
		e.Error = s.text(e.Error)
	}
	for _, b := range p.bodies {
		if s != nil {
			s.body(b)
		}
		b.write(p.r)
	}
}

func (p *pass) scrubber() *scrubber {
	if len(p.seen) == 0 {
		return nil
	}
	values := make([]string, 0, len(p.seen))
	for v := range p.seen {
		values = append(values, v)
	}
	// Longest first, so that of two secrets of which one begins the other the whole is replaced.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	s := &scrubber{p: p}
	var inside []string
	for _, v := range values {
		if len(v) >= minInside {
			token := p.r.Token(class, v)
			for _, form := range forms(v) {
				inside = append(inside, form, token)
			}
		} else {
			s.short = append(s.short, v)
		}
	}
	s.inside = strings.NewReplacer(inside...)
	return s
}

// forms are the spellings in which a text may stand in another: as it is, in a URL, and in JSON.
func forms(v string) []string {
	out := []string{v}
	quoted, _ := jsontext.AppendQuote(nil, v) //nolint:errcheck // invalid UTF-8 is replaced, and could not stand in JSON
	for _, form := range []string{url.QueryEscape(v), url.PathEscape(v), string(quoted[1 : len(quoted)-1])} {
		if !slices.Contains(out, form) {
			out = append(out, form)
		}
	}
	return out
}

// scrubber replaces known secrets.
type scrubber struct {
	p      *pass
	inside *strings.Replacer // of long ones, anywhere in a text
	short  []string          // replaced only where they are the whole text
}

func (s *scrubber) text(t string) string {
	if slices.Contains(s.short, t) {
		return s.p.r.Token(class, t)
	}
	return s.inside.Replace(t)
}

// headers replaces in place: the slice is the pass's own.
func (s *scrubber) headers(hs []exchange.Header) {
	for i := range hs {
		hs[i].Value = s.text(hs[i].Value)
	}
}

func (s *scrubber) body(b *body) {
	if !b.decode() {
		return
	}
	data := string(b.data)
	// A secret may hide behind escapes; without any, a look at the bytes tells that there is none.
	maybe := strings.Contains(data, `\`) || slices.ContainsFunc(s.short, func(v string) bool { return strings.Contains(data, v) })
	if !maybe && s.inside.Replace(data) == data {
		return
	}
	if out, ok := s.json(b.data); ok {
		data = string(out)
	}
	b.set([]byte(s.inside.Replace(data))) // after it was read as JSON too: numbers in a row can make up a secret
}
