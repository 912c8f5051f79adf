// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	api "microstax/api/v1"
	"microstax/internal/engine"
	"microstax/internal/observation"
)

// shardsOf judges observations in parts: by user session, or each request anywhere.
func shardsOf(os []*observation.Observation, n int, at func(i int, o *observation.Observation) int) (parts []*engine.Analysis) {
	for range n {
		parts = append(parts, engine.New(engine.Config{Control: true}))
	}
	for i, o := range os {
		feed(parts[at(i, o)%n], o)
	}
	return parts
}

func reportText(t *rapid.T, a *engine.Analysis) string {
	b, err := json.MarshalIndent(a.Report(engine.Meta{}), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// someTraffic has noise, a change, writes that go another way, and paths whose ids are learnt.
func someTraffic(t *rapid.T, learnt bool) []*observation.Observation {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 5))
	w := newWorld()
	var out []*observation.Observation
	for range rapid.IntRange(0, 400).Draw(t, "requests") {
		unit := fmt.Sprint("user", r.IntN(30))
		if r.IntN(5) == 0 {
			unit = ""
		}
		switch r.IntN(6) {
		case 0:
			out = append(out, w.see(unit, "GET", "/cart", ok(good), ok(good), ok(bad)))
		case 1:
			x := ok(good)
			if r.IntN(4) == 0 {
				x.status = 500
			}
			out = append(out, w.see(unit, "POST", "/orders", ok(good), ok(good), x))
		case 2:
			name := fmt.Sprintf("/shelf/n%c%c", 'a'+r.IntN(9), 'a'+r.IntN(9))
			if !learnt {
				name = fmt.Sprintf("/shelf/%d", r.IntN(99))
			}
			out = append(out, w.see(unit, "GET", name, noisy(r, 1), noisy(r, 1), noisy(r, 1)))
		default:
			e := r.IntN(4)
			out = append(out, w.see(unit, "GET", fmt.Sprintf("/e%c", 'a'+e), noisy(r, e), noisy(r, e), noisy(r, e)))
		}
	}
	return out
}

func TestMergingPartsInAnyOrderAndGroupingGivesTheSameReport(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		learnt := rapid.Bool().Draw(t, "learnt paths")
		os := someTraffic(t, learnt)
		n := rapid.IntRange(1, 5).Draw(t, "parts")
		at := func(_ int, o *observation.Observation) int { return len(o.Unit) + int(o.ID[len(o.ID)-1]) }
		if rapid.Bool().Draw(t, "whole sessions") {
			at = func(_ int, o *observation.Observation) int {
				if o.OwnUnit {
					return int(o.ID[len(o.ID)-1])
				}
				return int(o.Unit[len(o.Unit)-1])
			}
		}
		parts := shardsOf(os, n, at)
		cfg := engine.Config{Control: true}
		want := reportText(t, engine.Merge(cfg, parts...))
		for range 3 {
			order := rapid.Permutation(parts).Draw(t, "order")
			whole := engine.Merge(cfg, order...)
			if cut := rapid.IntRange(0, n).Draw(t, "cut"); !learnt {
				whole = engine.Merge(cfg, engine.Merge(cfg, order[:cut]...), engine.Merge(cfg, order[cut:]...))
			}
			if d := cmp.Diff(want, reportText(t, whole)); d != "" {
				t.Fatalf("another order or grouping of %d parts: (-want +got)\n%s", n, d)
			}
		}
	})
}

func TestMergedPartsCountWhatOneAnalysisCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		os := someTraffic(t, false)
		n := rapid.IntRange(1, 4).Draw(t, "parts")
		parts := shardsOf(os, n, func(_ int, o *observation.Observation) int {
			if o.OwnUnit {
				return int(o.ID[len(o.ID)-1])
			}
			return int(o.Unit[len(o.Unit)-1])
		})
		whole := shardsOf(os, 1, func(int, *observation.Observation) int { return 0 })[0].Report(engine.Meta{})
		merged := engine.Merge(engine.Config{Control: true}, parts...)
		got := merged.Report(engine.Meta{})
		for i := range got.Traffic.Endpoints { // which level counts as quiet is learnt by each part for itself
			got.Traffic.Endpoints[i].Different = whole.Traffic.Endpoints[i].Different
		}
		if got.Traffic.Unseen > 0 && got.Traffic.Unseen < whole.Traffic.Unseen {
			t.Fatalf("the parts bound what is unseen by %v, one analysis by %v", got.Traffic.Unseen, whole.Traffic.Unseen)
		}
		got.Traffic.Unseen = whole.Traffic.Unseen
		got.Traffic.MismatchedContexts = whole.Traffic.MismatchedContexts
		if d := cmp.Diff(whole.Traffic, got.Traffic); d != "" {
			t.Fatalf("traffic (-one +merged):\n%s", d)
		}
		if d := cmp.Diff(pairsOf(whole), pairsOf(got)); d != "" {
			t.Fatalf("latency (-one +merged):\n%s", d)
		}
		if b, err := merged.State(); err != nil {
			t.Fatal(err)
		} else if back, err := engine.Restore(engine.Config{Control: true}, b); err != nil {
			t.Fatal(err)
		} else if d := cmp.Diff(reportText(t, merged), reportText(t, back)); d != "" {
			t.Fatalf("restored (-was +is):\n%s", d)
		}
	})
}

func pairsOf(r api.Report) map[string]int64 {
	out := map[string]int64{}
	for _, l := range r.Latency {
		out[l.Endpoint] = l.Pairs
	}
	return out
}

// A change that each part alone is too small to prove is proven by all of them together.
func TestWhatNoPartCanProveTheWholeCan(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var os []*observation.Observation
	for range 24 {
		os = append(os, w.see("", "GET", "/cart", ok(good), ok(good), ok(bad)))
	}
	parts := shardsOf(os, 4, func(i int, _ *observation.Observation) int { return i })
	for i, p := range parts {
		if s := p.Standing(); len(s.Confirmed) > 0 {
			t.Fatalf("part %d confirms %v by itself: the test proves nothing", i, s.Confirmed)
		}
	}
	f := finding(t, engine.Merge(engine.Config{Control: true}, parts...).Report(engine.Meta{}), "body.type", "$.price")
	if f.Confidence != "confirmed" || f.Count != 24 || f.Compared != 24 {
		t.Errorf("got %+v", f)
	}
}
