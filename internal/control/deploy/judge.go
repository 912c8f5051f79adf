// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"microstax/internal/environment"
	"microstax/internal/fault"
)

// reporter turns what runs report into messages to the actor.
func (a *actor) reporter() reporter {
	return reporter{
		started: func(r *run, h environment.Handle, pid int, adopted bool) {
			a.post(func() { a.began(r, h, pid, adopted) })
		},
		health: func(r *run, s environment.State, reason string) { a.post(func() { a.felt(r, s, reason) }) },
		ended: func(r *run, e ended) {
			a.post(func() {
				if i := a.living(r); i != nil {
					a.over(i, e)
				}
			})
		},
	}
}

// living is the instance that a run belongs to, or nil.
func (a *actor) living(r *run) *instance {
	for _, i := range a.instances {
		if i.run == r {
			return i
		}
	}
	return nil
}

// began notes that an instance runs. Its handle is stored at once.
func (a *actor) began(r *run, h environment.Handle, pid int, adopted bool) {
	i := a.living(r)
	if i == nil {
		return
	}
	i.pid = pid
	h.Restarts = i.restarts
	set(&a.env().Handles, i.key(), h)
	a.unsaved = true
	if adopted {
		a.c.log.Info("adopted instance", "environment", a.id, "instance", i.key(), "pid", pid)
	}
	if adopted && i.wanted {
		a.say("progress", fmt.Sprintf("found %s still running", label(i.id)))
	}
}

// felt notes what a probe has found.
func (a *actor) felt(r *run, s environment.State, reason string) {
	i := a.living(r)
	if i == nil || i.dismissed {
		return
	}
	if s == environment.InstanceUp && i.state != s {
		i.readied, i.since = true, time.Now()
		a.say("progress", label(i.id)+" is ready")
	}
	i.state, i.reason = s, reason
}

// over notes that nothing is left of an instance's run, and decides what follows: another start, after a while, or the end
// of what it belonged to when that has never worked.
func (a *actor) over(i *instance, e ended) {
	i.run, i.pid, i.dismissed = nil, 0, false
	if _, ok := a.env().Handles[i.key()]; ok {
		delete(a.env().Handles, i.key())
		a.unsaved = true
	}
	switch {
	case !i.wanted:
		i.state, i.reason = environment.StoppedState, ""
		return
	case e.stopped || e.absent:
		i.state, i.reason, i.due = environment.Starting, "", time.Time{}
		return
	}
	if i.state == environment.InstanceUp && time.Since(i.since) >= stableAfter {
		i.failures = 0
	}
	i.state, i.reason = environment.Exited, e.reason
	switch {
	case i.shadow() && !a.mirroring && !a.patient:
		a.failShadow(label(i.id) + " " + a.early(i, e))
	case !i.shadow() && !a.serving && !a.settled:
		a.fail(label(i.id) + " " + a.early(i, e))
	default:
		i.failures++
		i.restarts++
		pause := delay(i.failures)
		i.due = time.Now().Add(pause)
		a.say("progress", fmt.Sprintf("%s %s; it starts again in %s", label(i.id), e.reason, pause))
	}
}

// early words the end of an instance that came too early.
func (a *actor) early(i *instance, e ended) string {
	if !i.readied && !e.hopeless && !e.unready {
		e.reason += " before it was ready"
	}
	return e.whole()
}

// fail ends the attempt to make the environment run. What runs of it is stopped by the next look.
func (a *actor) fail(reason string) {
	env := a.env()
	if env.Status == environment.Failed {
		return
	}
	a.become(environment.Failed, reason)
}

// failShadow switches the shadow off again, because it can't be made to run.
func (a *actor) failShadow(reason string) {
	a.env().Shadow.Enabled = false
	a.unsaved = true
	a.shadowErr = fault.Errorf("enable shadow", fault.Unavailable, "%s", reason).
		WithHint("mend it and enable the shadow again; live traffic was not touched")
	a.say("progress", "shadowing is off again: "+reason)
}

// become sets the status, and tells whoever listens when it has changed.
func (a *actor) become(s environment.Status, reason string) {
	env := a.env()
	if env.Status == s && env.Reason == reason {
		return
	}
	changed := env.Status != s
	env.Status, env.Reason = s, reason
	a.unsaved = true
	if changed {
		a.say("status", reason)
	}
}

// judge works out what the environment's status is.
func (a *actor) judge() {
	env := a.env()
	switch {
	case a.halted, env.Desired == environment.Gone, env.Status == environment.Failed:
		return
	case env.Desired == environment.Halted:
		a.become(environment.Stopped, a.stopping())
		return
	}
	starting, troubles := a.troubles(environment.Primary)
	away := a.planeTrouble()
	if len(starting)+len(troubles) == 0 && away == "" {
		a.serving = true
	}
	shadowStarting, shadowTroubles := a.troubles(environment.Candidate, environment.Control)
	if env.Shadow.Enabled && len(shadowStarting)+len(shadowTroubles) == 0 {
		a.mirroring = true
	}
	if a.mirroring || a.patient {
		troubles = append(troubles, shadowTroubles...)
		starting = append(starting, shadowStarting...)
	}
	troubles = append(troubles, a.deafListeners()...)
	if away != "" {
		troubles = append(troubles, away)
	}
	a.become(a.status(starting, troubles))
}

// status is what follows from what does not work. An environment becomes ready only when the data plane routes to it.
func (a *actor) status(starting, troubles []string) (environment.Status, string) {
	env := a.env()
	begun := a.serving || a.settled
	switch {
	case len(troubles) > 0 && begun:
		return environment.Degraded, strings.Join(append(troubles, starting...), "; ")
	case len(starting)+len(troubles) > 0 && begun:
		return environment.Degraded, strings.Join(starting, "; ")
	case len(starting)+len(troubles) > 0:
		return environment.Provisioning, strings.Join(append(troubles, starting...), "; ")
	case env.Status == environment.Ready || a.routed():
		return environment.Ready, ""
	}
	return env.Status, env.Reason
}

// routed says whether the data plane has what the actor would show now, and serves it.
func (a *actor) routed() bool {
	if !a.published() || !a.visible() {
		return false
	}
	serving := a.c.pub.listeners()
	for _, id := range a.needs {
		if s := serving[id]; s.Revision == 0 {
			return false
		}
	}
	return true
}

// troubles words, of the instances of some roles, which are still starting and which do not work.
func (a *actor) troubles(roles ...environment.Role) (starting, troubles []string) {
	for _, i := range a.inOrder() {
		if !i.wanted || !slices.Contains(roles, i.id.Role) {
			continue
		}
		switch i.state {
		case environment.InstanceUp:
		case environment.Starting, environment.StoppedState:
			starting = append(starting, label(i.id)+" is starting")
		case environment.Exited:
			troubles = append(troubles, fmt.Sprintf("%s %s; restart %d follows", label(i.id), i.reason, i.restarts))
		default:
			troubles = append(troubles, label(i.id)+": "+i.reason)
		}
	}
	return starting, troubles
}

// deafListeners words which of the environment's addresses can't be opened.
func (a *actor) deafListeners() []string {
	var out []string
	serving := a.c.pub.listeners()
	for _, id := range a.needs {
		if s, ok := serving[id]; ok && s.Err != "" && !a.fresh[id] {
			out = append(out, fmt.Sprintf("%s can't listen on port %d: %s; end what holds it, it is tried again every %s",
				strings.TrimPrefix(id, a.id+"/"), portOf(s.Addr), s.Err, retryAfter))
		}
	}
	return out
}

// planeTrouble is why nobody serves the environment's addresses, and is told to whoever waits for them.
func (a *actor) planeTrouble() string {
	why := ""
	if len(a.needs) > 0 {
		why = a.c.planeTrouble()
	}
	if why != a.trouble {
		if a.trouble = why; why != "" {
			a.say("progress", why)
		}
	}
	return why
}

// stopping words what still runs of a stopped environment.
func (a *actor) stopping() string {
	left := 0
	for _, i := range a.instances {
		if i.run != nil {
			left++
		}
	}
	if left == 0 {
		return ""
	}
	return fmt.Sprintf("%d of its processes are still stopping", left)
}
