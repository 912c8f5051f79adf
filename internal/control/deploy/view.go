// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/dataplane/route"
	"microstax/internal/environment"
	"microstax/internal/fault"
	"microstax/internal/graph"
)

// render is an environment as users see it.
func (c *Controller) render(id string) (v1.Environment, error) {
	m := newWorld(c.states()).members[id]
	if m == nil {
		return v1.Environment{}, fault.Errorf("get environment", fault.NotFound, "environment %s is deleted", id)
	}
	return c.draw(m), nil
}

// propagationSeer is a Plane that can tell which headers the calls of a service were seen to forward.
type propagationSeer interface {
	Propagates(environment, service string) []string
}

// draw makes the document of a member.
func (c *Controller) draw(m *member) v1.Environment {
	e := m.Env
	out := v1.Environment{
		ID: e.ID, Name: e.Name, Mode: string(e.Mode), OverlayID: e.OverlayID, Status: string(e.Status), Reason: e.Reason,
		Revision: e.Revision, Digest: e.Digest, ComparedTo: e.ComparedTo, CreatedAgainst: ref(e.Against), InheritsFrom: ref(e.Inherits),
		Shadow:    v1.ShadowBrief{Enabled: e.Shadow.Enabled, SessionID: e.Shadow.Session},
		CreatedAt: e.Created, UpdatedAt: e.Updated,
		Endpoints: []v1.Endpoint{}, Services: []v1.Service{},
	}
	if t := c.pub.now.Load().table; t != nil {
		out.RouteRevision = t.Revision
	}
	because := map[string]string{}
	for _, p := range graph.Providers(m.lineage()) {
		because[p.Service] = string(p.Because)
	}
	for _, svc := range m.whole.Services {
		if addr := e.Addresses[gatewayID(e.ID, svc.Name)]; svc.Exposed() && addr != "" {
			out.Endpoints = append(out.Endpoints, v1.Endpoint{Service: svc.Name, Port: svc.MainPort().Name, URL: outside(scheme(svc), c.secure) + "://" + addr})
		}
		service := m.draw(svc, because[svc.Name])
		if seer, ok := c.plane.(propagationSeer); ok {
			service.Propagates = append(service.Propagates, seer.Propagates(service.Provider, svc.Name)...)
		}
		out.Services = append(out.Services, service)
	}
	return out
}

// ref is a reference as users see it: a number where it is one.
func ref(r environment.Ref) *v1.Ref {
	if r.ID == "" {
		return nil
	}
	out := &v1.Ref{ID: r.ID, Revision: r.Revision}
	if n, err := strconv.Atoi(r.Revision); err == nil {
		out.Revision = n
	}
	return out
}

// draw makes the document of one service of the member's effective Blueprint.
func (m *member) draw(svc blueprint.Service, because string) v1.Service {
	p := m.provider(svc.Name)
	out := v1.Service{Name: svc.Name, Provider: p.Env.ID, Because: because, Propagates: []string{}}
	if svc.External() {
		out.State = string(environment.InstanceUp)
		return out
	}
	worst := -1
	for _, i := range p.Instances {
		if i.ID.Service == svc.Name && i.ID.Role == environment.Primary {
			if r := rank(i.State); r > worst {
				worst, out.State, out.Reason = r, string(i.State), i.Reason
			}
			out.Restarts += i.Restarts
		}
	}
	for _, i := range slices.Concat(p.Instances, m.shadows(p)) {
		if i.ID.Service == svc.Name {
			out.Instances = append(out.Instances, v1.Instance{
				Role: string(i.ID.Role), Replica: i.ID.Replica, State: string(i.State), Port: i.Port, PID: i.PID,
			})
		}
	}
	if out.State == "" {
		out.State = string(environment.StoppedState)
		if p.Env.Status == environment.Failed {
			out.State = string(environment.Exited)
		}
	}
	return out
}

// rank orders the states of an instance, from well to worst: a service is as well as its worst instance.
func rank(s environment.State) int {
	return slices.Index([]environment.State{
		environment.InstanceUp, environment.StoppedState, environment.Starting, environment.Unhealthy, environment.Exited,
	}, s)
}

// shadows are the member's own instances where another member provides the service.
func (m *member) shadows(provider *member) []instanceState {
	if provider == m {
		return nil
	}
	return m.Instances
}

// Status is an environment's state in depth. It is ready only while every one of its listeners serves the revision in force.
func (c *Controller) Status(ctx context.Context, ref string) (v1.Status, error) {
	a, err := c.find(ctx, "get status", ref)
	if err != nil {
		return v1.Status{}, err
	}
	env, err := c.render(a.id)
	if err != nil {
		return v1.Status{}, err
	}
	out := v1.Status{Environment: env, Listeners: []v1.Listener{}}
	now := c.pub.now.Load()
	if now.table == nil {
		return out, nil
	}
	behind, tap := 0, ""
	for _, l := range now.table.Listeners {
		if l.Origin.Environment != a.id {
			continue
		}
		s := now.serving[l.ID]
		out.Listeners = append(out.Listeners, v1.Listener{
			ID: l.ID, Kind: string(l.Kind), Address: l.Addr, Caller: l.Origin.Service, Service: l.Service, Role: l.Origin.Role,
			RouteRevision: s.Revision, Error: s.Err,
		})
		if s.Revision != now.table.Revision {
			behind++
		}
		if l.Kind == route.Tapped && s.Err != "" {
			tap = ": " + s.Err
		}
	}
	if behind > 0 && out.Status == string(environment.Ready) {
		out.Status = string(environment.Degraded)
		out.Reason = fmt.Sprintf("%d of %d listeners do not serve route revision %d%s", behind, len(out.Listeners), now.table.Revision, tap)
	}
	return out, nil
}

// Lineage is what an environment derives from, and where each of its services comes from.
func (c *Controller) Lineage(ctx context.Context, ref string) (v1.Lineage, error) {
	a, err := c.find(ctx, "get lineage", ref)
	if err != nil {
		return v1.Lineage{}, err
	}
	m := newWorld(c.states()).members[a.id]
	if m == nil {
		return v1.Lineage{}, a.deaf("get lineage")
	}
	out := v1.Lineage{EnvironmentID: a.id, Chain: []v1.LineageLink{}, Services: []v1.LineageService{}}
	for i, at := range m.chain() {
		link := v1.LineageLink{
			ID: at.Env.ID, Name: at.Env.Name, Mode: string(at.Env.Mode), Revision: at.Env.Revision, Digest: at.Env.Digest, Relation: "self",
		}
		if i > 0 {
			link.Relation = "inheritsFrom"
		}
		out.Chain = append(out.Chain, link)
	}
	for _, p := range graph.Providers(m.lineage()) {
		out.Services = append(out.Services, v1.LineageService{
			Name: p.Service, Provider: p.Environment, ProviderName: p.Name, Because: string(p.Because), Changed: p.Changed,
			Explanation: p.Explanation,
		})
	}
	return out, nil
}
