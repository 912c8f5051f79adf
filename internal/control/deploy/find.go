// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/fault"
	"microstax/internal/id"
)

// find is the actor of the environment with an id or a unique name.
func (c *Controller) find(ctx context.Context, op, ref string) (*actor, error) {
	if err := c.await(ctx, op); err != nil {
		return nil, err
	}
	return pick(c.all(), op, ref)
}

// pick is the actor of those given whose environment has an id or a unique name.
func pick(actors []*actor, op, ref string) (*actor, error) {
	var found []*actor
	var names []string
	for _, a := range actors {
		if a.id == ref {
			return a, nil
		}
		name := a.shown().Env.Name
		names = append(names, name)
		if name == ref {
			found = append(found, a)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, unknown(op, ref, names)
	}
	var candidates []string
	for _, a := range found {
		e := a.shown().Env
		candidates = append(candidates, fmt.Sprintf("%s (%s)", e.ID, e.Mode))
	}
	return nil, fault.Errorf(op, fault.Conflict, "%d environments are named %q: %s", len(found), ref, strings.Join(candidates, ", ")).
		WithHint("name one by its id")
}

// unknown says that nothing has that id or name, and what may have been meant.
func unknown(op, ref string, names []string) error {
	e := fault.Errorf(op, fault.NotFound, "there is no environment %q", ref)
	if near, ok := blueprint.Nearest(ref, names); ok && !id.Has(ref, id.Environment) {
		return e.WithHint("did you mean %s? List them with: microstax env list", near)
	}
	return e.WithHint("list what there is with: microstax env list")
}

// Lookup is an environment as stored. The caller must not change what it points to.
func (c *Controller) Lookup(ctx context.Context, ref string) (environment.Environment, error) {
	a, err := c.find(ctx, "look up environment", ref)
	if err != nil {
		return environment.Environment{}, err
	}
	return cloneEnvironment(a.shown().Env), nil
}

// Get is an environment as users see it.
func (c *Controller) Get(ctx context.Context, ref string) (v1.Environment, error) {
	a, err := c.find(ctx, "get environment", ref)
	if err != nil {
		return v1.Environment{}, err
	}
	return c.render(a.id)
}

// Filter selects environments for a page.
type Filter struct {
	Mode     string // "" for all
	Baseline string // the ref of what overlays derive from, at any distance; "" for all
	Limit    int    // 0 for 100, at most 1,000
	Cursor   string // as List gave it
}

// List gives one page of environments, in order of creation, and the cursor of the next or "".
func (c *Controller) List(ctx context.Context, f Filter) ([]v1.Environment, string, error) {
	const op = "list environments"
	if err := c.await(ctx, op); err != nil {
		return nil, "", err
	}
	root := ""
	if f.Baseline != "" {
		a, err := c.find(ctx, op, f.Baseline)
		if err != nil {
			return nil, "", err
		}
		root = a.id
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	w := newWorld(c.states())
	out := []v1.Environment{}
	for _, m := range w.order {
		if m.Env.ID <= f.Cursor || (f.Mode != "" && f.Mode != string(m.Env.Mode)) || (root != "" && !m.derivesFrom(root)) {
			continue
		}
		if len(out) == limit {
			return out, out[limit-1].ID, nil
		}
		out = append(out, c.draw(m))
	}
	return out, "", nil
}

// derivesFrom says whether an environment other than the member itself is in its chain.
func (m *member) derivesFrom(id string) bool {
	return slices.ContainsFunc(m.chain()[1:], func(a *member) bool { return a.Env.ID == id })
}
