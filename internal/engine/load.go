// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"math"
	"strconv"
	"time"

	api "microstax/api/v1"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/stats"
	"microstax/internal/observation"
)

// depth counts how many requests somebody had under way. The histogram counts them as milliseconds.
type depth struct {
	Count stats.Histogram `json:"h,omitzero"`
	Sum   int64           `json:"s,omitempty"`
}

func (l *depth) add(n int) {
	if n > 0 {
		l.Count.Add(time.Duration(n) * time.Millisecond)
		l.Sum += int64(n)
	}
}

func (l *depth) mean() float64 { return float64(l.Sum) / float64(max(l.Count.N(), 1)) }

func (l *depth) report() api.Level {
	return api.Level{Mean: math.Round(l.mean()*100) / 100, P99: math.Round(l.Count.Quantile(.99))}
}

// load is under what load the three were asked, and which part of the sessions the shadows could take. Merging is adding,
// but for the share of the moment.
type load struct {
	Lag       stats.Histogram `json:"l,omitzero"`
	Baseline  depth           `json:"b,omitzero"`
	Control   depth           `json:"n,omitzero"`
	Candidate depth           `json:"c,omitzero"`
	Crowded   int64           `json:"cr,omitempty"`
	Share     float64         `json:"s,omitempty"` // 0: never told
	Lowest    float64         `json:"m,omitempty"`
	Sessions  int64           `json:"sh,omitempty"`
}

// observe counts one observation's load.
func (l *load) observe(o *observation.Load) {
	if o.Lag > 0 {
		l.Lag.Add(o.Lag)
	}
	l.Baseline.add(o.Baseline)
	l.Control.add(o.Control)
	l.Candidate.add(o.Candidate)
	if o.Crowded {
		l.Crowded++
	}
}

// tally notes the share of sessions that are mirrored.
func (l *load) tally(t *observation.Tally) {
	l.Sessions += t.ShedSessions
	if t.Share <= 0 {
		return
	}
	l.Share = t.Share
	if l.Lowest == 0 || t.Share < l.Lowest {
		l.Lowest = t.Share
	}
}

// add takes another part's counts in. Of two shares the smaller is told.
func (l *load) add(o *load) {
	l.Lag.Merge(&o.Lag)
	for _, p := range [3][2]*depth{{&l.Baseline, &o.Baseline}, {&l.Control, &o.Control}, {&l.Candidate, &o.Candidate}} {
		p[0].Count.Merge(&p[1].Count)
		p[0].Sum += p[1].Sum
	}
	l.Crowded, l.Sessions = l.Crowded+o.Crowded, l.Sessions+o.Sessions
	l.Share, l.Lowest = lower(l.Share, o.Share), lower(l.Lowest, o.Lowest)
}

// lower is the smaller of two shares; 0 is none.
func lower(a, b float64) float64 {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}

func (l *load) report() *api.Load {
	if l.Lag.N() == 0 {
		return nil
	}
	return &api.Load{
		Lag:      api.Lag{P50: l.Lag.Quantile(.5), P99: l.Lag.Quantile(.99), Unit: "ms"},
		Baseline: l.Baseline.report(), Control: l.Control.report(), Candidate: l.Candidate.report(), Crowded: l.Crowded,
		Note: l.note(),
	}
}

func (l *load) shedding(requests int64) *api.Shedding {
	if requests == 0 && l.Sessions == 0 && (l.Lowest == 0 || l.Lowest == 1) {
		return nil
	}
	return &api.Shedding{Share: l.Share, Lowest: l.Lowest, Sessions: l.Sessions, Requests: requests}
}

// What makes the load of the shadows another than the baseline's: this share, and so many requests at a time.
const (
	otherLoad  = 0.2
	otherLevel = 1
	fewLevels  = 50 // below it they say nothing
)

// note says that the shadows were asked under another load than the baseline. The control is the one to look at: it is
// the same version, while a candidate that is slower has more under way for that reason.
func (l *load) note() string {
	who, s := "the control", &l.Control
	if s.Count.N() == 0 {
		who, s = "the candidate", &l.Candidate
	}
	if s.Count.N() < fewLevels || l.Baseline.Count.N() < fewLevels {
		return ""
	}
	b, n := l.Baseline.mean(), s.mean()
	if math.Abs(n-b) < otherLevel || math.Abs(n/b-1) <= otherLoad {
		return ""
	}
	return fmt.Sprintf("%s had %s requests at a time, the baseline %s: how long they take is compared under another load than "+
		"users see", who, atATime(n), atATime(b))
}

func atATime(n float64) string { return strconv.FormatFloat(n, 'f', 1, 64) }

// qualify adds to what is said of latency that the load was another.
func (l *load) qualify(fs []finding) {
	note := l.note()
	for i := range fs {
		if note != "" && fs[i].Kind == string(diff.KindLatency) {
			fs[i].Summary += "; " + note
		}
	}
}
