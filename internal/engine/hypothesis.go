// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"strings"
	"time"

	"microstax/internal/engine/cluster"
	"microstax/internal/engine/condition"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/noise"
	"microstax/internal/engine/stats"
	"microstax/internal/id"
)

// place identifies a hypothesis. The variant tells changes apart that share a path: 2xx→5xx from 2xx→4xx.
type place struct {
	endpoint int
	kind     diff.Kind
	path     string
	variant  string
}

// elsewhere is the path that stands for all places beyond the bound.
const elsewhere = "…"

// level counts one level of one hypothesis: user sessions in which each side has differed, and requests.
type level struct {
	Candidate int64 `json:"c,omitempty"`
	Control   int64 `json:"n,omitempty"`
	Both      int64 `json:"b,omitempty"`
	Only      int64 `json:"o,omitempty"` // requests in which the candidate alone differed
	Twin      int64 `json:"t,omitempty"` // requests in which the control alone differed
}

// example is the observation that shows a hypothesis best.
type example struct {
	Observation string `json:"o"`
	At          string `json:"at,omitempty"`
	Was         string `json:"was,omitempty"`
	Is          string `json:"is,omitempty"`
	Size        int64  `json:"z,omitempty"`
	Alone       bool   `json:"al,omitempty"` // only the candidate differs in it
}

// better says whether the other example shows more with less.
func (e example) better(o example) bool {
	if e.Observation == "" || o.Alone != e.Alone {
		return e.Observation == "" || o.Alone
	}
	return o.Size < e.Size-e.Size/5
}

// hypothesis is "at this place the candidate differs no more than the control", with what was seen.
type hypothesis struct {
	Endpoint  int                `json:"e"`
	Kind      diff.Kind          `json:"k"`
	Path      string             `json:"p"`
	Variant   string             `json:"v,omitempty"`
	Levels    [diff.Levels]level `json:"l"`
	Noise     noise.Counts       `json:"no"`
	Contexts  stats.Distinct     `json:"x"`
	Requests  stats.Distinct     `json:"r"`
	Seen      [2]time.Time       `json:"t,omitzero"` // first and last with the candidate alone
	Example   example            `json:"ex,omitzero"`
	Classes   map[string]int64   `json:"cl,omitempty"`
	Aftermath int64              `json:"af,omitempty"` // later requests of sessions that it sent another way, which differ too
	Kept      int64              `json:"ke,omitempty"`
	Shown     int64              `json:"sh,omitempty"` // requests in which the candidate alone differs, at any level
	Cases     condition.Cases    `json:"ca,omitzero"`  // a sample of them
	Earlier   map[int]int64      `json:"ea,omitempty"` // in how many of them another hypothesis came first, by that one
	Slot      stats.Slot         `json:"s,omitzero"`
	Into      int                `json:"in,omitempty"` // the hypothesis that it became part of, plus 1
	id        string
	seen      seenEvidence
}

// widen makes first and last of two stretches of time those of both; a zero stretch is none.
func widen(x, y [2]time.Time) [2]time.Time {
	switch {
	case y[0].IsZero():
		return x
	case x[0].IsZero():
		return y
	}
	if y[0].Before(x[0]) {
		x[0] = y[0]
	}
	if y[1].After(x[1]) {
		x[1] = y[1]
	}
	return x
}

// maxClasses bounds how many classes of change are told apart at one place.
const maxClasses = 16

// vote counts a class of change.
func (h *hypothesis) vote(class string) {
	if _, known := h.Classes[class]; !known && len(h.Classes) >= maxClasses {
		class = "other"
	}
	if h.Classes == nil {
		h.Classes = map[string]int64{}
	}
	h.Classes[class]++
}

// class is the commonest class of change; ties go by name.
func (h *hypothesis) class() string {
	best, n := "other", int64(0)
	for c, k := range h.Classes {
		if k > n || k == n && c < best {
			best, n = c, k
		}
	}
	return best
}

// hypothesis finds or makes the hypothesis for a place. Beyond the bounds one stands for all the rest.
func (a *Analysis) hypothesis(p place) int {
	if i, known := a.byPlace[p]; known {
		return i
	}
	ep := a.endpoints[p.endpoint]
	if ep.Places >= maxPlacesAtEndpoint || len(a.places) >= maxPlaces {
		p.path, p.variant = elsewhere, ""
		if i, known := a.byPlace[p]; known {
			return i
		}
	}
	i := len(a.places)
	h := newHypothesis(p)
	h.id = a.placeID(h)
	a.places = append(a.places, h)
	a.byPlace[p] = i
	ep.Places++
	return i
}

func newHypothesis(p place) *hypothesis {
	return &hypothesis{
		Endpoint: p.endpoint, Kind: p.kind, Path: p.path, Variant: p.variant,
		Contexts: stats.NewDistinct(sketchSize), Requests: stats.NewDistinct(sketchSize),
	}
}

// placeID is the hypothesis' stable id: the same in the next session.
func (a *Analysis) placeID(h *hypothesis) string {
	ep := a.endpoints[h.Endpoint]
	return id.Stable(id.Finding, ep.Service, ep.Name, string(h.Kind), h.Path)
}

// aliasID is the id of the merged finding that the hypothesis would be part of, and "" when it is never merged.
func (a *Analysis) aliasID(h *hypothesis, class string) string {
	ep := a.endpoints[h.Endpoint]
	e, p, ok := cluster.Alias(h.Kind, ep.Name, h.Path)
	if !ok {
		return ""
	}
	return id.Stable(id.Finding, ep.Service, e, string(h.Kind), p, class)
}

// levelWeights is the stake on each level, declared beforehand: most changes of meaning show at the canonical level.
func levelWeights() [diff.Levels]float64 {
	return [diff.Levels]float64{diff.Bytes: .04, diff.Canonical: .54, diff.Tolerant: .28, diff.Format: .06, diff.Type: .04, diff.Presence: .04}
}

// logE is the log e-value of one level, and that of its paired process alone.
func (l level) logE(visits int64) (both, paired float64) {
	pos, neg := l.Candidate-l.Both, l.Control-l.Both
	if pos <= 0 || l.Candidate <= l.Control {
		return math.Inf(-1), math.Inf(-1) // no evidence; leaving it out of a mean is safe
	}
	visits = max(visits, pos+neg+l.Both) // a session that visits more than it can remember still has its say
	return stats.LogFinding(stats.Tri{Pos: pos, Neg: neg, Zero: visits - pos - neg},
		stats.History{CandidateK: l.Candidate, CandidateN: visits, ControlK: l.Control, ControlN: visits})
}

// evidence is the log e-value of a hypothesis, and that of the paired process alone.
type evidence struct{ both, paired float64 }

// evidence is the mean over the levels with the stakes declared beforehand.
func (h *hypothesis) evidence(visits int64) evidence {
	var both, paired [diff.Levels]float64
	for l := range h.Levels {
		if l > 0 && h.Levels[l].same(h.Levels[l-1]) {
			both[l], paired[l] = both[l-1], paired[l-1]
			continue
		}
		both[l], paired[l] = h.Levels[l].logE(visits)
	}
	w := levelWeights()
	return evidence{stats.LogMix(both[:], w[:]), stats.LogMix(paired[:], w[:])}
}

// same says whether two levels were seen to differ alike.
func (l level) same(o level) bool {
	return l.Candidate == o.Candidate && l.Control == o.Control && l.Both == o.Both
}

// units is how many user sessions met the difference without meeting it on the control.
func (h *hypothesis) units() int64 {
	n := int64(0)
	for _, l := range h.Levels {
		n = max(n, l.Candidate-l.Both)
	}
	return n
}

// discordant is in how many user sessions just one of the two sides differed, and whether both ever did.
func (h *hypothesis) discordant() (n int64, both bool) {
	for _, l := range h.Levels {
		n, both = max(n, l.Candidate+l.Control-2*l.Both), both || l.Both > 0
	}
	return n, both
}

// ranked says whether the hypothesis is among those that are tested.
func (h *hypothesis) ranked() bool { return h.Slot.Rank > 0 || h.Slot.Number > 0 }

// number gives a hypothesis its rank by number, once enough pairs are discordant, whichever way.
func (a *Analysis) number(h *hypothesis) {
	n, both := h.discordant()
	switch {
	case h.Slot.Number > 0 || n < stats.Discordant:
	case both:
		a.ranks.Noisy++
		h.Slot.Number, h.Slot.Noisy = a.ranks.Noisy, true
	default:
		a.ranks.Clean++
		h.Slot.Number = a.ranks.Clean
	}
}

// follow gives a hypothesis its rank when it first looks promising, and latches it when its evidence suffices for ever.
func (a *Analysis) follow(s *stats.Slot, e evidence, units int64) {
	if s.Rank == 0 && e.both >= stats.Promising() {
		a.ranks.Promise++
		s.Rank, s.Base = a.ranks.Promise, e.both
	}
	if units >= minUnits && stats.Latches(a.score(*s, e), 0, certainty) {
		s.Latched = true
	}
}

// score is the log of weight times evidence. The parts that an analysis was merged from share the stake.
func (a *Analysis) score(s stats.Slot, e evidence) float64 {
	return s.LogScore(e.both, e.paired) - math.Log(float64(max(a.shards, 1)))
}

// ranks are how many ranks were given out, by order.
type ranks struct {
	Promise int `json:"p,omitempty"`
	Clean   int `json:"c,omitempty"`
	Noisy   int `json:"n,omitempty"`
}

// contribute moves one session's say at a hypothesis from what it was to what it is.
func (h *hypothesis) contribute(was, is mark) {
	h.seen.stale = true
	for l := range diff.Levels {
		c := &h.Levels[l]
		c.Candidate += change(was.candidate.Has(l), is.candidate.Has(l))
		c.Control += change(was.control.Has(l), is.control.Has(l))
		c.Both += change(was.candidate.Has(l) && was.control.Has(l), is.candidate.Has(l) && is.control.Has(l))
	}
}

func change(was, is bool) int64 {
	switch {
	case is && !was:
		return 1
	case was && !is:
		return -1
	}
	return 0
}

// hopeful says, cheaply, whether the e-value can be worth working out.
func (h *hypothesis) hopeful() bool {
	for _, l := range h.Levels {
		pos, neg := float64(l.Candidate-l.Both), float64(l.Control-l.Both)
		if pos > neg && (pos-neg)*(pos-neg) >= 2*(pos+neg) {
			return true
		}
	}
	return false
}

// isBody says whether a kind is about the body.
func isBody(k diff.Kind) bool { return strings.HasPrefix(string(k), "body.") }

// isCall says whether a kind is about outgoing calls.
func isCall(k diff.Kind) bool {
	return strings.HasPrefix(string(k), "call.") || k == diff.KindFenced
}
