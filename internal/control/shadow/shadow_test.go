// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/fault"
)

func TestEnablingResolvesSettingsFromTheWeakestLevelToTheStrongest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, baseline(), overlay(orders()))
	half := 0.5
	p := enable()
	p.Sample, p.Timeout = &half, "3s"
	got := w.patch(p)
	want := []v1.ShadowService{{
		Name: "orders", Sample: 0.5, Session: []string{"cookie:sid", "header:authorization", "client-ip"}, Control: "auto",
		Effects: "block", Concurrency: 64, Timeout: "3s", MaxBody: 4096, Propagates: []string{},
	}}
	if d := cmp.Diff(want, got.Services); d != "" {
		t.Errorf("settings in force (-want +got):\n%s", d)
	}
	if !got.Enabled || got.Since == nil || got.Baseline != "env_base" || !strings.HasPrefix(got.SessionID, "ses_") {
		t.Errorf("state: got %+v", got)
	}
	rec, err := w.store.Get(t.Context(), evidence.Key{Kind: evidence.Session, ID: got.SessionID})
	if err != nil {
		t.Fatal(err)
	}
	var ses environment.Session
	if err := json.Unmarshal(rec.Body, &ses); err != nil {
		t.Fatal(err)
	}
	if rec.Parent != "env_over" || ses.BaselineDigest != "sha256:base" || ses.OverlayDigest != "sha256:over" || ses.BaselineRevision != 1 {
		t.Errorf("session: parent %q, %+v", rec.Parent, ses)
	}
	if !ses.Control || len(ses.Services) != 1 || ses.Services[0] != "orders" {
		t.Errorf("session compares: got %v, control %v", ses.Services, ses.Control)
	}
	if r := ses.Settings["orders"].Redact; len(r) != 1 || r[0].Header != "x-secret" {
		t.Errorf("redaction of the baseline's Blueprint: got %v", r)
	}
	if len(w.set) != 1 || w.set[0].Session != got.SessionID || !w.set[0].Enabled {
		t.Errorf("SetShadow: got %+v", w.set)
	}
}

func TestASessionGoesOnUnlessItWouldMixTwoQuestions(t *testing.T) {
	t.Parallel()
	quarter := 0.25
	cases := []struct {
		name   string
		change func(w *world)
		patch  v1.ShadowPatch
		fresh  bool
	}{
		{name: "nothing changed", change: func(*world) {}},
		{name: "another sample", change: func(*world) {}, patch: v1.ShadowPatch{Sample: &quarter}},
		{name: "more at a time", change: func(*world) {}, patch: v1.ShadowPatch{Concurrency: 8}},
		{name: "other evidence is enough", change: func(w *world) {
			w.edit("env_over", func(e *environment.Environment) {
				e.Blueprint.Services[0].Shadow = &blueprint.Shadow{Gate: &blueprint.Gate{MinRequests: 5}}
			})
		}},
		{name: "other effects", change: func(*world) {}, patch: v1.ShadowPatch{Effects: "replay"}, fresh: true},
		{name: "no control", change: func(*world) {}, patch: v1.ShadowPatch{Control: "off"}, fresh: true},
		{name: "larger bodies", change: func(*world) {}, patch: v1.ShadowPatch{MaxBody: "1MiB"}, fresh: true},
		{name: "a new overlay digest", fresh: true, change: func(w *world) {
			w.edit("env_over", func(e *environment.Environment) { e.Digest = "sha256:over2" })
		}},
		{name: "a new baseline revision", fresh: true, change: func(w *world) {
			w.edit("env_base", func(e *environment.Environment) { e.Revision = 2 })
		}},
		{name: "a new build behind the same command", fresh: true, change: func(w *world) {
			w.artifacts["orders ./orders-2"] = "sha256:rebuilt"
		}},
		{name: "a new build of the baseline", fresh: true, change: func(w *world) {
			w.artifacts["orders ./orders-1"] = "sha256:rebuilt"
		}},
		{name: "evidence that another version of the program wrote", fresh: true, change: func(w *world) {
			last, err := w.store.List(w.t.Context(), evidence.Query{Kind: evidence.Session})
			if err != nil {
				w.t.Fatal(err)
			}
			_, err = w.store.Apply(w.t.Context(), evidence.Batch{Puts: []evidence.Put{{Record: evidence.Record{
				Kind: evidence.Analysis, ID: last[0].ID, Parent: "env_over", Body: []byte(`{"version":9999}`), Created: w.now, Updated: w.now,
			}}}})
			if err != nil {
				w.t.Fatal(err)
			}
		}},
		{name: "another ignore rule", fresh: true, change: func(w *world) {
			w.edit("env_over", func(e *environment.Environment) {
				e.Blueprint.Shadow = &blueprint.Shadow{Ignore: []blueprint.Ignore{{Path: "$.a"}}}
			})
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, baseline(), overlay(orders()))
			first := w.patch(enable())
			if got := w.patch(disable()); got.Enabled || got.SessionID != first.SessionID {
				t.Fatalf("after disabling: got %+v", got)
			}
			c.change(w)
			c.patch.Enabled = enable().Enabled
			second := w.patch(c.patch)
			if fresh := second.SessionID != first.SessionID; fresh != c.fresh {
				t.Fatalf("a new session: got %v, want %v", fresh, c.fresh)
			}
			n, err := w.store.Count(t.Context(), evidence.Query{Kind: evidence.Session, Parent: "env_over"})
			if want := int64(1); err != nil || c.fresh && n != want+1 || !c.fresh && n != want {
				t.Fatalf("sessions stored: got %d, %v", n, err)
			}
		})
	}
}

func TestChangingSettingsOfARunningShadowKeepsItsSessionAndStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, baseline(), overlay(orders()))
	first := w.patch(enable())
	half := 0.5
	got := w.patch(v1.ShadowPatch{Sample: &half})
	if got.SessionID != first.SessionID || !got.Since.Equal(*first.Since) || got.Services[0].Sample != 0.5 {
		t.Fatalf("got %+v, before %+v", got, first)
	}
	if got := w.patch(enable()); got.Services[0].Sample != 1 {
		t.Fatalf("a patch without a sample leaves the Blueprint's: got %v", got.Services[0].Sample)
	}
}

func TestWhatCannotBeShadowedIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	isolated := environment.Environment{ID: "env_iso", Name: "alone", Mode: blueprint.Isolated}
	stopped := overlay(orders())
	stopped.Desired = environment.Halted
	sleeping := baseline()
	sleeping.Desired = environment.Halted
	lone := overlay(orders())
	lone.Inherits.ID = "env_gone"
	tooMuch, sample := enable(), 1.5
	tooMuch.Sample, tooMuch.Timeout, tooMuch.Session = &sample, "soon", []string{"cookie:"}
	with := func(f func(*v1.ShadowPatch)) v1.ShadowPatch { p := enable(); f(&p); return p }
	cases := []struct {
		name   string
		base   environment.Environment
		env    environment.Environment
		ref    string
		patch  v1.ShadowPatch
		kind   fault.Kind
		says   string
		hint   string
		places int
	}{
		{name: "nobody", ref: "nobody", patch: enable(), kind: fault.NotFound, says: "nobody"},
		{name: "a baseline", ref: "shop", patch: enable(), kind: fault.Conflict, says: "only overlays", hint: "microstax overlay create --baseline shop"},
		{name: "an isolated environment", env: isolated, ref: "alone", patch: enable(), kind: fault.Conflict, says: "an isolated environment", hint: "overlay create"},
		{name: "a stopped overlay", env: stopped, patch: enable(), kind: fault.Conflict, says: "stopped", hint: "env resume feat"},
		{name: "a stopped baseline", base: sleeping, patch: enable(), kind: fault.Conflict, says: "shop is stopped", hint: "env resume shop"},
		{name: "a baseline that is gone", env: lone, patch: enable(), kind: fault.NotFound, says: "env_gone"},
		{name: "an overlay without services", env: overlay(), patch: enable(), kind: fault.Conflict, says: "lists no services"},
		{name: "settings without a shadow", patch: v1.ShadowPatch{Effects: "block"}, kind: fault.Invalid, says: "not shadowed", hint: "--enable"},
		{name: "several wrong settings", patch: tooMuch, kind: fault.Invalid, says: "sample: 1.5", places: 3},
		{name: "unknown effects", patch: with(func(p *v1.ShadowPatch) { p.Effects = "maybe" }), kind: fault.Invalid, says: "maybe", places: 1},
		{name: "isolated effects", patch: with(func(p *v1.ShadowPatch) { p.Effects = "isolated" }), kind: fault.Unavailable, says: "not available in this version", hint: "replay"},
		{name: "a control that is no URL", patch: with(func(p *v1.ShadowPatch) { p.Control = "twin" }), kind: fault.Invalid, says: "http://", places: 1},
		{name: "a control with a path", patch: with(func(p *v1.ShadowPatch) { p.Control = "http://a:1/v2" }), kind: fault.Invalid, says: "host and port only", places: 1},
		{name: "a control over TLS", patch: with(func(p *v1.ShadowPatch) { p.Control = "https://a:1" }), kind: fault.Invalid, says: "http", places: 1},
		{name: "no body at all", patch: with(func(p *v1.ShadowPatch) { p.MaxBody = "0" }), kind: fault.Invalid, says: "maxBody", places: 1},
		{name: "too many at a time", patch: with(func(p *v1.ShadowPatch) { p.Concurrency = -1 }), kind: fault.Invalid, says: "concurrency", places: 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.base.ID == "" {
				c.base = baseline()
			}
			if c.env.ID == "" {
				c.env = overlay(orders())
			}
			if c.ref == "" {
				c.ref = "feat"
			}
			w := newWorld(t, c.base, c.env)
			_, err := w.control.Patch(t.Context(), c.ref, c.patch)
			if fault.KindOf(err) != c.kind || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error: got %v (%s), want %q (%s)", err, fault.KindOf(err), c.says, c.kind)
			}
			if !strings.Contains(fault.HintOf(err), c.hint) {
				t.Errorf("hint: got %q, want %q", fault.HintOf(err), c.hint)
			}
			if got := len(fault.PlacesOf(err)); got != c.places {
				t.Errorf("places: got %d, want %d", got, c.places)
			}
			if len(w.set) > 0 {
				t.Errorf("SetShadow was called: %+v", w.set)
			}
			if n, err := w.store.Count(t.Context(), evidence.Query{Kind: evidence.Session}); err != nil || n != 0 {
				t.Errorf("sessions stored: got %d, %v", n, err)
			}
		})
	}
}

func TestASecondURLStandsInForATwinThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, control string
		want          bool
	}{
		{name: "auto has no twin", control: "auto", want: false},
		{name: "a URL", control: "http://10.0.0.2:80", want: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, baseline(), overlay(blueprint.Service{Name: "legacy", Command: []string{"./rewrite"}}))
			p := enable()
			p.Control = c.control
			state := w.patch(p)
			var ses environment.Session
			rec, err := w.store.Get(t.Context(), evidence.Key{Kind: evidence.Session, ID: state.SessionID})
			if err == nil {
				err = json.Unmarshal(rec.Body, &ses)
			}
			if err != nil || ses.Control != c.want {
				t.Fatalf("control: got %v, %v, want %v", ses.Control, err, c.want)
			}
		})
	}
}

func TestAnOverlayOverAnOverlayComparesEverythingBetweenItAndTheBaseline(t *testing.T) {
	t.Parallel()
	top := overlay(blueprint.Service{Name: "api", Command: []string{"./api-2"}})
	middle := overlay(orders())
	middle.ID, middle.Name = "env_mid", "mid"
	top.Inherits.ID = "env_mid"
	w := newWorld(t, baseline(), middle, top)
	first := w.patch(enable())
	if got := len(first.Services); got != 2 || first.Services[0].Name != "api" || first.Services[1].Name != "orders" {
		t.Fatalf("services: got %+v", first.Services)
	}
	w.edit("env_mid", func(e *environment.Environment) { e.Digest = "sha256:mid2" })
	if second := w.patch(enable()); second.SessionID == first.SessionID {
		t.Error("the overlay between changed, but the session goes on")
	}
	w.edit("env_over", func(e *environment.Environment) { e.ComparedTo = "env_mid" })
	if got := w.patch(enable()); len(got.Services) != 1 || got.Services[0].Name != "api" || got.Baseline != "env_mid" {
		t.Errorf("compared to the overlay between: got %+v", got)
	}
}

func TestAFailedStartIsReportedAndCanBeTriedAgainInTheSameSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, baseline(), overlay(orders()))
	w.setErr = fault.Errorf("start control", fault.Unavailable, "orders died").WithHint("see its log")
	_, err := w.control.Patch(t.Context(), "feat", enable())
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "orders died") || fault.HintOf(err) != "see its log" {
		t.Fatalf("got %v, hint %q", err, fault.HintOf(err))
	}
	w.setErr = nil
	w.patch(enable())
	if w.set[0].Session != w.set[1].Session {
		t.Errorf("sessions: got %s, then %s", w.set[0].Session, w.set[1].Session)
	}
}

func TestTwoChangesAtATimeAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, baseline(), overlay(orders()))
	var second error
	w.during = func() {
		w.during = nil
		_, second = w.control.Patch(t.Context(), "feat", disable())
	}
	w.patch(enable())
	if !fault.Is(second, fault.Conflict) {
		t.Fatalf("the second change: got %v", second)
	}
	if got := w.patch(disable()); got.Enabled {
		t.Fatal("after the first ended, the second is still refused")
	}
}

func TestStateShowsTrafficAndVerdict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, baseline(), overlay(orders()))
	empty, err := w.control.Get(t.Context(), "feat")
	if err != nil || empty.Enabled || empty.Services == nil || empty.Traffic != nil {
		t.Fatalf("before: got %+v, %v", empty, err)
	}
	if got := w.patch(enable()); got.Traffic != nil || got.Verdict != nil {
		t.Fatalf("without traffic: got %+v", got)
	}
	w.standing = func() (v1.Traffic, v1.Verdict, error) {
		return v1.Traffic{Received: 7}, v1.Verdict{Decision: "hold"}, nil
	}
	got, err := w.control.Get(t.Context(), "env_over")
	if err != nil || got.Traffic == nil || got.Traffic.Received != 7 || got.Verdict.Decision != "hold" {
		t.Fatalf("with traffic: got %+v, %v", got, err)
	}
	w.standing = func() (v1.Traffic, v1.Verdict, error) { return v1.Traffic{}, v1.Verdict{}, errors.New("disk gone") }
	if _, err := w.control.Get(t.Context(), "env_over"); err == nil {
		t.Fatal("evidence that cannot be read is passed over in silence")
	}
}

func TestDisablingWhatIsNotShadowedIsHarmless(t *testing.T) {
	t.Parallel()
	w := newWorld(t, baseline(), overlay(orders()))
	if got := w.patch(disable()); got.Enabled || len(w.set) != 0 {
		t.Fatalf("got %+v, SetShadow %v", got, w.set)
	}
	if _, err := w.control.Patch(t.Context(), "shop", disable()); err != nil {
		t.Fatalf("a baseline: %v", err)
	}
}
