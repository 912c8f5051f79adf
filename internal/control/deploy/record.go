// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/fault"
)

// save writes the environment when it has changed. A failed write is logged and tried again later; until then nothing is
// started that no record would know of.
func (a *actor) save() {
	if !a.unsaved || time.Now().Before(a.retry) {
		return
	}
	if err := a.write(); err != nil {
		a.retry = time.Now().Add(retryAfter)
		if a.c.life.Err() == nil {
			a.c.log.Error("store environment", "environment", a.id, "error", err)
		}
	}
}

// write stores the environment as it is.
func (a *actor) write() error {
	env := a.env()
	env.Updated = a.c.now()
	version, err := a.c.put(a.c.life, *env, a.version)
	if err != nil {
		return err
	}
	a.version, a.unsaved, a.retry = version, false, time.Time{}
	return nil
}

// change alters the environment and stores it, both or neither.
func (a *actor) change(op string, f func(env *environment.Environment)) error {
	before := cloneEnvironment(*a.env())
	f(a.env())
	if err := a.write(); err != nil {
		a.lineage[0] = before
		return fault.E(op, fault.KindOf(err), err)
	}
	return nil
}

// erase removes what is kept of a deleted environment, and says whether it has.
func (a *actor) erase() bool {
	if time.Now().Before(a.retry) {
		return false
	}
	env := a.env()
	for key := range env.Ports {
		if err := a.c.driver.Forget(a.c.life, instanceOf(a.id, key)); err != nil {
			a.c.log.Warn("forget instance", "environment", a.id, "instance", key, "error", err)
		}
	}
	b := evidence.Batch{Deletes: []evidence.Key{{Kind: evidence.Environment, ID: a.id}}}
	if _, err := a.c.store.Apply(a.c.life, b); err != nil {
		a.c.log.Error("delete environment", "environment", a.id, "error", err)
		a.unsaved, a.retry = true, time.Now().Add(retryAfter)
		a.rest()
		return false
	}
	for _, port := range env.Ports {
		a.c.ports.free(port)
	}
	for _, addr := range env.Addresses {
		a.c.ports.free(portOf(addr))
	}
	a.c.forget(a.id)
	return true
}

// forget takes a deleted environment out.
func (c *Controller) forget(id string) {
	c.mu.Lock()
	delete(c.actors, id)
	c.mu.Unlock()
	c.pub.request()
}

// put stores an environment and gives its new version.
func (c *Controller) put(ctx context.Context, env environment.Environment, expect int64) (int64, error) {
	body, err := json.Marshal(env)
	if err != nil {
		return 0, fmt.Errorf("encode environment %s: %w", env.ID, err)
	}
	versions, err := c.store.Apply(ctx, evidence.Batch{Puts: []evidence.Put{{Expect: expect, Record: evidence.Record{
		Kind: evidence.Environment, ID: env.ID, Parent: env.Inherits.ID, Body: body, Created: env.Created, Updated: env.Updated,
		Labels: map[string]string{"mode": string(env.Mode), "name": env.Name},
	}}}})
	if err != nil {
		return 0, fmt.Errorf("store environment %s: %w", env.ID, err)
	}
	return versions[0], nil
}

// load reads every environment and gives each its actor.
func (c *Controller) load(ctx context.Context) error {
	if err := c.pub.load(ctx); err != nil {
		return err
	}
	versions := map[string]int64{}
	var states []state
	q := evidence.Query{Kind: evidence.Environment, Limit: 1000}
	for {
		records, err := c.store.List(ctx, q)
		if err != nil {
			return fmt.Errorf("list environments: %w", err)
		}
		for _, r := range records {
			var env environment.Environment
			if err := json.Unmarshal(r.Body, &env); err != nil {
				c.log.Error("read environment", "environment", r.ID, "error", err)
				continue
			}
			states, versions[r.ID] = append(states, state{Env: env}), r.Version
		}
		if len(records) < q.Limit {
			break
		}
		q.After = records[len(records)-1].ID
	}
	c.adopt(newWorld(states), versions)
	if !c.task(c.pub.loop) {
		return errClosing("load environments")
	}
	// Nobody is told how an environment is before its actor has looked, and the data plane has its first table.
	for _, a := range c.all() {
		if err := a.ask(ctx, "load environments", func() error { return nil }); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	if err := c.pub.await(ctx, c.pub.request()); err != nil {
		return fmt.Errorf("publish first routes: %w", err)
	}
	close(c.loaded)
	return nil
}

// adopt gives every environment an actor, parents before those who derive from them.
func (c *Controller) adopt(w *world, versions map[string]int64) {
	slices.SortStableFunc(w.order, func(a, b *member) int { return len(a.chain()) - len(b.chain()) })
	for _, m := range w.order {
		for _, port := range m.Env.Ports {
			c.ports.claim(port)
		}
		for _, addr := range m.Env.Addresses {
			c.ports.claim(portOf(addr))
		}
	}
	for _, m := range w.order {
		env := m.Env
		if env.Inherits.ID != "" && m.parent == nil && env.Desired == environment.Running {
			env.Status, env.Reason = environment.Failed, "what it derives from, "+env.Inherits.ID+", is gone"
		}
		c.spawn(env, versions[env.ID], c.actor(env.Inherits.ID))
	}
}

// cloneEnvironment copies what an actor changes; the Blueprint never changes.
func cloneEnvironment(e environment.Environment) environment.Environment {
	e.Addresses, e.Ports = maps.Clone(e.Addresses), maps.Clone(e.Ports)
	e.Secrets, e.Handles = maps.Clone(e.Secrets), maps.Clone(e.Handles)
	e.Shadow.Services = maps.Clone(e.Shadow.Services)
	return e
}

// sameState says whether two states would be shown alike.
func sameState(a, b state) bool {
	a.Env.Updated, b.Env.Updated = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

// controls words which controls a shadow has, since that decides what runs.
func controls(e environment.Environment) string {
	var out string
	for _, name := range slices.Sorted(maps.Keys(e.Shadow.Services)) {
		s := e.Shadow.Services[name]
		if s.Control == blueprint.ControlOff || controlURL(s) != nil {
			out += name + " "
		}
	}
	return out
}
