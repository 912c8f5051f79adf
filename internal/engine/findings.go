// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	api "microstax/api/v1"
	"microstax/internal/engine/cluster"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/stats"
	"microstax/internal/id"
)

// finding is a finding and what the verdict wants to know beside it.
type finding struct {
	api.Finding
	twin int64 // requests in which the control alone differed
	logE float64
}

// sentence names the place and the change.
func (f finding) sentence() string {
	where := f.Service + " " + f.Endpoint
	if f.Endpoint == cluster.Everywhere {
		where = f.Service
	}
	return where + ": " + f.Summary
}

// findings lists what is confirmed or suspected, merged by cause: confirmed before
// suspected, worst first.
func (a *Analysis) findings(t outcomes, decisions map[string]Decision) []finding {
	var sigs []cluster.Signature
	for i, h := range a.places {
		if r := t.places[i]; r.confirmed || r.suspected {
			ep := a.endpoints[h.Endpoint]
			sigs = append(sigs, cluster.Signature{
				Index: i, Kind: h.Kind, Service: ep.Service, Endpoint: ep.Name, Path: h.Path, Class: h.class(), Requests: h.Requests,
			})
		}
	}
	var out []finding
	at := map[string]int{} // by id
	add := func(f finding) {
		if i, known := at[f.ID]; known {
			out[i] = also(out[i], f)
			return
		}
		at[f.ID] = len(out)
		out = append(out, f)
	}
	for _, c := range cluster.Merge(sigs) {
		merged := a.merged(c, t, decisions)
		if _, taken := at[merged.ID]; len(c.Members) > 1 && !taken {
			add(merged)
			continue
		}
		for _, m := range c.Members {
			add(a.single(m.Index, t.places[m.Index], decisions))
		}
	}
	for i := range a.endpoints {
		if r := t.slow[i]; r.confirmed || r.suspected {
			add(a.slow(i, r, decisions))
		}
		for k, r := range t.tails[i] {
			if (r.confirmed || r.suspected) && !t.slow[i].confirmed { // else the whole endpoint is slower, its slowest with it
				add(a.slowTail(i, k, r, decisions))
				break
			}
		}
	}
	slices.SortStableFunc(out, func(x, y finding) int {
		return cmp.Or(cmp.Compare(x.Confidence, y.Confidence), cmp.Compare(rank(x.Severity), rank(y.Severity)),
			cmp.Compare(y.logE, x.logE), cmp.Compare(x.ID, y.ID))
	})
	return out
}

// also adds a second change at the place of the first, such as another status.
func also(f, o finding) finding {
	f.Summary += "; also " + o.Summary
	f.Count = min(f.Count+o.Count, f.Compared)
	f.twin += o.twin
	f.Rate = float64(f.Count) / float64(max(f.Compared, 1))
	f.Interval[1] = max(f.Interval[1], f.Rate)
	f.UniqueContexts = max(f.UniqueContexts, o.UniqueContexts)
	if worse(o.Severity, f.Severity) {
		f.Severity = o.Severity
	}
	if o.Confidence == confirmed {
		f.Confidence = confirmed
	}
	if o.Status == open {
		f.Status = open
	}
	return f
}

// single is the finding of one hypothesis.
func (a *Analysis) single(i int, r tested, decisions map[string]Decision) finding {
	h := a.places[i]
	ep := a.endpoints[h.Endpoint]
	strictest, weakest := h.significant(ep.Visits)
	l := h.Levels[strictest]
	summary := h.summary()
	if h.Aftermath > 0 {
		summary += fmt.Sprintf(" (and %d later requests of the same user sessions differ after it)", h.Aftermath)
	}
	f := finding{twin: l.Twin, logE: r.logE, Finding: api.Finding{
		ID: h.id, Kind: string(h.Kind), Severity: severity(h, weakest), Service: ep.Service, Endpoint: ep.Name, Path: h.Path,
		Level: strictest.Name(), Status: open, Confidence: a.confidence(r, ep.Service), Summary: summary,
		Count: l.Only, Compared: ep.Clean, Rate: mean(l.Only, ep.Clean), Interval: interval(l.Only, ep.Clean, ep.Visits),
		Evidence: expo(r.logE), UniqueContexts: h.Contexts.Count(), FirstSeen: h.Seen[0], LastSeen: h.Seen[1],
		Example: h.Example.report(),
	}}
	if d, ok := a.decision(h, decisions); ok {
		f.Status = d.Status
	}
	f.Classes, f.Reopened = slices.Sorted(maps.Keys(h.Classes)), a.reopened(h, decisions)
	a.explain(&f.Finding, h, strictest)
	return f
}

// merged is the finding of a cluster: evidence and example are the first member's, which was chosen by creation and not
// by its size; counts are those of all, where they are on several endpoints, or of the commonest.
func (a *Analysis) merged(c cluster.Cluster, t outcomes, decisions map[string]Decision) finding {
	first := c.Members[0]
	f := a.single(first.Index, t.places[first.Index], decisions)
	f.ID = id.Stable(id.Finding, f.Service, c.Endpoint, f.Kind, c.Path, first.Class)
	f.Endpoint, f.Path = c.Endpoint, c.Path
	visits := a.endpoints[a.places[first.Index].Endpoint].Visits
	names := []string{a.memberName(c, first)}
	for _, m := range c.Members[1:] {
		one := a.single(m.Index, t.places[m.Index], decisions)
		if c.Endpoint == cluster.Everywhere {
			f.Count, f.Compared, f.twin = f.Count+one.Count, f.Compared+one.Compared, f.twin+one.twin
			visits += a.endpoints[a.places[m.Index].Endpoint].Visits
		} else {
			f.Count = max(f.Count, one.Count)
		}
		if worse(one.Severity, f.Severity) {
			f.Severity = one.Severity
		}
		if one.Confidence == confirmed {
			f.Confidence = confirmed
		}
		if one.Status == open { // settled only when all of it is
			f.Status = open
		}
		f.UniqueContexts = max(f.UniqueContexts, one.UniqueContexts)
		if one.FirstSeen.Before(f.FirstSeen) {
			f.FirstSeen = one.FirstSeen
		}
		if one.LastSeen.After(f.LastSeen) {
			f.LastSeen = one.LastSeen
		}
		names = append(names, a.memberName(c, m))
	}
	f.Rate, f.Interval = mean(f.Count, f.Compared), interval(f.Count, f.Compared, visits)
	f.Summary = fmt.Sprintf("%s; in %d places: %s", f.Summary, len(names), enumerate(names))
	return f
}

// memberName is what tells a member from the others of its cluster.
func (a *Analysis) memberName(c cluster.Cluster, m cluster.Signature) string {
	if c.Endpoint == cluster.Everywhere {
		return m.Endpoint
	}
	return m.Path
}

// maxListed bounds how many places a summary names.
const maxListed = 4

func enumerate(names []string) string {
	if len(names) <= maxListed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
}

// slow is the latency finding of an endpoint.
func (a *Analysis) slow(i int, r tested, decisions map[string]Decision) finding {
	ep := a.endpoints[i]
	l := &ep.Latency
	f := finding{logE: r.logE, Finding: api.Finding{
		ID: a.slowID(ep), Kind: string(diff.KindLatency), Severity: major, Service: ep.Service, Endpoint: ep.Name,
		Path: pathDuration, Status: open, Confidence: a.confidence(r, ep.Service),
		Summary: fmt.Sprintf("slower than %.4g × the control by more than 1 ms in %d of %d requests: median %.3g ms where the control's is %.3g ms",
			a.limit(ep), l.Slower.Pos, l.Slower.N(), l.Candidate.Quantile(.5), l.Control.Quantile(.5)),
		Count: l.Slower.Pos, Compared: l.Slower.N(), Rate: mean(l.Slower.Pos, l.Slower.N()),
		Interval: interval(l.Slower.Pos, l.Slower.N(), l.Slower.N()), Evidence: expo(r.logE),
		UniqueContexts: ep.Contexts.Count(), FirstSeen: ep.SlowAt[0], LastSeen: ep.SlowAt[1], Example: ep.Slow.report(),
	}}
	if d, ok := a.slowDecision(ep, decisions); ok {
		f.Status = d.Status
	}
	return f
}

// confidence of a listed finding. Without a control nothing is sure.
func (a *Analysis) confidence(r tested, service string) string {
	if r.confirmed && a.calibrated(service) {
		return confirmed
	}
	return suspected
}

// enough is the e-value at which one level of a refuted hypothesis is taken to show.
const enough = 20

// significant are the strictest and the weakest level at which the candidate is worse than the control.
func (h *hypothesis) significant(visits int64) (strictest, weakest diff.Level) {
	best, found := math.Inf(-1), false
	for l := range diff.Levels {
		e, _ := h.Levels[l].logE(visits)
		switch {
		case e >= math.Log(enough):
			if !found {
				strictest = l
			}
			weakest, found = l, true
		case !found && e > best:
			best, strictest, weakest = e, l, l
		}
	}
	return strictest, weakest
}

// interval is the always-valid interval for a rate of requests. Requests of one session are not independent: they are
// worth as many as there were visits.
func interval(count, compared, visits int64) [2]float64 {
	if compared == 0 {
		return [2]float64{0, 1}
	}
	worth := min(1, float64(visits)/float64(compared))
	return stats.RateInterval(float64(count)*worth, float64(compared)*worth, alpha)
}

// report is the example as reported, and nil when there is none.
func (e example) report() *api.Example {
	if e.Observation == "" {
		return nil
	}
	return &api.Example{ObservationID: e.Observation, At: e.At, Was: e.Was, Is: e.Is}
}
