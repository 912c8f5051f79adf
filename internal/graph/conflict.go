// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"maps"
	"strings"

	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// Conflict is nil when e may stand beside envs, which may hold an older state of e itself under its id. Otherwise the error
// names what stands in the way, and its hint how to get past it: a parent that is missing, unsuitable or e itself, a name or
// an overlay id that is taken, another routing header or runtime than the chain's. Environments that are being deleted
// stand in nobody's way.
func Conflict(envs map[string]environment.Environment, e environment.Environment) error {
	if err := NameTaken(envs, e); err != nil {
		return err
	}
	if e.Mode != blueprint.Overlay {
		return nil
	}
	if err := badParent(envs, e); err != nil {
		return err
	}
	chain, err := Chain(with(envs, e), e.ID)
	if err != nil {
		return err
	}
	if err := otherSettings(chain); err != nil {
		return err
	}
	return KeyTaken(envs, e)
}

// NameTaken is fault.Conflict when a living environment of e's mode has e's name.
func NameTaken(envs map[string]environment.Environment, e environment.Environment) error {
	for _, o := range others(envs, e.ID) {
		if o.Mode == e.Mode && o.Name == e.Name {
			return fault.Errorf("check name", fault.Conflict, "the name %s is taken by %s %s", e.Name, o.Mode, o.ID).
				WithHint("choose another with --name, or delete that one: microstax env delete %s", o.ID)
		}
	}
	return nil
}

// KeyTaken is fault.Conflict when another living overlay under the same root baseline has e's overlay id: the routing header
// could not tell them apart. It is nil for what is no overlay, and for one whose chain cannot be resolved.
func KeyTaken(envs map[string]environment.Environment, e environment.Environment) error {
	all := with(envs, e)
	root, ok := Root(all, e.ID)
	if !ok || e.Mode != blueprint.Overlay {
		return nil
	}
	for _, o := range others(envs, e.ID) {
		if o.Mode != blueprint.Overlay || o.OverlayID != e.OverlayID {
			continue
		}
		if its, ok := Root(all, o.ID); ok && its == root {
			return fault.Errorf("check overlay id", fault.Conflict, "overlay id %q is taken by %s, under the same baseline", e.OverlayID, label(o)).
				WithHint("set routing.overlayId to something else, or delete that one: microstax env delete %s", o.ID)
		}
	}
	return nil
}

// Root is the id of the environment at the end of a chain, and false when the chain cannot be resolved.
func Root(envs map[string]environment.Environment, id string) (string, bool) {
	chain, err := Chain(envs, id)
	if err != nil {
		return "", false
	}
	return chain[len(chain)-1].ID, true
}

// Dependents are the living environments that derive from id directly, sorted by id. While there are any, it cannot go.
func Dependents(envs map[string]environment.Environment, id string) []environment.Environment {
	var out []environment.Environment
	for _, e := range others(envs, id) {
		if e.Inherits.ID == id {
			out = append(out, e)
		}
	}
	return out
}

// Deletable is nil when nothing derives from the environment, and fault.Conflict otherwise.
func Deletable(envs map[string]environment.Environment, id string) error {
	deps := Dependents(envs, id)
	if len(deps) == 0 {
		return nil
	}
	var names []string
	for _, e := range deps {
		names = append(names, label(e))
	}
	return fault.Errorf("check dependents", fault.Conflict, "%s is what %s derives from", label(envs[id]), strings.Join(names, ", ")).
		WithHint("delete first what derives from it: microstax env delete %s", deps[0].ID)
}

func badParent(envs map[string]environment.Environment, e environment.Environment) error {
	const op = "check baseline"
	parent, there := envs[e.Inherits.ID]
	switch {
	case e.Inherits.ID == "":
		return fault.Errorf(op, fault.Invalid, "overlay %s names no baseline", label(e)).WithHint("name one with --baseline; microstax baseline list shows them")
	case e.Inherits.ID == e.ID:
		return fault.Errorf(op, fault.Conflict, "%s cannot be an overlay of itself", label(e)).WithHint("name another baseline with --baseline")
	case !there || !living(parent):
		return fault.Errorf(op, fault.NotFound, "there is no baseline %s", e.Inherits.ID).WithHint("microstax baseline list shows those there are")
	case parent.Mode == blueprint.Isolated:
		return fault.Errorf(op, fault.Conflict, "%s is isolated, so nothing can derive from it", label(parent)).
			WithHint("make a baseline of it: microstax baseline create --from %s", parent.ID)
	}
	return nil
}

// otherSettings refuses an overlay whose own routing header or runtime is not that of what it derives from.
func otherSettings(chain []environment.Environment) error {
	own, rest := chain[0], Effective(chain[1:])
	if name := own.Blueprint.Routing.HeaderName; name != "" && own.Blueprint.Header() != rest.Header() {
		return fault.Errorf("check routing header", fault.Conflict, "overlay %s asks for header %s, and what it derives from routes by %s", own.Name, own.Blueprint.Header(), rest.Header()).
			WithHint("take routing.headerName out of the overlay")
	}
	if r := own.Blueprint.Runtime; r != "" && rest.Runtime != "" && r != rest.Runtime {
		return fault.Errorf("check runtime", fault.Conflict, "overlay %s asks for runtime %s, and what it derives from runs on %s", own.Name, r, rest.Runtime).
			WithHint("take runtime out of the overlay")
	}
	return nil
}

func living(e environment.Environment) bool { return e.Desired != environment.Gone }

// others are the living environments beside id, sorted by id; older revisions, which stand under keys of their own, are not.
func others(envs map[string]environment.Environment, id string) []environment.Environment {
	var out []environment.Environment
	for _, k := range keys(envs) {
		if e := envs[k]; k == e.ID && k != id && living(e) {
			out = append(out, e)
		}
	}
	return out
}

func with(envs map[string]environment.Environment, e environment.Environment) map[string]environment.Environment {
	out := make(map[string]environment.Environment, len(envs)+1)
	maps.Copy(out, envs)
	out[e.ID] = e
	return out
}
