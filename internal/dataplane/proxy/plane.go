// SPDX-License-Identifier: Apache-2.0

// Package proxy is the data plane's doorway: listeners that forward live requests to whoever the routing table says,
// byte for byte, and hand copies to mirror. What it adds to a user's request is a look at the head, a table look-up, and
// a copy of bytes that pass anyway; it never waits for a shadow, and holds no lock that a shadow's side holds.
//
// A Plane serves one table at a time. Apply swaps it atomically; requests under way finish with the table they began
// with. Methods may be called concurrently, Apply by one caller at a time.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/dial"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/passive"
	"microstax/internal/dataplane/route"
	"microstax/internal/dataplane/tap"
)

// Limits are the bounds of a plane; zero fields get the defaults.
type Limits struct {
	MaxHead       int           // bytes of a request head; default 64 KiB
	HeadTimeout   time.Duration // from the first byte of a head to its last; default 30 s
	IdleTimeout   time.Duration // of a client connection between requests; default 2 min
	BodyTimeout   time.Duration // between two reads of a request body; default 2 min
	DialTimeout   time.Duration // to an upstream; default 10 s
	AnswerTimeout time.Duration // from a whole request to the head of its answer; default: as long as the provider takes
	DrainTimeout  time.Duration // for requests under way when a listener closes; default 10 s
	CaptureBudget int64         // bytes that all captures hold together; default 256 MiB
	RingSize      int           // copies that wait, for each shadow session; default mirror.DefaultRing
	Lag           time.Duration // how late copies may be before sessions are shed; default mirror.DefaultLag
	Tap           passive.Limits
	MaxConns      int // client connections of one listener; default 20,000
}

func (l *Limits) fill() {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if l.MaxHead <= 0 {
		l.MaxHead = 64 << 10
	}
	if l.CaptureBudget <= 0 {
		l.CaptureBudget = 256 << 20
	}
	if l.MaxConns <= 0 {
		l.MaxConns = 20_000
	}
	def(&l.HeadTimeout, 30*time.Second)
	def(&l.IdleTimeout, 2*time.Minute)
	def(&l.BodyTimeout, 2*time.Minute)
	def(&l.DialTimeout, 10*time.Second)
	def(&l.DrainTimeout, 10*time.Second)
}

// Options are what a Plane needs.
type Options struct {
	Publisher mirror.Publisher
	Redactor  func(rules []blueprint.Redact) mirror.Redactor
	Logger    *slog.Logger
	Entropy   io.Reader
	Limits    Limits
	// Trace adds a traceparent to requests that enter without one, so that what they cause can be told apart.
	Trace bool
}

// Plane holds the listeners and the shadow sessions of the table in force.
type Plane struct {
	opts   Options
	ctx    context.Context //nolint:containedctx // cancelled by Close
	cancel context.CancelFunc
	budget *tap.Budget
	ups    *upstreams
	web    *dial.Client // what net/http sends
	traces *traces
	stats  stats

	mu        sync.Mutex // guards what follows; never taken on a user's path
	revision  uint64
	listeners map[string]*listener
	failed    map[string]route.Serving
	runners   map[string]*mirror.Runner
	closed    bool
	watched   chan struct{}  // closed by watch
	drains    sync.WaitGroup // of listeners that a table did without
}

// stats count what the plane did.
type stats struct {
	requests, malformed, unroutable, upstreamErrors, refusedConns, raw atomic.Int64
	shedSessions                                                       atomic.Int64 // of shadow sessions that ended
	connections                                                        atomic.Uint64
}

// Stats is a snapshot of a plane's counters.
type Stats struct {
	Requests, Malformed, Unroutable, UpstreamErrors, RefusedConnections int64
	RawConnections                                                      int64 // that were carried without being read as HTTP
	Waiting, LostRecords                                                int64
	Share                                                               float64 // the smallest of all shadow sessions, see mirror.Runner.Share
	ShedSessions                                                        int64
	Captured                                                            float64 // which part of the capture budget is used, 0 to 1
}

// New makes a plane that serves nothing yet.
func New(o Options) *Plane {
	o.Limits.fill()
	ctx, cancel := context.WithCancel(context.Background())
	return &Plane{
		opts: o, ctx: ctx, cancel: cancel, budget: tap.NewBudget(o.Limits.CaptureBudget),
		ups: newUpstreams(o.Limits.DialTimeout), web: dial.NewClient(o.Limits.DialTimeout, o.Limits.AnswerTimeout), traces: newTraces(),
		listeners: map[string]*listener{}, failed: map[string]route.Serving{}, runners: map[string]*mirror.Runner{},
	}
}

// ErrClosed is returned by Apply after Close.
var ErrClosed = errors.New("data plane is closed")

// Apply makes the plane serve a table: listeners that are new are opened, those that are gone are drained in the
// background, and all others switch at once. Every listener that could be opened serves the new revision even when others
// could not; those are named in the error and in Serving, and tried again with the next table.
func (p *Plane) Apply(ctx context.Context, t *route.Table) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.watched == nil {
		p.watched = make(chan struct{})
		go p.watch()
	}
	p.startRunners(t)
	compiled := compile(t, p.runners)
	p.failed = map[string]route.Serving{}
	wanted := map[string]bool{}
	var errs []error
	for i := range t.Listeners {
		l := &t.Listeners[i]
		wanted[l.ID] = true
		if err := p.serve(ctx, l, compiled[i]); err != nil {
			p.failed[l.ID] = route.Serving{Listener: l.ID, Addr: l.Addr, Err: err.Error()}
			errs = append(errs, err)
		}
	}
	for id, l := range p.listeners {
		if !wanted[id] {
			delete(p.listeners, id)
			p.drains.Go(l.close)
		}
	}
	p.stopRunners(t)
	p.revision = t.Revision
	return errors.Join(errs...)
}

func (p *Plane) serve(ctx context.Context, l *route.Listener, c *plan) error {
	if err := c.loadTLS(); err != nil {
		return fmt.Errorf("open listener %s for %s: %w", l.Addr, l.ID, err)
	}
	if open, ok := p.listeners[l.ID]; ok {
		if open.addr == l.Addr && (open.tap != nil) == (l.Kind == route.Tapped) {
			if l.Kind == route.Tapped {
				c.except = shadows(ctx, l)
			}
			open.plan.Store(c)
			return nil
		}
		delete(p.listeners, l.ID)
		p.drains.Go(open.close)
	}
	if l.Kind == route.Tapped {
		return p.serveTap(ctx, l, c)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", l.Addr)
	if err != nil {
		return fmt.Errorf("open listener %s for %s: %w", l.Addr, l.ID, err)
	}
	open := newListener(p, l.Addr, ln)
	open.plan.Store(c)
	p.listeners[l.ID] = open
	open.start()
	return nil
}

func (p *Plane) startRunners(t *route.Table) {
	for id, s := range t.Shadows {
		if p.runners[id] != nil {
			continue
		}
		size := s.QueueSize
		if size <= 0 {
			size = p.opts.Limits.RingSize
		}
		p.runners[id] = mirror.NewRunner(mirror.Options{
			Shadow: s, Publisher: p.opts.Publisher, Redactor: p.opts.Redactor(s.Redact), Logger: p.opts.Logger,
			Entropy: p.opts.Entropy, RingSize: size, Budget: p.budget, Lag: p.opts.Limits.Lag,
		})
	}
}

// stopRunners ends the sessions that the table no longer has, before Apply returns: their evidence is whole then.
func (p *Plane) stopRunners(t *route.Table) {
	for id, r := range p.runners {
		if t.Shadows[id] == nil {
			delete(p.runners, id)
			p.closeRunner(r)
		}
	}
}

func (p *Plane) closeRunner(r *mirror.Runner) {
	ctx, cancel := context.WithTimeout(context.Background(), runnerGrace)
	defer cancel()
	r.Close(ctx) //nolint:errcheck,gosec // what is cut off is counted
	_, shed := r.Share()
	p.stats.shedSessions.Add(shed)
}

// runnerGrace is how long copies that wait or are under way may take when their session ends.
const runnerGrace = 10 * time.Second

// Serving is what every listener really does, in order of id.
func (p *Plane) Serving() []route.Serving {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]route.Serving, 0, len(p.listeners)+len(p.failed))
	for id, l := range p.listeners {
		list = append(list, route.Serving{Listener: id, Addr: l.addr, Revision: l.plan.Load().revision})
	}
	for _, s := range p.failed {
		list = append(list, s)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Listener < list[j].Listener })
	return list
}

// Stats reads the counters.
func (p *Plane) Stats() Stats {
	s := Stats{
		Requests: p.stats.requests.Load(), Malformed: p.stats.malformed.Load(),
		Unroutable: p.stats.unroutable.Load(), UpstreamErrors: p.stats.upstreamErrors.Load(),
		RefusedConnections: p.stats.refusedConns.Load(), RawConnections: p.stats.raw.Load(),
	}
	s.Share, s.ShedSessions, s.Captured = 1, p.stats.shedSessions.Load(), p.budget.Fill()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.runners {
		share, shed := r.Share()
		s.Share, s.ShedSessions = min(s.Share, share), s.ShedSessions+shed
		s.Waiting += int64(r.Waiting())
		s.LostRecords += r.LostRecords()
	}
	return s
}

// Propagates lists what the calls of a service of an environment were seen to forward: traceparent, and the routing
// header. Empty means that it forwards nothing, or has called nobody yet.
func (p *Plane) Propagates(environment, service string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var calls, traced, keyed int64
	for _, l := range p.listeners {
		o := l.plan.Load().Origin
		if o.Environment == environment && o.Service == service {
			calls += l.calls.Load()
			traced += l.traced.Load()
			keyed += l.keyed.Load()
		}
	}
	var names []string
	if calls > 0 && traced*10 >= calls*9 {
		names = append(names, "traceparent")
	}
	if keyed > 0 {
		names = append(names, "baggage")
	}
	return names
}

// Close drains all listeners, ends all sessions, and returns when nothing of the plane runs any more.
func (p *Plane) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	listeners, runners := p.listeners, p.runners
	p.mu.Unlock()
	var wg sync.WaitGroup
	// Gateways first: requests under way in there still call on through the others.
	for _, kind := range []route.Kind{route.Tapped, route.Gateway, route.Outgoing} {
		for _, l := range listeners {
			if l.plan.Load().Kind == kind {
				wg.Go(l.close)
			}
		}
		wg.Wait()
	}
	p.drains.Wait()
	for _, r := range runners {
		wg.Go(func() { p.closeRunner(r) })
	}
	wg.Wait()
	p.cancel()
	if p.watched != nil {
		<-p.watched
	}
	p.ups.close()
	p.web.Close()
	return nil
}
