// SPDX-License-Identifier: Apache-2.0

package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"microstax/internal/engine/stats"
)

// Sessions draw one of many things, few of them often (Zipf). The bound must hold the true chance of news at all times in
// nearly all runs, and must come down to a few times that.
func TestTheBoundOnTheUnseenHoldsAndComesDown(t *testing.T) {
	t.Parallel()
	const things, sessions, runs = 200, 4000, 40
	weights := make([]float64, things)
	sum := 0.0
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -1.5)
		sum += weights[i]
	}
	wrong, last, truth := 0, 0.0, 0.0
	for run := range runs {
		r := rand.New(rand.NewPCG(uint64(run), 3))
		seen := make([]bool, things)
		missing := 1.0
		var u stats.Unseen
		failed := false
		for n := range sessions {
			x := r.Float64() * sum
			i := 0
			for ; i < things-1 && x > weights[i]; i++ {
				x -= weights[i]
			}
			u.Add()
			if !seen[i] {
				seen[i] = true
				missing -= weights[i] / sum
				u.More()
			}
			if n%50 == 0 && u.Bound(.05) < missing {
				failed = true
			}
		}
		if failed {
			wrong++
		}
		last, truth = last+u.Bound(.05)/runs, truth+missing/runs
	}
	if wrong > runs/20+1 {
		t.Errorf("the bound is below the truth in %d of %d runs", wrong, runs)
	}
	if last > 6*truth || last < truth {
		t.Errorf("after %d sessions the bound is %v, the truth %v", sessions, last, truth)
	}
}

func TestNothingSeenBoundsNothing(t *testing.T) {
	t.Parallel()
	var u stats.Unseen
	if b := u.Bound(.05); b != 1 {
		t.Errorf("nothing seen: %v", b)
	}
	for n := range 3000 {
		u.Add()
		if n == 0 {
			u.More()
		}
	}
	if b := u.Bound(.05); b > .005 || b < .0005 {
		t.Errorf("3,000 sessions and one kind: %v", b)
	}
	if e := u.Log(.5); math.IsNaN(e) || math.IsInf(e, 0) {
		t.Errorf("log e-value %v", e)
	}
}
