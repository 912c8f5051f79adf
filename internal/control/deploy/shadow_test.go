// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/blueprint"
	"microstax/internal/control/deploy"
	"microstax/internal/driver"
	"microstax/internal/driver/fake"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

func shadowOn(session string) environment.Shadow {
	return environment.Shadow{
		Enabled: true, Session: session, Services: map[string]blueprint.Shadow{"orders": blueprint.DefaultShadow()},
	}
}

func TestAnOverlayRunsOnlyWhatItListsAndInheritsTheRest(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		w.wantStatus(over.ID, "ready")
		if diff := cmp.Diff([]string{"orders/primary/0"}, w.running(over.ID)); diff != "" {
			t.Errorf("running (-want +got):\n%s", diff)
		}
		got := map[string]string{}
		for _, s := range w.get(over.ID).Services {
			got[s.Name] = s.Because + " " + s.Provider + " " + s.State
		}
		want := map[string]string{
			"api": "inherited " + base.ID + " ready", "orders": "listed " + over.ID + " ready",
			"payments": "inherited " + base.ID + " ready", "db": "external " + base.ID + " ready",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("services (-want +got):\n%s", diff)
		}
		spec := w.spec(over.ID, "orders/primary/0")
		if spec.Command[0] != "./orders" || spec.Env["NEW"] != "1" {
			t.Errorf("the overlay's orders is started as %v with %v", spec.Command, spec.Env)
		}
		if len(over.Endpoints) != 1 || over.Endpoints[0].URL == base.Endpoints[0].URL {
			t.Errorf("endpoints of the overlay: %+v", over.Endpoints)
		}
		l := w.plane.listener(t, base.ID+"/api/primary/0/out/orders")
		if l.Default.Environment != base.ID || l.Keys["change"].Environment != over.ID || l.Keys["change"].Key != "change" {
			t.Errorf("baseline's api reaches orders by %+v", l)
		}
	})
}

func TestAnOverlaysVersionGetsTheSecretsOfTheVersionItReplaces(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", "name: pay\nservices: {payments: {env: {A: b}}}\n")
		want := w.spec(base.ID, "payments/primary/0").Env["TOKEN"]
		if got := w.spec(over.ID, "payments/primary/0").Env["TOKEN"]; got != want || got == "" {
			t.Errorf("TOKEN = %q, want the baseline's", got)
		}
	})
}

func TestShadowStartsCandidateAndControlAndThenTakesCopies(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		if err := w.c.SetShadow(t.Context(), over.ID, shadowOn("ses_1")); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"orders/candidate/0", "orders/control/0", "orders/primary/0"}, w.running(over.ID)); diff != "" {
			t.Errorf("running (-want +got):\n%s", diff)
		}
		if got := w.spec(over.ID, "orders/candidate/0").Env["NEW"]; got != "1" {
			t.Errorf("the candidate is not the overlay's version: NEW = %q", got)
		}
		if _, there := w.spec(over.ID, "orders/control/0").Env["NEW"]; there {
			t.Error("the control is not the baseline's version")
		}
		ports := w.lookup(over.ID).Ports
		l := w.plane.listener(t, base.ID+"/api/primary/0/out/orders")
		if len(l.Default.Mirror) != 1 || len(l.Keys["change"].Mirror) != 0 {
			t.Fatalf("mirrors: %d for the baseline, %d for the overlay", len(l.Default.Mirror), len(l.Keys["change"].Mirror))
		}
		e := l.Default.Mirror[0]
		if e.Candidate[0] != deploy.Address(ports["orders/candidate/0"]) || e.Control[0] != deploy.Address(ports["orders/control/0"]) {
			t.Errorf("copies go to %v and %v", e.Candidate, e.Control)
		}
		if err := w.c.SetShadow(t.Context(), over.ID, environment.Shadow{Session: "ses_1"}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"orders/primary/0"}, w.running(over.ID)); diff != "" {
			t.Errorf("running after the shadow (-want +got):\n%s", diff)
		}
		if tab := w.plane.table(); len(tab.Shadows) != 0 {
			t.Errorf("sessions are left: %v", tab.Shadows)
		}
		w.wantStatus(over.ID, "ready")
	})
}

func TestTheSessionEndsBeforeItsProcessesDo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		if err := w.c.SetShadow(t.Context(), over.ID, shadowOn("ses_1")); err != nil {
			t.Fatal(err)
		}
		w.plane.watch = func() {
			if len(w.plane.tables[len(w.plane.tables)-1].Shadows) > 0 {
				return
			}
			// The plane lets copies under way finish while it applies this table: both shadows have to be there, and get
			// the answers they got before.
			if got := w.running(over.ID); len(got) != 3 {
				t.Errorf("when the session ended only %v ran", got)
			}
			for _, l := range w.plane.tables[len(w.plane.tables)-1].Listeners {
				if l.Origin.Role == "candidate" && l.Default.Effect == nil {
					t.Errorf("%s lost its effect", l.ID)
				}
			}
			w.plane.watch = nil
		}
		if err := w.c.SetShadow(t.Context(), over.ID, environment.Shadow{}); err != nil {
			t.Fatal(err)
		}
		if w.plane.watch != nil {
			t.Error("no table without the session was applied")
		}
	})
}

func TestAShadowThatCannotStartIsOffAgainAndTouchesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		tables := len(w.plane.tables)
		w.prober.set(func(deploy.Check) error { return errors.New("refused") })
		w.behave(func(s driver.Spec) fake.Script {
			if s.Instance.Role == environment.Candidate {
				return fake.Script{Lines: []string{"panic: nil map"}, Exit: &driver.Exit{Code: 2}}
			}
			return fake.Script{}
		})
		err := w.c.SetShadow(t.Context(), over.ID, shadowOn("ses_1"))
		w.prober.set(nil)
		if err == nil || !strings.Contains(err.Error(), "orders (candidate) exited with code 2") || !strings.Contains(err.Error(), "panic: nil map") {
			t.Fatalf("SetShadow = %v", err)
		}
		w.wantStatus(over.ID, "ready")
		w.wantStatus(base.ID, "ready")
		if w.lookup(over.ID).Shadow.Enabled {
			t.Error("the shadow is still on")
		}
		if diff := cmp.Diff([]string{"orders/primary/0"}, w.running(over.ID)); diff != "" {
			t.Errorf("running (-want +got):\n%s", diff)
		}
		for _, table := range w.plane.tables[tables:] {
			for _, l := range table.Listeners {
				if l.Default.Mirror != nil {
					t.Fatalf("revision %d takes copies at %s", table.Revision, l.ID)
				}
			}
		}
	})
}

func TestACandidateThatDiesLaterStaysInTheTableAndStartsAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		if err := w.c.SetShadow(t.Context(), over.ID, shadowOn("ses_1")); err != nil {
			t.Fatal(err)
		}
		w.machine.Crash(instance(over.ID, "orders", environment.Candidate, 0), driver.Exit{Code: 2})
		synctest.Wait()
		w.wantStatus(over.ID, "degraded", "orders (candidate) exited with code 2")
		w.wantStatus(base.ID, "ready")
		if l := w.plane.listener(t, base.ID+"/api/primary/0/out/orders"); len(l.Default.Mirror) != 1 {
			t.Error("a dead candidate is no reason to take no copies: that it refuses is a finding")
		}
		w.pass(time.Second)
		w.wantStatus(over.ID, "ready")
	})
}

func TestANewSessionBeginsWithNewProcesses(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		for n, session := range []string{"ses_1", "ses_2", "ses_2"} {
			before := len(w.started())
			if err := w.c.SetShadow(t.Context(), over.ID, shadowOn(session)); err != nil {
				t.Fatal(err)
			}
			want := 2
			if n == 2 {
				want = 0 // the same session goes on
			}
			if got := len(w.started()) - before; got != want {
				t.Errorf("session %s started %d processes, want %d", session, got, want)
			}
			if got := w.plane.table().Shadows; got[session] == nil || len(got) != 1 {
				t.Errorf("sessions in force: %v", got)
			}
		}
	})
}

func TestSettingsChangeWithoutNewProcesses(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		s := shadowOn("ses_1")
		for _, sample := range []float64{1, 0.25} {
			settings := blueprint.DefaultShadow()
			settings.Sample = &sample
			s.Services = map[string]blueprint.Shadow{"orders": settings}
			if err := w.c.SetShadow(t.Context(), over.ID, s); err != nil {
				t.Fatal(err)
			}
			l := w.plane.listener(t, base.ID+"/api/primary/0/out/orders")
			if got := *l.Default.Mirror[0].Settings.Sample; got != sample {
				t.Errorf("sample in force is %v, want %v", got, sample)
			}
		}
	})
}

func TestAShadowSurvivesACrashOfTheServer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		if err := w.c.SetShadow(t.Context(), over.ID, shadowOn("ses_1")); err != nil {
			t.Fatal(err)
		}
		started := len(w.started())
		w.kill()
		w.machine.Crash(instance(over.ID, "orders", environment.Control, 0), driver.Exit{Code: 1})
		broken := 2
		w.behave(func(driver.Spec) fake.Script { // what worked before is tried again and again
			if broken--; broken >= 0 {
				return fake.Script{Exit: &driver.Exit{Code: 1}}
			}
			return fake.Script{}
		})
		w.start()
		w.wantStatus(over.ID, "degraded", "orders (control) exited")
		w.wantStatus(base.ID, "ready")
		w.pass(2 * time.Second)
		w.wantStatus(over.ID, "ready")
		if diff := cmp.Diff([]string{"orders/control/0", "orders/control/0", "orders/control/0"}, w.started()[started:]); diff != "" {
			t.Errorf("started (-want +got):\n%s", diff)
		}
		if l := w.plane.listener(t, base.ID+"/api/primary/0/out/orders"); len(l.Default.Mirror) != 1 {
			t.Error("no copies are taken after the crash")
		}
	})
}

func TestShadowsThatCannotBe(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		if err := w.c.SetShadow(t.Context(), base.ID, shadowOn("ses_1")); !fault.Is(err, fault.Conflict) {
			t.Errorf("shadow of a baseline: %v", err)
		}
		isolated := shadowOn("ses_1")
		isolated.Services["orders"] = blueprint.Shadow{Effects: blueprint.EffectsIsolated}
		if err := w.c.SetShadow(t.Context(), over.ID, isolated); !fault.Is(err, fault.Unavailable) {
			t.Errorf("isolated effects: %v", err)
		}
		if _, err := w.c.Stop(t.Context(), over.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.c.SetShadow(t.Context(), over.ID, shadowOn("ses_1")); !fault.Is(err, fault.Conflict) {
			t.Errorf("shadow of a stopped overlay: %v", err)
		}
	})
}

func TestStoppingAnOverlayTellsWhoWaitsForItsShadow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		w.prober.set(func(deploy.Check) error { return errors.New("not yet") })
		done := make(chan error, 1)
		go func() { done <- w.c.SetShadow(t.Context(), over.ID, shadowOn("ses_1")) }()
		synctest.Wait()
		w.wantStatus(over.ID, "ready") // what serves users does not wait for its shadow
		if _, err := w.c.Stop(t.Context(), over.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := <-done; !fault.Is(err, fault.Conflict) {
			t.Errorf("SetShadow = %v", err)
		}
		w.prober.set(nil)
	})
}
