// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"slices"
	"strings"
	"testing"

	api "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/engine"
)

func withGate(g blueprint.Gate) engine.Config {
	s := blueprint.EffectiveShadow(&blueprint.Shadow{Gate: &g})
	return engine.Config{Control: true, Services: map[string]blueprint.Shadow{"orders": s}}
}

// gateNamed finds a gate of the verdict.
func gateNamed(t *testing.T, r api.Report, name string) api.Gate {
	t.Helper()
	i := slices.IndexFunc(r.Verdict.Gates, func(g api.Gate) bool { return g.Name == name })
	if i < 0 {
		t.Fatalf("no gate %q among %+v", name, r.Verdict.Gates)
	}
	return r.Verdict.Gates[i]
}

func TestEveryFieldOfAGateWorks(t *testing.T) {
	t.Parallel()
	slower := ok(good)
	slower.took *= 3 // 15 ms where the control takes 5
	for _, c := range []struct {
		name string
		gate blueprint.Gate
		is   reply
		n    int
		want string // the decision
		shut string // the gate that is not passed
	}{
		{"maxDifferenceRate lets 71 requests do", blueprint.Gate{MaxDifferenceRate: .05, MinRequests: 50}, ok(good), 71, "promote", ""},
		{"one fewer does not", blueprint.Gate{MaxDifferenceRate: .05, MinRequests: 50}, ok(good), 70, "insufficient", "function"},
		{"a stricter rate needs more", blueprint.Gate{MaxDifferenceRate: .02, MinRequests: 50}, ok(good), 71, "insufficient", "function"},
		{"confidence needs more", blueprint.Gate{MaxDifferenceRate: .05, MinRequests: 50, Confidence: .99}, ok(good), 104, "insufficient", "function"},
		{"confidence is reached", blueprint.Gate{MaxDifferenceRate: .05, MinRequests: 50, Confidence: .99}, ok(good), 105, "promote", ""},
		{"minRequests", blueprint.Gate{MaxDifferenceRate: .05, MinRequests: 120}, ok(good), 119, "insufficient", "requests"},
		{"maxLatencyRatio lets three times pass", blueprint.Gate{MaxDifferenceRate: .05, MinRequests: 50, MaxLatencyRatio: 4}, slower, 100, "promote", ""},
		{"by default it does not", blueprint.Gate{MaxDifferenceRate: .05, MinRequests: 50}, slower, 100, "hold", "latency"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, a := newWorld(), engine.New(withGate(c.gate))
			for range c.n {
				feed(a, w.see("", "GET", "/cart", ok(good), ok(good), c.is))
			}
			r := a.Report(engine.Meta{})
			if r.Verdict.Decision != c.want {
				t.Errorf("got %+v", r.Verdict)
			}
			if c.shut != "" && gateNamed(t, r, c.shut).Passed {
				t.Errorf("gate %s is open", c.shut)
			}
		})
	}
}

func TestAnEndpointWithAGateOfItsOwn(t *testing.T) {
	t.Parallel()
	gate := blueprint.Gate{MaxDifferenceRate: .05, MinRequests: 50, Endpoints: []blueprint.EndpointGate{
		{Endpoint: "POST /pay", MaxDifferenceRate: .02, MinRequests: 10},
		{Endpoint: "GET /cart", MaxDifferenceRate: .3},
	}}
	w, a := newWorld(), engine.New(withGate(gate))
	for i := range 200 {
		other := ok(good)
		if i%10 == 0 { // 10 % of it differ, which only its own gate allows
			other = ok(strings.Replace(good, "12", "13", 1))
		}
		feed(a, w.see("", "GET", "/list", ok(good), ok(good), ok(good)), w.see("", "GET", "/cart", ok(good), ok(good), other))
	}
	r := a.Report(engine.Meta{})
	for name, passed := range map[string]bool{"function: orders": true, "function: orders GET /cart": true, "function: orders POST /pay": false,
		"requests: orders POST /pay": false, "sessions: orders POST /pay": false} {
		if g := gateNamed(t, r, name); g.Passed != passed {
			t.Errorf("%+v: passed should be %v", g, passed)
		}
	}
	if g := gateNamed(t, r, "function: orders"); !strings.Contains(g.Detail, "of 200 visits") {
		t.Errorf("the service's gate counts what has a gate of its own: %s", g.Detail)
	}
	if r.Verdict.Decision == "promote" {
		t.Errorf("promoted without one request to POST /pay: %+v", r.Verdict)
	}
}

func TestAGateMayChangeWithinASession(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(withGate(blueprint.Gate{MaxDifferenceRate: .05, MinRequests: 50}))
	for range 80 {
		feed(a, w.see("", "GET", "/list", ok(good), ok(good), ok(good)), w.see("", "GET", "/cart", ok(good), ok(good), ok(good)))
	}
	b, err := a.State()
	if err != nil {
		t.Fatal(err)
	}
	later, err := engine.Restore(withGate(blueprint.Gate{MaxDifferenceRate: .05, MinRequests: 50, Endpoints: []blueprint.EndpointGate{
		{Endpoint: "GET /cart", MaxDifferenceRate: .02},
	}}), b)
	if err != nil {
		t.Fatal(err)
	}
	r := later.Report(engine.Meta{})
	if g := gateNamed(t, r, "function: orders"); !g.Passed || !strings.Contains(g.Detail, "of 80 visits") {
		t.Errorf("the service's: %+v", g)
	}
	if g := gateNamed(t, r, "function: orders GET /cart"); g.Passed || !strings.Contains(g.Detail, "of 80 visits") || g.RequestsNeeded != 101 {
		t.Errorf("the endpoint's: %+v", g)
	}
}
