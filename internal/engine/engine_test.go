// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/blueprint"
	"microstax/internal/engine"
	"microstax/internal/engine/noise"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

const (
	good = `{"price":12,"currency":"EUR","tax":{"a":1,"b":2,"c":3}}`
	bad  = `{"price":"12","currency":"EUR","tax":{"a":1,"b":2,"c":3}}`
)

func TestAChangeInEveryRequestIsConfirmedWithinTenAmongSixtyNoisyEndpoints(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 1))
		w, a := newWorld(), engine.New(engine.Config{Control: true})
		for i := range 600 {
			e := i % 60
			feed(a, w.see("", "GET", fmt.Sprintf("/e%c%c", 'a'+e/10, 'a'+e%10), noisy(r, e), noisy(r, e), noisy(r, e)))
		}
		for range 10 {
			feed(a, w.see("", "GET", "/cart", ok(good), ok(good), ok(bad)))
		}
		rep := a.Report(engine.Meta{})
		f := finding(t, rep, "body.type", "$.price")
		if f.Confidence != "confirmed" || f.Count != 10 || f.Compared != 10 || f.Severity != "breaking" || f.Rate != 1 || f.Interval[0] < .4 {
			t.Errorf("seed %d: got %+v", seed, f)
		}
		if f.Summary != "price is a string where it was a number" || f.Example == nil || f.Example.At != "$.price" {
			t.Errorf("summary %q, example %+v", f.Summary, f.Example)
		}
		if len(rep.Findings) != 1 || rep.Verdict.Decision != "hold" {
			t.Errorf("seed %d: findings %v, verdict %+v", seed, names(rep), rep.Verdict)
		}
	}
}

func TestAnUnchangedCandidateHasNoFindings(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 2))
		w, a := newWorld(), engine.New(engine.Config{Control: true})
		for i := range 2000 {
			e := i % 60
			feed(a, w.see(fmt.Sprint("user", r.IntN(300)), "GET", fmt.Sprintf("/e%c%c", 'a'+e/10, 'a'+e%10), noisy(r, e), noisy(r, e), noisy(r, e)))
		}
		if rep := a.Report(engine.Meta{}); len(rep.Findings) != 0 || rep.Verdict.Decision != "insufficient" || len(rep.Noise) == 0 {
			t.Errorf("seed %d: %v, %+v, %d noisy places", seed, names(rep), rep.Verdict, len(rep.Noise))
		}
	}
}

func TestOneSessionIsOneUnitHoweverOftenItDiffers(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	for range 300 {
		feed(a, w.see("alice", "GET", "/cart", ok(good), ok(good), ok(bad)))
	}
	rep := a.Report(engine.Meta{})
	if len(rep.Findings) != 1 || rep.Findings[0].Confidence != "suspected" || rep.Verdict.Decision != "insufficient" {
		t.Errorf("got %v, %+v", names(rep), rep.Verdict)
	}
	for i := range 12 {
		feed(a, w.see(fmt.Sprint("user", i), "GET", "/cart", ok(good), ok(good), ok(bad)))
	}
	if f := finding(t, a.Report(engine.Meta{}), "body.type", "$.price"); f.Confidence != "confirmed" || f.Count != 312 {
		t.Errorf("got %+v", f)
	}
}

func TestANoisyFieldThatTurnsNullIsFoundAtTheLevelWhereItIsQuiet(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 9))
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	stamp := func() reply {
		return ok(fmt.Sprintf(`{"at":%q}`, time.Unix(1_700_000_000+r.Int64N(1e6), 0).UTC().Format(time.RFC3339)))
	}
	for i := range 60 {
		c := stamp()
		if i%2 == 0 {
			c = ok(`{"at":null}`)
		}
		feed(a, w.see("", "GET", "/clock", stamp(), stamp(), c))
	}
	rep := a.Report(engine.Meta{})
	if f := finding(t, rep, "body.type", "$.at"); f.Confidence != "confirmed" || f.Severity != "breaking" {
		t.Errorf("got %+v", f)
	}
	if len(rep.Noise) != 1 || rep.Noise[0].Path != "$.at" || rep.Noise[0].LearnedFrom != noise.FromControl || rep.Noise[0].Model != "timestamp" {
		t.Errorf("noise %+v", rep.Noise)
	}
}

func TestAWriteThatGoesAnotherWayPoisonsItsSession(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	failed := reply{status: 500, body: `{"error":"x"}`, took: time.Millisecond}
	for i := range 12 {
		u := fmt.Sprint("user", i)
		feed(a, w.see(u, "POST", "/orders", ok(good), ok(good), failed),
			w.see(u, "GET", "/orders", ok(`[{"n":1}]`), ok(`[{"n":1}]`), ok(`[]`)))
	}
	rep := a.Report(engine.Meta{})
	if len(rep.Findings) != 1 {
		t.Fatalf("want the cause alone, got %v", names(rep))
	}
	if f := rep.Findings[0]; f.Kind != "status" || f.Severity != "breaking" || f.Summary != "status is 500 where it was 200 (and 12 later requests of the same user sessions differ after it)" {
		t.Errorf("got %+v", f)
	}
}

func TestMadeUpAnswersToCallsOpenNothing(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	for range 20 {
		o := w.see("", "GET", "/cart", ok(good), ok(good), ok(bad))
		o.CandidateCalls = []observation.Call{{Dependency: "payments", Tainted: true, Matched: -1, Write: true, Tier: observation.None,
			Effect: observation.Fenced, Exchange: ok("{}").exchange(o.At, "POST", "/charge")}}
		feed(a, o)
	}
	for _, f := range a.Report(engine.Meta{}).Findings {
		if f.Kind == "body.type" {
			t.Errorf("a difference after a made-up answer is reported: %+v", f)
		}
	}
}

func TestWithoutControlFindingsStaySuspectedAndNothingIsPromoted(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	w, a := newWorld(), engine.New(engine.Config{})
	for i := range 300 {
		v := func() string { return fmt.Sprintf(`,"n":%d}`, r.IntN(3)) }
		o := w.see("", "GET", "/cart", ok(`{"price":12`+v()), reply{}, ok(`{"price":13`+v()))
		if i%2 == 0 {
			o = w.see("", "GET", "/other", ok(`{"n":1}`), reply{}, ok(`{"n":1}`))
		}
		o.Control = nil
		feed(a, o)
	}
	rep := a.Report(engine.Meta{})
	if len(rep.Findings) != 1 || rep.Findings[0].Path != "$.price" || rep.Findings[0].Confidence != "suspected" {
		t.Errorf("got %v", names(rep))
	}
	if rep.Verdict.Decision != "insufficient" || len(rep.Noise) != 1 || rep.Noise[0].LearnedFrom != noise.FromHistory {
		t.Errorf("verdict %+v, noise %+v", rep.Verdict, rep.Noise)
	}
}

func TestSlownessIsALatencyFinding(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	jitter := func(ms float64) reply {
		x := ok(good)
		x.took = time.Duration(ms * (1 + .2*r.ExpFloat64()) * float64(time.Millisecond))
		return x
	}
	for range 60 {
		feed(a, w.see("", "GET", "/slow", jitter(4), jitter(5), jitter(12)), w.see("", "GET", "/same", jitter(4), jitter(5), jitter(5)),
			w.see("", "GET", "/tiny", jitter(.1), jitter(.1), jitter(.5)))
	}
	hung := ok(good)
	hung.outcome, hung.took = exchange.Timeout, 10*time.Second
	feed(a, w.see("", "GET", "/slow", jitter(4), jitter(5), hung))
	rep := a.Report(engine.Meta{})
	f := finding(t, rep, "latency", "duration")
	if len(rep.Findings) != 1 || f.Endpoint != "GET /slow" || f.Confidence != "confirmed" || f.Severity != "major" || f.Example == nil {
		t.Errorf("got %v: %+v", names(rep), f)
	}
	for _, l := range rep.Latency {
		if l.Regressed != (l.Endpoint == "GET /slow") || l.Unit != "ms" || l.Regressed && (l.Ratio < 2 || l.Interval[0] < 1.2 || l.Candidate.P99 < 1000) {
			t.Errorf("row %+v", l)
		}
	}
}

func TestACauseOnManyEndpointsIsOneFinding(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	with := func(v string) reply {
		x := ok(good)
		x.headers = []exchange.Header{{Name: "X-Powered-By", Value: v}}
		return x
	}
	for i := range 60 {
		feed(a, w.see("", "GET", fmt.Sprintf("/p%c", 'a'+i%5), with("one"), with("one"), with("two")))
	}
	rep := a.Report(engine.Meta{})
	if len(rep.Findings) != 1 || rep.Findings[0].Endpoint != "*" || rep.Findings[0].Count != 60 || rep.Findings[0].Compared != 60 {
		t.Fatalf("got %v", names(rep))
	}
	j := feed(a, w.see("", "GET", "/pa", with("one"), with("one"), with("two")))
	if !contains(j.Findings, rep.Findings[0].ID) {
		t.Errorf("the observation names %v, not the merged finding %s", j.Findings, rep.Findings[0].ID)
	}
}

func contains(xs []string, x string) bool {
	for _, y := range xs {
		if x == y {
			return true
		}
	}
	return false
}

func TestAcceptedFindingsStayVisibleAndDoNotHold(t *testing.T) {
	t.Parallel()
	gate := &blueprint.Gate{MaxDifferenceRate: .01, MinRequests: 50}
	w, a := newWorld(), engine.New(engine.Config{Control: true, Services: map[string]blueprint.Shadow{"orders": {Gate: gate}}})
	for i := range 800 {
		c := ok(good)
		if i%2 == 0 {
			c = ok(bad)
		}
		feed(a, w.see("", "GET", "/cart", ok(good), ok(good), c))
	}
	before := a.Report(engine.Meta{})
	if before.Verdict.Decision != "hold" {
		t.Fatalf("verdict %+v", before.Verdict)
	}
	after := a.Report(engine.Meta{Decisions: map[string]engine.Decision{before.Findings[0].ID: {Status: "accepted"}}})
	if after.Verdict.Decision != "promote" || len(after.Findings) != 1 || after.Findings[0].Status != "accepted" {
		t.Errorf("verdict %+v, findings %v", after.Verdict, names(after))
	}
}

func TestTrafficAddsUpExactly(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	feed(a, w.see("", "GET", "/orders/1", ok(good), ok(good), ok(good)))
	a.Tally(observation.Tally{Received: 10, Mirrored: 4, At: w.start, Dropped: []observation.Group{
		{Service: "orders", Method: "GET", Path: "/orders/1", Reason: observation.QueueFull, Count: 3},
		{Service: "orders", Method: "GET", Path: "/orders/1", Reason: observation.ClientGone, Count: 1},
	}})
	rep := a.Report(engine.Meta{})
	want := map[string]int64{"queueFull": 3, "bodyTooLarge": 0, "sampledOut": 0, "timeout": 0, "clientGone": 1}
	if rep.Traffic.InFlight != 6 || !cmp.Equal(rep.Traffic.Dropped, want) {
		t.Errorf("got %+v", rep.Traffic)
	}
	if e := rep.Traffic.Endpoints; len(e) != 1 || e[0].Received != 5 || e[0].Compared != 1 {
		t.Errorf("endpoints %+v", e)
	}
	a.Settle(observation.Crashed)
	a.Settle(observation.Crashed)
	if got := a.Report(engine.Meta{}).Traffic; got.InFlight != 0 || got.Dropped["crash"] != 6 {
		t.Errorf("after a crash: %+v", got)
	}
}

func TestRestoreGivesTheSameReportAndGoesOnTheSame(t *testing.T) {
	t.Parallel()
	cfg := engine.Config{Control: true}
	w, a := newWorld(), engine.New(cfg)
	r := rand.New(rand.NewPCG(8, 8))
	step := func(as ...*engine.Analysis) {
		for range 200 {
			c := noisy(r, 1)
			o := w.see(fmt.Sprint("u", r.IntN(20)), []string{"GET", "POST"}[r.IntN(2)], "/things", noisy(r, 1), noisy(r, 1), c)
			for _, a := range as {
				feed(a, o)
			}
		}
		for i := range 12 {
			o := w.see(fmt.Sprint("v", i), "GET", "/cart", ok(good), ok(good), ok(bad))
			for _, a := range as {
				feed(a, o)
			}
		}
	}
	step(a)
	state, err := a.State()
	if err != nil {
		t.Fatal(err)
	}
	b, err := engine.Restore(cfg, state)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(a.Report(engine.Meta{}), b.Report(engine.Meta{})); d != "" {
		t.Fatal("after Restore:", d)
	}
	step(a, b)
	if d := cmp.Diff(a.Report(engine.Meta{}), b.Report(engine.Meta{})); d != "" {
		t.Error("after going on:", d)
	}
	for _, broken := range [][]byte{nil, []byte("{}"), []byte(`{"version":99}`), []byte(`{"version":1,"places":[null]}`), []byte(`{"version":1,"users":"AAAA"}`)} {
		if _, err := engine.Restore(cfg, broken); err == nil {
			t.Errorf("%q is restored", broken)
		}
	}
}

func TestTheOrderOfIndependentRequestsDoesNotMatterForCounts(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var os []*observation.Observation
	for i := range 40 {
		c := ok(good)
		if i%2 == 0 {
			c = ok(bad)
		}
		os = append(os, w.see("", "GET", "/cart", ok(good), ok(good), c))
	}
	a, b := engine.New(engine.Config{Control: true}), engine.New(engine.Config{Control: true})
	feed(a, os...)
	for i := len(os) - 1; i >= 0; i-- {
		feed(b, os[i])
	}
	x, y := a.Report(engine.Meta{}), b.Report(engine.Meta{})
	for i := range x.Findings {
		x.Findings[i].Example, y.Findings[i].Example = nil, nil
	}
	if d := cmp.Diff(x, y); d != "" {
		t.Error(d)
	}
}

func TestEndpointsThatTurnOutToBeOneAreAddedUp(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	for i := range 40 {
		unit := ""
		if i%2 == 0 {
			unit = fmt.Sprint("user", i/8)
		}
		feed(a, w.see(unit, "GET", fmt.Sprintf("/users/%s", []string{"anna", "bert", "carl"}[i%3]+string(rune('a'+i%26))), ok(good), ok(good), ok(bad)))
	}
	rep := a.Report(engine.Meta{})
	if n := len(rep.Traffic.Endpoints); n != 1 {
		t.Fatalf("%d endpoints: %+v", n, rep.Traffic.Endpoints)
	}
	f := finding(t, rep, "body.type", "$.price")
	if len(rep.Findings) != 1 || f.Endpoint != "GET /users/{id}" || f.Count != 40 || f.Compared != 40 || rep.Traffic.Endpoints[0].Received != 40 {
		t.Errorf("got %+v", f)
	}
	state, err := a.State()
	if err != nil {
		t.Fatal(err)
	}
	b, err := engine.Restore(engine.Config{Control: true}, state)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(rep, b.Report(engine.Meta{})); d != "" {
		t.Error(d)
	}
}

func TestCallsThatChangedAreFindingsAndCounted(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	call := func(o *observation.Observation, n int, path string) (out []observation.Call) {
		for i := range n {
			at := o.At.Add(time.Duration(i+1) * time.Millisecond)
			out = append(out, observation.Call{Caller: "orders", Dependency: "inventory", Exchange: ok("{}").exchange(at, "GET", path), Effect: observation.Replayed, Tier: observation.Exact})
		}
		return out
	}
	for range 15 {
		o := w.see("", "GET", "/cart", ok(good), ok(good), ok(good))
		o.BaselineCalls, o.ControlCalls, o.CandidateCalls = call(o, 1, "/stock/1"), call(o, 1, "/stock/1"), call(o, 2, "/stock/1")
		feed(a, o)
	}
	rep := a.Report(engine.Meta{})
	if f := finding(t, rep, "call.repeated", "inventory GET /stock/{id}"); f.Severity != "major" || f.Confidence != "confirmed" {
		t.Errorf("got %+v", f)
	}
	if c := rep.Calls; len(c) != 1 || c[0].BaselinePerRequest != 1 || c[0].ControlPerRequest != 1 || c[0].CandidatePerRequest != 2 {
		t.Errorf("calls %+v", c)
	}
}

func TestShadowsWithoutTheBaselinesStateAreNoEvidence(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	missing := reply{status: 404, body: `{"error":"unknown"}`}
	for i := range 6000 {
		user := fmt.Sprint("user", i)
		feed(a, w.see(user, "GET", "/list", ok(good), ok(good), ok(good)))
		if i%10 == 0 {
			feed(a, w.see(user, "GET", "/carts/17", ok(good), missing, missing))
		}
	}
	v := a.Report(engine.Meta{}).Verdict
	if v.Decision != "insufficient" || !strings.Contains(strings.Join(v.Reasons, " "), "GET /carts/{id}") {
		t.Errorf("got %+v", v)
	}
}

func TestFailuresOfBothSidesWeighTheSame(t *testing.T) {
	t.Parallel()
	timeout := reply{outcome: exchange.Timeout, took: time.Second}
	noisy := func(i int) reply { return ok(fmt.Sprintf(`{"at":%d,"n":1}`, 1795385501+i)) }
	see := func(w *world, i int, control, candidate reply) *observation.Observation {
		return w.see(fmt.Sprint("user", i), "GET", "/list", noisy(3*i), control, candidate)
	}
	t.Run("rare on both", func(t *testing.T) {
		t.Parallel()
		w, a := newWorld(), engine.New(engine.Config{Control: true})
		for i := range 3000 {
			control, candidate := noisy(3*i+1), noisy(3*i+2)
			switch i % 60 {
			case 7:
				control = timeout
			case 31:
				candidate = timeout
			}
			feed(a, see(w, i, control, candidate))
		}
		if r := a.Report(engine.Meta{}); len(r.Findings) != 0 || r.Verdict.Decision == "hold" {
			t.Errorf("got %v, %+v", names(r), r.Verdict)
		}
	})
	t.Run("often on the control", func(t *testing.T) {
		t.Parallel()
		w, a := newWorld(), engine.New(engine.Config{Control: true})
		for i := range 600 {
			control := noisy(3*i + 1)
			if i%5 == 0 {
				control = timeout
			}
			feed(a, see(w, i, control, noisy(3*i+2)))
		}
		if r := a.Report(engine.Meta{}); len(r.Findings) != 0 || r.Verdict.Decision != "hold" || !strings.Contains(r.Verdict.Reasons[0], "control did not answer 120") {
			t.Errorf("got %v, %+v", names(r), r.Verdict)
		}
	})
}
