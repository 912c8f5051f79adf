// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	api "microstax/api/v1"
	"microstax/internal/engine/stats"
	"microstax/internal/numeral"
)

// maxE keeps e-values in JSON's range.
const maxE = 1e300

// gates are the conditions one service must meet.
func gates(s Service, named bool, load *api.Load) []api.Gate {
	g := Effective(s.Gate)
	suffix := ""
	if named {
		suffix = ": " + s.Name
	}
	limit := math.Exp(need(g))
	functional := s.Visits.LogDown(g.MaxDifferenceRate, stats.ForPromotion())
	i := s.Visits.Interval(1 - g.Confidence)
	out := []api.Gate{{
		Name: "function" + suffix, Passed: functional >= need(g), E: expo(functional), Need: limit,
		Detail: fmt.Sprintf("difference above noise %s of %s visits (%s always-valid: %s … %s), limit %s",
			numeral.Percent(s.Visits.Mean()), numeral.Count(s.Visits.N()), numeral.Percent(g.Confidence), numeral.Percent(i[0]), numeral.Percent(i[1]),
			numeral.Percent(g.MaxDifferenceRate)),
	}}
	latency := s.Latency.LogDown(0, stats.ForPromotion())
	detail := fmt.Sprintf("%s of %s pairs are slower than %s × the control by more than 1 ms; it passes when they are "+
		"surely the smaller half", numeral.Count(s.Latency.Pos), numeral.Count(s.Latency.N()), decimal(g.MaxLatencyRatio))
	if s.Latency.N() > 0 && s.Latency.Pos == 0 {
		detail = fmt.Sprintf("none of %s pairs is slower than %s × the control by more than 1 ms", numeral.Count(s.Latency.N()),
			decimal(g.MaxLatencyRatio))
	}
	if load != nil && load.Crowded > 0 {
		detail += fmt.Sprintf("; %s more that had to queue at the shadows are left out", numeral.Count(load.Crowded))
	}
	return append(out,
		api.Gate{Name: "latency" + suffix, Passed: latency >= need(g), E: expo(latency), Need: limit, Detail: detail},
		api.Gate{Name: "requests" + suffix, Passed: s.Compared >= g.MinRequests, E: float64(s.Compared),
			Need: float64(g.MinRequests), Detail: fmt.Sprintf("%s compared, at least %s wanted", numeral.Count(s.Compared), numeral.Count(g.MinRequests))},
		api.Gate{Name: "sessions" + suffix, Passed: s.Units >= minUnits, E: float64(s.Units), Need: minUnits,
			Detail: fmt.Sprintf("%s different user sessions, at least %d wanted", numeral.Count(s.Units), minUnits)})
}

// promoteOrWait decides where nothing speaks against the candidate.
func promoteOrWait(e Evidence, v api.Verdict) api.Verdict {
	passed := 0
	var missing []string
	for _, g := range v.Gates {
		if g.Passed {
			passed++
		} else {
			missing = append(missing, g.Name+" ("+g.Detail+")")
		}
	}
	if len(missing) == 0 {
		v.Decision = Promote
		v.Reasons = append(v.Reasons, fmt.Sprintf("%s requests compared on %d endpoints; all %d gates pass.",
			numeral.Count(e.Traffic.Compared), len(e.Traffic.Endpoints), len(v.Gates)))
		for _, g := range v.Gates {
			if strings.HasPrefix(g.Name, "function") || strings.HasPrefix(g.Name, "latency") {
				v.Reasons = append(v.Reasons, g.Name+": "+g.Detail+".")
			}
		}
		if u := e.Traffic.Unseen; u > 0 {
			v.Reasons = append(v.Reasons, fmt.Sprintf("The next user session meets a kind of request that was never compared with a chance of "+
				"at most %s.", numeral.Percent(u)))
		}
		v.Reasons = append(v.Reasons, fmt.Sprintf("Chance that this verdict is wrong, however often you looked: at most %s.",
			numeral.Percent(1-v.Confidence)))
		return v
	}
	v.Decision = Insufficient
	v.Reasons = append(v.Reasons, fmt.Sprintf("%d of %d gates pass. Missing: %s.", passed, len(v.Gates), strings.Join(missing, "; ")))
	stuck := false
	for _, s := range e.Services {
		v.RequestsNeeded = max(v.RequestsNeeded, requestsNeeded(s))
		stuck = stuck || cannotPass(s)
		if s.Compared >= 10 && s.Units < minUnits {
			v.Reasons = append(v.Reasons, fmt.Sprintf("All %s requests to %s belong to one user session, which counts once: "+
				"send traffic of several users, or choose what tells sessions apart with shadow.session.", numeral.Count(s.Compared), s.Name))
		}
	}
	if v.RequestsNeeded > 0 {
		v.SecondsNeeded = secondsNeeded(e)
		v.Reasons = append(v.Reasons, howLong(v.RequestsNeeded, v.SecondsNeeded))
	}
	if stuck {
		v.Reasons = append(v.Reasons, "At the present rate of differences it will not pass: see the suspected findings and "+
			"the observations that differ.")
	}
	if n := suspected(e.Findings); n > 0 {
		v.Reasons = append(v.Reasons, fmt.Sprintf("%d suspected differences are not confirmed yet.", n))
	}
	return v
}

func suspected(fs []Finding) int {
	n := 0
	for _, f := range fs {
		if !f.Confirmed && f.Open {
			n++
		}
	}
	return n
}

// requestsNeeded is the optimistic forecast: how many more requests would pass all gates if none of them differed.
func requestsNeeded(s Service) int64 {
	g := Effective(s.Gate)
	n := max(g.MinRequests-s.Compared, 0)
	perVisit := 1.0
	if s.Visits.N() > 0 {
		perVisit = max(1, float64(s.Compared)/float64(s.Visits.N()))
	}
	if k, ok := stats.Forecast(s.Visits, g.MaxDifferenceRate, need(g), stats.ForPromotion(), 0, 0); ok {
		n = max(n, int64(math.Ceil(float64(k)*perVisit)))
	}
	slow := share(s.Latency.Pos, s.Latency.N())
	if k, ok := stats.Forecast(s.Latency, 0, need(g), stats.ForPromotion(), slow, 1-slow); ok {
		n = max(n, k)
	}
	if s.Units < minUnits {
		n = max(n, minUnits-s.Units)
	}
	return n
}

// cannotPass says whether the functional gate stays shut when differences go on coming as they have.
func cannotPass(s Service) bool {
	g, n := Effective(s.Gate), s.Visits.N()
	if s.Visits.LogDown(g.MaxDifferenceRate, stats.ForPromotion()) >= need(g) || s.Visits.Pos == 0 || n == 0 {
		return false
	}
	return share(s.Visits.Pos, n)-share(s.Visits.Neg, n) >= g.MaxDifferenceRate
}

// share is k of n, a little towards one half, so that nothing seen is not taken for nothing there.
func share(k, n int64) float64 { return (float64(k) + .5) / (float64(n) + 1) }

func expo(logE float64) float64 { return math.Min(math.Exp(logE), maxE) }

// power writes an e-value for people: 41, 1,300, 2.1e9.
func power(logE float64) string {
	switch e := math.Exp(logE); {
	case e < 100:
		return strconv.FormatFloat(e, 'g', 3, 64)
	case e < 1e5:
		return numeral.Count(int64(math.Round(e)))
	}
	d := logE / math.Ln10
	whole := math.Floor(d)
	return fmt.Sprintf("%.1fe%.0f", math.Pow(10, d-whole), whole)
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }
