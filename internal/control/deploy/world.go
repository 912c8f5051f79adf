// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"slices"
	"strings"

	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/graph"
)

// state is what an actor shows of its environment. What it holds is never changed once it was shown.
type state struct {
	Env       environment.Environment
	Instances []instanceState // in order of key
	// Mirroring is true once every candidate and control of the session was ready: before, copies would only fail.
	Mirroring bool
	// Shadow is the shadow that the candidates and controls which are there belong to: the environment's, or, while they
	// are still stopping, the one it had.
	Shadow environment.Shadow
	// Halting is set while the server stops.
	Halting bool
}

// instanceState is what an actor shows of one instance.
type instanceState struct {
	ID       environment.Instance
	State    environment.State
	Reason   string
	Port     int
	PID      int
	Restarts int
}

// world is every environment with its place in the family. It is pure: built from values, and only read afterwards.
type world struct {
	members map[string]*member
	order   []*member // in order of id
}

// member is one environment of the world.
type member struct {
	state
	parent   *member
	children []*member
	whole    blueprint.Blueprint // the effective Blueprint: its own over what it derives from
}

// newWorld places environments. One whose parent is missing stands alone with what its own Blueprint lists.
func newWorld(states []state) *world {
	w := &world{members: map[string]*member{}}
	for _, s := range states {
		m := &member{state: s}
		w.members[s.Env.ID] = m
		w.order = append(w.order, m)
	}
	slices.SortFunc(w.order, func(a, b *member) int { return strings.Compare(a.Env.ID, b.Env.ID) })
	for _, m := range w.order {
		if p := w.members[m.Env.Inherits.ID]; p != nil && p != m {
			m.parent = p
			p.children = append(p.children, m)
		}
	}
	for _, m := range w.order {
		m.whole = effective(m.lineage())
	}
	return w
}

// chain is the member and what it derives from, nearest first.
func (m *member) chain() []*member {
	var out []*member
	for at := m; at != nil && !slices.Contains(out, at); at = at.parent {
		out = append(out, at)
	}
	return out
}

func (m *member) lineage() []environment.Environment {
	var out []environment.Environment
	for _, at := range m.chain() {
		out = append(out, at.Env)
	}
	return out
}

// root is the end of the chain.
func (m *member) root() *member {
	c := m.chain()
	return c[len(c)-1]
}

// descendants are all that derive from the member, at any distance, in order of id.
func (m *member) descendants() []*member {
	var out []*member
	for _, c := range m.children {
		out = append(out, c)
		out = append(out, c.descendants()...)
	}
	slices.SortFunc(out, func(a, b *member) int { return strings.Compare(a.Env.ID, b.Env.ID) })
	return out
}

// provider is the nearest member of the chain that lists the service, or nil.
func (m *member) provider(service string) *member {
	for _, at := range m.chain() {
		if _, ok := at.Env.Blueprint.Service(service); ok {
			return at
		}
	}
	return nil
}

// service is the effective version of a service, in the member's context.
func (m *member) service(name string) (blueprint.Service, bool) {
	return m.whole.Service(name)
}

// key is what the routing header carries in the member's context: "" for a root.
func (m *member) key() string { return m.Env.OverlayID }

// header is the name of the routing header: the root's, since the whole tree has to read the same one.
func (m *member) header() string { return m.root().Env.Blueprint.Header() }

// find is an instance of the member, and whether it is there.
func (m *member) find(service string, role environment.Role, replica int) (instanceState, bool) {
	for _, i := range m.Instances {
		if i.ID.Service == service && i.ID.Role == role && i.ID.Replica == replica {
			return i, true
		}
	}
	return instanceState{}, false
}

// effective is the Blueprint of the first environment of a lineage over those that follow it.
func effective(lineage []environment.Environment) blueprint.Blueprint {
	return graph.Effective(lineage)
}

// The ids of listeners and the roles in them.
func gatewayID(env, service string) string { return env + "/gateway/" + service }

func tapID(env, service string) string { return env + "/tap/" + service }

func outgoingID(i environment.Instance, callee string) string {
	return i.Environment + "/" + i.Key() + "/out/" + callee
}
