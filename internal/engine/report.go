// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"math"
	"slices"

	api "microstax/api/v1"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/noise"
	"microstax/internal/engine/stats"
	"microstax/internal/engine/verdict"
)

// The chances of error: of intervals; of confirmed findings, which weighted e-BH rejects; and of suspected ones. The
// latter two are stricter than they need be, so that an unchanged candidate is hardly ever suspected (measured, see
// docs/adr/0003-weights.md).
const (
	alpha     = 0.05
	certainty = 0.04
	suspicion = 0.08
	minUnits  = 2
	maxE      = 1e300
	maxNoise  = 1_000
)

// The statuses of a finding, and how sure it is.
const (
	open      = "open"
	confirmed = "confirmed"
	suspected = "suspected"
)

// Meta is what a report says of the session, and people's decisions by finding id.
type Meta struct {
	EnvironmentID string
	BaselineID    string
	SessionID     string
	Lineage       api.ReportLineage
	Decisions     map[string]Decision
	Ignored       func(f Place) bool // whether a rule says of a place that it does not matter; nil for no rules
}

// Report is what the evidence says so far. The same evidence always gives the same report. A finding's example names the
// observation and the place; the messages are filled in by who keeps them.
func (a *Analysis) Report(m Meta) api.Report {
	a.ignored = m.Ignored
	tests := a.test()
	found := a.findings(tests, m.Decisions)
	a.traffic.Load.qualify(found)
	r := api.Report{
		EnvironmentID: m.EnvironmentID, BaselineID: m.BaselineID, SessionID: m.SessionID, Lineage: m.Lineage,
		Window: api.Window{Start: a.start, End: a.end}, Traffic: a.trafficReport(), Rules: Rules,
		Findings: make([]api.Finding, 0, len(found)), Ignores: []api.IgnoreRule{}, Resolved: []api.Resolved{}, Noise: a.noiseReport(), Calls: a.callReport(), Breaches: a.conformReport(),
		Latency: a.latencyReport(func(i int) bool { return tests.slow[i].confirmed && a.calibrated(a.endpoints[i].Service) }),
	}
	e := verdict.Evidence{Calibrated: a.cfg.Control, FalseShare: certainty, Traffic: r.Traffic, Window: a.end.Sub(a.start)}
	for _, f := range found {
		r.Findings = append(r.Findings, f.Finding)
		e.Findings = append(e.Findings, verdict.Finding{
			ID: f.ID, Severity: f.Severity, Summary: f.sentence(), Count: f.Count, Compared: f.Compared, Interval: f.Interval, Control: f.twin,
			LogE: f.logE, Confirmed: f.Confidence == confirmed, Open: f.Status == open,
		})
	}
	e.Services, e.Unfaithful, e.ControlFailed = a.services(m.Decisions), a.unfaithful(), a.controlFailed()
	for _, ep := range a.endpoints {
		e.Calibrated = e.Calibrated && (ep.Compared == 0 || a.calibrated(ep.Service))
	}
	r.Verdict = verdict.Decide(e)
	return r
}

// What makes an endpoint unfaithful: so many pairs, of which so many have another class of status.
const (
	minFaithPairs = 20
	maxFaithless  = 0.9
)

// unfaithful are the endpoints at which the control nearly always fails to do what the baseline did.
func (a *Analysis) unfaithful() []string {
	differ := map[int]int64{}
	for _, h := range a.places {
		if h.Into == 0 && (h.Kind == diff.KindStatus || h.Kind == diff.KindError) {
			differ[h.Endpoint] += h.Noise.Differ[diff.Type]
		}
	}
	var out []string
	for i, n := range differ {
		ep := a.endpoints[i]
		if ep.Into == 0 && a.calibrated(ep.Service) && ep.Pairs >= minFaithPairs && float64(n) >= maxFaithless*float64(ep.Pairs) {
			out = append(out, ep.Service+" "+ep.Name)
		}
	}
	slices.Sort(out)
	return out
}

// controlFailed is how often the control gave no answer where the baseline did.
func (a *Analysis) controlFailed() int64 {
	n := int64(0)
	for _, h := range a.places {
		if h.Into == 0 && h.Kind == diff.KindError && a.calibrated(a.endpoints[h.Endpoint].Service) {
			n += h.Noise.Differ[diff.Type]
		}
	}
	return n
}

// services pools the evidence by service, and of endpoints with a gate of their own by endpoint, without what somebody
// accepted.
func (a *Analysis) services(decisions map[string]Decision) []verdict.Service {
	excused := func(i int) bool {
		if i < 0 || i >= len(a.places) {
			return false
		}
		for range len(a.places) {
			if a.places[i].Into == 0 {
				break
			}
			i = a.places[i].Into - 1
		}
		_, decided := a.decision(a.places[i], decisions)
		return decided
	}
	policies, listed := a.policies(), a.listed()
	byName := map[string]*verdict.Service{}
	pooled := a.pooled(excused)
	for pool, g := range policies {
		s := &verdict.Service{Name: pool, Gate: g, Visits: pooled[pool], Listed: listed[pool]}
		if !s.Listed {
			s.Units = a.gate(pool).Units
		}
		byName[pool] = s
	}
	for _, ep := range a.endpoints {
		if ep.Compared == 0 {
			continue
		}
		s := byName[a.pool(ep)]
		s.Compared += ep.Compared
		if s.Listed {
			s.Units += ep.Visits
		}
		if _, accepted := a.slowDecision(ep, decisions); !accepted {
			s.Latency = s.Latency.Add(ep.Latency.Slower)
		}
	}
	out := make([]verdict.Service, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, *byName[name])
	}
	return out
}

// tested is the outcome for one hypothesis.
type tested struct {
	logE      float64
	units     int64
	confirmed bool
	suspected bool
}

// outcomes are those of all hypotheses: behaviour by place, latency by endpoint, at the median and in its tails.
type outcomes struct {
	places, slow []tested
	tails        [][2]tested
}

// test runs e-BH over all hypotheses there are.
func (a *Analysis) test() outcomes {
	out := outcomes{places: make([]tested, len(a.places)), slow: make([]tested, len(a.endpoints)), tails: make([][2]tested, len(a.endpoints))}
	var all []*tested
	var scores []float64
	add := func(t *tested, s stats.Slot, e evidence, units int64) {
		t.logE, t.confirmed, t.units = e.both, s.Latched, units
		all, scores = append(all, t), append(scores, a.score(s, e))
	}
	for i, h := range a.places {
		if h.ranked() && h.Into == 0 {
			add(&out.places[i], h.Slot, h.evidence(a.endpoints[h.Endpoint].Visits), h.units())
		}
	}
	for i, ep := range a.endpoints {
		if ep.Slot.Rank > 0 {
			add(&out.slow[i], ep.Slot, evidence{ep.slowLogE(), math.Inf(-1)}, ep.Visits)
		}
		for k := range ep.Latency.Tails {
			if t := &ep.Latency.Tails[k]; t.Slot.Rank > 0 {
				add(&out.tails[i][k], t.Slot, t.evidence(), ep.Visits)
			}
		}
	}
	weights := make([]float64, len(scores)) // log 1: the scores hold them
	sure, maybe := stats.EBH(scores, weights, certainty), stats.EBH(scores, weights, suspicion)
	for i, t := range all {
		t.confirmed = t.confirmed || sure[i] && t.units >= minUnits
		t.suspected = maybe[i]
	}
	a.suspect(out.places)
	a.suspectLonely(out.places)
	return out
}

// systematic is how many requests in a row, all there were, have to differ in the same place for that to be worth saying
// although too few user sessions have been there to prove anything.
const systematic = 5

// suspectLonely adds what differs in every single request of an endpoint, and never in the control, where all requests
// belong to fewer user sessions than proof needs: one account's traffic can show a change, and not exclude an accident.
func (a *Analysis) suspectLonely(places []tested) {
	for i, h := range a.places {
		ep := a.endpoints[h.Endpoint]
		if places[i].confirmed || h.Into != 0 || ep.Visits >= minUnits || ep.Clean < systematic {
			continue
		}
		strictest, _ := h.significant(ep.Visits)
		if l := h.Levels[strictest]; l.Only == ep.Clean && l.Twin == 0 {
			places[i].suspected, places[i].logE, places[i].units = true, h.evidence(ep.Visits).both, h.units()
		}
	}
}

// suspect widens the suspicion in services that as a whole differ more than allowed: that something changed is certain
// there, and the question is only what.
func (a *Analysis) suspect(places []tested) {
	differs := map[string]bool{}
	pooled := a.pooled(nil)
	for pool, policy := range a.policies() {
		e := pooled[pool].LogUp(policy.MaxDifferenceRate, stats.ForFindings())
		differs[pool] = e >= -math.Log(certainty)
	}
	for i, h := range a.places {
		if t := &places[i]; h.ranked() && h.Into == 0 && differs[a.pool(a.endpoints[h.Endpoint])] {
			t.suspected = t.suspected || t.logE >= math.Log(enough)
		}
	}
}

// noiseReport lists the places that vary without the change.
func (a *Analysis) noiseReport() []api.Noise {
	byPlace := map[noise.Place]*noise.Counts{}
	pairs := map[noise.Place]int64{}
	for _, h := range a.places {
		if len(h.Noise.Models) == 0 || h.Into != 0 || isCall(h.Kind) {
			continue
		}
		ep := a.endpoints[h.Endpoint]
		p := noise.Place{Service: ep.Service, Endpoint: ep.Name, Path: h.Path}
		if byPlace[p] == nil {
			byPlace[p] = &noise.Counts{}
		}
		byPlace[p].Merge(h.Noise)
		pairs[p] = ep.Pairs
	}
	rows := []api.Noise{}
	for p, c := range byPlace {
		from := noise.FromHistory
		if a.calibrated(p.Service) {
			from = noise.FromControl
		}
		if row, ok := noise.Row(p, *c, pairs[p], from); ok {
			rows = append(rows, row)
		}
	}
	noise.Sort(rows)
	return rows[:min(len(rows), maxNoise)]
}

func expo(logE float64) float64 { return math.Min(math.Exp(logE), maxE) }
