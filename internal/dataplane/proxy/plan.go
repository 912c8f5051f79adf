// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/route"
)

// plan is a listener of a table, prepared for matching.
type plan struct {
	*route.Listener
	revision uint64
	def      *target
	keys     map[string]*target
	session  []string // where to look for the user's session, at gateways
	begins   bool     // an answer may begin a session, by setting a cookie
	web      bool     // a provider has to be spoken to in HTTP/2: net/http serves all connections
	tls      *tls.Config
	except   map[netip.AddrPort]bool // of a tap: who gets the copies
}

// target is a route.Target with what it needs at run time.
type target struct {
	*route.Target
	next    atomic.Uint32
	entries []entry
	record  []*mirror.Runner
	shadow  *mirror.Runner // of Effect
}

// enter notes a request at each place that takes copies, and says how many the provider has under way, with this one.
// leave must follow.
func (t *target) enter() int {
	level := 0
	for i := range t.entries {
		level = max(level, t.entries[i].runner.Enter())
	}
	return level
}

func (t *target) leave() {
	for i := range t.entries {
		t.entries[i].runner.Leave()
	}
}

// entry is a place where a session takes copies.
type entry struct {
	*route.Entry
	runner         *mirror.Runner
	match, exclude []pattern
	sample         uint64 // of mirror.Whole
	maxBody        int64
}

// compile prepares a table's listeners, in their order.
func compile(t *route.Table, runners map[string]*mirror.Runner) []*plan {
	session := sessionKeys(t)
	plans := make([]*plan, len(t.Listeners))
	for i := range t.Listeners {
		l := t.Listeners[i] // a copy: the table stays as it is
		if l.Header == "" {
			l.Header = blueprint.DefaultHeader
		}
		p := &plan{Listener: &l, revision: t.Revision, keys: make(map[string]*target, len(l.Keys)), session: session}
		if l.Default != nil {
			p.def = compileTarget(l.Default, runners)
			p.web = l.Default.HTTP2
		}
		for k, v := range l.Keys {
			p.web = p.web || v.HTTP2
			p.keys[k] = compileTarget(v, runners)
		}
		p.begins = p.Kind != route.Outgoing && slices.ContainsFunc(session, func(k string) bool { return strings.HasPrefix(k, "cookie:") })
		plans[i] = p
	}
	return plans
}

func compileTarget(t *route.Target, runners map[string]*mirror.Runner) *target {
	c := &target{Target: t}
	for _, e := range t.Mirror {
		r := runners[e.Shadow.Session]
		if r == nil {
			continue
		}
		s := e.Settings
		x := entry{Entry: e, runner: r, match: patterns(s.Match), exclude: patterns(s.Exclude), sample: mirror.Whole}
		if s.Sample != nil {
			x.sample = uint64(min(max(*s.Sample, 0), 1) * mirror.Whole)
		}
		if x.maxBody = int64(s.MaxBody); x.maxBody <= 0 {
			x.maxBody = mirror.DefaultMaxBody
		}
		c.entries = append(c.entries, x)
	}
	for _, s := range t.Record {
		if r := runners[s.Session]; r != nil {
			c.record = append(c.record, r)
		}
	}
	if t.Effect != nil {
		c.shadow = runners[t.Effect.Shadow.Session]
	}
	return c
}

// sessionKeys is where any of the table's shadows looks for a user's session, names of headers in lower case.
func sessionKeys(t *route.Table) []string {
	var keys []string
	seen := map[string]bool{}
	add := func(list []string) {
		for _, k := range list {
			if kind, _, _ := strings.Cut(k, ":"); kind == "header" {
				k = strings.ToLower(k)
			}
			if !seen[k] {
				seen[k] = true
				keys = append(keys, k)
			}
		}
	}
	for i := range t.Listeners {
		for _, e := range mirrored(&t.Listeners[i]) {
			add(e.Settings.Session)
		}
	}
	if len(keys) == 0 {
		return defaultSession()
	}
	return keys
}

func mirrored(l *route.Listener) []*route.Entry {
	var es []*route.Entry
	if l.Default != nil {
		es = append(es, l.Default.Mirror...)
	}
	for _, t := range l.Keys {
		es = append(es, t.Mirror...)
	}
	return es
}

func defaultSession() []string { return []string{"cookie:sid", "header:authorization", "client-ip"} }

// wants says whether match and exclude let a request through.
func (e *entry) wants(h *http1.Head) bool {
	if len(e.match) == 0 && len(e.exclude) == 0 {
		return true
	}
	method, path := string(h.Method), pathOf(h)
	for i := range e.exclude {
		if e.exclude[i].fits(method, path) {
			return false
		}
	}
	for i := range e.match {
		if e.match[i].fits(method, path) {
			return true
		}
	}
	return len(e.match) == 0
}

// addr chooses an instance in turn.
func (t *target) addr() string {
	switch n := uint32(len(t.Addrs)); n { //nolint:gosec // a handful
	case 0:
		return ""
	case 1:
		return t.Addrs[0]
	default:
		return t.Addrs[t.next.Add(1)%n]
	}
}

// pattern is one match rule.
type pattern struct {
	methods  []string
	segments []string // nil: every path
}

func patterns(ms []blueprint.Match) []pattern {
	ps := make([]pattern, 0, len(ms))
	for _, m := range ms {
		p := pattern{}
		for _, method := range m.Method {
			p.methods = append(p.methods, strings.ToUpper(method))
		}
		if m.Path != "" {
			p.segments = strings.Split(strings.TrimPrefix(m.Path, "/"), "/")
		}
		ps = append(ps, p)
	}
	return ps
}

func (p *pattern) fits(method, path string) bool {
	if len(p.methods) > 0 {
		ok := false
		for _, m := range p.methods {
			ok = ok || m == method
		}
		if !ok {
			return false
		}
	}
	if p.segments == nil {
		return true
	}
	return glob(p.segments, strings.Split(strings.TrimPrefix(path, "/"), "/"))
}

// glob matches path segments: ** stands for any number of them, * for one.
func glob(pattern, path []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			if len(pattern) == 1 {
				return true
			}
			for i := 0; i <= len(path); i++ {
				if glob(pattern[1:], path[i:]) {
					return true
				}
			}
			return false
		}
		if len(path) == 0 || pattern[0] != "*" && pattern[0] != path[0] {
			return false
		}
		pattern, path = pattern[1:], path[1:]
	}
	return len(path) == 0
}
