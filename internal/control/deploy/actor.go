// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// actor owns one environment. Its goroutine alone changes the environment and its record, and decides what runs; everybody
// else sends it messages and reads what it shows. It never waits for a process, a probe or another actor: those report
// back by message, and every message is followed by one look at what is wanted and what is there.
type actor struct {
	c       *Controller
	id      string
	lineage []environment.Environment // the environment's own entry is kept current; the others never change while it lives
	inbox   chan func()
	poked   chan struct{} // capacity 1: the publisher has news
	gone    chan struct{} // closed when the loop has ended
	view    atomic.Pointer[state]
	events  *broadcast

	condemned bool // it is being deleted: nothing may derive from it; guarded by c.mu

	// Below is the loop's alone.
	version   int64 // of the record
	unsaved   bool  // the last write failed
	retry     time.Time
	instances map[string]*instance
	plan      map[string]planned
	planFor   planKey
	needs     []string           // ids of the listeners that the plan needs
	fresh     map[string]bool    // listeners whose address nobody was told yet, so that another may be chosen
	serving   bool               // the primaries were all ready once since the user asked for them
	settled   bool               // they were before this server started: a death is followed by another start, not by failure
	mirroring bool               // likewise for the shadows
	shadow    environment.Shadow // what the shadows that are there belong to
	patient   bool               // likewise: the session was there before this server started
	waiters   []chan error       // for the shadow to be as wanted; each takes one answer
	shadowErr error              // why the shadow is off although somebody wanted it on
	table     uint64             // the publication that shows the latest view
	unsaid    []v1.Event         // events that are sent at the end of this look; at most a few for each message
	trouble   string             // why the data plane serves nothing, as it was told last
	halted    bool               // the server stops: nothing shall run, whatever is wanted
	timer     *time.Timer
}

// planKey is what a plan depends on.
type planKey struct {
	desired environment.Desired
	failed  bool
	shadow  bool
	session string
	control string
	halted  bool
}

func newActor(c *Controller, env environment.Environment, version int64, parent *actor) *actor {
	a := &actor{
		c: c, id: env.ID, version: version, lineage: []environment.Environment{env},
		inbox: make(chan func(), inboxSize), poked: make(chan struct{}, 1), gone: make(chan struct{}),
		instances: map[string]*instance{}, fresh: map[string]bool{}, timer: time.NewTimer(time.Hour),
	}
	a.events = newBroadcast(eventsWaiting)
	if parent != nil {
		s := parent.shown()
		a.lineage = append(a.lineage, s.Env)
		a.lineage = append(a.lineage, parent.lineage[1:]...)
	}
	a.takeOver()
	s := a.picture()
	a.view.Store(&s)
	return a
}

// env is the environment as it is now; the loop's alone.
func (a *actor) env() *environment.Environment { return &a.lineage[0] }

// shown is what the actor shows to others. It must not be changed.
func (a *actor) shown() state { return *a.view.Load() }

// post sends a message, waiting while the inbox is full, and says whether it will be read.
func (a *actor) post(f func()) bool {
	select {
	case a.inbox <- f:
		return true
	case <-a.gone:
		return false
	}
}

// ask has the actor do something and waits for its answer.
func (a *actor) ask(ctx context.Context, op string, f func() error) error {
	answer := make(chan error, 1)
	if !a.post(func() { answer <- f() }) {
		return a.deaf(op)
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fault.E(op, fault.Canceled, ctx.Err())
	case <-a.gone:
	}
	select {
	case err := <-answer: // it was the last thing the actor did
		return err
	default:
		return a.deaf(op)
	}
}

// deaf is why an actor that has ended can't do anything.
func (a *actor) deaf(op string) error {
	if a.c.life.Err() != nil || a.shown().Env.Desired != environment.Gone {
		return errClosing(op)
	}
	return fault.Errorf(op, fault.NotFound, "environment %s is deleted", a.id)
}

// poke tells the actor that the publisher has news; it never waits.
func (a *actor) poke() {
	select {
	case a.poked <- struct{}{}:
	default:
	}
}

// loop is the actor's life.
func (a *actor) loop() {
	defer close(a.gone)
	defer a.events.close()
	defer a.timer.Stop()
	for {
		a.reconcile()
		if a.finished() {
			return
		}
		select {
		case f := <-a.inbox:
			f()
			a.drain()
		case <-a.poked:
		case <-a.timer.C:
		case <-a.c.life.Done():
			return
		}
	}
}

// drain does what else is waiting, so that a burst of messages costs one look.
func (a *actor) drain() {
	for range inboxSize {
		select {
		case f := <-a.inbox:
			f()
		default:
			return
		}
	}
}

// finished says whether nothing is left to do, ever: the environment is deleted, or the server stops and all is down.
func (a *actor) finished() bool {
	if len(a.instances) > 0 {
		return false
	}
	if a.env().Desired == environment.Gone {
		return a.published() && a.erase()
	}
	return a.halted && (!a.unsaved || a.c.force.Err() != nil)
}

// halt stops everything because the server stops; what is wanted stays.
func (a *actor) halt() { a.halted = true }

// say notes an event for whoever listens. It is sent once the actor shows what it tells of, so that who looks then sees it.
func (a *actor) say(kind, message string) {
	a.unsaid = append(a.unsaid, v1.Event{Type: kind, At: a.c.now(), Message: message, Status: string(a.env().Status)})
}

// tell sends the events that were noted.
func (a *actor) tell() {
	for _, e := range a.unsaid {
		a.events.send(e)
	}
	a.unsaid = a.unsaid[:0]
}

// takeOver notes what an earlier server left.
func (a *actor) takeOver() {
	env := a.env()
	a.settled = env.Status == environment.Ready || env.Status == environment.Degraded
	a.patient = env.Shadow.Enabled
	plan := wanted(a.lineage)
	for key, h := range env.Handles {
		p, ok := plan[key]
		if !ok {
			p.id = instanceOf(a.id, key)
		}
		i := &instance{planned: p, state: environment.Starting, adopt: &h, restarts: h.Restarts}
		if a.settled && h.Data != "" && !i.shadow() {
			// It served users until the server died, and most likely does: until that is known, a doubtful answer is
			// better than a certain refusal.
			i.state, i.reason = environment.Unhealthy, "ran when the server ended; it is being looked for"
		}
		a.instances[key] = i
	}
	if !a.settled || !a.patient {
		return
	}
	a.shadow = env.Shadow
	a.mirroring = true // a shadow goes on that was there whole, like what serves users
	for key, p := range plan {
		if p.id.Role != environment.Primary && env.Handles[key].Data == "" {
			a.mirroring = false
		}
	}
}

// picture is the actor's view as it is now.
func (a *actor) picture() state {
	s := state{Env: cloneEnvironment(*a.env()), Mirroring: a.mirroring, Shadow: a.shadow, Halting: a.halted}
	for _, i := range a.instances {
		s.Instances = append(s.Instances, i.shown(a.env().Ports[i.key()]))
	}
	slices.SortFunc(s.Instances, func(x, y instanceState) int { return strings.Compare(x.ID.Key(), y.ID.Key()) })
	return s
}

// show makes the actor's view visible, and has it published when it has changed.
func (a *actor) show() {
	s := a.picture()
	if a.table != 0 && sameState(*a.view.Load(), s) {
		return
	}
	a.view.Store(&s)
	a.table = a.c.pub.request()
}

// visible says whether what the actor shows is, status aside, how things are.
func (a *actor) visible() bool {
	s, v := a.picture(), a.shown()
	s.Env.Status, s.Env.Reason = v.Env.Status, v.Env.Reason
	return sameState(s, v)
}

// published says whether the data plane has what the actor shows.
func (a *actor) published() bool { return a.table != 0 && a.c.pub.reached(a.table) }

func sortedActors(m map[string]*actor) []*actor {
	out := make([]*actor, 0, len(m))
	for _, a := range m {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *actor) int { return strings.Compare(a.id, b.id) })
	return out
}
