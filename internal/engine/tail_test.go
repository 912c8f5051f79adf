// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	api "microstax/api/v1"
	"microstax/internal/engine"
	"microstax/internal/exchange"
)

// lasting is an answer that takes as long as many do: mostly near 5 ms, with a long tail.
func lasting(r *rand.Rand) reply {
	x := ok(good)
	x.took = time.Duration(float64(5*time.Millisecond) * (1 + r.ExpFloat64()))
	return x
}

func TestATailThatGrowsIsFoundThoughTheMedianStays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(r *rand.Rand, x *reply)
		want string // path of the finding
	}{
		{"nothing", func(*rand.Rand, *reply) {}, ""},
		{"one in fifteen waits", func(r *rand.Rand, x *reply) {
			if r.IntN(15) == 0 {
				x.took += 200 * time.Millisecond
			}
		}, "duration.p95"},
		{"one in thirty runs into the time limit", func(r *rand.Rand, x *reply) {
			if r.IntN(30) == 0 {
				x.outcome, x.took = exchange.Timeout, time.Second
			}
		}, "duration.p99"},
		{"the slowest are quicker", func(_ *rand.Rand, x *reply) { x.took = min(x.took, 9*time.Millisecond) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(4, 4))
			w, a := newWorld(), engine.New(engine.Config{Control: true})
			for range 6000 {
				x := lasting(r)
				c.edit(r, &x)
				feed(a, w.see("", "GET", "/cart", lasting(r), lasting(r), x))
			}
			var got []string
			for _, f := range a.Report(engine.Meta{}).Findings {
				if f.Kind == "latency" {
					got = append(got, f.Path)
					checkTail(t, f)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("latency findings %q, want %q", got, c.want)
			}
			if b, err := a.State(); err != nil {
				t.Error(err)
			} else if back, err := engine.Restore(engine.Config{Control: true}, b); err != nil || len(back.Report(engine.Meta{}).Findings) != len(a.Report(engine.Meta{}).Findings) {
				t.Errorf("restored: %v", err)
			}
		})
	}
}

func checkTail(t *testing.T, f api.Finding) {
	t.Helper()
	if f.Confidence != "confirmed" || f.Severity != "major" || f.Example == nil || !strings.Contains(f.Summary, "slowest requests are slower") {
		t.Errorf("got %+v", f)
	}
}
