// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
)

// Limits on what a service's shadow may hold in memory.
const (
	MaxConcurrency = 4096
	MaxMaxBody     = Size(1 << 30)
)

func (c *checker) checkShadow(path string, s Shadow) {
	if s.Sample != nil && !(*s.Sample >= 0 && *s.Sample <= 1) {
		c.add(path+".sample", RuleBadRate, "sample %v is no share: write it like 25%% or 0.25", *s.Sample)
	}
	for i, m := range s.Match {
		c.checkMatch(fmt.Sprintf("%s.match[%d]", path, i), m)
	}
	for i, m := range s.Exclude {
		c.checkMatch(fmt.Sprintf("%s.exclude[%d]", path, i), m)
	}
	for i, k := range s.Session {
		c.checkSession(fmt.Sprintf("%s.session[%d]", path, i), k)
	}
	c.checkControl(path+".control", s.Control)
	c.checkEffects(path+".effects", s.Effects)
	if s.Concurrency < 0 || s.Concurrency > MaxConcurrency {
		c.add(path+".concurrency", RuleBadValue, "concurrency is %d: it must be 1 to %d", s.Concurrency, MaxConcurrency)
	}
	if s.Timeout < 0 {
		c.add(path+".timeout", RuleBadDuration, "timeout %s is negative", s.Timeout)
	}
	if s.MaxBody < 0 || s.MaxBody > MaxMaxBody {
		c.add(path+".maxBody", RuleBadSize, "maxBody is %d bytes: it must be 1 to %s", int64(s.MaxBody), MaxMaxBody)
	}
	for i, x := range s.Ignore {
		c.checkIgnore(fmt.Sprintf("%s.ignore[%d]", path, i), x)
	}
	for i, x := range s.Redact {
		c.checkPlace(fmt.Sprintf("%s.redact[%d]", path, i), x.Path, x.Header)
	}
	if s.Gate != nil {
		c.checkGate(path+".gate", *s.Gate)
	}
}

func (c *checker) checkMatch(path string, m Match) {
	if len(m.Method) == 0 && m.Path == "" {
		c.add(path, RuleRequired, "the rule matches nothing in particular: add path: or method:")
	}
	for i, method := range m.Method {
		if !isToken(method) {
			c.add(fmt.Sprintf("%s.method[%d]", path, i), RuleBadValue, "%q is not a method", shorten(method))
		}
	}
	if m.Path == "" {
		return
	}
	if !strings.HasPrefix(m.Path, "/") {
		c.add(path+".path", RuleBadPath, "path %q has to begin with a slash, like /orders/**", shorten(m.Path))
	}
	if strings.ContainsAny(m.Path, "?#") {
		c.add(path+".path", RuleBadPath, "path %q holds a query: only the path is matched", shorten(m.Path))
	}
	for _, segment := range strings.Split(m.Path, "/") {
		if strings.Contains(segment, "*") && segment != "*" && segment != "**" {
			c.add(path+".path", RuleBadPath, "%q mixes a star with letters: * stands for one whole segment, ** for any number of them", shorten(segment))
		}
	}
}

func (c *checker) checkSession(path, key string) {
	kind, name, named := strings.Cut(key, ":")
	switch {
	case key == "client-ip":
	case (kind == "cookie" || kind == "header") && named && isToken(name):
	case kind == "cookie" || kind == "header":
		c.add(path, RuleBadValue, "session key %q lacks a usable name: write %s:NAME", shorten(key), kind)
	default:
		near, ok := Nearest(kind, []string{"cookie", "header", "client-ip"})
		hint := ""
		if ok {
			hint = "; did you mean " + near + "?"
		}
		c.add(path, RuleBadValue, "session key %q cannot be read: write cookie:NAME, header:NAME or client-ip%s", shorten(key), hint)
	}
}

func (c *checker) checkControl(path, control string) {
	if control == "" || control == ControlAuto || control == ControlOff {
		return
	}
	if u, err := url.Parse(control); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		return
	}
	c.add(path, RuleBadValue, "control %q cannot be read: write auto, off, or a URL like http://10.0.0.4:8080", shorten(control))
}

func (c *checker) checkEffects(path, effects string) {
	known := []string{EffectsReplay, EffectsPassthrough, EffectsBlock, EffectsIsolated}
	switch {
	case effects == EffectsIsolated:
		c.add(path, RuleNotSupported, "effects: isolated is not available in this version: use replay, which lets no write leave either")
	case effects != "" && !slices.Contains(known, effects):
		c.add(path, RuleBadValue, "effects %q does not exist%s", effects, meant(effects, known[:3]))
	}
}

func (c *checker) checkIgnore(path string, x Ignore) {
	c.checkPlace(path, x.Path, x.Header)
	if x.Tolerance != nil && !(*x.Tolerance >= 0 && !math.IsInf(*x.Tolerance, 0)) {
		c.add(path+".tolerance", RuleBadValue, "tolerance %v cannot be kept: write zero or more", *x.Tolerance)
	}
	if x.Order != "" && x.Order != "any" {
		c.add(path+".order", RuleBadValue, "order %q does not exist: write any, or leave it out", x.Order)
	}
	if x.Header != "" && (x.Tolerance != nil || x.Order != "") {
		c.add(path, RuleBadValue, "a header has neither tolerance nor order: they are for a path")
	}
	if x.Tolerance != nil && x.Order != "" {
		c.add(path, RuleBadValue, "tolerance is for a number and order for a list: keep one, and write two entries if both are meant")
	}
	if x.Endpoint == "" {
		return
	}
	if method, template, ok := strings.Cut(x.Endpoint, " "); !ok || !isToken(method) || !strings.HasPrefix(template, "/") {
		c.add(path+".endpoint", RuleBadPath, "endpoint %q cannot be read: write it like GET /orders/{id}", shorten(x.Endpoint))
	}
}

// checkPlace checks that exactly one of a JSON path and a header is named.
func (c *checker) checkPlace(path, json, header string) {
	switch {
	case json == "" && header == "":
		c.add(path, RuleRequired, "nothing is named: add path: like $.updatedAt, or header: like x-served-by")
	case json != "" && header != "":
		c.add(path, RuleBadValue, "path and header name two things: write two entries")
	case json != "" && !jsonPathForm.MatchString(json):
		c.add(path+".path", RuleBadPath, "%q is not a path into JSON: write it like $.items[*].price", shorten(json))
	case header != "" && !isToken(header):
		c.add(path+".header", RuleBadName, "%q cannot be a header's name", shorten(header))
	}
}

func (c *checker) checkGate(path string, g Gate) {
	if g.Confidence != 0 && !(g.Confidence > 0 && g.Confidence < 1) {
		c.add(path+".confidence", RuleBadRate, "confidence %v cannot be reached: it lies between 0 and 1, like 0.95", g.Confidence)
	}
	c.checkLimits(path, EndpointGate{MaxDifferenceRate: g.MaxDifferenceRate, MinRequests: g.MinRequests, MaxLatencyRatio: g.MaxLatencyRatio})
	seen := map[string]bool{}
	for i, e := range g.Endpoints {
		at := fmt.Sprintf("%s.endpoints[%d]", path, i)
		method, target, ok := strings.Cut(e.Endpoint, " ")
		switch {
		case e.Endpoint == "":
			c.add(at+".endpoint", RuleRequired, "no endpoint is named: write it as the report does, like GET /orders/{id}")
		case !ok || !isToken(method) || !strings.HasPrefix(target, "/"):
			c.add(at+".endpoint", RuleBadPath, "%q is no endpoint: write it as the report does, like GET /orders/{id}", shorten(e.Endpoint))
		case seen[e.Endpoint]:
			c.add(at+".endpoint", RuleDuplicateName, "%q is listed twice", shorten(e.Endpoint))
		}
		seen[e.Endpoint] = true
		c.checkLimits(at, e)
	}
}

// checkLimits checks what the gates of services and of endpoints have in common.
func (c *checker) checkLimits(path string, g EndpointGate) {
	if g.MaxDifferenceRate != 0 && !(g.MaxDifferenceRate > 0 && g.MaxDifferenceRate < 1) {
		c.add(path+".maxDifferenceRate", RuleBadRate, "maxDifferenceRate %v is no rate: it lies between 0 and 1, like 0.001", g.MaxDifferenceRate)
	}
	if g.MinRequests < 0 {
		c.add(path+".minRequests", RuleBadValue, "minRequests is %d: it must be 1 or more", g.MinRequests)
	}
	if g.MaxLatencyRatio != 0 && !(g.MaxLatencyRatio >= 1 && !math.IsInf(g.MaxLatencyRatio, 0)) {
		c.add(path+".maxLatencyRatio", RuleBadRate, "maxLatencyRatio %v cannot hold: 1 is as fast as the control, 1.2 a fifth slower", g.MaxLatencyRatio)
	}
}
