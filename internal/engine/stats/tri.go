// SPDX-License-Identifier: Apache-2.0

// Package stats holds the statistics of the judgement: betting e-processes whose value is a function of a few counters,
// intervals that stay right however often somebody looks, weighted e-BH for many findings, and mergeable sketches for
// latencies and distinct counts.
//
// Everything is additive or a pure function of what is additive, so that evidence merges in any order and is
// recomputed from the store. E-values are handled as natural logarithms, so that none overflows.
package stats

import "math"

// bets is how many constant bets the mixture has.
const bets = 11

// Weights distributes the stake over the bets; they sum to 1.
type Weights [bets]float64

// fractions are the bets, as fractions of the largest that cannot go bankrupt.
func fractions() [bets]float64 {
	return [bets]float64{1. / 256, 1. / 128, 1. / 64, 1. / 32, 1. / 16, 1. / 8, .25, .5, .75, .9, .99}
}

// ForFindings spreads the stake evenly: the size of an effect is not known beforehand.
func ForFindings() Weights {
	var w Weights
	for i := range w {
		w[i] = 1. / bets
	}
	return w
}

// ForSigns leans to the largest bets, and keeps something on each: a change that shows is mostly one that the control
// never shows. Ten clean discordant pairs are worth 301 by it, 176 by even stakes; a change of a tenth of the noise takes
// a few per cent longer.
func ForSigns() Weights {
	return Weights{.06, .07, .08, .08, .07, .08, .08, .09, .08, .08, .23}
}

// ForPromotion leans to the largest bets: what is hoped for is no difference at all.
func ForPromotion() Weights {
	return Weights{.02, .02, .03, .04, .05, .06, .08, .10, .10, .10, .40}
}

// Tri counts the outcomes of a paired comparison X = candidate − control: +1, 0 and −1. Merging is adding.
type Tri struct {
	Pos  int64 `json:"p,omitempty"`
	Zero int64 `json:"z,omitempty"`
	Neg  int64 `json:"n,omitempty"`
}

// Add is the evidence of both.
func (t Tri) Add(o Tri) Tri { return Tri{t.Pos + o.Pos, t.Zero + o.Zero, t.Neg + o.Neg} }

// N is how many pairs there are.
func (t Tri) N() int64 { return t.Pos + t.Zero + t.Neg }

// Mean is the observed mean of X, and 0 without pairs.
func (t Tri) Mean() float64 {
	if t.N() == 0 {
		return 0
	}
	return float64(t.Pos-t.Neg) / float64(t.N())
}

// LogUp is the log e-value against "E[X | past] ≤ m", for −1 < m < 1. It falls as m grows.
func (t Tri) LogUp(m float64, w Weights) float64 {
	var xs [bets]float64
	if m == 0 { // by far the commonest, and pairs without a difference are neutral
		won, lost := logsOfBets()
		for j := range xs {
			xs[j] = math.Log(w[j]) + float64(t.Pos)*won[j] + float64(t.Neg)*lost[j]
		}
		return logSum(xs[:])
	}
	for j, f := range fractions() {
		l := f / (1 + m)
		xs[j] = math.Log(w[j]) + times(t.Pos, math.Log1p(l*(1-m))) + times(t.Zero, math.Log1p(-l*m)) +
			times(t.Neg, math.Log1p(-l*(1+m)))
	}
	return logSum(xs[:])
}

// logsOfBets are log(1+f) and log(1−f) of the fractions.
func logsOfBets() (won, lost [bets]float64) {
	return [bets]float64{
			0.003898640415657323, 0.007782140442054949, 0.015504186535965254, 0.030771658666753687, 0.06062462181643484, 0.11778303565638346, 0.22314355131420976, 0.4054651081081644, 0.5596157879354227, 0.6418538861723948, 0.688134638736401,
		}, [bets]float64{
			-0.003913899321136329, -0.007843177461025893, -0.015748356968139168, -0.0317486983145803, -0.06453852113757118, -0.13353139262452263, -0.2876820724517809, -0.6931471805599453, -1.3862943611198906, -2.302585092994046, -4.60517018598809,
		}
}

// LogDown is the log e-value against "E[X | past] ≥ eps", for −1 < eps < 1. It grows with eps.
func (t Tri) LogDown(eps float64, w Weights) float64 {
	return Tri{Pos: t.Neg, Zero: t.Zero, Neg: t.Pos}.LogUp(-eps, w)
}

// times is n·x with 0·(−∞) = 0.
func times(n int64, x float64) float64 {
	if n == 0 {
		return 0
	}
	return float64(n) * x
}

// logSum is log Σ exp(xs), without overflow.
func logSum(xs []float64) float64 {
	best := math.Inf(-1)
	for _, x := range xs {
		best = math.Max(best, x)
	}
	if math.IsInf(best, 0) {
		return best
	}
	s := 0.0
	for _, x := range xs {
		s += math.Exp(x - best)
	}
	return best + math.Log(s)
}

// LogMean is the log of the mean of two e-values given by their logs; a mean of e-processes is an e-process.
func LogMean(a, b float64) float64 { return logSum([]float64{a, b}) - math.Ln2 }

// LogMix is the log of Σ w·exp(logs): a weighted mean of e-values where the weights sum to 1.
func LogMix(logs, w []float64) float64 {
	xs := make([]float64, len(logs))
	for i := range logs {
		xs[i] = math.Log(w[i]) + logs[i]
	}
	return logSum(xs)
}
