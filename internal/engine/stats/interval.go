// SPDX-License-Identifier: Apache-2.0

package stats

import "math"

// steps of bisection: enough for the last bit of a double.
const steps = 60

// Interval is the always-valid interval for E[X]: every m that neither side can refute at alpha/2.
func (t Tri) Interval(alpha float64) [2]float64 {
	need := math.Log(2 / alpha)
	edge := 1 - 1e-9
	lo, hi := -1.0, 1.0
	if t.LogUp(-edge, ForFindings()) >= need {
		lo = bisect(-edge, edge, func(m float64) bool { return t.LogUp(m, ForFindings()) >= need })
	}
	if t.LogDown(edge, ForPromotion()) >= need {
		hi = -bisect(-edge, edge, func(m float64) bool { return t.LogDown(-m, ForPromotion()) >= need })
	}
	return [2]float64{lo, hi}
}

// bisect finds where refuted turns from true to false between lo and hi.
func bisect(lo, hi float64, refuted func(float64) bool) float64 {
	for range steps {
		mid := lo + (hi-lo)/2
		if refuted(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// RateInterval is the always-valid interval, at 1−alpha, for a rate of which k of n were seen. n may be a fraction: the
// number of independent requests that n dependent ones are worth.
func RateInterval(k, n, alpha float64) [2]float64 {
	if n <= 0 {
		return [2]float64{0, 1}
	}
	need, mix := math.Log(1/alpha), logKT(k, n)
	refuted := func(p float64) bool { return mix-logLik(k, n, p) >= need }
	lo, hi, at := 0.0, 1.0, k/n
	if k > 0 {
		lo = bisect(0, at, func(p float64) bool { return p <= 0 || refuted(p) })
	}
	if k < n {
		hi = 1 - bisect(0, 1-at, func(q float64) bool { return q <= 0 || refuted(1-q) })
	}
	return [2]float64{lo, hi}
}

// rankStrength is the r of the quantile interval: how many observations it is tuned for.
const rankStrength = 30

// quantileRefuted says whether "the p-quantile lies at or above a point below which s of n lie" is refuted at alpha.
func quantileRefuted(s, n, p, alpha float64) bool {
	logM := logBeta(rankStrength*p+s, rankStrength*(1-p)+n-s) - logBeta(rankStrength*p, rankStrength*(1-p)) -
		logLik(s, n, p)
	return logM >= math.Log(1/alpha)
}

// QuantileRanks is the always-valid interval for the rank of the p-quantile among n values, as shares of n.
func QuantileRanks(n int64, p, alpha float64) [2]float64 {
	if n == 0 {
		return [2]float64{0, 1}
	}
	f := float64(n)
	lo, hi := 0.0, 1.0
	if quantileRefuted(0, f, p, alpha) {
		lo = bisect(0, p, func(q float64) bool { return quantileRefuted(q*f, f, p, alpha) })
	}
	if quantileRefuted(f, f, p, alpha) {
		hi = 1 - bisect(0, 1-p, func(q float64) bool { return quantileRefuted((1-q)*f, f, p, alpha) })
	}
	return [2]float64{lo, hi}
}
