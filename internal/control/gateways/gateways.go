// SPDX-License-Identifier: Apache-2.0

// Package gateways is the server's half of data planes that run as processes of their own: it sends them routing tables,
// full ones and then deltas, notes what they really serve, and takes what they observed. To the controller of environments
// all of them together are one data plane: a listener is served when one gateway serves it.
//
// Nothing of a Registry is durable: gateways say who they are and what they have. How far the observations of each were
// heard is the Sink's to keep. Methods may be called concurrently.
package gateways

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/dataplane/remote"
	"microstax/internal/dataplane/route"
	"microstax/internal/fault"
)

// The bounds of a registry.
const (
	maxGateways = 256
	maxHistory  = 64 // tables that a gateway may come back with and still get a delta
	maxName     = 63 // bytes
)

// DefaultPatience is longer than a gateway lets copies under way finish when a session ends.
const DefaultPatience = 20 * time.Second

// Sink takes what gateways observed. It says which frame it took last, and up to which a crash would lose none.
type Sink interface {
	Receive(ctx context.Context, name, stream string, skip *uint64, frames []remote.Frame) (accepted, stored uint64, err error)
	// Forget gives up what a gateway has in flight.
	Forget(ctx context.Context, name string) error
}

// Options are what a Registry needs.
type Options struct {
	Sink    Sink
	Key     []byte // what tokens for secrets are made with
	Server  string // names this process of the server
	Version string // of the program
	Now     func() time.Time
	Logger  *slog.Logger
	// Patience is how long Apply waits for a gateway to acknowledge; 0 for DefaultPatience.
	Patience time.Duration
}

// Registry knows the gateways.
type Registry struct {
	o    Options
	end  chan struct{} // closed by Close
	tell chan struct{} // capacity 1: what gateways serve has changed

	mu       sync.Mutex // guards what follows
	table    *route.Table
	digest   string
	history  []version // oldest first; the last is table
	gateways map[string]*gateway
	moved    chan struct{} // closed, and replaced, when anything changes
	closed   bool
}

// version is one table that was in force.
type version struct {
	table  *route.Table
	digest string
}

// gateway is what is known of one.
type gateway struct {
	name, stream, address string
	conn                  *connection // nil while it is not connected
	heard                 time.Time
	lost                  time.Time // when the last connection broke
	report                remote.Report
	left                  bool // it said that it stops
	slow                  bool // it did not acknowledge in time, and is not waited for until it does
}

// connection is one stream of tables.
type connection struct {
	cancel context.CancelFunc
}

// New makes a registry without gateways.
func New(o Options) *Registry {
	if o.Patience <= 0 {
		o.Patience = DefaultPatience
	}
	return &Registry{
		o: o, end: make(chan struct{}), tell: make(chan struct{}, 1), gateways: map[string]*gateway{}, moved: make(chan struct{}),
	}
}

// Close ends all connections. Gateways go on with what they have.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		close(r.end)
	}
	return nil
}

// stir wakes everybody who waits for a change. The caller holds mu.
func (r *Registry) stir() {
	close(r.moved)
	r.moved = make(chan struct{})
	select {
	case r.tell <- struct{}{}:
	default:
	}
}

// Changed gets a value when Serving may have changed.
func (r *Registry) Changed() <-chan struct{} { return r.tell }

// Apply makes a table the one in force, and waits until every connected gateway has said that it serves it or why not, a
// while at most. That no gateway is connected is no error: Serving shows it, and Trouble says it.
func (r *Registry) Apply(ctx context.Context, t *route.Table) error {
	digest, err := route.Digest(t)
	if err != nil {
		return fault.E("send routes to gateways", fault.Internal, err)
	}
	r.mu.Lock()
	if r.table == nil || r.digest != digest {
		r.table, r.digest = t, digest
		r.history = append(r.history, version{t, digest})
		if len(r.history) > maxHistory {
			r.history = slices.Delete(r.history, 0, 1)
		}
		r.stir()
	}
	r.mu.Unlock()
	return r.awaitAll(ctx, digest)
}

// awaitAll waits for those who are connected, or were a moment ago.
func (r *Registry) awaitAll(ctx context.Context, digest string) error {
	late := time.NewTimer(r.o.Patience)
	defer late.Stop()
	again := time.NewTicker(reconnect / 4)
	defer again.Stop()
	for {
		r.mu.Lock()
		behind := r.behind(digest)
		moved := r.moved
		r.mu.Unlock()
		if len(behind) == 0 {
			return nil
		}
		select {
		case <-moved:
		case <-again.C: // one that broke off may not be coming back
		case <-late.C:
			r.giveUp(behind)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-r.end:
			return nil
		}
	}
}

// reconnect is how long a gateway whose connection broke is waited for: it connects again at once.
const reconnect = 2 * time.Second

// behind are the gateways that have not acknowledged a table and are waited for. The caller holds mu.
func (r *Registry) behind(digest string) []*gateway {
	var out []*gateway
	for _, name := range slices.Sorted(maps.Keys(r.gateways)) {
		g := r.gateways[name]
		there := g.conn != nil || !g.left && r.o.Now().Sub(g.lost) < reconnect
		if there && !g.slow && g.report.Digest != digest {
			out = append(out, g)
		}
	}
	return out
}

// giveUp stops waiting for gateways that do not acknowledge, and has them connect again.
func (r *Registry) giveUp(late []*gateway) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range late {
		r.o.Logger.Warn("gateway does not acknowledge routes", "gateway", g.name, "serves", g.report.Revision, "should", r.table.Revision)
		g.slow = true
		if g.conn != nil {
			g.conn.cancel()
		}
	}
}

// Serving is what becomes of each listener of the table in force: served at the newest revision of all gateways, or, where
// none serves it, why not.
func (r *Registry) Serving() []route.Serving {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.table == nil {
		return nil
	}
	at := make(map[string]int, len(r.table.Listeners))
	out := make([]route.Serving, len(r.table.Listeners))
	for i, l := range r.table.Listeners {
		out[i] = route.Serving{Listener: l.ID, Addr: l.Addr}
		at[l.ID] = i
	}
	for _, name := range slices.Sorted(maps.Keys(r.gateways)) {
		g := r.gateways[name]
		if g.conn == nil {
			continue
		}
		for _, s := range g.report.Serving {
			i, ok := at[s.Listener]
			if !ok || s.Addr != out[i].Addr {
				continue
			}
			switch {
			case s.Err == "" && s.Revision > out[i].Revision:
				out[i].Revision, out[i].Err = s.Revision, ""
			case s.Err != "" && out[i].Revision == 0 && out[i].Err == "":
				out[i].Err = "gateway " + name + ": " + s.Err
			}
		}
	}
	return out
}

// Trouble says why nothing can be served, or "".
func (r *Registry) Trouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.gateways {
		if g.conn != nil {
			return ""
		}
	}
	return "no gateway is connected; start one with: microstax gateway"
}

// Propagates lists what the calls of a service were seen to forward, at any gateway.
func (r *Registry) Propagates(environment, service string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, g := range r.gateways {
		for _, p := range g.report.Propagates {
			if p.Environment != environment || p.Service != service {
				continue
			}
			for _, n := range p.Names {
				if !slices.Contains(names, n) {
					names = append(names, n)
				}
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) }) // traceparent first
	return names
}

// List is all gateways that were heard of since the server started, by name.
func (r *Registry) List() []v1.Gateway {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]v1.Gateway, 0, len(r.gateways))
	for _, name := range slices.Sorted(maps.Keys(r.gateways)) {
		out = append(out, r.draw(r.gateways[name]))
	}
	return out
}

// draw makes the document of a gateway. The caller holds mu.
func (r *Registry) draw(g *gateway) v1.Gateway {
	out := v1.Gateway{
		Name: g.name, State: "lost", Address: g.address, Version: g.report.Version, StartedAt: g.report.Started, HeardAt: g.heard,
		RouteRevision: g.report.Revision, Error: g.report.Error, Spool: v1.GatewaySpool(g.report.Spool),
	}
	switch {
	case g.conn != nil:
		out.State = "connected"
	case g.left:
		out.State = "stopped"
	}
	if r.table != nil && g.report.Digest != r.digest {
		out.Behind = max(1, r.table.Revision-min(r.table.Revision, g.report.Revision))
	}
	for _, s := range g.report.Serving {
		if s.Err == "" {
			out.Listeners++
		}
	}
	return out
}

// Forget drops a gateway that is not connected. What it has received and not told the end of is counted as lost.
func (r *Registry) Forget(ctx context.Context, name string) error {
	const op = "forget gateway"
	r.mu.Lock()
	g := r.gateways[name]
	if g != nil && g.conn != nil {
		r.mu.Unlock()
		return fault.Errorf(op, fault.Conflict, "gateway %s is connected", name).WithHint("stop it first")
	}
	delete(r.gateways, name)
	r.mu.Unlock()
	return r.o.Sink.Forget(ctx, name)
}

// encodeDelta gives the line that leads from one table to another.
func encodeDelta(from, to *route.Table) (remote.Line, error) {
	d, err := route.Diff(from, to)
	if err != nil {
		return remote.Line{}, err
	}
	b, err := json.Marshal(d)
	return remote.Line{Type: remote.LineDelta, Delta: b}, err
}
