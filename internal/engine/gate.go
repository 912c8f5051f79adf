// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"strconv"
	"strings"

	"microstax/internal/engine/diff"
	"microstax/internal/engine/stats"
)

// visits counts those to one endpoint: does the candidate differ, at levels that are not noisy, where the control does
// not? Differences are counted by what caused them, so that those that somebody accepts can be left out without looking
// at the traffic again.
type visits struct {
	Visits int64            `json:"v,omitempty"`
	Both   int64            `json:"b,omitempty"`
	Twin   int64            `json:"t,omitempty"` // the control alone
	Differ map[string]int64 `json:"d,omitempty"` // the candidate alone, by causes
}

// gate is what is counted for a service as a whole.
type gate struct {
	Units int64 `json:"u,omitempty"` // user sessions that reached the service
	Pairs int64 `json:"p,omitempty"` // of the baseline with its control, or with its own past
	Twins int64 `json:"w,omitempty"` // compared requests that had a control
}

// Bounds on the causes told apart; anyCause stands for the rest, which no acceptance excuses.
const (
	maxCauses    = 8
	maxCauseSets = 256 // at one endpoint
	anyCause     = "*"
)

// learning is how many control pairs an endpoint needs before a random-looking value that changed counts at more than
// its format: an id or a time is noise until its place has been seen to be quiet.
const learning = 20

// update moves a visit from one state to another.
func (g *visits) update(was, is visit) {
	g.add(was, -1)
	g.add(is, 1)
}

func (g *visits) add(v visit, n int64) {
	if !v.counted {
		return
	}
	g.Visits += n
	switch {
	case v.candidate && v.control:
		g.Both += n
	case v.control:
		g.Twin += n
	case v.candidate:
		if g.Differ == nil {
			g.Differ = map[string]int64{}
		}
		key := causeKey(v.causes)
		if _, known := g.Differ[key]; !known && n > 0 && len(g.Differ) >= maxCauseSets {
			key = anyCause
		}
		if g.Differ[key] < -n { // was counted under anyCause when there was no room
			key = anyCause
		}
		if g.Differ[key] += n; g.Differ[key] == 0 {
			delete(g.Differ, key)
		}
	}
}

// join adds the visits to an endpoint that turned out to be the same, with causes by their new names.
func (g *visits) join(o *visits, renamed func(key string) string) {
	g.Visits, g.Both, g.Twin = g.Visits+o.Visits, g.Both+o.Both, g.Twin+o.Twin
	for key, n := range o.Differ {
		if g.Differ == nil {
			g.Differ = map[string]int64{}
		}
		g.Differ[renamed(key)] += n
	}
}

func causeKey(causes []uint32) string {
	if len(causes) == 0 || len(causes) > maxCauses {
		return anyCause
	}
	var b strings.Builder
	for i, c := range causes {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(c), 10))
	}
	return b.String()
}

// tri is the evidence without the differences whose causes are all excused; nil excuses nothing.
func (g *visits) tri(excused func(place int) bool) stats.Tri {
	t := stats.Tri{Neg: g.Twin}
	for key, n := range g.Differ {
		if excused == nil || !allExcused(key, excused) {
			t.Pos += n
		}
	}
	t.Zero = g.Visits - t.Pos - t.Neg
	return t
}

func allExcused(key string, excused func(place int) bool) bool {
	if key == anyCause {
		return false
	}
	for c := range strings.SplitSeq(key, ",") {
		if i, err := strconv.Atoi(c); err != nil || !excused(i) {
			return false
		}
	}
	return true
}

// withCause adds a cause to a sorted set; a set that is too large stays too large.
func withCause(causes []uint32, c int) []uint32 {
	i, found := slices.BinarySearch(causes, uint32(c))
	if found || len(causes) > maxCauses {
		return causes
	}
	return slices.Insert(slices.Clone(causes), i, uint32(c))
}

// headerName identifies a header of a service: one that varies on one endpoint mostly varies on all.
type headerName struct{ service, header string }

// calibrated says whether a control ran for the service.
func (a *Analysis) calibrated(service string) bool {
	return a.cfg.Control && a.gates[service] != nil && a.gates[service].Twins > 0
}

// maxHeaders bounds the headers whose noise is known by service.
const maxHeaders = 1_024

// quiet is the level from which a difference at a hypothesis counts for the gate. It rests on control pairs of the past
// only, so that a change cannot make itself invisible.
func (a *Analysis) quiet(h *hypothesis, ep *endpoint, model string) (diff.Level, bool) {
	share := a.policy(ep).MaxDifferenceRate
	from := diff.Canonical
	if ep.Pairs < learning && looksRandom(model) {
		from = diff.Format
	}
	l, ok := h.Noise.Strictest(from, ep.Pairs, share)
	if n := a.headers[headerName{ep.Service, h.Path}]; ok && h.Kind == diff.KindHeader && n != nil {
		return n.Strictest(l, a.gate(ep.Service).Pairs, share)
	}
	return l, ok
}

// looksRandom says whether a model of values is of the kind that differs every time.
func looksRandom(model string) bool {
	switch model {
	case "", "number", "order", "other":
		return false
	}
	return true
}
