// SPDX-License-Identifier: Apache-2.0

package noise_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/engine/noise"
)

// The next distance must go beyond the bound with the probability that was asked for, however the values are distributed.
func TestBoundHoldsForTheNext(t *testing.T) {
	t.Parallel()
	for name, draw := range map[string]func(*rand.Rand) float64{
		"even":         func(r *rand.Rand) float64 { return r.Float64() },
		"normal":       func(r *rand.Rand) float64 { return r.NormFloat64() },
		"long tail":    func(r *rand.Rand) float64 { return 1 / (1e-9 + r.Float64()) },
		"mostly equal": func(r *rand.Rand) float64 { return max(0, r.Float64()-.97) },
	} {
		r := rand.New(rand.NewPCG(1, 2))
		beyond, runs := 0, 20_000
		var s noise.Spread
		for i := range runs {
			d := draw(r)
			if b := s.Bound(int64(i), .01); i >= 99 && (d > b || -d > b) {
				beyond++
			}
			s.Add(d)
		}
		if rate := float64(beyond) / float64(runs); rate > .013 {
			t.Errorf("%s: %.4f go beyond the bound, want at most .01", name, rate)
		}
		if len(s) > 128 {
			t.Errorf("%s: %d steps", name, len(s))
		}
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	var a, b, both noise.Spread
	for i := range 200 {
		a.Add(float64(i))
		b.Add(-float64(2 * i))
		both.Add(float64(i))
		both.Add(float64(2 * i))
	}
	for _, order := range [][2]noise.Spread{{a, b}, {b, a}} {
		var sum noise.Spread
		sum.Merge(order[0])
		sum.Merge(order[1])
		if d := cmp.Diff(both, sum); d != "" {
			t.Errorf("merged (-want +got)\n%s", d)
		}
	}
	if got := a.Bound(98, .01); got != 0 {
		t.Errorf("bound of too few pairs is %v", got)
	}
	if got := a.Bound(200, .01); got < 197 || got > 1.1*199 {
		t.Errorf("bound is %v", got)
	}
	if got := a.Bound(100_000, .01); got != 0 {
		t.Errorf("bound where hardly any pair differs is %v", got)
	}
}

func BenchmarkBound(b *testing.B) {
	var s noise.Spread
	r := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		s.Add(r.NormFloat64())
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Bound(10_000, .01)
	}
}
