// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	api "microstax/api/v1"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/stats"
	"microstax/internal/exchange"
	"microstax/internal/id"
	"microstax/internal/observation"
)

// tails are the quantiles at which the slowest requests are compared.
func tails() [2]float64 { return [2]float64{.95, .99} }

// retake is after how many pairs the control's quantile is taken anew; the first time is after 20/(1−p) of them, when a
// score of the control's have been beyond it.
const (
	retake   = 200
	minTaken = 20
)

// tail compares how often each side is slower than a threshold: the control's quantile by what was seen before, and for the
// candidate as much more as a service allows. What the median hides shows here: one request in twenty that waits.
type tail struct {
	Threshold time.Duration `json:"t,omitempty"`
	Next      int64         `json:"n,omitempty"` // number of pairs after which it is taken anew
	Exceeds   stats.Tri     `json:"x,omitzero"`
	Candidate int64         `json:"c,omitempty"` // pairs in which it exceeds what is allowed
	Slot      stats.Slot    `json:"s,omitzero"`
	Seen      [2]time.Time  `json:"w,omitzero"`
	Example   example       `json:"e,omitzero"`
}

// observeTails compares one pair with the thresholds, and then moves these. It says whether the observation is a new
// example. The control's duration is counted already: a pair is compared with a threshold that was taken before it.
func (a *Analysis) observeTails(ep *endpoint, o *observation.Observation) bool {
	shown := false
	for k, p := range tails() {
		t := &ep.Latency.Tails[k]
		if t.Threshold > 0 {
			shown = a.observeTail(ep, t, o) || shown
		}
		if n := ep.Latency.Control.N(); n >= max(t.Next, int64(minTaken/(1-p))) {
			t.Threshold = time.Duration(ep.Latency.Control.Quantile(p) * float64(time.Millisecond))
			t.Next = n + retake
		}
	}
	return shown
}

func (a *Analysis) observeTail(ep *endpoint, t *tail, o *observation.Observation) bool {
	beyond := func(x *exchange.Exchange, limit time.Duration) bool {
		return x.Outcome == exchange.Timeout || x.Duration > limit
	}
	allowed := max(time.Duration(float64(t.Threshold)*a.limit(ep)), t.Threshold+MinLatencyDelta)
	c, n := beyond(&o.Candidate, allowed), beyond(o.Control, t.Threshold)
	switch {
	case c == n:
		t.Exceeds.Zero++
	case c:
		t.Exceeds.Pos++
	default:
		t.Exceeds.Neg++
	}
	if !c {
		return false
	}
	t.Candidate++
	if n {
		return false
	}
	t.Seen = widen(t.Seen, [2]time.Time{o.At, o.At})
	if !t.Slot.Latched && t.Exceeds.Pos > t.Exceeds.Neg {
		a.follow(&t.Slot, t.evidence(), ep.Visits)
	}
	if bits.OnesCount64(uint64(t.Exceeds.Pos)) != 1 {
		return false
	}
	t.Example = slowExample(o)
	return true
}

// evidence is against "the candidate is no more often beyond what is allowed than the control is beyond the threshold".
func (t *tail) evidence() evidence {
	return evidence{t.Exceeds.LogUp(0, stats.ForSigns()), math.Inf(-1)}
}

// add takes the other's counts in. Of two thresholds the later taken stays, until it is taken anew.
func (t *tail) add(o *tail) {
	if o.Next > t.Next || o.Next == t.Next && o.Threshold > t.Threshold {
		t.Threshold, t.Next = o.Threshold, o.Next
	}
	t.Exceeds = t.Exceeds.Add(o.Exceeds)
	t.Candidate += o.Candidate
	t.Slot = t.Slot.Join(o.Slot)
	t.Seen = widen(t.Seen, o.Seen)
	t.Example = t.Example.clearer(o.Example)
}

// tailName is the path of a tail's finding: duration.p95.
func tailName(k int) string { return fmt.Sprintf("%s.p%.0f", pathDuration, 100*tails()[k]) }

func (a *Analysis) tailID(ep *endpoint, k int) string {
	return id.Stable(id.Finding, ep.Service, ep.Name, string(diff.KindLatency), tailName(k))
}

// slowTail is the finding that the slowest requests of an endpoint are slower.
func (a *Analysis) slowTail(i, k int, r tested, decisions map[string]Decision) finding {
	ep := a.endpoints[i]
	t := &ep.Latency.Tails[k]
	n := t.Exceeds.N()
	control := t.Exceeds.Neg + t.Candidate - t.Exceeds.Pos
	f := finding{logE: r.logE, twin: control, Finding: api.Finding{
		ID: a.tailID(ep, k), Kind: string(diff.KindLatency), Severity: major, Service: ep.Service, Endpoint: ep.Name,
		Path: tailName(k), Status: open, Confidence: a.confidence(r, ep.Service),
		Summary: fmt.Sprintf("the slowest requests are slower: %d of %d take longer than %.4g × the control's %.0fth percentile (%.3g ms), "+
			"which %d of the control's exceed", t.Candidate, n, a.limit(ep), 100*tails()[k],
			float64(t.Threshold)/float64(time.Millisecond), control),
		Count: t.Candidate, Compared: n, Rate: mean(t.Candidate, n), Interval: interval(t.Candidate, n, n), Evidence: expo(r.logE),
		UniqueContexts: ep.Contexts.Count(), FirstSeen: t.Seen[0], LastSeen: t.Seen[1], Example: t.Example.report(),
	}}
	if d, ok := a.pathDecision(ep, f.ID, tailName(k), decisions); ok {
		f.Status = d.Status
	}
	return f
}
