// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"microstax/internal/engine"
	"microstax/internal/observation"
)

// under is an observation made under a load.
func under(o *observation.Observation, l observation.Load) *observation.Observation {
	o.Load = l
	return o
}

func slow(took time.Duration) reply {
	r := ok(good)
	r.took = took
	return r
}

func TestLoadIsReportedAndNotedWhereItDiffers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		load observation.Load
		note string
	}{
		{"the same load", observation.Load{Baseline: 10, Control: 11, Candidate: 10}, ""},
		{"a candidate that is slower has more under way", observation.Load{Baseline: 10, Control: 10, Candidate: 90}, ""},
		{"lanes", observation.Load{Baseline: 10, Control: 1, Candidate: 1}, "the control had 1.0 requests at a time, the baseline 10.0"},
		{"a crowd", observation.Load{Baseline: 2, Control: 40, Candidate: 40}, "the control had 40.0 requests at a time, the baseline 2.0"},
		{"little either way", observation.Load{Baseline: 1, Control: 1, Candidate: 1}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, a := newWorld(), engine.New(engine.Config{Control: true})
			c.load.Lag = 30 * time.Millisecond
			for range 100 {
				feed(a, under(w.see("", "GET", "/cart", ok(good), ok(good), ok(good)), c.load))
			}
			got := a.Report(engine.Meta{}).Traffic.Load
			if got == nil || got.Baseline.Mean != float64(c.load.Baseline) || math.Abs(got.Candidate.P99-float64(c.load.Candidate)) > 1 {
				t.Fatalf("got %+v", got)
			}
			if math.Abs(got.Lag.P50-30) > 1 || math.Abs(got.Lag.P99-30) > 1 || got.Lag.Unit != "ms" {
				t.Errorf("lag %+v", got.Lag)
			}
			if (got.Note == "") != (c.note == "") || !strings.HasPrefix(got.Note, c.note) {
				t.Errorf("note %q, want %q", got.Note, c.note)
			}
		})
	}
}

// TestWhatHadToQueueIsNotCalledSlow: a candidate is slow that takes longer in the spacing of the baseline, not one that
// was given a crowd.
func TestWhatHadToQueueIsNotCalledSlow(t *testing.T) {
	t.Parallel()
	for _, crowded := range []bool{false, true} {
		w, a := newWorld(), engine.New(engine.Config{Control: true})
		l := observation.Load{Lag: time.Second, Baseline: 2, Control: 2, Candidate: 64, Crowded: crowded}
		for range 300 {
			feed(a, under(w.see("", "GET", "/cart", ok(good), ok(good), slow(900*time.Millisecond)), l))
		}
		r := a.Report(engine.Meta{})
		if found := len(r.Findings) > 0; found == crowded {
			t.Errorf("crowded %v: findings %v", crowded, names(r))
		}
		if crowded && (r.Traffic.Load.Crowded != 300 || len(r.Latency) != 0) {
			t.Errorf("%+v, latency %+v", r.Traffic.Load, r.Latency)
		}
	}
}

func TestLatencyUnderAnotherLoadIsQualified(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	for range 300 {
		feed(a, under(w.see("", "GET", "/cart", ok(good), ok(good), slow(900*time.Millisecond)),
			observation.Load{Lag: time.Second, Baseline: 20, Control: 2, Candidate: 9}))
	}
	r := a.Report(engine.Meta{})
	if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Summary, "under another load than users see") {
		t.Errorf("findings %+v", r.Findings)
	}
	if !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "under another load") {
		t.Errorf("reasons %q", r.Verdict.Reasons)
	}
}

func TestSheddingIsReportedAndSurvivesRestore(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	feed(a, w.see("u", "GET", "/cart", ok(good), ok(good), ok(good)))
	if r := a.Report(engine.Meta{}); r.Traffic.Shedding != nil {
		t.Errorf("nothing is shed: %+v", r.Traffic.Shedding)
	}
	for _, share := range []float64{1, .3, .09, .2} {
		a.Tally(observation.Tally{Session: "ses_1", At: w.start, Received: 100, Share: share, ShedSessions: 5, Dropped: []observation.Group{
			{Service: "orders", Method: "GET", Path: "/cart", Reason: observation.Shed, Count: 90},
			{Reason: observation.Shed, Count: 10}, // too many to tell apart
		}})
	}
	state, err := a.State()
	if err != nil {
		t.Fatal(err)
	}
	b, err := engine.Restore(engine.Config{Control: true}, state)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]*engine.Analysis{"live": a, "restored": b} {
		r := x.Report(engine.Meta{})
		s := r.Traffic.Shedding
		if s == nil || s.Share != .2 || s.Lowest != .09 || s.Sessions != 20 || s.Requests != 400 {
			t.Errorf("%s: %+v", name, s)
		}
		if r.Traffic.InFlight != 0 || len(r.Traffic.Endpoints) != 1 || r.Traffic.Endpoints[0].Dropped["shed"] != 360 {
			t.Errorf("%s: %+v", name, r.Traffic)
		}
	}
}
