// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"cmp"
	"maps"
	"net"
	"net/url"
	"slices"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/route"
	"microstax/internal/environment"
)

// session is one shadow session as the routing table sees it: an overlay compared with its parent.
type session struct {
	overlay *member
	base    *member // what it is compared with: the overlay's parent
	shadow  *route.Shadow
	calls   bool // some service of the set calls others
}

// shadowed says whether the member's shadow is on.
func (m *member) shadowed() bool { return m.Env.Shadow.Enabled && m.running() && !m.Halting }

// newSession is the member's session, or nil when it has none. One that was switched off is there as long as its instances
// are: copies under way are finished with the same effects that they began with.
func newSession(m *member) *session {
	there := slices.ContainsFunc(m.Instances, func(i instanceState) bool { return i.ID.Role != environment.Primary })
	if m.parent == nil || m.Shadow.Session == "" || (!m.shadowed() && !there) {
		return nil
	}
	s := &session{overlay: m, base: m.parent, shadow: &route.Shadow{
		Session: m.Shadow.Session, Overlay: m.Env.ID, Baseline: m.parent.Env.ID,
		Services: m.Env.Blueprint.ServiceNames(),
	}}
	for _, name := range s.shadow.Services {
		if len(s.control(name)) > 0 {
			s.shadow.Control = true
		}
		for _, r := range m.Shadow.Services[name].Redact {
			if !slices.Contains(s.shadow.Redact, r) {
				s.shadow.Redact = append(s.shadow.Redact, r)
			}
		}
		for _, version := range []*member{s.overlay, s.base} {
			if svc, ok := version.service(name); ok && len(blueprint.Dependencies(svc)) > 0 {
				s.calls = true
			}
		}
	}
	return s
}

// has says whether a service belongs to the set that the overlay runs.
func (s *session) has(service string) bool {
	_, found := slices.BinarySearch(s.shadow.Services, service)
	return found
}

// candidate is the address of the overlay's version of a service.
func (s *session) candidate(service string) []string {
	svc, ok := s.overlay.service(service)
	if !ok {
		return nil
	}
	if svc.External() {
		return []string{svc.Address}
	}
	return s.instance(service, environment.Candidate)
}

// control is the address of the baseline's version that the candidate is compared with, or nothing.
func (s *session) control(service string) []string {
	settings := s.overlay.Shadow.Services[service]
	if u := controlURL(settings); u != nil {
		if u.Scheme == "https" {
			return []string{route.Secure(hostPort(u), false)}
		}
		return []string{hostPort(u)}
	}
	if svc, ok := s.base.service(service); !ok || svc.External() || settings.Control == blueprint.ControlOff {
		return nil
	}
	return s.instance(service, environment.Control)
}

// instance is the address of a shadow's instance, dead or alive: that it refuses is an observation, not a gap.
func (s *session) instance(service string, role environment.Role) []string {
	if i, ok := s.overlay.find(service, role, 0); ok && i.Port != 0 {
		return []string{address(i.Port)}
	}
	return nil
}

// entry is the place where copies are taken of what from calls in a context, or nil when none are: the context has to be
// the one that the session compares with, the service one that it runs, and the caller none of them, since from there the
// trace has entered before.
func (s *session) entry(context *member, from route.Origin, service string) *route.Entry {
	if context != s.base || !s.overlay.Mirroring || !s.has(service) || s.has(from.Service) {
		return nil
	}
	e := &route.Entry{
		Shadow: s.shadow, Service: service, Candidate: s.candidate(service), Control: s.control(service),
		Settings: s.overlay.Shadow.Services[service], CallsOut: s.calls,
	}
	if len(e.Candidate) == 0 {
		return nil
	}
	return e
}

// tap is where copies of a service's requests are taken instead of at the listeners that they pass: at the compared
// environment's own, where its Blueprint names one.
func (s *session) tap(service string) string {
	svc, _ := s.base.Env.Blueprint.Service(service)
	return svc.Tap
}

// taps are the taps of services that somebody shadows at the moment.
func (b *tableBuilder) taps() []route.Listener {
	at := map[string]*route.Listener{}
	for _, s := range b.sessions {
		for _, service := range s.shadow.Services {
			e := s.entry(s.base, route.Origin{}, service)
			tap := s.tap(service)
			if e == nil || tap == "" {
				continue
			}
			id := tapID(s.base.Env.ID, service)
			if at[id] == nil {
				at[id] = &route.Listener{
					ID: id, Addr: tap, Kind: route.Tapped, Origin: route.Origin{Environment: s.base.Env.ID}, Service: service,
					Header: s.base.header(), Protocol: blueprint.HTTP, Keys: map[string]*route.Target{},
					Default: &route.Target{Environment: s.base.Env.ID, Service: service, Key: s.base.key()},
				}
				for _, c := range s.base.descendants() { // what carries their keys is not the baseline's traffic
					if c.Env.Desired != environment.Gone && c.Env.OverlayID != "" {
						at[id].Keys[c.Env.OverlayID] = &route.Target{Environment: c.Env.ID, Service: service, Key: c.key()}
					}
				}
			}
			at[id].Default.Mirror = append(at[id].Default.Mirror, e)
		}
	}
	var out []route.Listener
	for _, id := range slices.Sorted(maps.Keys(at)) {
		out = append(out, *at[id])
	}
	return out
}

// records says whether what from calls is kept to answer the shadow's calls: it is the instance that answers for one of the
// session's services in the compared context. Where that instance belongs to an ancestor, it may have lost the key of
// the context on the way, so what it calls without one is kept too.
func (s *session) records(context *member, from route.Origin) bool {
	if from.Role != string(environment.Primary) || !s.has(from.Service) || !s.overlay.Mirroring {
		return false
	}
	p := s.base.provider(from.Service)
	return p != nil && p.Env.ID == from.Environment && (context == s.base || context == p)
}

// shadowTarget is what a call of a candidate or control instance gets: its own side's instance where there is one, and
// otherwise whatever its caller's settings say, with the compared context's provider to pass to.
func (b *tableBuilder) shadowTarget(m *member, from route.Origin, service string) *route.Target {
	i := slices.IndexFunc(b.sessions, func(s *session) bool { return s.overlay == m })
	if i < 0 {
		return &route.Target{Environment: m.Env.ID, Service: service, Refusal: "shadowing of " + m.title() + " is off"}
	}
	s := b.sessions[i]
	effect := &route.Effect{Shadow: s.shadow, Side: from.Role, Caller: from.Service, Policy: policy(m.Shadow.Services[from.Service])}
	own := s.candidate
	if from.Role == string(environment.Control) {
		own = s.control
	}
	if addrs := own(service); s.has(service) && len(addrs) > 0 {
		effect.Owned = true
		svc, _ := m.service(service)
		return &route.Target{
			HTTP2:       speaksHTTP2(svc),
			Environment: m.Env.ID, Service: service, Addrs: addrs, Key: s.base.key(), Effect: effect,
			External: from.Role == string(environment.Candidate) && svc.External(),
		}
	}
	t := resolve(s.base, service)
	t.Effect = effect
	return t
}

// policy is what a caller's outgoing calls get when its own side does not run the callee.
func policy(s blueprint.Shadow) string {
	return cmp.Or(s.Effects, blueprint.EffectsReplay)
}

// controlURL is the URL that stands in for a control, or nil.
func controlURL(s blueprint.Shadow) *url.URL {
	switch s.Control {
	case "", blueprint.ControlAuto, blueprint.ControlOff:
		return nil
	}
	u, err := url.Parse(s.Control)
	if err != nil || u.Host == "" {
		return nil
	}
	return u
}

// hostPort is where a URL is served.
func hostPort(u *url.URL) string {
	port := cmp.Or(u.Port(), "80")
	if u.Port() == "" && u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
