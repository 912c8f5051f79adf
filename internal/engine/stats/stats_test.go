// SPDX-License-Identifier: Apache-2.0

package stats_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"microstax/internal/engine/stats"
)

func TestTriIsWorthOneBeforeTheFirstPair(t *testing.T) {
	t.Parallel()
	for _, m := range []float64{-.9, -.01, 0, .01, .5, .9} {
		for _, w := range []stats.Weights{stats.ForFindings(), stats.ForPromotion()} {
			if up, down := (stats.Tri{}).LogUp(m, w), (stats.Tri{}).LogDown(m, w); math.Abs(up) > 1e-12 || math.Abs(down) > 1e-12 {
				t.Errorf("m=%v: up %v, down %v, want 0", m, up, down)
			}
		}
	}
	if e := (stats.History{}).Log(); e != 0 {
		t.Errorf("history: %v, want 0", e)
	}
}

func TestStreaksHaveTheirTableValues(t *testing.T) {
	t.Parallel()
	for streak, want := range map[int64]float64{5: 8, 6: 15, 7: 27, 8: 50, 10: 176, 12: 641} {
		if got := math.Exp(stats.Tri{Pos: streak}.LogUp(0, stats.ForFindings())); math.Abs(got-want) > .6 {
			t.Errorf("streak of %d: E = %v, want %v", streak, got, want)
		}
	}
}

func TestPromotionHasItsTableValues(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		eps    float64
		need20 [3]int64
		need   [3]int64
	}{
		{.05, [3]int64{71, 142, 231}, [3]int64{105, 179, 274}},
		{.02, [3]int64{181, 359, 584}, [3]int64{265, 453, 694}},
		{.01, [3]int64{363, 720, 1172}, [3]int64{533, 909, 1392}},
		{.005, [3]int64{727, 1443, 2347}, [3]int64{1068, 1822, 2789}},
		{.001, [3]int64{3641, 7225, 11751}, [3]int64{5350, 9126, 13967}},
	} {
		for i, discordant := range []int64{0, 1, 3} {
			for need, want := range map[float64]int64{20: row.need20[i], 100: row.need[i]} {
				k, ok := stats.Forecast(stats.Tri{Pos: discordant}, row.eps, math.Log(need), stats.ForPromotion(), 0, 0)
				if got := k + discordant; !ok || got != want && got != want+discordant {
					t.Errorf("eps %v, %d discordant, E ≥ %v: %d pairs, want %d", row.eps, discordant, need, got, want)
				}
			}
		}
	}
}

func TestHistoryHasItsTableValues(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		m    int64
		want [4]float64
	}{
		{10, [4]float64{4.8, 26, .6, .08}}, {50, [4]float64{17, 398, 4.4, .2}},
		{100, [4]float64{29, 1360, 13, .4}}, {1000, [4]float64{180, 8.3e4, 733, 48}},
	} {
		for i, c := range [][2]int64{{1, 1}, {2, 2}, {2, 10}, {3, 100}} {
			got := math.Exp(stats.History{CandidateK: c[0], CandidateN: c[1], ControlN: row.m}.Log())
			if math.Abs(got-row.want[i]) > .06*row.want[i]+.005 {
				t.Errorf("%d clean controls, %d of %d: E = %.3g, want %v", row.m, c[0], c[1], got, row.want[i])
			}
		}
	}
	if got := math.Exp(stats.History{CandidateK: 8, CandidateN: 1000, ControlN: 1000}.Log()); math.Abs(got-5.8) > .1 {
		t.Errorf("8 of 1000: E = %v, want 5.8", got)
	}
}

func TestMergingIsAddingAndGrowsWithEvidence(t *testing.T) {
	t.Parallel()
	a, b := stats.Tri{Pos: 3, Zero: 10, Neg: 1}, stats.Tri{Pos: 2, Zero: 7, Neg: 4}
	if a.Add(b) != b.Add(a) || a.Add(b) != (stats.Tri{Pos: 5, Zero: 17, Neg: 5}) {
		t.Error("adding depends on the order")
	}
	last := math.Inf(-1)
	for pos := range int64(50) {
		e := stats.Tri{Pos: pos, Zero: 20, Neg: 3}.LogUp(.01, stats.ForFindings())
		if e <= last {
			t.Fatalf("E falls from %v to %v at %d", last, e, pos)
		}
		last = e
	}
}

func TestHugeCountsGiveNumbers(t *testing.T) {
	t.Parallel()
	const n = 1_000_000_000_000
	for _, x := range []stats.Tri{{Pos: n}, {Zero: n}, {Neg: n}, {Pos: n, Zero: n, Neg: n}} {
		for _, m := range []float64{-.5, 0, .001, .5} {
			if up, down := x.LogUp(m, stats.ForFindings()), x.LogDown(m, stats.ForPromotion()); math.IsNaN(up) || math.IsNaN(down) || math.IsInf(up, 0) {
				t.Errorf("%+v at %v: %v, %v", x, m, up, down)
			}
		}
		if i := x.Interval(.05); math.IsNaN(i[0]) || math.IsNaN(i[1]) || i[0] > x.Mean() || i[1] < x.Mean() {
			t.Errorf("%+v: interval %v does not hold the mean %v", x, i, x.Mean())
		}
	}
	for _, h := range []stats.History{{n, n, n, n}, {n, n, 0, n}, {0, n, n, n}, {1, n, 0, n}} {
		if e := h.Log(); math.IsNaN(e) || math.IsInf(e, 0) {
			t.Errorf("%+v: %v", h, e)
		}
	}
}

// Candidate and control are alike, watched after every pair: a false alarm at any time must be rarer than alpha.
func TestFalseAlarmsStayBelowAlphaHoweverOftenWatched(t *testing.T) {
	t.Parallel()
	for _, noise := range []float64{.001, .01, .3} {
		r := rand.New(rand.NewPCG(7, uint64(noise*1e6)))
		const runs, pairs = 400, 600
		alarms := 0
		for range runs {
			var x stats.Tri
			var h stats.History
			for range pairs {
				c, n := r.Float64() < noise, r.Float64() < noise
				x, h = count(x, h, c, n)
				if both, paired := stats.LogFinding(x, h); c != n && math.Max(both, paired) >= math.Log(20) {
					alarms++
					break
				}
			}
		}
		if rate := float64(alarms) / runs; rate > .05 {
			t.Errorf("noise %v: false alarm rate %.3f > 0.05", noise, rate)
		}
	}
}

// Just one of the two sides differs, every time, by a fair coin: the history process alone would give E ≥ 1,000 in 1 % of
// such places.
func TestSidesThatTakeTurnsAreNoFinding(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	const runs, pairs = 1000, 300
	alarms := 0
	for range runs {
		var x stats.Tri
		var h stats.History
		for range pairs {
			c := r.Float64() < .5
			x, h = count(x, h, c, !c)
			if both, _ := stats.LogFinding(x, h); x.Pos > x.Neg && both >= math.Log(1000) {
				alarms++
				break
			}
		}
	}
	if alarms > runs/200 {
		t.Errorf("%d of %d places that take turns reach E ≥ 1,000", alarms, runs)
	}
}

func count(x stats.Tri, h stats.History, c, n bool) (stats.Tri, stats.History) {
	h.CandidateN++
	h.ControlN++
	if c {
		h.CandidateK++
	}
	if n {
		h.ControlK++
	}
	switch {
	case c == n:
		x.Zero++
	case c:
		x.Pos++
	default:
		x.Neg++
	}
	return x, h
}

// A candidate that is exactly as bad as the limit must not be promoted more often than alpha.
func TestFalsePromotionsStayBelowAlpha(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 5))
	const runs, pairs, eps = 400, 3000, .02
	wrong := 0
	for range runs {
		var x stats.Tri
		for i := range pairs {
			if r.Float64() < eps {
				x.Pos++
			} else {
				x.Zero++
			}
			if i%10 == 0 && x.LogDown(eps, stats.ForPromotion()) >= math.Log(20) {
				wrong++
				break
			}
		}
	}
	if rate := float64(wrong) / runs; rate > .05 {
		t.Errorf("wrong promotions: %.3f > 0.05", rate)
	}
}

func TestIntervalsHoldTheTruthAndShrink(t *testing.T) {
	t.Parallel()
	wide, narrow := stats.Tri{Pos: 2, Zero: 98}.Interval(.05), stats.Tri{Pos: 200, Zero: 9800}.Interval(.05)
	if narrow[1]-narrow[0] >= wide[1]-wide[0] || narrow[0] > .02 || narrow[1] < .02 {
		t.Errorf("wide %v, narrow %v", wide, narrow)
	}
	if got := (stats.Tri{}).Interval(.05); got != [2]float64{-1, 1} {
		t.Errorf("nothing seen: %v", got)
	}
	for _, c := range []struct{ k, n float64 }{{0, 0}, {0, 100}, {100, 100}, {9, 900}, {1, 3}, {.5, 7.5}} {
		i := stats.RateInterval(c.k, c.n, .05)
		if i[0] < 0 || i[1] > 1 || c.n > 0 && (i[0] > c.k/c.n || i[1] < c.k/c.n) {
			t.Errorf("%v of %v: %v", c.k, c.n, i)
		}
	}
	if i := stats.RateInterval(9, 900, .05); i[0] < .002 || i[1] > .03 {
		t.Errorf("9 of 900: %v is too wide", i)
	}
}

func TestForecastSaysWhenItCannotPass(t *testing.T) {
	t.Parallel()
	if k, ok := stats.Forecast(stats.Tri{}, .01, math.Log(20), stats.ForPromotion(), .05, 0); ok {
		t.Errorf("5 %% differences pass a limit of 1 %% after %d pairs", k)
	}
	if k, ok := stats.Forecast(stats.Tri{Zero: 1000}, .01, math.Log(20), stats.ForPromotion(), 0, 0); !ok || k != 0 {
		t.Errorf("already there: %d, %v", k, ok)
	}
}

func TestStakesOnSigns(t *testing.T) {
	t.Parallel()
	sum := 0.0
	for _, w := range stats.ForSigns() {
		sum += w
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("stakes sum to %v", sum)
	}
	for streak, want := range map[int64]float64{7: 42, 9: 155, 10: 301} {
		if got := math.Exp(stats.Tri{Pos: streak}.LogUp(0, stats.ForSigns())); math.Abs(got-want) > .6 {
			t.Errorf("streak of %d: E = %v, want %v", streak, got, want)
		}
	}
	for _, x := range []stats.Tri{{Pos: 3, Zero: 50}, {Pos: 40, Zero: 1e6, Neg: 31}, {Neg: 9}} { // the way for m = 0 is a shorter one
		if a, b := x.LogUp(0, stats.ForSigns()), x.LogUp(1e-15, stats.ForSigns()); math.Abs(a-b) > 1e-6 {
			t.Errorf("%+v: %v by the short way, %v by the long", x, a, b)
		}
	}
}

// Requests until a single place reaches E ≥ 20, looked at after each: the table of the method's derivation.
func TestRequestsUntilTwentyHaveTheirTableValues(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		change, noise float64
		want          int
	}{{1, 0, 7}, {.1, 0, 66}, {.02, 0, 337}, {.005, 0, 1303}, {.02, .01, 693}, {.1, .3, 646}} {
		r := rand.New(rand.NewPCG(10, uint64(row.want)))
		var all []int
		for range 1001 {
			var x stats.Tri
			for n := 1; ; n++ {
				c, k := r.Float64() < row.noise || r.Float64() < row.change, r.Float64() < row.noise
				x, _ = count(x, stats.History{}, c, k)
				if c && x.LogUp(0, stats.ForFindings()) >= math.Log(20) {
					all = append(all, n)
					break
				}
			}
		}
		slices.Sort(all)
		if got := float64(all[500]); math.Abs(got/float64(row.want)-1) > .2 {
			t.Errorf("change %v, noise %v: %v requests, the table says %d", row.change, row.noise, got, row.want)
		}
	}
}
