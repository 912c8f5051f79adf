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
	firstBlock  = 16
	blockGrowth = 4
)

// BlockWeight is the log weight of the k-th hypothesis (from 0): half the mass is shared evenly by the first 16, a
// quarter by the next 64, an eighth by the next 256, and so on. It sums to 1.
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

// Promising is the log e-value at which a hypothesis gets its place in the order of weights. From there on its evidence
// is its e-value over what it was then: a conditional e-value, so that e-BH and the latch stay valid, whereas
// hypotheses that never get so far, nearly all where nothing changed, use up no weight. docs/adr/0003-weights.md has the
// measurements.
func Promising() float64 { return math.Log(10) }
