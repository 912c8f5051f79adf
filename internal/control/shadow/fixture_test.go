// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/control/shadow"
	"microstax/internal/environment"
	"microstax/internal/evidence/sqlite"
	"microstax/internal/fault"
)

// world is a Control over a real store, and environments that tests write by hand.
type world struct {
	t       *testing.T
	control *shadow.Control
	store   *sqlite.Store
	now     time.Time

	mu        sync.Mutex
	envs      map[string]environment.Environment
	set       []environment.Shadow // what SetShadow was asked for, in order
	setErr    error
	during    func() // called by SetShadow, outside the lock
	artifacts map[string]string
	standing  func() (v1.Traffic, v1.Verdict, error)
}

func newWorld(t *testing.T, envs ...environment.Environment) *world {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, store: store, now: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), envs: map[string]environment.Environment{}, artifacts: map[string]string{}}
	for _, e := range envs {
		w.envs[e.ID] = e
	}
	w.control = shadow.New(shadow.Options{
		Environments: w, Store: store, Judge: w, Now: w.tick,
		Artifact: func(s blueprint.Service) string { return w.artifacts[s.Name+" "+strings.Join(s.Command, " ")] },
	})
	return w
}

// tick moves the clock on, so that ids sort by creation.
func (w *world) tick() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Second)
	return w.now
}

func (w *world) Lookup(_ context.Context, ref string) (environment.Environment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.envs {
		if e.ID == ref || e.Name == ref {
			return e, nil
		}
	}
	return environment.Environment{}, fault.Errorf("find environment", fault.NotFound, "there is no %s", ref)
}

func (w *world) SetShadow(_ context.Context, id string, s environment.Shadow) error {
	w.mu.Lock()
	e := w.envs[id]
	w.set = append(w.set, s)
	err := w.setErr
	if err == nil {
		e.Shadow = s
		w.envs[id] = e
	}
	during := w.during
	w.mu.Unlock()
	if during != nil {
		during()
	}
	return err
}

func (w *world) Standing(context.Context, string) (v1.Traffic, v1.Verdict, error) {
	if w.standing == nil {
		return v1.Traffic{}, v1.Verdict{}, fault.Errorf("read evidence", fault.NotFound, "nothing yet")
	}
	return w.standing()
}

// edit changes an environment.
func (w *world) edit(id string, f func(*environment.Environment)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.envs[id]
	f(&e)
	w.envs[id] = e
}

func (w *world) patch(p v1.ShadowPatch) v1.ShadowState {
	w.t.Helper()
	s, err := w.control.Patch(w.t.Context(), "env_over", p)
	if err != nil {
		w.t.Fatalf("patch: %v", err)
	}
	return s
}

func enable() v1.ShadowPatch { on := true; return v1.ShadowPatch{Enabled: &on} }

func disable() v1.ShadowPatch { off := false; return v1.ShadowPatch{Enabled: &off} }

func baseline() environment.Environment {
	return environment.Environment{
		ID: "env_base", Name: "shop", Mode: blueprint.Baseline, Revision: 1, Digest: "sha256:base", Desired: environment.Running,
		Blueprint: blueprint.Blueprint{Name: "shop",
			Shadow: &blueprint.Shadow{Effects: "block", Redact: []blueprint.Redact{{Header: "x-secret"}}},
			Services: []blueprint.Service{
				{Name: "api", Command: []string{"./api"}},
				{Name: "legacy", Address: "10.0.0.1:80"},
				{Name: "orders", Command: []string{"./orders-1"}, Shadow: &blueprint.Shadow{MaxBody: 4096}},
			}},
	}
}

func overlay(services ...blueprint.Service) environment.Environment {
	return environment.Environment{
		ID: "env_over", Name: "feat", Mode: blueprint.Overlay, Revision: 1, Digest: "sha256:over", Desired: environment.Running,
		Against: environment.Ref{ID: "env_base", Revision: "1"}, Inherits: environment.Ref{ID: "env_base", Revision: environment.Following},
		ComparedTo: "env_base",
		Blueprint:  blueprint.Blueprint{Name: "feat", Services: services},
	}
}

func orders() blueprint.Service {
	return blueprint.Service{Name: "orders", Command: []string{"./orders-2"}}
}
