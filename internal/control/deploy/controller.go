// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"microstax/internal/dataplane/route"
	"microstax/internal/driver"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/fault"
)

// Plane is what the controller needs of the data plane.
type Plane interface {
	// Apply makes the table the one in force, and opens and closes listeners. One that can't be opened keeps no other from
	// serving: it may be named in the error, and Serving reports it. Applying a table again tries those once more.
	Apply(ctx context.Context, t *route.Table) error
	// Serving says what every listener of the last table really does.
	Serving() []route.Serving
}

// PortRange is where addresses and instance ports are chosen from, both ends included.
type PortRange struct{ First, Last int }

// Limits bound what the controller holds. Zero fields mean the defaults.
type Limits struct {
	Environments int // environments at the same time; default 500
	Instances    int // processes of one environment, shadows aside; default 200
}

// Options is what a Controller is built from. Store, Driver and Plane are needed; the rest has defaults.
type Options struct {
	Store   evidence.Store
	Driver  driver.Driver
	Plane   Plane
	Now     func() time.Time // default time.Now
	Entropy io.Reader        // may be read concurrently; default crypto/rand
	Logger  *slog.Logger     // default: silent
	Ports   PortRange        // default 20000–29999: below what systems use for outgoing connections
	Prober  Prober           // default: real HTTP, TCP and commands
	Limits  Limits
	TLS     *route.TLS // what gateways that speak HTTP show to users; nil: they are not encrypted
}

// Controller makes environments exist. Build one with New, keep it going with Run, and end it with Close.
type Controller struct {
	store   evidence.Store
	driver  driver.Driver
	plane   Plane
	now     func() time.Time
	entropy io.Reader
	log     *slog.Logger
	prober  Prober
	limits  Limits
	secure  *route.TLS
	ports   *ports
	pub     *publisher

	life   context.Context //nolint:containedctx // cancelled by Close; ends when nothing may go on, processes or not: after Close
	end    context.CancelFunc
	force  context.Context //nolint:containedctx // cancelled by Close; ends when polite stopping has taken too long
	hurry  context.CancelFunc
	tasks  sync.WaitGroup // every goroutine of the controller
	loaded chan struct{}  // closed when the environments that were stored are looked after
	turn   chan struct{}  // capacity 1: full while an environment is created or condemned

	mu      sync.Mutex
	actors  map[string]*actor // by environment id; guarded by mu
	started bool              // guarded by mu
	closing bool              // guarded by mu
}

// New builds a Controller. It does no I/O and starts nothing.
func New(o Options) *Controller {
	o = o.withDefaults()
	c := &Controller{
		store: o.Store, driver: o.Driver, plane: o.Plane, now: o.Now, entropy: o.Entropy, log: o.Logger, prober: o.Prober,
		limits: o.Limits, secure: o.TLS, ports: newPorts(o.Ports, o.Entropy),
		loaded: make(chan struct{}), turn: make(chan struct{}, 1), actors: map[string]*actor{},
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.force, c.hurry = context.WithCancel(context.Background())
	c.pub = newPublisher(c)
	return c
}

// Run reads the store, adopts what still runs, starts what should run and stops what should not, and then waits until
// ctx ends or Close is called. Processes and their supervision go on after Run has returned, until Close. It may be
// called once.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.begin(); err != nil {
		return err
	}
	if err := c.load(ctx); err != nil {
		return fault.E("start environments", fault.KindOf(err), err)
	}
	select {
	case <-ctx.Done():
	case <-c.life.Done():
	}
	return nil
}

func (c *Controller) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing:
		return errClosing("run")
	case c.started:
		return fault.Errorf("run", fault.Internal, "the controller already runs")
	}
	c.started = true
	return nil
}

// Ready closes when the store has been read, every environment is being looked after, and the data plane has its first
// routing table. Every method waits for it.
func (c *Controller) Ready() <-chan struct{} { return c.loaded }

// Close stops all processes of all environments: overlays before what they derive from, and within one environment what
// depends on others first. What the user wants stays as it is, so that the next Run brings the environments back. When
// ctx ends first, what is left is stopped by force. Close twice is harmless.
func (c *Controller) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	defer context.AfterFunc(ctx, c.hurry)()
	for _, layer := range c.layers() {
		for _, a := range layer {
			a.post(a.halt)
		}
		for _, a := range layer {
			<-a.gone
		}
	}
	c.abandon()
	return nil
}

// abandon ends every goroutine and leaves processes as they are: what a crash of the server looks like from outside.
func (c *Controller) abandon() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.end()
	c.tasks.Wait()
	c.hurry()
}

// layers groups the actors by how far they are from their root, the farthest first.
func (c *Controller) layers() [][]*actor {
	depth := map[int][]*actor{}
	most := 0
	for _, a := range c.all() {
		d := len(a.lineage)
		depth[d] = append(depth[d], a)
		most = max(most, d)
	}
	var out [][]*actor
	for d := most; d > 0; d-- {
		out = append(out, depth[d])
	}
	return out
}

// all is every actor, in order of environment id.
func (c *Controller) all() []*actor {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sortedActors(c.actors)
}

// actor is the one that owns an environment, or nil.
func (c *Controller) actor(id string) *actor {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.actors[id]
}

// await waits until the store has been read.
func (c *Controller) await(ctx context.Context, op string) error {
	select {
	case <-c.loaded:
		return nil
	default:
	}
	select {
	case <-c.loaded:
		return nil
	case <-ctx.Done():
		return fault.E(op, fault.Canceled, ctx.Err())
	case <-c.life.Done():
		return errClosing(op)
	}
}

func errClosing(op string) error {
	return fault.E(op, fault.Unavailable, errors.New("the server is stopping")).WithHint("try again once it has started")
}

// stops says whether the controller is being closed.
func (c *Controller) stops() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// states are the environments as their actors last showed them.
func (c *Controller) states() []state {
	actors := c.all()
	out := make([]state, 0, len(actors))
	for _, a := range actors {
		out = append(out, a.shown())
	}
	return out
}

// task starts a goroutine of the controller, unless the server stops.
func (c *Controller) task(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false
	}
	c.tasks.Go(f)
	return true
}

// spawn gives an environment its actor, or nil when the server stops. parent is nil for a root.
func (c *Controller) spawn(env environment.Environment, version int64, parent *actor) *actor {
	a := newActor(c, env, version, parent)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil
	}
	c.actors[env.ID] = a
	c.tasks.Go(a.loop)
	return a
}
