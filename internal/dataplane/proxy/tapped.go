// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"math"
	"net"
	"net/netip"
	"strconv"
	"time"

	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/passive"
	"microstax/internal/dataplane/route"
	"microstax/internal/dataplane/tap"
	"microstax/internal/fault"
	"microstax/internal/observation"
)

// serveTap begins to take copies from packets. A tap is a listener in all but that nobody connects to it.
func (p *Plane) serveTap(ctx context.Context, l *route.Listener, c *plan) error {
	spec, err := passive.Parse(l.Addr)
	if err != nil {
		return err
	}
	c.except = shadows(ctx, l)
	if err := apart(spec, c.except); err != nil {
		return err
	}
	open := newListener(p, l.Addr, nil)
	open.plan.Store(c)
	t := &tapped{l: open}
	open.tap, err = passive.Open(passive.Options{
		Spec: spec, Watcher: t, Limits: p.opts.Limits.Tap, Logger: p.opts.Logger,
		Except: func(server netip.AddrPort) bool { return open.plan.Load().except[server] },
	})
	if err != nil {
		return err
	}
	p.listeners[l.ID] = open
	return nil
}

// apart makes sure that those who get the copies are not those who are tapped.
func apart(spec passive.Spec, shadows map[netip.AddrPort]bool) error {
	for s := range shadows {
		switch {
		case s.Port() != spec.Port:
		case s.Addr() == spec.Host:
			return fault.Errorf("open tap", fault.Invalid, "%s is who gets the copies: they would be tapped, and copied again", s)
		case !spec.Host.IsValid() && passive.IsLocal(s.Addr()):
			return fault.Errorf("open tap", fault.Invalid, "%s gets the copies, and is at the tapped port of this machine too", s).
				WithHint("name the server to tap: %s:HOST:%d", spec.Interface, spec.Port)
		}
	}
	return nil
}

// resolveFor is how long the name of a shadow may take to be resolved.
const resolveFor = 2 * time.Second

// shadows are the addresses that copies are sent to.
func shadows(ctx context.Context, l *route.Listener) map[netip.AddrPort]bool {
	ctx, cancel := context.WithTimeout(ctx, resolveFor)
	defer cancel()
	m := map[netip.AddrPort]bool{}
	for _, e := range mirrored(l) {
		for _, list := range [2][]string{e.Candidate, e.Control} {
			for _, addr := range list {
				host, port, err := net.SplitHostPort(route.ParseEndpoint(addr).Addr)
				n, perr := strconv.ParseUint(port, 10, 16)
				if err != nil || perr != nil {
					continue
				}
				ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
				if err != nil {
					continue // nobody can be sent copies there either
				}
				for _, ip := range ips {
					m[netip.AddrPortFrom(ip.Unmap().WithZone(""), uint16(n))] = true
				}
			}
		}
	}
	return m
}

// tapped takes what a tap sees to the shadows, by the rules that hold at a listener. It belongs to the tap's goroutine.
type tapped struct {
	l    *listener
	head []byte  // a rewritten one
	part float64 // of a missed exchange, for what is sampled
}

// sighting is one exchange that shadows want.
type sighting struct {
	t       *tapped
	plan    *plan
	taken   []*entry
	who     user
	x       belonging
	key     string // by which it is sampled
	conn    uint64
	capture *tap.Capture
}

// Begin implements passive.Watcher.
func (t *tapped) Begin(client netip.AddrPort, conn uint64, h *http1.Head, at time.Time) passive.Copy {
	plan := t.l.plan.Load()
	p := t.l.p
	p.stats.requests.Add(1)
	if plan.def == nil || len(plan.def.entries) == 0 || plan.keys[routingKey(h, plan.Header)] != nil {
		return nil // what carries an overlay's key is not the baseline's
	}
	s := &sighting{t: t, plan: plan, conn: conn}
	s.who.client, s.who.local = clientAt(client.Addr().Unmap().String())
	s.x.session, s.x.own = s.who.sessionOf(plan.session, h, nil)
	if p.opts.Trace {
		if s.x.trace = traceID(h); s.x.trace != "" {
			p.traces.enter(s.x.trace, plan.def.Key, s.x.session, s.x.own)
		}
	}
	s.choose(h)
	if len(s.taken) == 0 {
		return nil
	}
	maxBody := int64(0)
	for _, e := range s.taken {
		maxBody = max(maxBody, e.maxBody)
	}
	t.head = rewriteInto(t.head, h, &edit{header: plan.Header, key: plan.def.Key})
	s.capture = tap.New(at, t.head, maxBody, p.budget)
	return s
}

// choose takes the entries that want the request, and counts those that leave it out.
func (s *sighting) choose(h *http1.Head) {
	if s.key = s.x.session; s.x.own {
		if s.key = s.x.trace; s.key == "" {
			_, s.key = newTraceparent()
		}
	}
	for i := range s.plan.def.entries {
		e := &s.plan.def.entries[i]
		switch {
		case !e.wants(h):
			e.runner.Skip(e.Service, string(h.Method), pathOf(h), observation.Excluded)
		case mayBegin(s.plan, &s.x):
			s.taken = append(s.taken, e)
		default:
			if why := e.leavesOut(s.key, s.x.own); why != "" {
				e.runner.Skip(e.Service, string(h.Method), pathOf(h), why)
				continue
			}
			s.taken = append(s.taken, e)
		}
	}
}

// Capture implements passive.Copy.
func (s *sighting) Capture() *tap.Capture { return s.capture }

// End implements passive.Copy.
func (s *sighting) End(why observation.DropReason) {
	switch {
	case why != "":
	case s.capture.Lost():
		why = observation.OverBudget
	case !s.capture.Request.Whole():
		why = observation.BodyTooLarge
	}
	begun := granted(s.plan.session, s.capture)
	for _, e := range s.taken {
		reason := e.atLast(s.plan, &s.x, s.key, begun)
		if reason == "" {
			reason = why
		}
		if reason != "" {
			method, path := s.capture.Line()
			e.runner.Skip(e.Service, method, path, reason)
			continue
		}
		s.capture.Retain()
		if !e.runner.Offer(mirror.Job{
			Entry: e.Entry, Capture: s.capture, TraceID: s.x.trace, Session: s.x.session, OwnUnit: s.x.own, Conn: s.conn,
			Granted: begun, Client: s.who.client, Sample: e.sample, Key: s.key,
		}) {
			s.capture.Release()
		}
	}
	s.capture.Release()
}

// Missed implements passive.Watcher. Whether a shadow would have wanted what nothing is known of is as likely as its sample.
func (t *tapped) Missed(n int64) {
	plan := t.l.plan.Load()
	if plan.def == nil {
		return
	}
	for i := range plan.def.entries {
		e := &plan.def.entries[i]
		share := float64(e.sample) / mirror.Whole
		t.part += share * float64(n)
		lost := math.Floor(t.part)
		t.part -= lost
		for range int64(lost) {
			e.runner.Skip(e.Service, "", "", observation.CaptureLost)
		}
		for range n - int64(lost) {
			e.runner.Skip(e.Service, "", "", observation.SampledOut)
		}
	}
}

// Counted implements passive.Watcher.
func (t *tapped) Counted(c observation.Capture) {
	plan := t.l.plan.Load()
	if plan.def == nil {
		return
	}
	told := map[*mirror.Runner]bool{}
	for i := range plan.def.entries {
		if r := plan.def.entries[i].runner; !told[r] {
			told[r] = true
			r.Captured(c)
		}
	}
}
