// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/control/deploy"
	"microstax/internal/driver/fake"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/evidence/sqlite"
)

// TestARealStoreBringsEverythingBack does outside of a bubble what the recovery tests do inside: with files and real time.
func TestARealStoreBringsEverythingBack(t *testing.T) {
	t.Parallel()
	dir, machine, pl := t.TempDir(), fake.NewMachine(nil), &plane{}
	serve := func() (*deploy.Controller, func(stop func(*deploy.Controller))) {
		store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		pl.reset()
		c := deploy.New(deploy.Options{Store: store, Driver: machine.Driver(), Plane: pl, Prober: &prober{}})
		ran := make(chan error, 1)
		go func() { ran <- c.Run(context.WithoutCancel(t.Context())) }()
		return c, func(stop func(*deploy.Controller)) {
			stop(c)
			if err := <-ran; err != nil {
				t.Errorf("Run: %v", err)
			}
			closeStore(t, store)
		}
	}
	c, end := serve()
	base, err := c.Create(t.Context(), blueprint.Baseline, "", v1.CreateEnvironment{Blueprint: shop, BaseDir: "/srv"})
	if err != nil {
		t.Fatal(err)
	}
	over, err := c.Create(t.Context(), blueprint.Overlay, "shop", v1.CreateEnvironment{Blueprint: change})
	if err != nil {
		t.Fatal(err)
	}
	await(t, c, base.ID, environment.Ready)
	await(t, c, over.ID, environment.Ready)
	if err := c.SetShadow(t.Context(), over.ID, shadowOn("ses_1")); err != nil {
		t.Fatal(err)
	}
	before, started := machine.Running(), len(machine.Started())
	end((*deploy.Controller).Abandon)

	c, end = serve()
	await(t, c, over.ID, environment.Ready)
	if diff := cmp.Diff(before, machine.Running()); diff != "" || len(machine.Started()) != started {
		t.Errorf("after a crash %d more were started, and other things run:\n%s", len(machine.Started())-started, diff)
	}
	if e, err := c.Lookup(t.Context(), over.ID); err != nil || !e.Shadow.Enabled || e.Shadow.Session != "ses_1" {
		t.Errorf("the shadow after a crash: %+v, %v", e.Shadow, err)
	}
	end(func(c *deploy.Controller) {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	if left := machine.Running(); len(left) > 0 {
		t.Errorf("after Close these still run: %v", left)
	}
}

func closeStore(t *testing.T, s evidence.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close store: %v", err)
	}
}

// await follows an environment's events until it has a status.
func await(t *testing.T, c *deploy.Controller, ref string, want environment.Status) {
	t.Helper()
	events, err := c.Events(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	for {
		env, err := c.Get(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if env.Status == string(want) {
			return
		}
		if _, open := <-events; !open {
			t.Fatalf("%s is %s (%s) when its events end, want %s", env.Name, env.Status, env.Reason, want)
		}
	}
}
