// SPDX-License-Identifier: Apache-2.0

package stats_test

import (
	"flag"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"microstax/internal/engine/stats"
)

// More runs than the default are for the figures of docs/adr/0003-weights.md.
var weightRuns = flag.Int("weight.runs", 12, "runs of the simulation of weights")

// simulated is one place, with its slots by each rule.
type simulated struct {
	x      stats.Tri
	h      stats.History
	rank   int // from 1, when it became promising
	base   float64
	number stats.Slot // both ranks, as used
}

func (s *simulated) logE() (both, paired float64) {
	if s.x.Pos <= s.x.Neg {
		return math.Inf(-1), math.Inf(-1)
	}
	return stats.LogFinding(s.x, s.h)
}

// rule gives, for each place in order of creation, log evidence and log weight.
type rule func(i int, s *simulated) (float64, float64)

const used = "f mean of both, when promising, and by number"

func rules() map[string]rule {
	static := func(weight func(int) float64) rule {
		return func(i int, s *simulated) (float64, float64) { e, _ := s.logE(); return e, weight(i) }
	}
	promising := func(weight func(int) float64) rule {
		return func(_ int, s *simulated) (float64, float64) {
			if s.rank == 0 {
				return math.Inf(-1), 0
			}
			e, _ := s.logE()
			return e - s.base, weight(s.rank - 1)
		}
	}
	return map[string]rule{
		"a slow, by creation": static(stats.SlowWeight), "b blocks, by creation": static(stats.BlockWeight),
		"c slow, when promising": promising(stats.SlowWeight), "d blocks, when promising": promising(stats.BlockWeight),
		"e mean of both, when promising": promising(stats.Weight),
		used: func(_ int, s *simulated) (float64, float64) {
			s.number.Rank, s.number.Base = s.rank, s.base
			return s.number.LogScore(s.logE()), 0
		},
	}
}

// run simulates places with noise of all rates, and one change that shows in every request from the middle on, created
// last. It gives, for each rule, whether a noisy place was ever rejected, and after how many requests the change was.
func run(r *rand.Rand, places int) (wrong map[string]bool, needed map[string]int) {
	const pairs, every = 80, 5
	all := make([]*simulated, places+1)
	rates := make([]float64, places)
	for i := range all {
		all[i] = &simulated{}
		if i < places {
			rates[i] = []float64{.01, .03, .1, .3, .5, .75}[i%6]
		}
	}
	ranks, clean, noisy := 0, 0, 0
	wrong, needed = map[string]bool{}, map[string]int{}
	for n := 1; n <= pairs; n++ {
		for i, s := range all {
			c, b := true, false
			if i < places {
				c, b = r.Float64() < rates[i], r.Float64() < rates[i]
			} else if n <= pairs/2 {
				continue
			}
			s.x, s.h = count(s.x, s.h, c, b)
			if e, _ := s.logE(); c && s.rank == 0 && e >= stats.Promising() {
				ranks++
				s.rank, s.base = ranks, e
			}
			if s.number.Number == 0 && s.x.Pos+s.x.Neg >= stats.Discordant {
				if s.number.Noisy = s.h.CandidateK > s.x.Pos; s.number.Noisy {
					noisy++
					s.number.Number = noisy
				} else {
					clean++
					s.number.Number = clean
				}
			}
		}
		if n%every != 0 && n <= pairs/2 || n > pairs/2 && len(needed) == len(rules()) && n%every != 0 {
			continue
		}
		judge(all, places, n-pairs/2, wrong, needed)
	}
	return wrong, needed
}

func judge(all []*simulated, places, since int, wrong map[string]bool, needed map[string]int) {
	for name, f := range rules() {
		logE, logW := make([]float64, len(all)), make([]float64, len(all))
		for i, s := range all {
			logE[i], logW[i] = f(i, s)
		}
		rejected := stats.EBH(logE, logW, .05)
		wrong[name] = wrong[name] || slices.Contains(rejected[:places], true)
		if _, known := needed[name]; !known && rejected[places] {
			needed[name] = since
		}
	}
}

// The order of weights by promise must find a change that shows in every request within twelve of them among 300 noisy
// places, and must not be wrong more often than alpha.
func TestWeightsByPromiseAreQuickAndSafe(t *testing.T) {
	t.Parallel()
	runs := *weightRuns
	falseRuns, sum, worst := map[string]int{}, map[string]int{}, map[string]int{}
	for seed := range runs {
		wrong, needed := run(rand.New(rand.NewPCG(uint64(seed), 11)), 300)
		for name := range rules() {
			if wrong[name] {
				falseRuns[name]++
			}
			n, found := needed[name]
			if !found {
				n = 40
			}
			sum[name] += n
			worst[name] = max(worst[name], n)
		}
	}
	for name := range rules() {
		t.Logf("%-32s runs with a false finding %d of %d, requests needed: mean %.1f, most %d", name, falseRuns[name], runs,
			float64(sum[name])/float64(runs), worst[name])
	}
	if worst[used] > 12 {
		t.Errorf("needs up to %d requests, mean %v", worst[used], float64(sum[used])/float64(runs))
	}
	if falseRuns[used] > max(1, runs/20) {
		t.Errorf("%d of %d runs have a false finding", falseRuns[used], runs)
	}
}
