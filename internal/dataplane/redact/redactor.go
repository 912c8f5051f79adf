// SPDX-License-Identifier: Apache-2.0

// Package redact takes what is secret out of observations before they leave the data plane. A value becomes a keyed
// token, tok_ and 20 characters; the same value gives the same token wherever it stands, so that sides, calls and
// sessions stay comparable, and nobody without the key can try values out.
//
// What is secret: credentials in authorization headers (their scheme stays), values of cookies (names and attributes
// stay), headers and query or form parameters with well-known names, and what rules name: a header, a JSON path
// ($.card.number, $.items[*].secret), $query.NAME, $form.NAME. A value found secret in one place is also taken out of
// all other places of the same observation, because a candidate may well move a field.
//
// It never fails open: a body that a rule could reach, but that cannot be read, keeps its length and a hash and nothing
// else, and a rule that cannot be read makes every body such a body.
//
// A Redactor is immutable, and may be used concurrently. It changes nothing of what it is given.
package redact

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"

	"microstax/internal/blueprint"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// Options of a Redactor.
type Options struct {
	Key   []byte             // secret, 32 bytes or so; empty: a random one that dies with the Redactor
	Rules []blueprint.Redact // beyond what is always redacted
}

// Redactor makes redacted copies of observations.
type Redactor struct {
	key     []byte
	headers map[string]bool // configured, lower case
	query   map[string]bool // configured, folded
	form    map[string]bool // configured, folded
	paths   []path
	broken  bool // a rule could not be read
}

// New makes a Redactor.
func New(o Options) *Redactor {
	r := &Redactor{key: append([]byte(nil), o.Key...), headers: map[string]bool{}, query: map[string]bool{}, form: map[string]bool{}}
	if len(r.key) == 0 {
		r.key = make([]byte, sha256.Size)
		rand.Read(r.key) //nolint:errcheck // never fails, see its documentation
	}
	for _, rule := range o.Rules {
		r.add(rule)
	}
	return r
}

func (r *Redactor) add(rule blueprint.Redact) {
	if rule.Header != "" {
		r.headers[strings.ToLower(rule.Header)] = true
	}
	switch name, isQuery := strings.CutPrefix(rule.Path, "$query."); {
	case rule.Path == "":
		r.broken = r.broken || rule.Header == ""
	case isQuery && name != "":
		r.query[fold(name)] = true
	case strings.HasPrefix(rule.Path, "$form.") && rule.Path != "$form.":
		r.form[fold(strings.TrimPrefix(rule.Path, "$form."))] = true
	default:
		p, ok := parsePath(rule.Path)
		if !ok {
			r.broken = true
			return
		}
		r.paths = append(r.paths, p)
		if len(p) == 1 && !p[0].any { // a form's field is the nearest thing to a member of the top object
			r.form[fold(p[0].name)] = true
		}
	}
}

// Token is the token of a value. Tokens of different classes differ for the same value.
func (r *Redactor) Token(class, value string) string {
	sum := r.mac(class, value)
	return "tok_" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:20])
}

func (r *Redactor) mac(class, value string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, r.key)
	h.Write([]byte(class)) // a hash never fails, here and below
	h.Write([]byte{0x1f})
	h.Write([]byte(value))
	h.Sum(sum[:0])
	return sum
}

// hash stands for a body that is kept back. It is keyed: a plain one would let anybody try short bodies out.
func (r *Redactor) hash(b *exchange.Body) uint64 {
	value := string(b.Data)
	if b.Truncated {
		value = string(binary.BigEndian.AppendUint64(nil, b.Hash))
	}
	sum := r.mac("body", value)
	return binary.BigEndian.Uint64(sum[:])
}

// Observation is a copy of o without secrets. It shares with o what needed no change.
func (r *Redactor) Observation(o *observation.Observation) *observation.Observation {
	c := *o
	p := &pass{r: r, seen: map[string]bool{}}
	p.exchange(&c.Baseline)
	p.exchange(&c.Candidate)
	if o.Control != nil {
		control := *o.Control
		c.Control = &control
		p.exchange(c.Control)
	}
	c.BaselineCalls = p.calls(o.BaselineCalls)
	c.ControlCalls = p.calls(o.ControlCalls)
	c.CandidateCalls = p.calls(o.CandidateCalls)
	p.finish()
	return &c
}
