// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"fmt"
	"strings"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// Stop ends an environment's processes and keeps everything else. It returns when that is on record; the processes end
// meanwhile, what depends on others first. Stopping what is stopped changes nothing.
func (c *Controller) Stop(ctx context.Context, ref string) (v1.Environment, error) {
	const op = "stop environment"
	return c.command(ctx, op, ref, func(a *actor) error {
		if a.env().Desired != environment.Running {
			return nil
		}
		return a.change(op, func(env *environment.Environment) {
			env.Desired, env.Status, env.Reason = environment.Halted, environment.Stopped, ""
		})
	})
}

// Resume has an environment run that was stopped or has failed. It returns when that is on record. Resuming what runs
// changes nothing.
func (c *Controller) Resume(ctx context.Context, ref string) (v1.Environment, error) {
	const op = "resume environment"
	return c.command(ctx, op, ref, func(a *actor) error {
		if wantsRunning(*a.env()) {
			return nil
		}
		a.serving, a.settled, a.patient = false, false, a.env().Shadow.Enabled
		return a.change(op, func(env *environment.Environment) {
			env.Desired, env.Status, env.Reason = environment.Running, environment.Provisioning, ""
		})
	})
}

// command has the actor do something and shows the environment as it is then.
func (c *Controller) command(ctx context.Context, op, ref string, f func(a *actor) error) (v1.Environment, error) {
	a, err := c.find(ctx, op, ref)
	if err != nil {
		return v1.Environment{}, err
	}
	err = a.ask(ctx, op, func() error {
		if err := a.usable(op); err != nil {
			return err
		}
		before := a.env().Status
		if err := f(a); err != nil {
			return err
		}
		if a.env().Status != before {
			a.say("status", a.env().Reason)
		}
		a.show()
		return nil
	})
	if err != nil {
		return v1.Environment{}, err
	}
	return c.render(a.id)
}

// usable refuses what can't be done any more.
func (a *actor) usable(op string) error {
	switch {
	case a.halted:
		return errClosing(op)
	case a.env().Desired == environment.Gone:
		return fault.Errorf(op, fault.Conflict, "%s is being deleted", title(*a.env()))
	}
	return nil
}

// Delete ends an environment and removes all that is kept of it, but not the evidence that was gathered with it. It returns
// when it is gone, or with ctx's error while it goes on. fault.Conflict while others derive from it.
func (c *Controller) Delete(ctx context.Context, ref string) error {
	const op = "delete environment"
	a, err := c.find(ctx, op, ref)
	if err != nil {
		return err
	}
	if err := c.condemn(ctx, op, a); err != nil {
		return err
	}
	err = a.ask(ctx, op, func() error {
		if a.halted {
			return errClosing(op)
		}
		if a.env().Desired == environment.Gone {
			return nil
		}
		return a.change(op, func(env *environment.Environment) { env.Desired = environment.Gone })
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		c.pardon(a)
		return err
	}
	select {
	case <-a.gone:
	case <-ctx.Done():
		return fault.E(op, fault.Canceled, ctx.Err()).WithHint("it goes on; look again later")
	}
	if a.c.actor(a.id) != nil {
		return errClosing(op)
	}
	return nil
}

// condemn makes sure that nothing derives from an environment, and that nothing will.
func (c *Controller) condemn(ctx context.Context, op string, a *actor) error {
	if err := c.takeTurn(ctx, op); err != nil {
		return err
	}
	defer c.endTurn()
	c.mu.Lock()
	defer c.mu.Unlock()
	var heirs []string
	for _, other := range sortedActors(c.actors) {
		if e := other.shown().Env; e.Inherits.ID == a.id {
			heirs = append(heirs, title(e))
		}
	}
	if len(heirs) > 0 {
		return fault.Errorf(op, fault.Conflict, "%s derive from %s", strings.Join(heirs, ", "), title(a.shown().Env)).
			WithHint("delete them first")
	}
	a.condemned = true
	return nil
}

func (c *Controller) pardon(a *actor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.condemned = false
}

// SetShadow stores an environment's shadow and makes it so: it starts candidates and controls, or stops them, and has the
// data plane take copies, or no more. It returns when that is done. When the shadow can't be made to run, the error says
// why, with the last lines of what failed, and shadowing is off again; live traffic does not notice. A new session id begins
// with new processes. When ctx ends first the work goes on.
func (c *Controller) SetShadow(ctx context.Context, id string, s environment.Shadow) error {
	const op = "set shadow"
	a, err := c.find(ctx, op, id)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	err = a.ask(ctx, op, func() error {
		if err := a.usable(op); err != nil {
			return err
		}
		if err := a.shadowable(op, s); err != nil {
			return err
		}
		if err := a.change(op, func(env *environment.Environment) { env.Shadow = s }); err != nil {
			return err
		}
		a.dismissWaiters(fault.Errorf(op, fault.Conflict, "somebody else changed the shadow meanwhile"))
		a.patient, a.shadowErr = false, nil
		a.waiters = append(a.waiters, done)
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fault.E(op, fault.Canceled, ctx.Err())
	case <-a.gone:
		return errClosing(op)
	}
}

// shadowable refuses shadows that can't be.
func (a *actor) shadowable(op string, s environment.Shadow) error {
	env := a.env()
	switch {
	case !s.Enabled:
		return nil
	case env.Mode != blueprint.Overlay || len(a.lineage) < 2:
		return fault.Errorf(op, fault.Conflict, "%s is no overlay, so there is nothing to compare it with", title(*env)).
			WithHint("derive one with: microstax overlay create --baseline %s --file …", env.ID)
	case !wantsRunning(*env):
		return fault.Errorf(op, fault.Conflict, "%s is %s", title(*env), env.Status).
			WithHint("start it with: microstax env resume %s", env.ID)
	case s.Session == "":
		return fault.Errorf(op, fault.Internal, "a shadow needs a session")
	}
	for name, settings := range s.Services {
		if settings.Effects == blueprint.EffectsIsolated {
			return fault.Errorf(op, fault.Unavailable, "effects: isolated of %s is not available in this version", name).
				WithHint("use replay, passthrough or block")
		}
	}
	return nil
}

// answerWaiters tells those who wait for the shadow that it is as wanted, or why it can't be.
func (a *actor) answerWaiters() {
	if len(a.waiters) == 0 {
		return
	}
	env := a.env()
	left := 0
	for _, i := range a.instances {
		if i.shadow() {
			left++
		}
	}
	switch {
	case a.shadowErr != nil && left == 0:
		a.dismissWaiters(a.shadowErr)
	case a.shadowErr != nil:
	case env.Shadow.Enabled && (!wantsRunning(*env) || a.halted):
		a.dismissWaiters(fault.Errorf("set shadow", fault.Conflict, "%s is %s: %s", title(*env), a.fate(), env.Reason))
	case env.Shadow.Enabled && a.mirroring, !env.Shadow.Enabled && left == 0:
		a.dismissWaiters(nil)
	}
}

// fate words why nothing of the environment runs.
func (a *actor) fate() string {
	switch {
	case a.halted:
		return "stopping with the server"
	case a.env().Desired == environment.Gone:
		return "being deleted"
	}
	return fmt.Sprint(a.env().Status)
}

// dismissWaiters gives all who wait an answer; each has room for one.
func (a *actor) dismissWaiters(err error) {
	for _, w := range a.waiters {
		w <- err
	}
	a.waiters = nil
}
