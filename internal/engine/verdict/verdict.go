// SPDX-License-Identifier: Apache-2.0

// Package verdict says what the evidence allows: promote, hold or insufficient, in sentences that a release manager can
// read. Promotion is an intersection of gates, each of which a bad candidate passes with at most the agreed chance,
// however often somebody looks; so no correction for their number is needed. Absence of evidence is insufficient.
package verdict

import (
	"fmt"
	"math"
	"strings"
	"time"

	api "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/engine/stats"
	"microstax/internal/numeral"
)

// The decisions.
const (
	Promote      = "promote"
	Hold         = "hold"
	Insufficient = "insufficient"
)

// The gate where the Blueprint gives none.
const (
	DefaultConfidence        = 0.95
	DefaultMaxDifferenceRate = 0.001
	DefaultMinRequests       = 200
	DefaultMaxLatencyRatio   = 1.2
)

// Limits of the evidence's own integrity. Below fewLost requests a share says nothing.
const (
	maxLoss         = 0.05
	maxControlError = 0.05
	fewLost         = 5
	minUnits        = 2
	pooledHold      = 0.01 // chance of holding an unchanged service as a whole, however often somebody looks
)

// maxListed bounds how many findings the reasons name.
const maxListed = 5

// Service is the evidence about one service.
type Service struct {
	Name     string
	Gate     blueprint.Gate // zero fields mean the defaults
	Visits   stats.Tri      // one per user session and endpoint; differences that somebody accepted are left out
	Latency  stats.Tri      // one per request: +1 where the candidate took longer than the ratio allows
	Compared int64
	Units    int64
	Listed   bool // an endpoint with a gate of its own, which has to be seen
}

// Finding is what the verdict needs to know of one.
type Finding struct {
	ID        string
	Severity  string
	Summary   string // one sentence that names endpoint, place and change
	Count     int64
	Compared  int64
	Interval  [2]float64 // always-valid, for Count of Compared
	Control   int64      // requests in which the control alone differed
	LogE      float64
	Confirmed bool
	Open      bool // nobody accepted or ignored it
}

// Evidence is everything a verdict rests on.
type Evidence struct {
	Calibrated bool          // a control ran
	Window     time.Duration // from the first request to the last
	FalseShare float64       // of confirmed findings that may be false
	Traffic    api.Traffic
	Services   []Service
	Findings   []Finding
	// Unfaithful are endpoints at which the control itself nearly always answers with another class of status than the
	// baseline: what the shadows do there says nothing of the candidate.
	Unfaithful []string
	// ControlFailed is how many of the compared requests got no answer from the control.
	ControlFailed int64
}

// Effective fills in the defaults of a gate.
func Effective(g blueprint.Gate) blueprint.Gate {
	if g.Confidence <= 0 || g.Confidence >= 1 {
		g.Confidence = DefaultConfidence
	}
	if g.MaxDifferenceRate <= 0 || g.MaxDifferenceRate >= 1 {
		g.MaxDifferenceRate = DefaultMaxDifferenceRate
	}
	if g.MinRequests <= 0 {
		g.MinRequests = DefaultMinRequests
	}
	if g.MaxLatencyRatio <= 0 {
		g.MaxLatencyRatio = DefaultMaxLatencyRatio
	}
	return g
}

// Decide gives the verdict. Reasons is never empty.
func Decide(e Evidence) api.Verdict {
	v := api.Verdict{Confidence: confidence(e.Services), Reasons: []string{}}
	for _, s := range e.Services {
		if s.Compared > 0 || s.Listed {
			gs := gates(s, len(e.Services) > 1, e.Traffic.Load)
			forecast(s, gs)
			v.Gates = append(v.Gates, gs...)
		}
	}
	if n := len(e.Unfaithful); n > 0 {
		v.Gates = append(v.Gates, api.Gate{Name: "fidelity", Need: 0, E: float64(n), Detail: fmt.Sprintf("on %d endpoints even "+
			"the control answers with another status than the baseline, nearly always: %s. The shadows lack state that the "+
			"baseline has, so nothing is known of the candidate there", n, strings.Join(e.Unfaithful[:min(n, maxListed)], ", "))})
	}
	if broken := integrity(e); len(broken) > 0 {
		v.Decision, v.Reasons = Hold, broken
		return v
	}
	if reasons := blocking(e); len(reasons) > 0 {
		v.Decision, v.Reasons = Hold, reasons
		return v
	}
	if reason := gaps(e.Traffic); reason != "" {
		v.Decision, v.Reasons = Hold, []string{reason}
		return v
	}
	if e.Traffic.Compared == 0 {
		v.Decision, v.Reasons = Insufficient, []string{nothingYet(e)}
		v.RequestsNeeded = Effective(blueprint.Gate{}).MinRequests
		for _, s := range e.Services {
			v.RequestsNeeded = max(v.RequestsNeeded, requestsNeeded(s))
		}
		return v
	}
	if !e.Calibrated {
		v.Decision = Insufficient
		v.Reasons = append(v.Reasons, "uncalibrated: no control. Without a twin of the baseline beside the candidate, "+
			"nobody can tell a change from noise; findings stay suspected. Run one with control: auto, or --control URL.")
		return v
	}
	v = promoteOrWait(e, v)
	v.Reasons = append(v.Reasons, remarks(e.Traffic)...)
	return v
}

// confidence is the least that any service asks for.
func confidence(services []Service) float64 {
	c := 1.0
	for _, s := range services {
		c = min(c, Effective(s.Gate).Confidence)
	}
	if c == 1 {
		return DefaultConfidence
	}
	return c
}

func nothingYet(e Evidence) string {
	if why := unreadable(e.Traffic.Capture); why != "" {
		return why
	}
	if e.Traffic.Received == 0 && e.Traffic.Capture != nil {
		return "No request has passed the tap yet: see that traffic goes to its interface and port."
	}
	if e.Traffic.Received == 0 {
		return "No request has reached a shadowed service yet: send traffic to the baseline's gateway address."
	}
	return fmt.Sprintf("None of %s requests has been compared yet.", numeral.Count(e.Traffic.Received))
}

// integrity says what makes the evidence itself untrustworthy.
func integrity(e Evidence) []string {
	t := e.Traffic
	var out []string
	sum := t.Compared + t.InFlight
	for _, n := range t.Dropped {
		sum += n
	}
	if sum != t.Received || t.InFlight < 0 {
		out = append(out, fmt.Sprintf("Evidence cannot be trusted: the counts do not add up (%s received, %s compared, "+
			"%s in flight). Please report this, with the server's log.", numeral.Count(t.Received), numeral.Count(t.Compared), numeral.Count(t.InFlight)))
	}
	if reason := lost(t); reason != "" {
		out = append(out, reason)
	}
	if why := unseen(t.Capture); why != "" {
		out = append(out, why)
	}
	if reason := unspooled(t); reason != "" {
		out = append(out, reason)
	}
	if reason := skewed(t); reason != "" {
		out = append(out, reason)
	}
	failed := t.Dropped["controlError"] + e.ControlFailed
	if tried := t.Compared + t.Dropped["controlError"]; failed >= fewLost && float64(failed) > maxControlError*float64(tried) {
		out = append(out, fmt.Sprintf("Evidence cannot be trusted: the control did not answer %s of %s requests (%s), limit "+
			"%s. See its log: microstax env logs ENV.", numeral.Count(failed), numeral.Count(tried), numeral.Percent(ratio(failed, tried)),
			numeral.Percent(maxControlError)))
	}
	return out
}

// blocking names confirmed open findings, worst first as they come, and services that differ too often as a whole.
func blocking(e Evidence) []string {
	var out []string
	more := 0
	for _, f := range e.Findings {
		if !f.Confirmed || !f.Open || f.Severity == "info" {
			continue
		}
		if len(out) >= maxListed {
			more++
			continue
		}
		out = append(out, fmt.Sprintf("%s, in %s of %s requests (%s … %s), in the control alone in %s. Confirmed, %s, E = %s: %s.",
			f.Summary, numeral.Count(f.Count), numeral.Count(f.Compared), numeral.Percent(f.Interval[0]), numeral.Percent(f.Interval[1]), numeral.Count(f.Control),
			f.Severity, power(f.LogE), f.ID))
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("%d more confirmed findings are open.", more))
	}
	if len(out) > 0 {
		out = append(out, fmt.Sprintf("Of the findings called confirmed at most %s are expected to be false.", numeral.Percent(e.FalseShare)))
	}
	for _, s := range e.Services {
		g := Effective(s.Gate)
		if len(out) > 0 || !e.Calibrated || s.Visits.LogUp(g.MaxDifferenceRate, stats.ForFindings()) < PooledHold() {
			continue
		}
		i := s.Visits.Interval(1 - g.Confidence)
		out = append(out, fmt.Sprintf("%s differs from the baseline in %s more of the visits than its control does (%s "+
			"always-valid: %s … %s), limit %s, though no single finding is confirmed yet.", s.Name, numeral.Percent(s.Visits.Mean()),
			numeral.Percent(g.Confidence), numeral.Percent(i[0]), numeral.Percent(i[1]), numeral.Percent(g.MaxDifferenceRate)))
	}
	return out
}

// PooledHold is the log e-value from which on a service that differs more than its gate allows is held although no single
// finding is confirmed. It is stricter than a gate's: to hold is to accuse.
func PooledHold() float64 { return -math.Log(pooledHold) }

// need is the log e-value that passes a gate.
func need(g blueprint.Gate) float64 { return -math.Log(1 - g.Confidence) }

func ratio(a, b int64) float64 { return float64(a) / float64(max(b, 1)) }
