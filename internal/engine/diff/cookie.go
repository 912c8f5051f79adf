// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"slices"
	"strconv"
	"strings"
)

// cookie is one Set-Cookie line (RFC 6265, 5.2).
type cookie struct {
	label string // set-cookie[sid]; a second one of that name is set-cookie[sid]#2
	line  string
	value string
	attrs []group // sorted by name; a flag's value is empty
}

// cookies compares Set-Cookie by cookie and by attribute.
func (c *collector) cookies(a, b *group) {
	x, y := parseCookies(a), parseCookies(b)
	for i, j := 0, 0; i < len(x) || j < len(y); {
		switch {
		case j == len(y) || i < len(x) && x[i].label < y[j].label:
			c.plain(KindHeader, x[i].label, x[i].label, UpTo(Presence), found{class: "missing", was: []byte(x[i].line)})
			i++
		case i == len(x) || y[j].label < x[i].label:
			c.plain(KindHeader, y[j].label, y[j].label, UpTo(Presence), found{class: "extra", is: []byte(y[j].line)})
			j++
		default:
			c.cookie(&x[i], &y[j])
			i, j = i+1, j+1
		}
	}
}

func (c *collector) cookie(x, y *cookie) {
	before := c.emitted
	if x.value != y.value {
		c.attribute(x.label, x.value, y.value)
	}
	merge(x.attrs, y.attrs, func(p, q *group) {
		switch {
		case p == nil:
			c.presence(KindHeader, x.label+"."+q.name, nil, q)
		case q == nil:
			c.presence(KindHeader, x.label+"."+p.name, p, nil)
		case p.values[0] != q.values[0]:
			c.attribute(x.label+"."+p.name, p.values[0], q.values[0])
		}
	})
	if x.line != y.line && before == c.emitted {
		c.plain(KindHeader, x.label, x.label, UpTo(Bytes), found{class: "order", was: []byte(x.line), is: []byte(y.line)})
	}
}

func (c *collector) attribute(path, x, y string) {
	v := look(x, y)
	levels, hid := c.levels(&v, func(r *rule) reach { return r.header(path) }, func() string { return path })
	if !hid {
		f := found{was: []byte(x), is: []byte(y)}
		v.describe(&f)
		c.plain(KindHeader, path, path, levels, f)
	}
}

func parseCookies(g *group) []cookie {
	if g == nil {
		return nil
	}
	seen := make(map[string]int)
	out := make([]cookie, 0, len(g.values))
	for _, line := range g.values {
		var ck cookie
		ck.line = line
		first, rest, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(first, "=")
		name, ck.value = strings.TrimSpace(name), strings.TrimSpace(value)
		ck.label = "set-cookie[" + cookieName(name) + "]"
		if seen[ck.label]++; seen[ck.label] > 1 {
			ck.label += "#" + strconv.Itoa(seen[ck.label])
		}
		ck.attrs = parseAttributes(rest)
		out = append(out, ck)
	}
	slices.SortStableFunc(out, func(a, b cookie) int { return strings.Compare(a.label, b.label) })
	return out
}

// cookieName is the name in a path; one that is an identifier itself is generalised.
func cookieName(name string) string {
	if cl := nameClass([]byte(name)); cl != "" {
		return "{" + cl + "}"
	}
	return clip([]byte(name))
}

func parseAttributes(rest string) []group {
	var out []group
	for part := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == "" {
			continue
		}
		switch name {
		case "domain":
			value = strings.ToLower(strings.TrimPrefix(value, "."))
		case "samesite":
			value = strings.ToLower(value)
		case "expires":
			value = strings.TrimSpace(value)
		}
		out = append(out, group{name: clip([]byte(name)), values: []string{value}})
	}
	slices.SortStableFunc(out, func(a, b group) int { return strings.Compare(a.name, b.name) })
	// The last of several attributes of one name holds (RFC 6265, 5.3).
	n := 0
	for i := range out {
		if n > 0 && out[n-1].name == out[i].name {
			out[n-1] = out[i]
			continue
		}
		out[n] = out[i]
		n++
	}
	return out[:n]
}
