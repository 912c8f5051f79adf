// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"microstax/internal/engine"
)

// More runs than the default are for the figures of docs/adr/0003-weights.md.
var simulations = flag.Int("simulations", 2, "runs of each simulation of whole sessions")

// An unchanged candidate over 5,000 requests to 60 noisy endpoints, looked at after every 250, must show nothing, not
// even a suspicion, in 99 % of the runs.
func TestAnUnchangedCandidateOver5000RequestsIsNeverSuspected(t *testing.T) {
	t.Parallel()
	confirmed, suspected, held := 0, 0, 0
	for seed := range *simulations {
		r := rand.New(rand.NewPCG(uint64(seed), 77))
		w, a := newWorld(), engine.New(engine.Config{Control: true})
		c, s, h := false, false, false
		for i := range 5000 {
			e := r.IntN(60)
			feed(a, w.see("", "GET", fmt.Sprintf("/e%c%c", 'a'+e/10, 'a'+e%10), noisy(r, e), noisy(r, e), noisy(r, e)))
			if i%250 != 249 {
				continue
			}
			rep := a.Report(engine.Meta{})
			h = h || rep.Verdict.Decision == "hold"
			for _, f := range rep.Findings {
				c, s = c || f.Confidence == "confirmed", s || f.Confidence == "suspected"
				t.Logf("run %d, after %d: %s %s %s %s, E = %.3g", seed, i+1, f.Confidence, f.Kind, f.Endpoint, f.Path, f.Evidence)
			}
		}
		if c {
			confirmed++
		}
		if s {
			suspected++
		}
		if h {
			held++
		}
	}
	t.Logf("%d runs: %d with a confirmed, %d with a suspected difference, %d held, at any of 20 looks", *simulations, confirmed, suspected, held)
	if confirmed > *simulations/50 || suspected > *simulations/50 || held > *simulations/20 {
		t.Errorf("%d runs: %d with a confirmed, %d with a suspected difference", *simulations, confirmed, suspected)
	}
}

// How many requests to its endpoint a change of one value needs among 60 noisy endpoints until it is confirmed.
func TestRequestsUntilAChangeIsConfirmed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate  float64
		limit int // of the median
	}{{1, 10}, {.1, 200}, {.02, 1500}} {
		var needed []int
		for seed := range *simulations {
			r := rand.New(rand.NewPCG(uint64(seed), 78))
			w, a := newWorld(), engine.New(engine.Config{Control: true})
			for i := range 600 {
				feed(a, w.see("", "GET", fmt.Sprintf("/e%c%c", 'a'+i%6, 'a'+i/6%10), noisy(r, i), noisy(r, i), noisy(r, i)))
			}
			n := 0
			for n < 4*c.limit && (n > 20 && n%20 != 0 || !confirmedIn(a)) {
				n++
				v := 12
				if r.Float64() < c.rate {
					v = 13
				}
				x := w.see("", "GET", "/cart", ok(`{"price":12}`), ok(`{"price":12}`), ok(fmt.Sprintf(`{"price":%d}`, v)))
				feed(a, x)
			}
			needed = append(needed, n)
		}
		slices.Sort(needed)
		median := needed[len(needed)/2]
		t.Logf("a difference in %v of the requests: confirmed after %d (median of %d), p90 %d", c.rate, median, len(needed), needed[len(needed)*9/10])
		if median > c.limit {
			t.Errorf("a difference in %v of the requests takes %d, limit %d", c.rate, median, c.limit)
		}
	}
}

func confirmedIn(a *engine.Analysis) bool {
	for _, f := range a.Report(engine.Meta{}).Findings {
		if f.Endpoint == "GET /cart" && f.Confidence == "confirmed" {
			return true
		}
	}
	return false
}
