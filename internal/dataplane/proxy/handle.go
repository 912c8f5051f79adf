// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bytes"
	"net"
	"strings"
	"time"

	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/route"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// belonging is what is known of a request before it is forwarded.
type belonging struct {
	key     string
	trace   string
	session string
	own     bool
	added   string // traceparent that the data plane adds
}

// handle serves the request whose head was read, and says whether the connection can serve another.
func (c *conn) handle() bool {
	plan := c.l.plan.Load()
	if string(c.head.Method) == "CONNECT" {
		c.answer(501, "CONNECT is not served here")
		return false
	}
	ctx := c.belongs(plan)
	t := plan.keys[ctx.key]
	if ctx.key == "" || t == nil {
		t = plan.def
	}
	if t == nil || len(t.Addrs) == 0 && t.Effect == nil {
		c.p.stats.unroutable.Add(1)
		why := "nobody provides " + plan.Service
		if t != nil && t.Refusal != "" {
			why = t.Refusal
		}
		c.answer(502, why)
		return false
	}
	if t.shadow != nil {
		return c.shadowCall(plan, t, &ctx)
	}
	return c.live(plan, t, &ctx)
}

// belongs finds out who a request belongs to.
func (c *conn) belongs(plan *plan) belonging {
	x := belonging{key: routingKey(&c.head, plan.Header)}
	if !c.p.opts.Trace {
		return x
	}
	x.trace = traceID(&c.head)
	if plan.Kind == route.Outgoing {
		c.noteManners(&x)
	}
	if x.trace != "" {
		if key, session, own, known := c.p.traces.lookup(x.trace); known {
			x.session, x.own = session, own
			if x.key == "" {
				x.key = key
			}
			if plan.Kind == route.Outgoing {
				return x
			}
		}
	}
	if plan.Kind != route.Gateway {
		return x
	}
	if x.trace == "" {
		x.added, x.trace = newTraceparent()
	}
	if x.session == "" {
		x.session, x.own = c.sessionOf(plan)
	}
	key := x.key
	if key == "" && plan.def != nil {
		key = plan.def.Key
	}
	c.p.traces.enter(x.trace, key, x.session, x.own)
	return x
}

// noteManners counts what an outgoing call carries.
func (c *conn) noteManners(x *belonging) {
	c.l.calls.Add(1)
	if x.trace != "" {
		if _, _, _, known := c.p.traces.lookup(x.trace); known {
			c.l.traced.Add(1)
		}
	}
	if x.key != "" {
		c.l.keyed.Add(1)
	}
}

// sessionOf finds the user's session: the first of the configured places that has one. A loopback address tells
// nobody apart: it orders requests, but each is its own statistical unit.
func (c *conn) sessionOf(plan *plan) (session string, own bool) {
	return c.user.sessionOf(plan.session, &c.head, c.nc)
}

// user is what is known of who sends a connection's requests.
type user struct {
	client  string // the client as a session, when it was looked for
	session string // of the request before
	local   bool   // it is on this machine
}

// sessionOf is conn.sessionOf; nc may be nil where the client is known.
func (u *user) sessionOf(places []string, h *http1.Head, nc net.Conn) (session string, own bool) {
	for _, where := range places {
		kind, name, _ := strings.Cut(where, ":")
		switch kind {
		case "cookie":
			if v := cookie(h, name); len(v) > 0 {
				return u.named(where, v), false
			}
		case "header":
			if v := h.Get(name); len(v) > 0 {
				return u.named(where, v), false
			}
		case "client-ip":
			if u.client == "" {
				u.client, u.local = clientOf(nc)
			}
			return u.client, u.local
		}
	}
	return "", true
}

// clientOf names a client by its address, and says whether that is a loopback one.
func clientOf(nc net.Conn) (session string, local bool) {
	host, _, err := net.SplitHostPort(nc.RemoteAddr().String())
	if err != nil {
		return "client-ip=?", true
	}
	return clientAt(host)
}

func clientAt(host string) (session string, local bool) {
	ip := net.ParseIP(host)
	return "client-ip=" + host, ip == nil || ip.IsLoopback()
}

// named is the name of a session: that of the request before, for a connection whose user stays the same.
func (u *user) named(where string, v []byte) string {
	n := len(where)
	if s := u.session; len(s) != n+1+len(v) || s[:n] != where || s[n+1:] != string(v) {
		u.session = where + "=" + string(v)
	}
	return u.session
}

// cookie is the value of a cookie, or nothing.
func cookie(h *http1.Head, name string) []byte {
	for i := range h.Fields {
		f := &h.Fields[i]
		if len(f.Name) != 6 || !strings.EqualFold(string(f.Name), "cookie") {
			continue
		}
		for part := range bytes.SplitSeq(f.Value, []byte(";")) {
			if k, v, ok := bytes.Cut(bytes.TrimSpace(part), []byte("=")); ok && string(k) == name {
				return v
			}
		}
	}
	return nil
}

// live forwards a user's request, and takes the copies that the target asks for.
func (c *conn) live(plan *plan, t *target, x *belonging) bool {
	if len(t.entries) == 0 && len(t.record) == 0 {
		c.transit = c.passing(plan, t, x)
		return c.forward(&c.transit)
	}
	level := t.enter()
	c.transit.upgraded = false
	defer func() {
		if !c.transit.upgraded { // else it left when the protocol changed
			t.leave()
		}
	}()
	taken := c.admit(plan, t, x)
	if len(taken) == 0 && len(t.record) == 0 {
		c.transit = c.passing(plan, t, x)
		return c.forward(&c.transit)
	}
	maxBody := int64(0)
	if len(t.record) > 0 {
		maxBody = mirror.DefaultMaxBody
	}
	for _, e := range taken {
		maxBody = max(maxBody, e.maxBody)
	}
	e := c.edit(plan, t, x)
	c.out = rewriteInto(c.out, &c.head, &e)
	capture := tap.New(time.Now(), c.out, maxBody, c.p.budget)
	capture.Asked = tap.MannerOf(&c.head)
	tr := &c.transit
	*tr = transit{
		head: c.out, addr: t.addr(), capture: capture, isHead: string(c.head.Method) == "HEAD", target: t, plan: plan,
		level: level,
	}
	keep := c.forward(tr)
	c.recorded(plan, t, x, capture)
	for _, e := range taken {
		c.offer(plan, e, x, tr)
	}
	tr.capture = nil
	capture.Release()
	return keep
}

// admit chooses the entries that take a copy, and counts those that leave it out.
func (c *conn) admit(plan *plan, t *target, x *belonging) []*entry {
	if x.session == "" {
		x.session, x.own = c.sessionOf(plan)
		if plan.Kind == route.Outgoing && x.own {
			x.session = "" // the caller's address says nothing of the user
		}
	}
	if x.trace != "" {
		c.p.traces.enter(x.trace, t.Key, x.session, x.own) // it may have begun inside, at the caller
	}
	taken := c.taken[:0]
	for i := range t.entries {
		e := &t.entries[i]
		switch {
		case !e.wants(&c.head):
			e.runner.Skip(e.Service, string(c.head.Method), pathOf(&c.head), observation.Excluded)
		case e.chancy() && !mayBegin(plan, x) && c.leftOut(e, x):
		case x.trace != "" && c.p.traces.begin(x.trace, hop{e.Shadow.Session, plan.Origin.Service}):
			// A consequence of a hop that is being mirrored: compared as a call.
		default:
			taken = append(taken, e)
		}
	}
	c.taken = taken
	return taken
}

// leftOut counts a request whose session is not mirrored, and says whether it is one.
func (c *conn) leftOut(e *entry, x *belonging) bool {
	why := e.leavesOut(c.sampleKey(x), x.own)
	if why != "" {
		e.runner.Skip(e.Service, string(c.head.Method), pathOf(&c.head), why)
	}
	return why != ""
}

// sampleKey is what decides whether a request is in a sample: its session, or where none is known its trace.
func (c *conn) sampleKey(x *belonging) string {
	if !x.own {
		return x.session
	}
	if x.trace != "" {
		return x.trace
	}
	_, x.trace = newTraceparent()
	return x.trace
}

// recorded hands a call of the baseline's to the shadows that answer from it.
func (c *conn) recorded(plan *plan, t *target, x *belonging, capture *tap.Capture) {
	for _, r := range t.record {
		capture.Retain()
		trace := x.trace
		if _, _, _, known := c.p.traces.lookup(trace); !known {
			trace = "" // a trace of the service's own making names no request of ours
		}
		r.Record(mirror.Called{
			Caller: plan.Origin.Service, Dependency: plan.Service, TraceID: trace, Capture: capture,
		})
	}
}

// offer hands the finished exchange to one shadow session, or says why not.
func (c *conn) offer(plan *plan, e *entry, x *belonging, tr *transit) {
	if x.trace != "" {
		defer c.p.traces.end(x.trace, hop{e.Shadow.Session, plan.Origin.Service})
	}
	begun := granted(plan.session, tr.capture)
	why := observation.DropReason("")
	if e.chancy() {
		why = e.atLast(plan, x, c.sampleKey(x), begun)
	}
	if why == "" {
		why = tr.unfit()
	}
	if why == "" && tr.upgraded && e.CallsOut && tr.capture.Duration > longSocket {
		why = observation.Upgraded
	}
	if why != "" {
		method, path := tr.capture.Line()
		e.runner.Skip(e.Service, method, path, why)
		return
	}
	tr.capture.Retain()
	if !e.runner.Offer(mirror.Job{
		Entry: e.Entry, Capture: tr.capture, TraceID: x.trace, Session: x.session, OwnUnit: x.own, Conn: c.id,
		Granted: begun, Client: c.address(plan), Sample: e.sample, Level: tr.level,
	}) {
		tr.capture.Release()
	}
}

// granted is the session that an answer begins by setting the cookie that tells sessions apart, or "".
func granted(where []string, c *tap.Capture) string {
	for _, w := range where {
		name, ok := strings.CutPrefix(w, "cookie:")
		if !ok {
			continue
		}
		if v := c.SetCookie(name); v != "" {
			return w + "=" + v
		}
	}
	return ""
}

// address is the client's, at gateways: elsewhere it is the calling service's.
func (c *conn) address(plan *plan) string {
	if plan.Kind != route.Gateway {
		return ""
	}
	if c.client == "" {
		c.client, c.local = clientOf(c.nc)
	}
	return c.client
}

// unfit says why a finished exchange cannot be mirrored; "" when it can.
func (tr *transit) unfit() observation.DropReason {
	switch {
	case tr.upgraded && tr.capture.Socket == nil:
		return observation.Upgraded
	case tr.badRequest, tr.capture.Outcome == exchange.Canceled:
		return observation.ClientGone
	case tr.capture.Outcome != exchange.OK:
		return observation.NoBaseline
	case tr.capture.Lost():
		return observation.OverBudget
	case !tr.capture.Request.Whole():
		return observation.BodyTooLarge
	}
	return ""
}

// pathOf is the path of a request's target.
func pathOf(h *http1.Head) string {
	path, _, _ := strings.Cut(string(h.Target), "?")
	return path
}

// edit is what changes in the head on the way to t.
func (c *conn) edit(plan *plan, t *target, x *belonging) edit {
	e := edit{header: plan.Header, key: t.Key, traceparent: x.added}
	if t.External {
		e.key, e.traceparent = "", ""
		if len(t.Addrs) > 0 {
			e.host = route.Authority(t.Addrs[0])
		}
	}
	return e
}

// passing is a request that is passed on and not captured.
func (c *conn) passing(plan *plan, t *target, x *belonging) transit {
	e := c.edit(plan, t, x)
	head := c.head.Raw
	if e.needed(&c.head) {
		c.out = rewriteInto(c.out, &c.head, &e)
		head = c.out
	}
	return transit{
		head: head, addr: t.addr(), isHead: string(c.head.Method) == "HEAD", target: t, plan: plan,
	}
}

// rewriteInto is rewrite, copying the head even when nothing changes.
func rewriteInto(dst []byte, h *http1.Head, e *edit) []byte {
	if !e.needed(h) {
		return append(dst[:0], h.Raw...)
	}
	return rewrite(dst, h, e)
}
