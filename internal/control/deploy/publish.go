// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/dataplane/route"
	"microstax/internal/evidence"
)

// publisher builds the routing table from what all actors show and gives it to the data plane, one table at a time. Any
// number of requests that come while it works are answered by one more table.
type publisher struct {
	c    *Controller
	wake chan struct{} // capacity 1
	now  atomic.Pointer[inForce]

	mu    sync.Mutex
	asked uint64        // requests so far; guarded by mu
	done  uint64        // requests whose table the plane has got; guarded by mu
	moved chan struct{} // closed, and replaced, when done grows; guarded by mu

	// Below is the loop's alone.
	last     *route.Table
	revision uint64 // of the last table, as stored
	version  int64  // of the stored revision's record
}

// inForce is what the data plane was last seen to do. It is never changed.
type inForce struct {
	table   *route.Table // nil before the first
	serving map[string]route.Serving
}

// revisionKey is where the last revision is kept, so that it never goes back.
const revisionKey = "route-revision"

type storedRevision struct {
	Revision uint64 `json:"revision"`
}

func newPublisher(c *Controller) *publisher {
	p := &publisher{c: c, wake: make(chan struct{}, 1), moved: make(chan struct{})}
	p.now.Store(&inForce{})
	return p
}

// request has what the actors show at this moment published, and gives a number to ask reached for.
func (p *publisher) request() uint64 {
	p.mu.Lock()
	p.asked++
	n := p.asked
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return n
}

// reached says whether the data plane has a table at least as new as request n, or has refused it.
func (p *publisher) reached(n uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done >= n
}

// await waits until request n is reached.
func (p *publisher) await(ctx context.Context, n uint64) error {
	for {
		p.mu.Lock()
		done, moved := p.done, p.moved
		p.mu.Unlock()
		if done >= n {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the caller says what it was doing
		case <-p.c.life.Done():
			return errClosing("publish routes")
		}
	}
}

// listeners is what every listener was last seen to do, by id. It must not be changed.
func (p *publisher) listeners() map[string]route.Serving { return p.now.Load().serving }

// load reads the last revision.
func (p *publisher) load(ctx context.Context) error {
	r, err := p.c.store.Get(ctx, evidence.Key{Kind: evidence.Setting, ID: revisionKey})
	if errors.Is(err, evidence.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read route revision: %w", err)
	}
	var s storedRevision
	if err := json.Unmarshal(r.Body, &s); err != nil {
		return fmt.Errorf("read route revision: %w", err)
	}
	p.revision, p.version = s.Revision, r.Version
	return nil
}

// loop publishes until the controller ends.
func (p *publisher) loop() {
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		select {
		case <-p.wake:
		case <-retry.C:
		case <-p.c.planeNews():
		case <-p.c.life.Done():
			return
		}
		next := time.Hour
		if !p.publish() {
			next = retryAfter
		}
		retry.Reset(next)
	}
}

// planeNews gets a value when what the data plane does has changed by itself; nil where it never does.
func (c *Controller) planeNews() <-chan struct{} {
	if p, ok := c.plane.(interface{ Changed() <-chan struct{} }); ok {
		return p.Changed()
	}
	return nil
}

// planeTrouble is why the data plane can serve nothing at the moment, or "".
func (c *Controller) planeTrouble() string {
	if p, ok := c.plane.(interface{ Trouble() string }); ok {
		return p.Trouble()
	}
	return ""
}

// publish brings the data plane up to date, and says whether all of it works.
func (p *publisher) publish() bool {
	p.mu.Lock()
	n := p.asked
	p.mu.Unlock()
	err := p.apply(encrypt(buildTable(p.c.states(), p.revision+1), p.c.secure))
	if err != nil && !p.c.stops() { // the plane is closed before the environments are
		p.c.log.Error("publish routes", "error", err)
	}
	whole := p.observe() && err == nil
	p.mu.Lock()
	p.done = n
	close(p.moved)
	p.moved = make(chan struct{})
	p.mu.Unlock()
	for _, a := range p.c.all() {
		a.poke()
	}
	return whole
}

// apply gives the plane a table when it differs from the last, and the last one again when some of its listeners do not
// work. The revision is stored first: one that a crash leaves unused is only a gap.
func (p *publisher) apply(t *route.Table) error {
	if p.last != nil && sameTable(p.last, t) {
		if p.observe() {
			return nil
		}
		if err := p.c.plane.Apply(p.c.life, p.last); err != nil && !p.holds(p.last) {
			return wrap("apply routes again", err)
		}
		return nil
	}
	body, err := json.Marshal(storedRevision{t.Revision})
	if err != nil {
		return wrap("encode route revision", err)
	}
	now := p.c.now()
	versions, err := p.c.store.Apply(p.c.life, evidence.Batch{Puts: []evidence.Put{{Expect: p.version, Record: evidence.Record{
		Kind: evidence.Setting, ID: revisionKey, Body: body, Created: now, Updated: now,
	}}}})
	if err != nil {
		return wrap("store route revision", err)
	}
	p.version, p.revision = versions[0], t.Revision
	err = p.c.plane.Apply(p.c.life, t)
	if err != nil && !p.holds(t) {
		return wrap("apply routes", err)
	}
	p.last = t // listeners that could not be opened are seen in Serving
	return nil
}

// holds says whether the plane has a table: every listener serves it, or says why it does not.
func (p *publisher) holds(t *route.Table) bool {
	serving := map[string]route.Serving{}
	for _, s := range p.c.plane.Serving() {
		serving[s.Listener] = s
	}
	for _, l := range t.Listeners {
		if s := serving[l.ID]; s.Revision != t.Revision && s.Err == "" {
			return false
		}
	}
	return true
}

// observe notes what the plane does, and says whether every listener serves the last table.
func (p *publisher) observe() bool {
	seen := &inForce{table: p.last, serving: map[string]route.Serving{}}
	whole := true
	for _, s := range p.c.plane.Serving() {
		seen.serving[s.Listener] = s
		whole = whole && s.Err == "" && (p.last == nil || s.Revision == p.last.Revision)
	}
	p.now.Store(seen)
	return whole
}

// sameTable says whether two tables differ in nothing but their revision.
func sameTable(a, b *route.Table) bool {
	return reflect.DeepEqual(a.Listeners, b.Listeners) && reflect.DeepEqual(a.Shadows, b.Shadows)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
