// SPDX-License-Identifier: Apache-2.0

package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"microstax/internal/engine/stats"
)

func TestAMixThatIsAsExpectedIsNotAccused(t *testing.T) {
	t.Parallel()
	shares := []float64{.5, .3, .15, .05}
	if e := stats.LogMismatch([]int64{0, 0, 0, 0}, shares); math.Abs(e) > 1e-9 {
		t.Errorf("nothing counted: log E = %v", e)
	}
	alarms := 0
	const runs = 500
	for seed := range uint64(runs) {
		r := rand.New(rand.NewPCG(seed, 8))
		counts := make([]int64, len(shares))
		for range 500 {
			x, j := r.Float64(), 0
			for ; j < len(shares)-1 && x > shares[j]; j++ {
				x -= shares[j]
			}
			counts[j]++
			if stats.LogMismatch(counts, shares) >= math.Log(20) {
				alarms++
				break
			}
		}
	}
	if alarms > runs/20 {
		t.Errorf("%d of %d runs raise an alarm at E = 20, watched after every count", alarms, runs)
	}
}

func TestAMixThatIsAnotherIsFound(t *testing.T) {
	t.Parallel()
	shares := []float64{.9, .1}
	for n, want := range map[int64]bool{5: false, 10: false, 30: true, 100: true} {
		if e := stats.LogMismatch([]int64{0, n}, shares); e >= math.Log(1000) != want {
			t.Errorf("%d of %d where a tenth is expected: E = %.3g", n, n, math.Exp(e))
		}
	}
	if e := stats.LogMismatch([]int64{1}, []float64{0}); math.IsNaN(e) || math.IsInf(e, 0) {
		t.Errorf("where nothing is expected: %v", e)
	}
}
