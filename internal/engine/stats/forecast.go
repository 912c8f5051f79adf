// SPDX-License-Identifier: Apache-2.0

package stats

import "math"

// Horizon is the furthest that Forecast looks, in pairs.
const Horizon = 100_000_000

// Forecast is the smallest number k of further pairs after which E_down(eps) reaches exp(need), if from now on a share
// pos of them is +1 and neg is −1. It is false when that lies beyond Horizon.
func Forecast(t Tri, eps, need float64, w Weights, pos, neg float64) (int64, bool) {
	reached := func(k int64) bool {
		p, n := int64(math.Round(pos*float64(k))), int64(math.Round(neg*float64(k)))
		return t.Add(Tri{Pos: p, Neg: n, Zero: k - p - n}).LogDown(eps, w) >= need
	}
	if reached(0) {
		return 0, true
	}
	hi := int64(1)
	for !reached(hi) {
		if hi *= 2; hi > Horizon {
			return 0, false
		}
	}
	lo := hi / 2
	for lo+1 < hi {
		if mid := lo + (hi-lo)/2; reached(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, true
}
