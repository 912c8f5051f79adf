// SPDX-License-Identifier: Apache-2.0

// Package identity learns which identifier of a shadow stands for which of the baseline's, and rewrites later requests
// accordingly. A service that makes its own ids gives the copy of a POST another id than the user got; without this every
// later request of that user would ask the shadow for something it has never heard of.
//
// What is learnt is a bijection, from answers to the same request: values that look made up (uuids, long tokens) wherever
// they stand outside of lists, and numbers only where a name says that they identify something. A value that was seen to
// stand for two things keeps its first meaning. Numbers are rewritten only in the places that name what they identify,
// never by searching text. A Map is bounded, safe for concurrent use, and on nobody's user path.
package identity

import (
	"bytes"
	"strconv"
	"strings"
	"sync"

	"microstax/internal/exchange"
)

// maxEntries bounds one generation of a map; two are kept.
const maxEntries = 64 << 10

// key names a baseline value: of is "" for values that tell themselves apart, else what a number identifies.
type key struct{ of, value string }

// Map is what is known of one shadow's identifiers.
type Map struct {
	mu        sync.Mutex
	there     generations // baseline → shadow
	back      generations // shadow → baseline
	conflicts int64
}

// generations is a map that forgets its older half when it is full.
type generations struct{ now, before map[key]string }

func (g *generations) get(k key) (string, bool) {
	if v, ok := g.now[k]; ok {
		return v, true
	}
	v, ok := g.before[k]
	return v, ok
}

func (g *generations) put(k key, v string) {
	if g.now == nil || len(g.now) >= maxEntries {
		g.before, g.now = g.now, map[key]string{}
	}
	g.now[k] = v
}

// Len is how many identifiers are known.
func (m *Map) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.there.now) + len(m.there.before)
}

// Conflicts is how often a value was seen to stand for something else than before.
func (m *Map) Conflicts() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conflicts
}

// Learn compares the shadow's answer with the baseline's to the same request. Answers that failed, or of another status
// class, teach nothing.
func (m *Map) Learn(baseline, shadow *exchange.Exchange) {
	if baseline.Outcome != exchange.OK || shadow.Outcome != exchange.OK ||
		baseline.Response.Status/100 != shadow.Response.Status/100 || baseline.Response.Status >= 400 {
		return
	}
	path, _, _ := strings.Cut(baseline.Request.Target, "?")
	m.headers(&baseline.Response, &shadow.Response)
	if bytes.Equal(baseline.Response.Body.Data, shadow.Response.Body.Data) ||
		baseline.Response.Body.Truncated || shadow.Response.Body.Truncated {
		return
	}
	mine, ok := leaves(baseline.Response.Body.Data)
	if !ok {
		return
	}
	theirs, ok := leaves(shadow.Response.Body.Data)
	if !ok {
		return
	}
	created := baseline.Request.Method == "POST" || baseline.Request.Method == "PUT"
	at := make(map[string]leaf, len(theirs))
	for _, l := range theirs {
		at[l.pointer] = l
	}
	for _, l := range mine {
		o, ok := at[l.pointer]
		if !ok || o.text == l.text || o.number != l.number || l.listed && !created {
			continue // the same place of two lists may hold two things
		}
		m.leaf(l, o, path)
	}
}

func (m *Map) leaf(mine, theirs leaf, path string) {
	name := mine.identifies(path)
	switch {
	case mine.number:
		if name != "" && isCount(mine.text) && isCount(theirs.text) {
			m.propose(name, mine.text, theirs.text)
		}
	case madeUp(mine.text) && madeUp(theirs.text):
		m.propose("", mine.text, theirs.text)
	case name != "" && isCount(mine.text) && isCount(theirs.text):
		m.propose(name, mine.text, theirs.text)
	case name != "" && isWord(mine.text) && isWord(theirs.text):
		m.propose("", mine.text, theirs.text)
	}
}

// headers learns from Location and Set-Cookie.
func (m *Map) headers(baseline, shadow *exchange.Response) {
	if b, ok := exchange.Get(baseline.Headers, "location"); ok {
		if s, ok := exchange.Get(shadow.Headers, "location"); ok && b != s {
			m.paths(b, s)
		}
	}
	cookies := map[string]string{}
	for _, h := range shadow.Headers {
		if exchange.EqualFold(h.Name, "set-cookie") {
			name, value := cookie(h.Value)
			cookies[name] = value
		}
	}
	for _, h := range baseline.Headers {
		if !exchange.EqualFold(h.Name, "set-cookie") {
			continue
		}
		name, value := cookie(h.Value)
		if other := cookies[name]; other != "" && other != value && isWord(value) && isWord(other) {
			m.propose("", value, other)
		}
	}
}

// paths learns from two paths that differ in their ids.
func (m *Map) paths(baseline, shadow string) {
	b, s := strings.Split(baseline, "/"), strings.Split(shadow, "/")
	if len(b) != len(s) {
		return
	}
	for i := range b {
		switch {
		case b[i] == s[i] || i == 0:
		case madeUp(b[i]) && madeUp(s[i]):
			m.propose("", b[i], s[i])
		case isCount(b[i]) && isCount(s[i]):
			m.propose(singular(b[i-1]), b[i], s[i])
		}
	}
}

func cookie(v string) (name, value string) {
	v, _, _ = strings.Cut(v, ";")
	name, value, _ = strings.Cut(strings.TrimSpace(v), "=")
	return name, value
}

// propose adds a pair, unless one of the two stands for something else already.
func (m *Map) propose(of, mine, theirs string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	there, known := m.there.get(key{of, mine})
	if known {
		if there != theirs {
			m.conflicts++
		}
		return
	}
	if _, taken := m.back.get(key{of, theirs}); taken {
		m.conflicts++
		return
	}
	m.there.put(key{of, mine}, theirs)
	m.back.put(key{of, theirs}, mine)
}

// Rewrite gives target, header values and body of a request with the baseline's identifiers replaced by the shadow's;
// changed is false, and everything is as it was, when there is none in it.
func (m *Map) Rewrite(r *exchange.Request) (out exchange.Request, changed bool) {
	return m.apply(r, &m.there)
}

// Restore is the way back: a shadow's request with its identifiers replaced by the baseline's.
func (m *Map) Restore(r *exchange.Request) (out exchange.Request, changed bool) {
	return m.apply(r, &m.back)
}

func (m *Map) apply(r *exchange.Request, by *generations) (exchange.Request, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(by.now)+len(by.before) == 0 {
		return *r, false
	}
	out, changed := *r, false
	if target := replacePath(r.Target, by); target != r.Target {
		out.Target, changed = target, true
	}
	var headers []exchange.Header
	for i, h := range r.Headers {
		if !carriesIDs(h.Name) {
			continue
		}
		if v := replaceTokens(h.Value, by); v != h.Value {
			if headers == nil {
				headers = append([]exchange.Header(nil), r.Headers...)
			}
			headers[i].Value = v
		}
	}
	if headers != nil {
		out.Headers, changed = headers, true
	}
	if len(r.Body.Data) > 0 && len(r.Body.Data) <= maxBody && !r.Body.Truncated {
		body := replaceNumbers([]byte(replaceTokens(string(r.Body.Data), by)), by)
		if !bytes.Equal(body, r.Body.Data) {
			out.Body, changed = exchange.Body{Data: body, Length: int64(len(body)), Messages: r.Body.Messages}, true
		}
	}
	return out, changed
}

// carriesIDs are the headers in which a client sends back what it was given.
func carriesIDs(name string) bool {
	switch strings.ToLower(name) {
	case "cookie", "authorization", "referer", "if-match", "if-none-match", "x-csrf-token":
		return true
	}
	return false
}

// replacePath replaces ids in a target: made up ones anywhere, numbers as path segments behind what they identify and as
// query parameters that name it.
func replacePath(target string, by *generations) string {
	path, query, has := strings.Cut(replaceTokens(target, by), "?")
	segments := strings.Split(path, "/")
	for i := 1; i < len(segments); i++ {
		if !isCount(segments[i]) {
			continue
		}
		if v, ok := by.get(key{singular(segments[i-1]), segments[i]}); ok {
			segments[i] = v
		}
	}
	path = strings.Join(segments, "/")
	if !has {
		return path
	}
	params := strings.Split(query, "&")
	for i, p := range params {
		name, value, _ := strings.Cut(p, "=")
		if of := namedID(name); of != "" && isCount(value) {
			if v, ok := by.get(key{of, value}); ok {
				params[i] = name + "=" + v
			}
		}
	}
	return path + "?" + strings.Join(params, "&")
}

// replaceTokens replaces every word that is a known identifier.
func replaceTokens(s string, by *generations) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		if !wordByte(s[i]) {
			i++
			continue
		}
		j := i
		for j < len(s) && wordByte(s[j]) {
			j++
		}
		if j-i >= minWord {
			if v, ok := by.get(key{"", s[i:j]}); ok {
				b.WriteString(s[done:i])
				b.WriteString(v)
				done = j
			}
		}
		i = j
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// minWord is the shortest word, in bytes, that can be taken for a made-up identifier.
const minWord = 6

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '_'
}

// isWord says whether s is one word, long enough to be told from others, with a digit in it.
func isWord(s string) bool {
	digit := false
	for i := range len(s) {
		if !wordByte(s[i]) {
			return false
		}
		digit = digit || s[i] >= '0' && s[i] <= '9'
	}
	return digit && len(s) >= minWord && len(s) <= 512
}

// madeUp says whether s looks like an identifier that nobody would choose twice: a long word of digits and letters.
func madeUp(s string) bool {
	if len(s) < 12 || !isWord(s) || isCount(s) {
		return false
	}
	digits := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			digits++
		}
	}
	return digits >= 2 && !isTime(s)
}

// isTime keeps dates out, which look made up: 2026-11-22.
func isTime(s string) bool { return len(s) >= 10 && s[4] == '-' && s[7] == '-' && isCount(s[:4]) }

// isCount says whether s is a whole number without sign, as ids that are counted up are.
func isCount(s string) bool {
	if s == "" || len(s) > 18 {
		return false
	}
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}
