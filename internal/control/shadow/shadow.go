// SPDX-License-Identifier: Apache-2.0

// Package shadow switches the shadowing of overlays on and off: it resolves the settings in force, decides whether the
// evidence gathered so far still speaks of the same comparison, records the session, and asks for the shadows to be
// started and the routes to be published.
//
// It starts nothing and routes nothing itself; whoever implements Environments does. Methods of Control may be called
// concurrently; two changes of one environment at a time are refused.
package shadow

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/engine"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/fault"
	"microstax/internal/id"
)

// Environments finds environments and changes their shadow.
type Environments interface {
	// Lookup finds an environment by id or unique name; fault.NotFound when there is none.
	Lookup(ctx context.Context, ref string) (environment.Environment, error)
	// SetShadow stores s, starts or stops the shadows and publishes the routes. It returns when they are ready or have
	// failed.
	SetShadow(ctx context.Context, id string, s environment.Shadow) error
}

// Judge says what the evidence of an environment's session comes to.
type Judge interface {
	// Standing is fault.NotFound where there is no session.
	Standing(ctx context.Context, ref string) (v1.Traffic, v1.Verdict, error)
}

// Options are what a Control is built from. Environments, Store and Judge are required.
type Options struct {
	Environments Environments
	Store        evidence.Store
	Judge        Judge
	Now          func() time.Time // default time.Now
	Entropy      io.Reader        // may be read concurrently; default crypto/rand
	// Artifact names what a service's command really runs, by digest; "" where that cannot be told. Default: Artifact.
	Artifact func(blueprint.Service) string
}

// Control switches shadowing.
type Control struct {
	envs     Environments
	store    evidence.Store
	judge    Judge
	now      func() time.Time
	entropy  io.Reader
	artifact func(blueprint.Service) string

	mu   sync.Mutex
	busy map[string]bool // environments whose shadow is being changed; guarded by mu
}

// New makes a Control.
func New(o Options) *Control {
	c := &Control{
		envs: o.Environments, store: o.Store, judge: o.Judge, now: o.Now, entropy: o.Entropy, artifact: o.Artifact,
		busy: map[string]bool{},
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.entropy == nil {
		c.entropy = rand.Reader
	}
	if c.artifact == nil {
		c.artifact = Artifact
	}
	return c
}

// Get is the state of an environment's shadow: the settings in force, and what the evidence comes to so far.
func (c *Control) Get(ctx context.Context, ref string) (v1.ShadowState, error) {
	env, err := c.envs.Lookup(ctx, ref)
	if err != nil {
		return v1.ShadowState{}, fault.E("read shadow", fault.KindOf(err), err)
	}
	return c.state(ctx, env)
}

func (c *Control) state(ctx context.Context, env environment.Environment) (v1.ShadowState, error) {
	s := v1.ShadowState{
		Enabled: env.Shadow.Enabled, SessionID: env.Shadow.Session, Baseline: env.ComparedTo, Services: []v1.ShadowService{},
	}
	if !env.Shadow.Since.IsZero() {
		since := env.Shadow.Since
		s.Since = &since
	}
	for _, name := range slices.Sorted(maps.Keys(env.Shadow.Services)) {
		s.Services = append(s.Services, wire(name, env.Shadow.Services[name]))
	}
	if env.Shadow.Session == "" || c.judge == nil {
		return s, nil
	}
	traffic, verdict, err := c.judge.Standing(ctx, env.ID)
	switch {
	case err == nil:
		s.Traffic, s.Verdict = &traffic, &verdict
	case !fault.Is(err, fault.NotFound):
		return s, fault.E("read shadow", fault.KindOf(err), err)
	}
	return s, nil
}

func wire(name string, s blueprint.Shadow) v1.ShadowService {
	out := v1.ShadowService{
		Name: name, Sample: 1, Session: append([]string{}, s.Session...), Control: s.Control, Effects: s.Effects,
		Concurrency: s.Concurrency, Timeout: s.Timeout.Std().String(), MaxBody: int64(s.MaxBody), Propagates: []string{},
	}
	if s.Sample != nil {
		out.Sample = *s.Sample
	}
	return out
}

// Patch switches shadowing on or off, or changes the settings of a shadow that is on. Settings that the patch leaves out
// are the Blueprint's, whatever an earlier patch said. It returns when the shadows are ready, or have failed.
//
// Switching on goes on with the session before, unless versions or rules of comparison have changed since: then the
// evidence would mix two questions, and a new session begins. Switching off keeps the evidence.
func (c *Control) Patch(ctx context.Context, ref string, p v1.ShadowPatch) (v1.ShadowState, error) {
	const op = "shadow environment"
	env, err := c.envs.Lookup(ctx, ref)
	if err != nil {
		return v1.ShadowState{}, fault.E(op, fault.KindOf(err), err)
	}
	if !c.begin(env.ID) {
		return v1.ShadowState{}, fault.Errorf(op, fault.Conflict, "the shadow of %s is being changed already", env.Name).
			WithHint("wait for the other change to end, then try again")
	}
	defer c.end(env.ID)
	enable := env.Shadow.Enabled
	if p.Enabled != nil {
		enable = *p.Enabled
	} else if !enable {
		return v1.ShadowState{}, fault.Errorf(op, fault.Invalid, "%s is not shadowed, so there are no settings to change", env.Name).
			WithHint("add \"enabled\": true, or run: microstax env shadow %s --enable", env.Name)
	}
	var next environment.Shadow
	if enable {
		next, err = c.enabled(ctx, env, p)
	} else {
		next = env.Shadow
		next.Enabled = false
	}
	if err != nil {
		return v1.ShadowState{}, fault.E(op, fault.KindOf(err), err)
	}
	if enable || env.Shadow.Enabled {
		if err := c.envs.SetShadow(ctx, env.ID, next); err != nil {
			return v1.ShadowState{}, fault.E(op, fault.KindOf(err), err)
		}
	}
	env.Shadow = next
	return c.state(ctx, env)
}

func (c *Control) begin(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[id] {
		return false
	}
	c.busy[id] = true
	return true
}

func (c *Control) end(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, id)
}

// enabled is the shadow that env is to have, with its session recorded.
func (c *Control) enabled(ctx context.Context, env environment.Environment, p v1.ShadowPatch) (environment.Shadow, error) {
	if err := shadowable(env); err != nil {
		return environment.Shadow{}, err
	}
	over, err := override(p)
	if err != nil {
		return environment.Shadow{}, err
	}
	chain, err := c.chain(ctx, env)
	if err != nil {
		return environment.Shadow{}, err
	}
	want, err := c.resolve(env, chain, over)
	if err != nil {
		return environment.Shadow{}, err
	}
	ses, err := c.session(ctx, env, want)
	if err != nil {
		return environment.Shadow{}, err
	}
	since := ses.Enabled
	if env.Shadow.Enabled && env.Shadow.Session == ses.ID {
		since = env.Shadow.Since
	}
	return environment.Shadow{Enabled: true, Session: ses.ID, Since: since, Services: ses.Settings}, nil
}

// shadowable refuses what cannot be compared with anything.
func shadowable(env environment.Environment) error {
	if env.Mode != blueprint.Overlay {
		return fault.Errorf("", fault.Conflict, "%s is %s environment: only overlays are shadowed, since they have something to be compared with",
			env.Name, article(env.Mode)).
			WithHint("derive an overlay from it: microstax overlay create --baseline %s --file overlay.yaml", env.Name)
	}
	return running(env)
}

func running(env environment.Environment) error {
	switch env.Desired {
	case environment.Halted:
		return fault.Errorf("", fault.Conflict, "%s is stopped", env.Name).WithHint("start it: microstax env resume %s", env.Name)
	case environment.Gone:
		return fault.Errorf("", fault.Conflict, "%s is being deleted", env.Name)
	case environment.Running:
	}
	return nil
}

func article(m blueprint.Mode) string {
	if m == blueprint.Isolated {
		return "an isolated"
	}
	return "a " + string(cmp.Or(m, "baseline"))
}

// session goes on with the last session where it compares the same, and else records a new one.
func (c *Control) session(ctx context.Context, env environment.Environment, want environment.Session) (environment.Session, error) {
	now := c.now().UTC()
	want.Enabled = now
	last, version, err := c.last(ctx, env.ID)
	if err != nil {
		return want, err
	}
	goOn := version > 0 && same(last, want)
	if goOn {
		if goOn, err = c.readable(ctx, last); err != nil {
			return want, err
		}
	}
	expect := int64(0)
	if goOn {
		want.ID, want.Created, expect = last.ID, last.Created, version
	} else {
		want.ID, want.Created = id.New(id.Session, now, c.entropy), now
	}
	body, err := json.Marshal(want)
	if err != nil {
		return want, fmt.Errorf("encode session: %w", err)
	}
	_, err = c.store.Apply(ctx, evidence.Batch{Puts: []evidence.Put{{Expect: expect, Record: evidence.Record{
		Kind: evidence.Session, ID: want.ID, Parent: env.ID, Body: body, Created: want.Created, Updated: now,
	}}}})
	if err != nil {
		return want, fault.E("record session", kindOfStore(err), err)
	}
	return want, nil
}

// last is the newest session of an environment and its version, or version 0.
func (c *Control) last(ctx context.Context, envID string) (environment.Session, int64, error) {
	var s environment.Session
	recs, err := c.store.List(ctx, evidence.Query{Kind: evidence.Session, Parent: envID, Limit: 1, Descending: true})
	if err != nil {
		return s, 0, fault.E("find session", kindOfStore(err), err)
	}
	if len(recs) == 0 {
		return s, 0, nil
	}
	if err := json.Unmarshal(recs[0].Body, &s); err != nil {
		return s, 0, fault.E("find session", fault.Internal, fmt.Errorf("read %s: %w", recs[0].ID, err))
	}
	return s, recs[0].Version, nil
}

// readable says whether the evidence of a session can still be added to: a state of another version of this program
// cannot.
func (c *Control) readable(ctx context.Context, s environment.Session) (bool, error) {
	rec, err := c.store.Get(ctx, evidence.Key{Kind: evidence.Analysis, ID: s.ID})
	if errors.Is(err, evidence.ErrNotFound) {
		return true, nil // no traffic yet
	} else if err != nil {
		return false, fault.E("read evidence", kindOfStore(err), err)
	}
	_, err = engine.Restore(engine.Config{Services: s.Settings, Control: s.Control, OpenAPI: s.OpenAPI, Protobuf: s.Protobuf}, rec.Body)
	return err == nil, nil
}

// same says whether evidence gathered in a may be added to by what b describes.
func same(a, b environment.Session) bool {
	return a.Baseline == b.Baseline && a.BaselineRevision == b.BaselineRevision && a.BaselineDigest == b.BaselineDigest &&
		a.OverlayRevision == b.OverlayRevision && a.OverlayDigest == b.OverlayDigest &&
		a.Control == b.Control && a.Rules == b.Rules && slices.Equal(a.Services, b.Services) && maps.Equal(a.Artifacts, b.Artifacts)
}

// kindOfStore keeps the kind that an adapter gave, and calls everything else unavailable.
func kindOfStore(err error) fault.Kind {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Kind
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Canceled
	}
	return fault.Unavailable
}
