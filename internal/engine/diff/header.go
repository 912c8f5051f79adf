// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"slices"
	"strings"

	"microstax/internal/engine/canon"
	"microstax/internal/exchange"
)

// group is all lines of one header, name in lower case.
type group struct {
	name   string
	values []string
}

// maxHeaders bounds how many lines of one message are looked at.
const maxHeaders = 1000

// groups sorts header lines by name, lines of one name in their order.
func groups(hs []exchange.Header) []group {
	if len(hs) > maxHeaders {
		hs = hs[:maxHeaders]
	}
	out := make([]group, 0, len(hs))
	for i := range hs {
		name := strings.ToLower(clip([]byte(hs[i].Name)))
		if name == "" {
			name = "(no name)"
		}
		out = append(out, group{name: name, values: []string{hs[i].Value}})
	}
	slices.SortStableFunc(out, func(a, b group) int { return strings.Compare(a.name, b.name) })
	n := 0
	for i := range out {
		if n > 0 && out[n-1].name == out[i].name {
			out[n-1].values = append(out[n-1].values, out[i].values...)
			continue
		}
		out[n] = out[i]
		n++
	}
	return out[:n]
}

func find(gs []group, name string) *group {
	for i := range gs {
		if gs[i].name == name {
			return &gs[i]
		}
	}
	return nil
}

// heads compares the header sections of two answers.
func (c *collector) heads(base, other *exchange.Exchange) {
	a, b := groups(base.Response.Headers), groups(other.Response.Headers)
	head := bodiless(base)
	c.mediaType(find(a, "content-type"), find(b, "content-type"))
	merge(a, b, func(x, y *group) {
		name := ""
		if x != nil {
			name = x.name
		} else {
			name = y.name
		}
		switch {
		case framing(name, head), name == "content-type":
		case name == "content-length":
			if x != nil && y != nil { // chunked or not is framing even where no body follows
				c.values(KindHeader, name, x, y)
			}
		case name == "set-cookie":
			c.cookies(x, y)
		default:
			c.values(KindHeader, name, x, y)
		}
	})
}

// trailers compares the trailer sections.
func (c *collector) trailers(a, b []exchange.Header) {
	merge(groups(a), groups(b), func(x, y *group) {
		name := ""
		if x != nil {
			name = x.name
		} else {
			name = y.name
		}
		c.values(KindTrailer, name, x, y)
	})
}

// merge walks two sorted lists; what one of them lacks is nil.
func merge(a, b []group, each func(x, y *group)) {
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case j == len(b) || i < len(a) && a[i].name < b[j].name:
			each(&a[i], nil)
			i++
		case i == len(a) || b[j].name < a[i].name:
			each(nil, &b[j])
			j++
		default:
			each(&a[i], &b[j])
			i, j = i+1, j+1
		}
	}
}

// mediaType compares Content-Type: another type is a difference at Type, another parameter at Tolerant.
func (c *collector) mediaType(a, b *group) {
	if a == nil && b == nil {
		return
	}
	const path = "content-type"
	if a == nil || b == nil {
		c.presence(KindMediaType, path, a, b)
		return
	}
	x, y := strings.Join(a.values, ", "), strings.Join(b.values, ", ")
	if x == y {
		return
	}
	levels := UpTo(Bytes)
	switch {
	case canon.MediaType(x) != canon.MediaType(y):
		levels = UpTo(Type)
	case !slices.Equal(parameters(x), parameters(y)):
		levels = UpTo(Tolerant)
	}
	c.plain(KindMediaType, path, path, levels, found{class: "other", was: []byte(x), is: []byte(y)})
}

// parameters are a media type's parameters, sorted, without what is spelling.
func parameters(v string) []string {
	var out []string
	for i, p := range split(v, ';') {
		if i == 0 || p == "" {
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.Trim(strings.TrimSpace(value), `"`)
		if name == "charset" {
			value = strings.ToLower(value)
		}
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

// split cuts at sep outside of quoted strings, and trims white space.
func split(v string, sep byte) []string {
	var out []string
	quoted, start := false, 0
	for i := 0; i <= len(v); i++ {
		switch {
		case i == len(v) || v[i] == sep && !quoted:
			out = append(out, strings.TrimSpace(v[start:i]))
			start = i + 1
		case v[i] == '"':
			quoted = !quoted
		case v[i] == '\\' && quoted && i+1 < len(v):
			i++
		}
	}
	return out
}

func (c *collector) presence(kind Kind, path string, a, b *group) {
	if b == nil {
		c.plain(kind, path, path, UpTo(Presence), found{class: "missing", was: []byte(strings.Join(a.values, ", "))})
		return
	}
	c.plain(kind, path, path, UpTo(Presence), found{class: "extra", is: []byte(strings.Join(b.values, ", "))})
}

// values compares one header that is no cookie. Its path is its name; a trailer's is trailer[name].
func (c *collector) values(kind Kind, name string, a, b *group) {
	path := name
	if kind == KindTrailer {
		path = "trailer[" + name + "]"
	}
	if a == nil || b == nil {
		c.presence(kind, path, a, b)
		return
	}
	if slices.Equal(a.values, b.values) {
		return
	}
	x, y := strings.Join(a.values, ", "), strings.Join(b.values, ", ")
	if name == "date" && canon.HTTPDate(x) && canon.HTTPDate(y) {
		return // when the answer was made is not behaviour; that it says so is
	}
	f := found{class: "other", was: []byte(x), is: []byte(y)}
	if isList(name) {
		c.lists(kind, path, x, y, f)
		return
	}
	x, y = opaque(name, strings.TrimSpace(x)), opaque(name, strings.TrimSpace(y))
	if x == y {
		c.plain(kind, path, path, UpTo(Bytes), f)
		return
	}
	v := look(x, y)
	levels, hid := c.levels(&v, func(r *rule) reach { return r.header(path) }, func() string { return path })
	if !hid {
		v.describe(&f)
		c.plain(kind, path, path, levels, f)
	}
}

// opaque is an entity tag without what is not its value (RFC 9110, 8.8.3).
func opaque(name, v string) string {
	if name == "etag" {
		return strings.Trim(strings.TrimPrefix(v, "W/"), `"`)
	}
	return v
}

// lists compares comma-separated values in which order and case of tokens mean nothing.
func (c *collector) lists(kind Kind, path, x, y string, f found) {
	a, b := members(x), members(y)
	levels := UpTo(Tolerant)
	switch {
	case slices.Equal(a, b):
		levels, f.class = UpTo(Bytes), "order"
	case len(a) != len(b):
		levels = UpTo(Format)
	}
	c.plain(kind, path, path, levels, f)
}

func members(v string) []string {
	var out []string
	for _, m := range split(v, ',') {
		if m != "" {
			out = append(out, strings.ToLower(m))
		}
	}
	slices.Sort(out)
	return out
}

// isList says whether the header is a list whose order means nothing.
func isList(name string) bool {
	switch name {
	case "vary", "allow", "cache-control", "pragma", "content-language", "access-control-allow-methods",
		"access-control-allow-headers", "access-control-expose-headers", "clear-site-data", "preference-applied":
		return true
	}
	return strings.HasPrefix(name, "accept")
}
