// SPDX-License-Identifier: Apache-2.0

package stats

import "math"

// History counts how often each side differed, apart: candidate K of N, control K of N. Merging is adding.
type History struct {
	CandidateK, CandidateN, ControlK, ControlN int64
}

// grid are the rates that the history process bets on. It has to reach far down: one difference at a place that was
// stable in a thousand control pairs is strong evidence, at a place seen ten times it is not.
func grid() [13]float64 {
	return [13]float64{1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, .01, .03, .1, .2, .4, .7, .95}
}

// Log is the log e-value of the universal-inference process against "the candidate differs no more often than the
// control". It takes the two sides as independent given the traffic; the paired process does not, and their mean is
// what findings use.
func (h History) Log() float64 {
	kc, nc, kn, nn := float64(h.CandidateK), float64(h.CandidateN), float64(h.ControlK), float64(h.ControlN)
	if nc <= 0 && nn <= 0 {
		return 0
	}
	var sup float64
	if kc*nn <= kn*nc {
		sup = logLik(kc, nc, kc/math.Max(nc, 1)) + logLik(kn, nn, kn/math.Max(nn, 1))
	} else {
		p := (kc + kn) / (nc + nn)
		sup = logLik(kc, nc, p) + logLik(kn, nn, p)
	}
	return LogMean(logGrid(kc, nc, kn, nn), logKT(kc, nc)+logKT(kn, nn)) - sup
}

// logGrid is the log of the mean likelihood over all pairs of grid rates with the control's below the candidate's.
func logGrid(kc, nc, kn, nn float64) float64 {
	g := grid()
	var lc, ln [len(g)]float64
	topC, topN := math.Inf(-1), math.Inf(-1)
	for i, t := range g {
		lc[i], ln[i] = logLik(kc, nc, t), logLik(kn, nn, t)
		topC, topN = math.Max(topC, lc[i]), math.Max(topN, ln[i])
	}
	const pairs = len(g) * (len(g) - 1) / 2
	below, sum := 0.0, 0.0 // of the control's rates below the candidate's; of all pairs
	for c := range g {
		sum += below * math.Exp(lc[c]-topC)
		below += math.Exp(ln[c] - topN)
	}
	if sum > tiny {
		return math.Log(sum) + topC + topN - math.Log(float64(pairs))
	}
	var xs [pairs]float64 // the likely pairs are all ruled out; the rest is too far below them for one scale
	k := 0
	for n := range g {
		for c := n + 1; c < len(g); c++ {
			xs[k] = lc[c] + ln[n]
			k++
		}
	}
	return logSum(xs[:]) - math.Log(float64(pairs))
}

// tiny is where sums of numbers up to 1 begin to lose digits.
const tiny = 1e-280

// logLik is log p^k (1−p)^(n−k) with 0·log 0 = 0.
func logLik(k, n, p float64) float64 {
	s := 0.0
	if k > 0 {
		s += k * math.Log(p)
	}
	if n-k > 0 {
		s += (n - k) * math.Log1p(-p)
	}
	return s
}

// logKT is the log of the Krichevsky–Trofimov mixture: the likelihood averaged over a Beta(½,½) prior.
func logKT(k, n float64) float64 { return logBeta(k+.5, n-k+.5) - logBeta(.5, .5) }

// logBeta is log B(a,b).
func logBeta(a, b float64) float64 {
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(b)
	z, _ := math.Lgamma(a + b)
	return x + y - z
}

// LogFinding is the log e-value of a finding: the mean of the paired process and the history process, over the same
// pairs. The first is right whatever the noise; the second is quick where the control was silent, but takes the sides as
// independent: where they differ together clearly more rarely than that, as when just one of the two always differs, it
// would exaggerate, and counts as nothing. Leaving out an e-value is always safe. The second result is the paired process
// alone.
func LogFinding(t Tri, h History) (both, paired float64) {
	paired = t.LogUp(0, ForSigns())
	together := float64(h.CandidateK - t.Pos)
	if expected := float64(h.CandidateK) * float64(h.ControlK) / math.Max(float64(h.ControlN), 1); 2*together+1 < expected {
		return paired - math.Ln2, paired
	}
	return LogMean(paired, h.Log()), paired
}
