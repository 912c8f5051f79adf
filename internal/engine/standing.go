// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"

	"microstax/internal/engine/stats"
	"microstax/internal/engine/verdict"
)

// Standing is what the evidence comes to in short, for who looks after every request.
type Standing struct {
	Confirmed []string // ids of confirmed differences, before those of one cause are merged
	Suspected int
	Differs   bool // a service as a whole differs more than its gate allows
	Agrees    bool // every service surely differs less than its gate allows, as far as behaviour goes
}

// seenEvidence is the evidence of a hypothesis as last worked out. A visit without a difference changes it by less than
// the visits' share, so that it stands until one per cent more have come.
type seenEvidence struct {
	at     evidence
	visits int64
	stale  bool
}

// fresh says whether the evidence still stands, given the visits by now.
func (s *seenEvidence) fresh(visits int64) bool {
	return s.visits > 0 && !s.stale && visits <= s.visits+s.visits/100
}

// Standing gives, without a report, what a report would say of differences and of the pooled gates. It is fast enough to
// be asked after every observation. Decisions of people are not looked at.
func (a *Analysis) Standing() Standing {
	var scores, none []float64
	var ids []string
	var sure []bool // latched
	var units []int64
	add := func(s stats.Slot, e evidence, n int64, id string) {
		scores, none, ids = append(scores, a.score(s, e)), append(none, 0), append(ids, id)
		sure, units = append(sure, s.Latched), append(units, n)
	}
	for _, h := range a.places {
		if !h.ranked() || h.Into != 0 {
			continue
		}
		visits := a.endpoints[h.Endpoint].Visits
		if !h.seen.fresh(visits) {
			h.seen = seenEvidence{at: h.evidence(visits), visits: visits}
		}
		add(h.Slot, h.seen.at, h.units(), h.id)
	}
	for _, ep := range a.endpoints {
		if ep.Slot.Rank > 0 {
			add(ep.Slot, evidence{ep.slowLogE(), math.Inf(-1)}, ep.Visits, a.slowID(ep))
		}
		for k := range ep.Latency.Tails {
			if t := &ep.Latency.Tails[k]; t.Slot.Rank > 0 {
				add(t.Slot, t.evidence(), ep.Visits, a.tailID(ep, k))
			}
		}
	}
	out := Standing{Agrees: a.traffic.Compared > 0}
	confirmed, suspected := stats.EBH(scores, none, certainty), stats.EBH(scores, none, suspicion)
	for i := range scores {
		switch {
		case sure[i], confirmed[i] && units[i] >= minUnits:
			out.Confirmed = append(out.Confirmed, ids[i])
		case suspected[i]:
			out.Suspected++
		}
	}
	pooled := a.pooled(nil)
	for pool, policy := range a.policies() {
		t := pooled[pool]
		need := -math.Log(1 - policy.Confidence)
		out.Differs = out.Differs || t.LogUp(policy.MaxDifferenceRate, stats.ForFindings()) >= verdict.PooledHold()
		out.Agrees = out.Agrees && t.LogDown(policy.MaxDifferenceRate, stats.ForPromotion()) >= need
	}
	return out
}
