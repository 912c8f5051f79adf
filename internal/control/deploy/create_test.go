// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"strings"
	"testing"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/control/deploy"
	"microstax/internal/fault"
)

func TestWhatCannotBeCreated(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.create(blueprint.Baseline, "", shop)
		w.create(blueprint.Overlay, "shop", change)
		w.create(blueprint.Isolated, "", strings.Replace(shop, "name: shop", "name: alone", 1))
		for _, tc := range []struct {
			name, base, file, plan, from string
			mode                         blueprint.Mode
			kind                         fault.Kind
			words                        []string // in the error, its hint or its places
		}{
			{"an unknown field", "", "name: x\nservices: {a: {comand: [./a]}}\n", "", "", blueprint.Isolated, fault.Invalid, []string{"comand", "command", "f.yaml"}},
			{"two wrong places", "", "name: x\nfoo: 1\nservices: {a: {command: [./a], dependsOn: [b]}}\n", "", "", blueprint.Isolated, fault.Invalid, []string{"foo", "unknown-dependency"}},
			{"an unknown baseline", "shoop", change, "", "", blueprint.Overlay, fault.NotFound, []string{"shoop", "did you mean shop"}},
			{"no baseline at all", "", change, "", "", blueprint.Overlay, fault.Invalid, []string{"--baseline"}},
			{"a baseline that is isolated", "alone", "name: x\nservices: {orders: {env: {A: b}}}\n", "", "", blueprint.Overlay, fault.Conflict, []string{"isolated", "--from"}},
			{"a name that is taken", "", shop, "", "", blueprint.Baseline, fault.Conflict, []string{"shop", "--name"}},
			{"an overlay id that is taken", "shop", "name: other\nrouting: {overlayId: change}\nservices: {orders: {env: {A: b}}}\n", "", "", blueprint.Overlay, fault.Conflict, []string{"overlay id", "routing.overlayId"}},
			{"a runtime that is not there", "", "name: x\nruntime: docker\nservices: {a: {image: b}}\n", "", "", blueprint.Isolated, fault.Unavailable, []string{"docker is not available in this version"}},
			{"a plan that is not there", "", strings.Replace(shop, "name: shop", "name: x", 1), "prod", "", blueprint.Isolated, fault.Invalid, []string{"prod"}},
			{"a new service with nothing to run", "shop", "name: x\nservices: {mailer: {env: {A: b}}}\n", "", "", blueprint.Overlay, fault.Invalid, []string{"mailer"}},
			{"a baseline from nowhere", "", "", "", "nothing", blueprint.Baseline, fault.NotFound, []string{"nothing"}},
		} {
			_, err := w.c.Create(t.Context(), tc.mode, tc.base, v1.CreateEnvironment{
				Blueprint: tc.file, FileName: "f.yaml", BaseDir: "/srv", Plan: tc.plan, From: tc.from,
			})
			if !fault.Is(err, tc.kind) {
				t.Errorf("%s: error is %s (%v), want %s", tc.name, fault.KindOf(err), err, tc.kind)
				continue
			}
			text := err.Error() + "\n" + fault.HintOf(err)
			for _, p := range fault.PlacesOf(err) {
				text += "\n" + p.String()
			}
			for _, word := range tc.words {
				if !strings.Contains(text, word) {
					t.Errorf("%s: nothing says %q:\n%s", tc.name, word, text)
				}
			}
		}
		if n := len(list(t, w, deploy.Filter{})); n != 3 {
			t.Errorf("%d environments are there, want 3", n)
		}
	})
}

func list(t *testing.T, w *world, f deploy.Filter) []v1.Environment {
	t.Helper()
	envs, _, err := w.c.List(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return envs
}

func TestAnOverlayTypoIsAWarning(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.create(blueprint.Baseline, "", shop)
		env, err := w.c.Create(t.Context(), blueprint.Overlay, "shop", v1.CreateEnvironment{
			Blueprint: "name: typo\nservices: {order: {command: [./o]}}\n", FileName: "f.yaml",
		})
		if err != nil || len(env.Warnings) != 1 || !strings.Contains(env.Warnings[0], "did you mean orders") {
			t.Errorf("Create = %v, %v", env.Warnings, err)
		}
	})
}

func TestABaselineFromAnOverlayHoldsWhatTheOverlayComesDownTo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.create(blueprint.Baseline, "", shop)
		over := w.create(blueprint.Overlay, "shop", change)
		env, err := w.c.Create(t.Context(), blueprint.Baseline, "", v1.CreateEnvironment{From: over.ID, Name: "next"})
		if err != nil {
			t.Fatal(err)
		}
		w.pass(0)
		w.wantStatus(env.ID, "ready")
		if got := len(w.running(env.ID)); got != 3 {
			t.Errorf("%d processes run, want 3", got)
		}
		if w.spec(env.ID, "orders/primary/0").Env["NEW"] != "1" {
			t.Error("orders is not the overlay's version")
		}
	})
}

func TestPlansAndReplicas(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		env, err := w.c.Create(t.Context(), blueprint.Isolated, "", v1.CreateEnvironment{
			Blueprint: "name: x\nservices: {web: {command: [./web], expose: true}}\nplans: {big: {services: {web: {replicas: 3}}}}\n", Plan: "big", Name: "y",
		})
		if err != nil || env.Name != "y" {
			t.Fatalf("Create = %s, %v", env.Name, err)
		}
		w.pass(0)
		w.wantStatus("y", "ready")
		l := w.plane.listener(t, env.ID+"/gateway/web")
		if len(l.Default.Addrs) != 3 {
			t.Errorf("the gateway knows %v", l.Default.Addrs)
		}
	})
}

func TestValidate(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.create(blueprint.Baseline, "", shop)
		for _, tc := range []struct {
			name, file string
			valid      bool
			rules      string
		}{
			{"a good one", shop, true, ""},
			{"an overlay of something", "name: x\nrouting: {mode: overlay, baselineId: shop}\nservices: {order: {command: [./o]}}\n", true, "overlay-typo"},
			{"an overlay of nothing", "name: x\nrouting: {mode: overlay, baselineId: shoop}\nservices: {orders: {env: {A: b}}}\n", false, "unknown-baseline"},
			{"two mistakes", "name: x\nfoo: 1\nservices: {a: {command: [./a], dependsOn: [b]}}\n", false, "unknown-field unknown-dependency"},
		} {
			got, err := w.c.Validate(t.Context(), v1.CreateEnvironment{Blueprint: tc.file, FileName: "f.yaml", BaseDir: "/srv"})
			var rules []string
			for _, p := range got.Errors {
				rules = append(rules, p.Rule)
			}
			if err != nil || got.Valid != tc.valid || strings.Join(rules, " ") != tc.rules {
				t.Errorf("%s: valid %v, rules %v, %v", tc.name, got.Valid, rules, err)
			}
		}
	})
}

func TestEnvironmentsAreFoundByIDAndByNameWhereThatIsUnique(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		alone := w.create(blueprint.Isolated, "", shop) // the same name, in another mode
		_, err := w.c.Get(t.Context(), "shop")
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), base.ID) || !strings.Contains(err.Error(), alone.ID) {
			t.Errorf("Get of an ambiguous name = %v", err)
		}
		if got := w.get(alone.ID).ID; got != alone.ID {
			t.Errorf("Get by id = %s", got)
		}
		if _, err := w.c.Get(t.Context(), "shp"); !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "did you mean shop") {
			t.Errorf("Get of a wrong name = %v (%s)", err, fault.HintOf(err))
		}
		over := w.create(blueprint.Overlay, "shop", change)
		if got := over.InheritsFrom; got == nil || got.ID != base.ID || got.Revision != "following" || over.CreatedAgainst.Revision != 1 {
			t.Errorf("the overlay inherits from %+v, created against %+v", got, over.CreatedAgainst)
		}
	})
}

func TestListPagesAndFilters(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		one := w.create(blueprint.Overlay, base.ID, change)
		two := w.create(blueprint.Overlay, one.ID, "name: two\nservices: {orders: {env: {B: c}}}\n")
		ids := func(f deploy.Filter) string {
			var out []string
			for {
				envs, next, err := w.c.List(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range envs {
					out = append(out, e.Name)
				}
				if next == "" {
					return strings.Join(out, " ")
				}
				f.Cursor = next
			}
		}
		for f, want := range map[deploy.Filter]string{
			{Limit: 1}: "change shop two", {Mode: "overlay"}: "change two", {Baseline: "shop"}: "change two", {Baseline: one.ID}: "two",
			{Baseline: two.ID}: "",
		} {
			got := strings.Fields(ids(f))
			if !sameNames(got, strings.Fields(want)) {
				t.Errorf("List %+v = %v, want %s in any order", f, got, want)
			}
		}
	})
}

func sameNames(a, b []string) bool {
	count := map[string]int{}
	for _, n := range a {
		count[n]++
	}
	for _, n := range b {
		count[n]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return len(a) == len(b)
}

func TestLineage(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		base := w.create(blueprint.Baseline, "", shop)
		one := w.create(blueprint.Overlay, base.ID, change)
		got, err := w.c.Lineage(t.Context(), one.ID)
		if err != nil || len(got.Chain) != 2 || got.Chain[0].Relation != "self" || got.Chain[1].ID != base.ID || got.Chain[1].Relation != "inheritsFrom" {
			t.Fatalf("Lineage = %+v, %v", got.Chain, err)
		}
		for _, s := range got.Services {
			want := "inherited"
			switch s.Name {
			case "orders":
				want = "listed"
				if strings.Join(s.Changed, " ") != "env.NEW" {
					t.Errorf("changed in orders: %v", s.Changed)
				}
			case "db":
				want = "external"
			}
			if s.Because != want || s.Explanation == "" {
				t.Errorf("%s is there because %s (%s), want %s", s.Name, s.Because, s.Explanation, want)
			}
		}
	})
}
