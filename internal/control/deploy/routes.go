// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/route"
	"microstax/internal/environment"
)

// buildTable makes the routing table of all environments at one moment. It is pure, and the same states always give the
// same table.
//
// Who answers a request depends on two things: the context in which the listener stands (its environment's, since what
// calls through it belongs to that environment), and the routing key the request carries (the context of an overlay that
// derives from that environment). Each context resolves a service along its own chain: overlay, parent, baseline.
func buildTable(states []state, revision uint64) *route.Table {
	b := &tableBuilder{world: newWorld(states)}
	t := &route.Table{Revision: revision, Shadows: map[string]*route.Shadow{}}
	for _, m := range b.world.order {
		if s := newSession(m); s != nil {
			b.sessions = append(b.sessions, s)
			if m.shadowed() {
				t.Shadows[s.shadow.Session] = s.shadow
			}
		}
	}
	for _, m := range b.world.order {
		if m.Env.Desired == environment.Gone {
			continue
		}
		t.Listeners = append(t.Listeners, b.gateways(m)...)
		t.Listeners = append(t.Listeners, b.outgoing(m)...)
	}
	t.Listeners = append(t.Listeners, b.taps()...)
	// They are opened in this order: what services call through before what makes them call.
	slices.SortFunc(t.Listeners, func(a, b route.Listener) int {
		if c := cmp.Compare(doorOrder(a.Kind), doorOrder(b.Kind)); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return t
}

// doorOrder puts outgoing listeners before gateways.
func doorOrder(k route.Kind) int {
	if k == route.Outgoing {
		return 0
	}
	return 1
}

type tableBuilder struct {
	world    *world
	sessions []*session
}

// gateways are the listeners at which traffic from outside enters the member. They stay while it is stopped or has failed,
// so that a user is told why nothing answers.
func (b *tableBuilder) gateways(m *member) []route.Listener {
	var out []route.Listener
	for _, svc := range m.whole.Services {
		id := gatewayID(m.Env.ID, svc.Name)
		if addr := m.Env.Addresses[id]; svc.Exposed() && addr != "" {
			l := route.Listener{ID: id, Addr: addr, Kind: route.Gateway, Origin: route.Origin{Environment: m.Env.ID}, Service: svc.Name}
			b.fill(&l, m, svc)
			out = append(out, l)
		}
	}
	return out
}

// outgoing are the listeners through which the member's instances call others.
func (b *tableBuilder) outgoing(m *member) []route.Listener {
	var out []route.Listener
	for _, i := range m.Instances {
		at := m
		if i.ID.Role == environment.Control && m.parent != nil {
			at = m.parent // a control is the parent's version, and calls what that calls
		}
		svc, ok := at.service(i.ID.Service)
		if !ok {
			continue
		}
		for _, callee := range blueprint.Dependencies(svc) {
			id := outgoingID(i.ID, callee)
			if addr := m.Env.Addresses[id]; addr != "" {
				l := route.Listener{ID: id, Addr: addr, Kind: route.Outgoing, Origin: origin(i.ID), Service: callee}
				called, _ := at.service(callee)
				b.fill(&l, m, called)
				out = append(out, l)
			}
		}
	}
	return out
}

func origin(i environment.Instance) route.Origin {
	return route.Origin{Environment: i.Environment, Service: i.Service, Role: string(i.Role), Replica: i.Replica}
}

// fill adds who answers at a listener of m. svc is the service that is called, as m sees it.
func (b *tableBuilder) fill(l *route.Listener, m *member, svc blueprint.Service) {
	l.Header, l.Protocol = m.header(), transport(svc)
	if l.Origin.Role == string(environment.Candidate) || l.Origin.Role == string(environment.Control) {
		l.Default = b.shadowTarget(m, l.Origin, l.Service)
		return
	}
	l.Default = b.target(m, l.Origin, l.Service)
	l.Keys = map[string]*route.Target{}
	contexts := m.descendants()
	if m.Env.OverlayID != "" {
		contexts = append(contexts, m)
	}
	for _, c := range contexts {
		if c.Env.Desired != environment.Gone && c.Env.OverlayID != "" {
			l.Keys[c.Env.OverlayID] = b.target(c, l.Origin, l.Service)
		}
	}
}

// target is who answers in the context of one member at a listener with live traffic.
func (b *tableBuilder) target(context *member, from route.Origin, service string) *route.Target {
	t := resolve(context, service)
	for _, s := range b.sessions {
		if e := s.entry(context, from, service); e != nil && len(t.Addrs) > 0 && s.tap(service) == "" {
			t.Mirror = append(t.Mirror, e)
		}
		if s.records(context, from) {
			t.Record = append(t.Record, s.shadow)
		}
	}
	return t
}

// resolve finds the provider of a service in a context, and why nobody can answer where nobody can.
func resolve(context *member, service string) *route.Target {
	t := &route.Target{Service: service, Key: context.key()}
	p := context.provider(service)
	if p == nil {
		t.Refusal = fmt.Sprintf("nobody provides %s in %s", service, context.title())
		return t
	}
	t.Environment = p.Env.ID
	svc, _ := p.service(service)
	t.HTTP2 = speaksHTTP2(svc)
	if svc.External() {
		t.Addrs, t.External, t.Key = []string{svc.Address}, true, ""
		return t
	}
	if t.Addrs = p.answering(service); len(t.Addrs) == 0 {
		t.Refusal = p.refusal(service)
	}
	return t
}

// answering are the addresses of the primaries that can take a request: those that are ready, or, where none is, those
// that run but fail their probe: a probe may be wrong, and a certain refusal is no better than a doubtful answer.
func (m *member) answering(service string) []string {
	if !m.running() {
		return nil
	}
	var ready, doubtful []string
	for _, i := range m.Instances {
		if i.ID.Service != service || i.ID.Role != environment.Primary {
			continue
		}
		switch i.State {
		case environment.InstanceUp:
			ready = append(ready, address(i.Port))
		case environment.Unhealthy:
			doubtful = append(doubtful, address(i.Port))
		default: // not there yet, or not any more
		}
	}
	if len(ready) > 0 {
		return ready
	}
	return doubtful
}

// running says whether the member's processes should run.
func (m *member) running() bool { return wantsRunning(m.Env) }

func wantsRunning(e environment.Environment) bool {
	return e.Desired == environment.Running && e.Status != environment.Failed
}

// refusal says why no primary of a service answers.
func (m *member) refusal(service string) string {
	switch {
	case m.Env.Desired == environment.Gone:
		return fmt.Sprintf("%s of %s is being deleted", service, m.title())
	case m.Env.Desired == environment.Halted:
		return fmt.Sprintf("%s does not run: %s is stopped", service, m.title())
	case m.Env.Status == environment.Failed:
		return fmt.Sprintf("%s does not run: %s has failed: %s", service, m.title(), firstLine(m.Env.Reason))
	}
	worst := "has no instance"
	for _, i := range m.Instances {
		if i.ID.Service != service || i.ID.Role != environment.Primary {
			continue
		}
		if worst = firstLine(i.Reason); worst == "" {
			worst = "is " + string(i.State)
		}
	}
	return fmt.Sprintf("%s of %s %s", service, m.title(), worst)
}

// title names an environment for people.
func (m *member) title() string { return title(m.Env) }

func title(e environment.Environment) string { return fmt.Sprintf("%s (%s)", e.Name, e.ID) }

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// transport is how the data plane has to treat connections to a service.
func transport(svc blueprint.Service) string {
	switch p := svc.MainPort().Protocol; p {
	case blueprint.HTTP, blueprint.HTTP2, blueprint.GRPC:
		return p
	}
	return "tcp"
}

// speaksHTTP2 says whether a service has to be spoken to in HTTP/2.
func speaksHTTP2(svc blueprint.Service) bool {
	p := svc.MainPort().Protocol
	return p == blueprint.HTTP2 || p == blueprint.GRPC
}
