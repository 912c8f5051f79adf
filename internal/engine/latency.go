// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"time"

	api "microstax/api/v1"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/stats"
	"microstax/internal/exchange"
	"microstax/internal/id"
	"microstax/internal/observation"
)

// MinLatencyDelta is by how much the candidate must be slower than the control, beside the ratio, before anybody calls it
// slower: below it schedulers and timers speak.
const MinLatencyDelta = time.Millisecond

// latency is what is counted about the durations of one endpoint.
type latency struct {
	Baseline  stats.Histogram `json:"b"`
	Control   stats.Histogram `json:"n"`
	Candidate stats.Histogram `json:"c"`
	Tails     [2]tail         `json:"t"`
	Slower    stats.Tri       `json:"s"` // +1 where the candidate took longer than the ratio allows, −1 where not
}

// limit is the ratio that an endpoint is allowed.
func (a *Analysis) limit(ep *endpoint) float64 { return a.policy(ep).MaxLatencyRatio }

// observeLatency compares durations: candidate with control, never with the live path. A timeout is a duration above all
// others; other failures say nothing about time, and neither does what had to queue. It says whether the observation is a new example of slowness.
func (a *Analysis) observeLatency(i int, o *observation.Observation) bool {
	ep := a.endpoints[i]
	if o.Load.Crowded {
		return false
	}
	addDuration(&ep.Latency.Baseline, &o.Baseline)
	c := addDuration(&ep.Latency.Candidate, &o.Candidate)
	if o.Control == nil {
		return false
	}
	n := addDuration(&ep.Latency.Control, o.Control)
	if !c || !n {
		return false
	}
	shown := a.observeTails(ep, o)
	slower := false
	switch {
	case o.Candidate.Outcome == exchange.Timeout && o.Control.Outcome == exchange.Timeout:
		return shown
	case o.Control.Outcome == exchange.Timeout:
	case o.Candidate.Outcome == exchange.Timeout:
		slower = true
	default:
		delta := o.Candidate.Duration - o.Control.Duration
		slower = delta > MinLatencyDelta && float64(o.Candidate.Duration) > a.limit(ep)*float64(o.Control.Duration)
	}
	if !slower {
		ep.Latency.Slower.Neg++
		return shown
	}
	ep.Latency.Slower.Pos++
	ep.SlowAt = widen(ep.SlowAt, [2]time.Time{o.At, o.At})
	if !ep.Slot.Latched && ep.Latency.Slower.Pos > ep.Latency.Slower.Neg {
		a.follow(&ep.Slot, evidence{ep.slowLogE(), math.Inf(-1)}, ep.Visits)
	}
	if bits.OnesCount64(uint64(ep.Latency.Slower.Pos)) != 1 {
		return shown
	}
	ep.Slow = slowExample(o)
	return true
}

func slowExample(o *observation.Observation) example {
	return example{
		Observation: o.ID, At: pathDuration, Alone: true,
		Was: o.Control.Duration.Round(10 * time.Microsecond).String(), Is: o.Candidate.Duration.Round(10 * time.Microsecond).String(),
	}
}

// slowLogE is the log e-value against "the candidate is not slower than allowed in more than half of the requests".
func (ep *endpoint) slowLogE() float64 { return ep.Latency.Slower.LogUp(0, stats.ForFindings()) }

// slowID is the id of the endpoint's latency finding.
func (a *Analysis) slowID(ep *endpoint) string {
	return id.Stable(id.Finding, ep.Service, ep.Name, string(diff.KindLatency), pathDuration)
}

// pathDuration is the path of latency findings.
const pathDuration = "duration"

// addDuration counts one exchange, and says whether its duration means anything.
func addDuration(h *stats.Histogram, x *exchange.Exchange) bool {
	switch x.Outcome {
	case exchange.OK:
		h.Add(x.Duration)
	case exchange.Timeout:
		h.AddTimeout(x.Duration)
	default:
		return false
	}
	return true
}

// latencyReport is the table of latencies, for endpoints that have any.
func (a *Analysis) latencyReport(regressed func(i int) bool) []api.Latency {
	out := []api.Latency{}
	for i, ep := range a.endpoints {
		l := &ep.Latency
		if l.Candidate.N() == 0 {
			continue
		}
		row := api.Latency{
			Service: ep.Service, Endpoint: ep.Name, Pairs: l.Slower.N(), Unit: "ms",
			Baseline: quantiles(&l.Baseline), Control: quantiles(&l.Control), Candidate: quantiles(&l.Candidate),
			Regressed: regressed(i),
		}
		if l.Control.N() > 0 {
			row.Interval = stats.RatioInterval(&l.Candidate, &l.Control, .5, alpha)
			if n := l.Control.Quantile(.5); n > 0 {
				row.Ratio = l.Candidate.Quantile(.5) / n
			}
		}
		out = append(out, row)
	}
	slices.SortFunc(out, func(x, y api.Latency) int {
		return cmp.Or(cmp.Compare(x.Service, y.Service), cmp.Compare(x.Endpoint, y.Endpoint))
	})
	return out
}

func quantiles(h *stats.Histogram) api.Quantiles {
	return api.Quantiles{P50: h.Quantile(.5), P95: h.Quantile(.95), P99: h.Quantile(.99)}
}
