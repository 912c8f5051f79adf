// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"strings"

	"microstax/internal/exchange"
)

// body is a body on its way through a pass. Its content coding is undone only when somebody has to look inside.
type body struct {
	to      *exchange.Body
	codings []string // outermost last; nil when there is none
	data    []byte   // decoded, once decoded is true
	decoded bool
	opaque  bool // cannot be decoded
	changed bool
}

func (p *pass) body(b *exchange.Body, headers []exchange.Header) {
	if len(b.Data) == 0 {
		return
	}
	w := &body{to: b, codings: codings(headers)}
	media := mediaType(headers)
	reached := p.reached(media)
	switch {
	case reached && b.Truncated:
		drop(b, p.r)
	case media == formType && !(len(p.r.paths) > 0 && w.decode() && looksLikeJSON(string(w.data))): // curl -d calls everything a form
		p.form(w)
	case !reached:
		p.bodies = append(p.bodies, w)
	case p.r.broken || !w.decode() || !p.document(w):
		drop(b, p.r)
	default:
		p.bodies = append(p.bodies, w)
	}
}

const formType = "application/x-www-form-urlencoded"

// reached says whether a rule could find something in a body of that type. A JSON path finds something in whatever a
// receiver may take for JSON, and that is anything but a form.
func (p *pass) reached(media string) bool {
	switch {
	case p.r.broken:
		return true
	case media == formType, media == "", strings.HasPrefix(media, "multipart/"):
		return len(p.r.form) > 0 || len(p.r.paths) > 0
	}
	return len(p.r.paths) > 0
}

// document redacts what is read as JSON; false when it is none.
func (p *pass) document(w *body) bool {
	out, ok := p.json(w.data)
	if ok {
		w.set(out)
	}
	return ok
}

// form redacts a form, in which some parameters are always secret. One that cannot be decoded is dropped, and so is one
// that was cut and has something to redact: its end cannot be seen.
func (p *pass) form(w *body) {
	if p.r.broken || !w.decode() {
		drop(w.to, p.r)
		return
	}
	text := string(w.data)
	out := p.pairs(text, p.r.form)
	if len(p.r.paths) > 0 {
		out = p.nested(out)
	}
	if out != text && w.to.Truncated {
		drop(w.to, p.r)
		return
	}
	w.set([]byte(out))
	p.bodies = append(p.bodies, w)
}

// nested redacts parameters that hold JSON, into which a path could reach.
func (p *pass) nested(s string) string {
	fields := strings.Split(s, "&")
	for i, field := range fields {
		name, value, ok := strings.Cut(field, "=")
		if plain := unescape(value); ok && looksLikeJSON(plain) {
			fields[i] = name + "=" + p.secret(plain)
		}
	}
	return strings.Join(fields, "&")
}

func looksLikeJSON(s string) bool {
	s = strings.TrimLeft(strings.TrimPrefix(s, bom), " \t\r\n")
	return s != "" && strings.Contains(`{["`, s[:1])
}

// drop keeps length and hash alone, marked as cut.
func drop(b *exchange.Body, r *Redactor) {
	*b = exchange.Body{Length: b.Length, Hash: r.hash(b), Truncated: true, Messages: b.Messages}
}

func (b *body) set(data []byte) {
	if string(data) != string(b.data) {
		b.data, b.changed = data, true
	}
}

// write puts a changed body back, coded as its headers say it is.
func (b *body) write(r *Redactor) {
	if !b.changed {
		return
	}
	out, err := encode(b.data, b.codings)
	if err != nil {
		drop(b.to, r)
		return
	}
	if b.to.Truncated { // only its first bytes were here: the whole is as long as it was
		b.to.Data = out
		return
	}
	*b.to = exchange.Body{Data: out, Length: int64(len(out)), Messages: b.to.Messages}
}

func mediaType(headers []exchange.Header) string {
	v, _ := exchange.Get(headers, "content-type")
	essence, _, _ := strings.Cut(v, ";")
	return strings.ToLower(strings.TrimSpace(essence))
}
