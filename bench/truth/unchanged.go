// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"microstax/internal/engine"
)

// unchanged runs a candidate that is the baseline, and looks after every request.
func unchanged(o options) *section {
	const endpoints, requests, length = 30, 5000, 8
	s := &section{name: "unchanged", title: "An unchanged candidate, watched"}
	s.note("%d endpoints of two services with twelve fields each: identifiers and times that vary always, and flipped, counted, "+
		"missing, null and shuffled values at rates from 0.1 %% to 30 %%, on all three sides alike; half of what is odd stays so for "+
		"the whole user session (%d requests on average). 503s in up to 0.5 %%, durations with up to 1.5 × their mean as spread. %s requests "+
		"a run; findings and verdict are looked at after each of them.", endpoints, length, thousands(requests))
	confirmed, suspected, held, wrongHold, diffyEver, diffyEnd := 0, 0, 0, 0, 0, 0
	fieldsEver, fieldsEnd := 0, 0
	for run := range o.runs {
		r := watch(newWorld(o.seed+uint64(run), manyRoutes(endpoints), length), requests)
		confirmed += count(r.confirmed)
		suspected += count(r.suspected)
		wrongHold += count(r.findingHold)
		held += count(r.hold)
		diffyEver += count(r.everShown > 0)
		diffyEnd += count(r.endShown > 0)
		fieldsEver, fieldsEnd = fieldsEver+r.everShown, fieldsEnd+r.endShown
		if r.confirmed || r.hold {
			o.progress("run %d: %s", run, r.what)
		}
	}
	rival := fmt.Sprintf("a false alarm at some time in %s, at the end in %s", share(diffyEver, o.runs), share(diffyEnd, o.runs))
	s.add(fmt.Sprintf("A/A, %d runs, watched after every request up to %s: runs with a confirmed finding", o.runs, thousands(requests)),
		"≤ 1 %", share(confirmed, o.runs), rival, atMost(confirmed, o.runs, .01))
	s.add("the same: a wrong `hold` because of findings", "≤ 1 %", share(wrongHold, o.runs), "no verdict", atMost(wrongHold, o.runs, .01))
	s.head = []string{"of " + fmt.Sprint(o.runs) + " runs", "at any time"}
	s.line("with a confirmed finding", share(confirmed, o.runs))
	s.line("with a suspected finding", share(suspected, o.runs))
	s.line("held because of a finding", share(wrongHold, o.runs))
	s.line("held for any reason, the pooled gate among them", share(held, o.runs))
	s.line("Diffy's rule: fields shown at some time after 100 requests to their endpoint, per run", fmt.Sprintf("%.1f of %d", float64(fieldsEver)/float64(o.runs), endpoints*8))
	s.line("Diffy's rule: fields shown at the end, per run", fmt.Sprintf("%.1f of %d", float64(fieldsEnd)/float64(o.runs), endpoints*8))
	return s
}

// watched is what was seen in a run.
type watched struct {
	confirmed, suspected, hold, findingHold bool
	everShown, endShown                     int
	what                                    string
}

func watch(w *world, requests int) watched {
	a, d := engine.New(engine.Config{Control: true}), newRival()
	var out watched
	for range requests {
		x, t := w.next()
		a.Tally(t)
		a.Observe(x)
		d.observe(x, "")
		st := a.Standing()
		out.suspected = out.suspected || st.Suspected > 0
		if len(st.Confirmed) == 0 && !st.Differs || out.hold {
			continue
		}
		r := a.Report(engine.Meta{}) // rare: only now can the verdict be other than to wait or to promote
		found := ""
		for _, f := range r.Findings {
			if f.Confidence == "confirmed" {
				out.confirmed, found = true, fmt.Sprintf("%s %s %s, E = %.3g", f.Endpoint, f.Path, f.Summary, f.Evidence)
			}
		}
		if r.Verdict.Decision == "hold" {
			out.hold, out.findingHold = true, found != ""
		}
		out.what = fmt.Sprintf("after %d: %s %s %v", w.n, r.Verdict.Decision, found, r.Verdict.Reasons)
	}
	out.everShown, out.endShown = len(d.ever), len(d.shown())
	return out
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// atMost says whether k of n is at most the share.
func atMost(k, n int, share float64) bool { return float64(k) <= share*float64(n) }
