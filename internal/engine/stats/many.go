// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"slices"
)

// EBH is weighted e-BH: which of the hypotheses are rejected when the expected share of false rejections must stay
// below alpha, under any dependence between them. logE are log e-values as they are now (never their maxima over time),
// logW the log weights that the hypotheses had from the start, which sum to at most 1.
func EBH(logE, logW []float64, alpha float64) []bool {
	rejected := make([]bool, len(logE))
	scores := make([]float64, len(logE))
	for i := range logE {
		scores[i] = logE[i] + logW[i]
	}
	sorted := slices.Clone(scores)
	slices.SortFunc(sorted, func(a, b float64) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	limit := math.Inf(1)
	for k := len(sorted); k > 0; k-- {
		if need := -math.Log(alpha * float64(k)); sorted[k-1] >= need {
			limit = need
			break
		}
	}
	for i, s := range scores {
		rejected[i] = s >= limit
	}
	return rejected
}

// Latches says whether a hypothesis' e-value alone refutes it, for ever, among all that may ever be made: by Ville's
// inequality and the union bound the chance that any true one ever latches is at most alpha.
func Latches(logE, logW, alpha float64) bool { return logE+logW >= -math.Log(alpha) }

// The blocks of BlockWeight.
const (
	firstBlock  = 4
	blockGrowth = 4
)

// BlockWeight is the log weight of the k-th hypothesis (from 0): half the mass is shared evenly by the first 4, a
// quarter by the next 16, an eighth by the next 64, and so on. It sums to 1.
func BlockWeight(k int) float64 {
	size, mass := firstBlock, .5
	for k >= size {
		k -= size
		size *= blockGrowth
		mass /= 2
	}
	return math.Log(mass / float64(size))
}

// slowSum is Σ 1/((k+1) ln²(k+2)) over all k ≥ 0, rounded up.
const slowSum = 3.3878

// SlowWeight is the log weight ∝ 1/((k+1) ln²(k+2)) of the k-th hypothesis (from 0). It sums to 1.
func SlowWeight(k int) float64 {
	l := math.Log(float64(k) + 2)
	return -math.Log(slowSum * float64(k+1) * l * l)
}

// Weight is the log weight of the k-th hypothesis (from 0) that became promising: the mean of BlockWeight and SlowWeight.
// The first few are quick, and some that are promising by chance do not make the next ones slow.
func Weight(k int) float64 { return LogMean(BlockWeight(k), SlowWeight(k)) }

// Promising is the log e-value at which a hypothesis gets its rank of promise. From there on its evidence by promise is
// its e-value over what it was then: a conditional e-value, so that e-BH and the latch stay valid, whereas hypotheses that
// never get so far, nearly all where nothing changed, use up no weight. docs/adr/0003-weights.md has the measurements.
func Promising() float64 { return math.Log(10) }

// Discordant is how many discordant pairs a hypothesis needs before it gets its rank by number. With fewer its paired
// e-value cannot suffice even if all of them speak against the candidate, so it need not be counted among those that are
// tested. The rank depends on how many pairs are discordant, and not on which way: where candidate and control are alike,
// the way is a fair coin whatever the number, so that a weight by this rank is as good as one declared beforehand, and the
// whole e-value counts.
const Discordant = 7

// The shares of the stake: on ranks of promise, on ranks by number where both sides never differed together when the rank
// was given, and where they did. Noise is mostly of the last kind: the odd one is the baseline in a third of the cases.
const (
	byPromise = .1
	byClean   = .32
	byNoisy   = .58
)

// Slot is a hypothesis' place in the orders of weights.
type Slot struct {
	Rank    int     `json:"k,omitempty"` // of promise, from 1; 0 before it has one
	Base    float64 `json:"b,omitempty"` // log e-value at that time
	Number  int     `json:"n,omitempty"` // by number of discordant pairs, from 1; 0 before it has one
	Noisy   bool    `json:"y,omitempty"` // both sides had differed together by then
	Latched bool    `json:"l,omitempty"` // the evidence once sufficed whatever else is tested
}

// LogScore is the log of weight times evidence: Σ over all hypotheses of its exponential is expected to be at most 1 where
// nothing changed. both and paired are the log e-values that LogFinding gives.
func (s Slot) LogScore(both, paired float64) float64 {
	score := [2]float64{math.Inf(-1), math.Inf(-1)}
	if s.Rank > 0 {
		score[0] = math.Log(byPromise) + Weight(s.Rank-1) + both - s.Base
	}
	if s.Number > 0 {
		share := byClean
		if s.Noisy {
			share = byNoisy
		}
		score[1] = math.Log(share) + SlowWeight(s.Number-1) + paired
	}
	return logSum(score[:])
}

// Join is the slot of two hypotheses that turn out to be one: the earlier ranks, with the larger evidence to be left out.
func (s Slot) Join(o Slot) Slot {
	out := Slot{Base: max(s.Base, o.Base), Latched: s.Latched || o.Latched}
	out.Rank = firstOf(s.Rank, o.Rank)
	switch out.Number = firstOf(s.Number, o.Number); {
	case s.Number == 0:
		out.Noisy = o.Noisy
	case o.Number == 0:
		out.Noisy = s.Noisy
	default:
		out.Noisy = s.Noisy || o.Noisy
	}
	return out
}

// Unite is the slot of a hypothesis that several parts of the traffic were asked about. Of each order it has the first
// rank; for the evidence to be left out it is as if every part's belonged to all.
func (s Slot) Unite(o Slot) Slot {
	base := s.Base + o.Base
	s = s.Join(o)
	s.Base = base
	return s
}

// firstOf is the smaller of two ranks; 0 is none.
func firstOf(a, b int) int {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}
