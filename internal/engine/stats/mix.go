// SPDX-License-Identifier: Apache-2.0

package stats

import "math"

// mixStrength is how many counts the process bets that the shares are near those expected.
const mixStrength = 100

// LogMismatch is the log e-value against "the counts are drawn with these shares": a Dirichlet-multinomial mixture against a
// point. Shares sum to 1; they are to rest on many more counts than those that are tested. A count where nothing is
// expected cannot be explained and counts as the rarest share there is.
func LogMismatch(counts []int64, shares []float64) float64 {
	const rarest = 1e-9
	total, out := int64(0), 0.0
	for j, n := range counts {
		p := math.Max(shares[j], rarest)
		a := mixStrength * p
		out += lgamma(a+float64(n)) - lgamma(a) - times(n, math.Log(p))
		total += n
	}
	return out + lgamma(mixStrength) - lgamma(mixStrength+float64(total))
}

func lgamma(x float64) float64 {
	y, _ := math.Lgamma(x)
	return y
}
