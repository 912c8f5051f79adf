// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"microstax/internal/engine/canon"
	"microstax/internal/engine/pairing"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// The sources of facts, as their names begin. What the user sent explains better than what was answered.
const (
	fromRequest = "request."
	fromCall    = "call."
	fromAnswer  = "baseline."
)

// Facts are what is known of the request behind an observation, at an endpoint such as "GET /orders/{id}". They are the
// baseline's, so that neither shadow's behaviour explains itself.
func Facts(o *observation.Observation, endpoint string) []Fact {
	c := &collector{}
	c.target(endpoint, o.Baseline.Request.Target)
	c.headers(o.Baseline.Request.Headers)
	c.body(fromRequest+"body.", o.Baseline.Request.Body, o.Baseline.Request.Headers)
	for i := range o.BaselineCalls {
		x := &o.BaselineCalls[i]
		name := fromCall + x.Dependency + " " + pairing.Template(x.Exchange.Request.Method, x.Exchange.Request.Target)
		c.put(name+" status", strconv.Itoa(x.Exchange.Response.Status))
	}
	c.put(fromAnswer+"status", strconv.Itoa(o.Baseline.Response.Status))
	c.body(fromAnswer+"body.", o.Baseline.Response.Body, o.Baseline.Response.Headers)
	return c.out
}

// collector gathers facts within the bound.
type collector struct{ out []Fact }

func (c *collector) put(name, value string) {
	if len(c.out) < maxFacts && len(name) <= maxName {
		c.out = append(c.out, Fact{name, value})
	}
}

// target takes path parameters and query.
func (c *collector) target(endpoint, target string) {
	path, query, _ := strings.Cut(target, "?")
	_, template, _ := strings.Cut(endpoint, " ")
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	for i := 1; i < len(want) && i < len(have); i++ {
		if strings.HasPrefix(want[i], "{") {
			c.put(fromRequest+"path."+cmp.Or(want[i-1], want[i]), text(have[i]))
		}
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		vs := values[name]
		if len(vs) == 1 {
			c.put(fromRequest+"query."+name, text(vs[0]))
		} else {
			c.put(fromRequest+"query."+name+" length", strconv.Itoa(len(vs)))
		}
	}
}

// headers takes those that tell one kind of client from another.
func (c *collector) headers(hs []exchange.Header) {
	for _, h := range hs {
		name := strings.ToLower(h.Name)
		switch {
		case name == "user-agent":
			family, _, _ := strings.Cut(h.Value, "/")
			c.put(fromRequest+"header.user-agent family", text(family))
		case name == "accept", name == "accept-language", name == "content-type", name == "accept-encoding",
			name == "content-encoding", name == "if-none-match" && h.Value == "*", name == "prefer", name == "expect":
			c.put(fromRequest+"header."+name, text(h.Value))
		case strings.HasPrefix(name, "x-") && !perRequest(name):
			c.put(fromRequest+"header."+name, text(h.Value))
		}
	}
}

// perRequest are headers that have another value in every request.
func perRequest(name string) bool {
	return strings.Contains(name, "request-id") || strings.Contains(name, "trace") || strings.Contains(name, "correlation") ||
		strings.Contains(name, "forwarded") || strings.Contains(name, "b3-") || strings.Contains(name, "real-ip")
}

// body takes the leaves of a structured body.
func (c *collector) body(prefix string, b exchange.Body, hs []exchange.Header) {
	d := canon.Decode(b, hs, canon.Limits{Bytes: 256 << 10, Nodes: 4000})
	if d.Tree == nil {
		if d.Kind != canon.Empty {
			c.put(prefix+"kind", strconv.Quote(d.Kind.String()))
		}
		return
	}
	c.walk(prefix+"$", d.Tree, 0)
}

func (c *collector) walk(path string, t *canon.Tree, i int32) {
	if len(c.out) >= maxFacts || len(path) > maxName {
		return
	}
	switch t.Type(i) {
	case canon.Object:
		for _, k := range t.Children(i) {
			c.walk(path+"."+string(t.Key(k)), t, k)
		}
	case canon.Array:
		kids := t.Children(i)
		c.put(path+" length", strconv.Itoa(len(kids)))
		for n, k := range kids {
			if n == 3 { // the first few stand for all
				return
			}
			c.walk(path+"[*]", t, k)
		}
	case canon.String:
		c.put(path, text(string(t.Text(i))))
	case canon.Number:
		c.put(path, number(string(t.Text(i))))
	default:
		c.put(path, string(t.Text(i)))
	}
}

// number is a number as spelled, unless it is a point in time.
func number(v string) string {
	switch canon.Class(v) {
	case canon.ClassEpochS, canon.ClassEpochMS, canon.ClassEpochUS, canon.ClassEpochNS:
		return "<time>"
	}
	if len(v) > maxValue {
		return "<number>"
	}
	return v
}

// text is what is kept of a string: itself where it is short and could be one of few, else its kind.
func text(v string) string {
	switch class := canon.Class(v); class {
	case canon.ClassUUID, canon.ClassULID, canon.ClassKSUID, canon.ClassObjectID, canon.ClassHex, canon.ClassJWT,
		canon.ClassEmail, canon.ClassRFC3339:
		return "<" + class + ">"
	}
	switch {
	case len(v) > maxValue:
		return "<text of " + strconv.Itoa(magnitude(utf8.RuneCountInString(v))) + " characters or more>"
	case !utf8.ValidString(v):
		return "<bytes>"
	}
	return strconv.Quote(v)
}

// magnitude is the largest power of two that is not larger.
func magnitude(n int) int {
	m := 1
	for m*2 <= n {
		m *= 2
	}
	return m
}
