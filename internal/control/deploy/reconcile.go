// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"microstax/internal/driver"
	"microstax/internal/environment"
)

// reconcile looks once at what is wanted and what is there, and sets going what leads from one to the other. It is called
// after every message and waits for nothing but the store.
func (a *actor) reconcile() {
	for range 2 { // judging may end what was planned: the environment or its shadow has failed
		a.replan()
		a.admit()
		a.allocate()
		a.judge()
		if a.planned() {
			break
		}
	}
	a.save()
	a.show()
	if a.published() {
		a.startDue()
		a.stopDue()
		a.answerWaiters()
	}
	a.tell()
	a.rest()
}

// basis is what the plan depends on, as it is now.
func (a *actor) basis() planKey {
	env := a.env()
	return planKey{env.Desired, env.Status == environment.Failed, env.Shadow.Enabled, env.Shadow.Session, controls(*env), a.halted}
}

// planned says whether there is a plan and it still holds.
func (a *actor) planned() bool { return a.plan != nil && a.planFor == a.basis() }

// replan works out which instances are wanted, when what that depends on has changed.
func (a *actor) replan() {
	env, k := a.env(), a.basis()
	if env.Shadow.Enabled {
		a.shadow = env.Shadow
	}
	if a.planned() {
		return
	}
	if a.plan != nil && k.session != a.planFor.session {
		a.dismissShadows() // a new session begins with new processes
	}
	a.planFor = k
	a.plan = map[string]planned{}
	if !a.halted {
		a.plan = wanted(a.lineage)
	}
	a.needs = listeners(a.lineage, a.plan)
	if !wantsRunning(*env) || a.halted {
		a.serving, a.mirroring = false, false
	}
	if !env.Shadow.Enabled {
		a.mirroring = false
	}
}

// dismissShadows has the processes of the session before end. Those wanted again start anew when the old ones are gone.
func (a *actor) dismissShadows() {
	a.mirroring = false
	for _, i := range a.instances {
		if i.shadow() && i.run != nil {
			i.dismissed, i.readied, i.state = true, false, environment.Starting
		}
	}
}

// admit notes what is wanted and not there yet, and what is there and no longer wanted.
func (a *actor) admit() {
	for key, i := range a.instances {
		p, ok := a.plan[key]
		i.wanted = ok
		if ok {
			i.planned = p
		} else if i.run == nil && i.adopt == nil {
			delete(a.instances, key)
		}
	}
	for key, p := range a.plan {
		if a.instances[key] == nil {
			a.instances[key] = &instance{planned: p, wanted: true, state: environment.Starting}
		}
	}
}

// allocate gives every listener and instance that is wanted an address, for life.
func (a *actor) allocate() {
	env := a.env()
	if env.Desired == environment.Gone || a.halted {
		return
	}
	serving := a.c.pub.listeners()
	for _, id := range a.needs {
		s, known := serving[id]
		addr := env.Addresses[id]
		switch {
		case addr == "":
		case a.fresh[id] && known && s.Err != "" && s.Addr == addr: // taken before anybody was told of it
			a.c.log.Info("choose another address", "listener", id, "taken", addr, "error", s.Err)
			a.c.ports.free(portOf(addr))
		default:
			if known && s.Err == "" && s.Revision != 0 && s.Addr == addr {
				delete(a.fresh, id)
			}
			continue
		}
		port, err := a.c.ports.choose()
		if err != nil {
			a.fail("no address for " + id + ": " + err.Error())
			return
		}
		set(&env.Addresses, id, address(port))
		a.fresh[id] = true
		a.unsaved = true
	}
	for key := range a.plan {
		if env.Ports[key] == 0 && !a.choosePort(key) {
			return
		}
	}
}

// choosePort gives an instance a port, and says whether there was one.
func (a *actor) choosePort(key string) bool {
	port, err := a.c.ports.choose()
	if err != nil {
		a.fail("no port for " + key + ": " + err.Error())
		return false
	}
	set(&a.env().Ports, key, port)
	a.unsaved = true
	return true
}

// startDue starts what may start now: of its role everything in lower waves was ready, its delay is over, and what it
// calls can be reached.
func (a *actor) startDue() {
	now := time.Now()
	var due []*instance
	for _, i := range a.inOrder() {
		if i.run != nil || now.Before(i.due) || (i.adopt == nil && (!i.wanted || !a.open(i) || !a.mayStart(i))) {
			continue
		}
		due = append(due, i)
	}
	if len(due) == 0 {
		return
	}
	for _, i := range due {
		if i.adopt == nil {
			a.prepare(i)
		}
	}
	if a.save(); a.unsaved { // a process that no record knows of could be lost; wait until one does
		return
	}
	for _, i := range due {
		a.launch(i)
	}
}

// mayStart says whether what the instance waits for was ready. Once the environment has served, restarts wait for nobody.
func (a *actor) mayStart(i *instance) bool {
	for _, other := range a.instances {
		if other.wanted && other.id.Role == i.id.Role && other.wave < i.wave && !other.readied {
			return false
		}
	}
	return true
}

// open says whether the instance's outgoing listeners serve. One whose address has been given out before and is now taken
// by somebody else must not keep everything from starting.
func (a *actor) open(i *instance) bool {
	serving := a.c.pub.listeners()
	for _, callee := range i.callees {
		id := outgoingID(i.id, callee)
		if s := serving[id]; a.fresh[id] && (s.Err != "" || s.Revision == 0) {
			return false
		}
	}
	return true
}

// prepare makes ready what has to be on record before an instance starts: a port that is free, and a note that something
// may run under this name even if the server dies before the driver's handle is stored.
func (a *actor) prepare(i *instance) {
	env := a.env()
	if listenable(env.Ports[i.key()]) != nil {
		taken := env.Ports[i.key()]
		if a.choosePort(i.key()) {
			a.c.ports.free(taken)
		}
	}
	set(&env.Handles, i.key(), environment.Handle{Driver: a.c.driver.Name(), Restarts: i.restarts})
	a.unsaved = true
}

// launch begins a run of the instance.
func (a *actor) launch(i *instance) {
	r := &run{c: a.c, report: a.reporter(), stop: make(chan struct{}), adopt: i.adopt, wanted: i.wanted}
	i.adopt = nil
	if err := a.describe(r, i); err != nil {
		a.over(i, ended{reason: err.Error(), hopeless: true})
		return
	}
	i.run = r
	if r.adopt == nil || i.state != environment.Unhealthy { // one that is looked for stays in doubt until it is found
		i.state, i.reason = environment.Starting, ""
	}
	if i.wanted && r.adopt == nil {
		a.say("progress", "starting "+label(i.id))
	}
	a.c.tasks.Go(r.main)
}

// describe fills in what the run starts and checks.
func (a *actor) describe(r *run, i *instance) error {
	r.spec = driver.Spec{Instance: i.id}
	if !i.wanted {
		return nil
	}
	var err error
	if r.spec, err = i.spec(*a.env()); err != nil {
		return err
	}
	r.ready = i.probe()
	if r.readyAs, err = i.check(r.ready, *a.env(), r.spec); err != nil {
		return err
	}
	if r.live, r.hasLive = i.liveness(); r.hasLive {
		r.liveAs, err = i.check(r.live, *a.env(), r.spec)
	}
	return err
}

// stopDue asks to end what is no longer wanted: of its role, what depends on others first.
func (a *actor) stopDue() {
	for _, i := range a.instances {
		if i.leaving() && !a.awaited(i) {
			i.dismissed, i.readied, i.state, i.reason = true, false, environment.StoppedState, ""
			i.run.halt()
		}
	}
}

// awaited says whether something that leaves too, and may call the instance, has to be gone first.
func (a *actor) awaited(i *instance) bool {
	for _, o := range a.instances {
		if o.leaving() && o.id.Role == i.id.Role && o.wave > i.wave {
			return true
		}
	}
	return false
}

// rest sets the timer for what becomes due next.
func (a *actor) rest() {
	next := time.Now().Add(time.Hour)
	if a.unsaved && a.retry.Before(next) {
		next = a.retry
	}
	for _, i := range a.instances {
		if i.wanted && i.run == nil && i.due.After(time.Now()) && i.due.Before(next) {
			next = i.due
		}
	}
	a.timer.Reset(time.Until(next))
}

// inOrder is every instance, in order of wave and key.
func (a *actor) inOrder() []*instance {
	out := make([]*instance, 0, len(a.instances))
	for _, i := range a.instances {
		out = append(out, i)
	}
	slices.SortFunc(out, func(x, y *instance) int {
		if x.wave != y.wave {
			return x.wave - y.wave
		}
		return strings.Compare(x.key(), y.key())
	})
	return out
}

// label names an instance for people.
func label(i environment.Instance) string {
	name := i.Service
	if i.Role != environment.Primary {
		name = fmt.Sprintf("%s (%s)", i.Service, i.Role)
	}
	if i.Replica > 0 {
		name += " #" + strconv.Itoa(i.Replica+1)
	}
	return name
}

// set puts a value into a map that may not be there yet.
func set[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = value
}

// instanceOf is the instance with a key; the opposite of environment.Instance.Key.
func instanceOf(env, key string) environment.Instance {
	parts := strings.Split(key, "/")
	i := environment.Instance{Environment: env, Service: parts[0]}
	if len(parts) == 3 {
		i.Role = environment.Role(parts[1])
		i.Replica, _ = strconv.Atoi(parts[2])
	}
	return i
}
