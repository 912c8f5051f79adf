// SPDX-License-Identifier: Apache-2.0

package stats_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"microstax/internal/engine/stats"
)

func TestWeightsSumToAtMostOne(t *testing.T) {
	t.Parallel()
	block, slow, both := 0.0, 0.0, 0.0
	const n = 2_000_000
	for k := range n {
		block += math.Exp(stats.BlockWeight(k))
		slow += math.Exp(stats.SlowWeight(k))
		both += math.Exp(stats.Weight(k))
	}
	slow += 1 / math.Log(n) / 3.3878 // what the integral leaves
	if block > 1+1e-9 || block < .99 {
		t.Errorf("block weights sum to %v", block)
	}
	if both > 1 {
		t.Errorf("weights sum to %v", both)
	}
	if slow > 1+1e-4 || slow < .99 {
		t.Errorf("slow weights sum to %v", slow)
	}
}

func TestEBHRejectsTheStrongAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	w := math.Log(.25)
	for _, c := range []struct {
		name string
		logE []float64
		want []bool
	}{
		{"none", nil, []bool{}},
		{"one alone needs 80", []float64{math.Log(79), 0, 0, 0}, []bool{false, false, false, false}},
		{"one alone reaches 80", []float64{math.Log(80.1), 0, 0, 0}, []bool{true, false, false, false}},
		{"two together need 40 each", []float64{math.Log(41), 0, math.Log(50), 0}, []bool{true, false, true, false}},
		{"minus infinity is no evidence", []float64{math.Inf(-1), math.Log(100), 0, 0}, []bool{false, true, false, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := stats.EBH(c.logE, []float64{w, w, w, w}, .05)
			for i := range c.want {
				if got[i] != c.want[i] {
					t.Errorf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}

func TestHistogramMergesInAnyOrderAndSurvivesJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.SliceOf(rapid.IntRange(0, 100_000_000)).Draw(t, "microseconds")
		cut := rapid.IntRange(0, len(ms)).Draw(t, "cut")
		var a, b, all stats.Histogram
		for i, us := range ms {
			d := time.Duration(us) * time.Microsecond
			all.Add(d)
			if i < cut {
				a.Add(d)
			} else {
				b.Add(d)
			}
		}
		a.AddTimeout(time.Second)
		all.AddTimeout(time.Second)
		b.Merge(&a)
		x, _ := json.Marshal(b)
		y, _ := json.Marshal(all)
		var back stats.Histogram
		if err := json.Unmarshal(x, &back); err != nil {
			t.Fatal(err)
		}
		if string(x) != string(y) || back.N() != all.N() || back.Quantile(.5) != all.Quantile(.5) {
			t.Fatalf("got %s, want %s", x, y)
		}
	})
}

func TestQuantilesAreWithinAPercentAndTimeoutsCount(t *testing.T) {
	t.Parallel()
	var h, slow stats.Histogram
	for i := 1; i <= 1000; i++ {
		h.Add(time.Duration(i) * time.Millisecond)
		slow.Add(time.Duration(2*i) * time.Millisecond)
	}
	for p, want := range map[float64]float64{.5: 500, .95: 950, .99: 990} {
		if got := h.Quantile(p); math.Abs(got/want-1) > .011 {
			t.Errorf("p%v = %v, want %v", 100*p, got, want)
		}
	}
	if r := stats.RatioInterval(&slow, &h, .5, .05); r[0] > 2 || r[1] < 2 || r[0] < 1.5 || r[1] > 2.6 {
		t.Errorf("ratio interval %v does not hold 2 tightly", r)
	}
	if r := stats.RatioInterval(&stats.Histogram{}, &h, .5, .05); r[0] != 0 || math.IsInf(r[1], 0) {
		t.Errorf("empty: %v", r)
	}
	for range 3000 {
		h.AddTimeout(10 * time.Second)
	}
	if got := h.Quantile(.5); got != 10_000 {
		t.Errorf("median among timeouts: %v ms, want 10000", got)
	}
	var empty stats.Histogram
	if empty.Quantile(.5) != 0 {
		t.Error("an empty histogram has a median")
	}
}

func TestBadHistogramsAreRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{`{"b":[1]}`, `{"b":[-1,5]}`, `{"b":[99999,5]}`, `{"b":[5,-1]}`, `[]`} {
		var h stats.Histogram
		if err := json.Unmarshal([]byte(bad), &h); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
	for _, bad := range []string{"!", "", "////"} {
		d := stats.NewDistinct(1)
		if err := d.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestDistinctCountsExactlyThenClosely(t *testing.T) {
	t.Parallel()
	d := stats.NewDistinct(256)
	for n := range uint64(200_000) {
		d.Add(mix(n))
		d.Add(mix(n))
		if n == 99 && d.Count() != 100 {
			t.Fatalf("100 distinct: %d", d.Count())
		}
	}
	if got := float64(d.Count()); math.Abs(got/200_000-1) > .2 {
		t.Errorf("200,000 distinct: %v", got)
	}
}

func TestDistinctIsAUnionAndSurvivesText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOf(rapid.Uint64()).Draw(t, "hashes")
		cut := rapid.IntRange(0, len(xs)).Draw(t, "cut")
		a, b, all := stats.NewDistinct(8), stats.NewDistinct(8), stats.NewDistinct(8)
		for i, x := range xs {
			all.Add(x)
			if i < cut {
				a.Add(x)
			} else {
				b.Add(x)
			}
		}
		b.Merge(a)
		text, _ := b.MarshalText()
		var back stats.Distinct
		if err := back.UnmarshalText(text); err != nil {
			t.Fatal(err)
		}
		if back.Count() != all.Count() || len(xs) > 0 && back.Jaccard(all) != 1 {
			t.Fatalf("got %d, want %d", back.Count(), all.Count())
		}
	})
}

// mix spreads n over 64 bits (splitmix64).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
