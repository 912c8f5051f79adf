// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"microstax/internal/blueprint"
	"microstax/internal/engine"
)

// limit runs candidates that are exactly as bad as a gate allows, and one that is not bad at all.
func limit(o options) *section {
	const requests = 20_000
	s := &section{name: "limit", title: "A candidate exactly at the limit, watched"}
	s.note("The candidate adds a difference in exactly the share of the requests that the gate names, each time at another of 300 places of 20 "+
		"endpoints, so that no single place gives it away and only the promotion gate stands between. Every request is a user session; the verdict is looked at "+
		"after each of %s. Promoting it at any time is wrong, and may happen in at most 5 %%, the gate's 1 − confidence.", thousands(requests))
	s.head = []string{"gate's maxDifferenceRate", "added differences", "runs", "promoted at any time", "requests until then, median", "held at any time"}
	total, wrong := 0, 0
	for i, c := range []struct {
		eps   float64
		share float64 // of the limit
		noise float64
		runs  int
	}{{.001, 1, 0, o.runs / 2}, {.01, 1, 0, o.runs / 2}, {.01, 1, .01, o.runs / 4}, {.001, 0, 0, max(o.runs/20, 1)}} {
		promoted, held := 0, 0
		var when []int
		runs := max(c.runs, 1)
		for run := range runs {
			n, h := untilPromoted(newWorld(o.seed+uint64(10_000*i+run), plainRoutes(20, c.noise), 1), c.eps, c.eps*c.share, requests)
			held += count(h)
			if n > 0 {
				promoted++
				when = append(when, n)
			}
		}
		if c.share == 1 {
			total, wrong = total+runs, wrong+promoted
		}
		added := "none"
		if c.share > 0 {
			added = "in " + percent(c.eps*c.share)
		}
		if c.noise > 0 {
			added += fmt.Sprintf(", and noise of %s on all sides", percent(c.noise))
		}
		s.line(percent(c.eps), added, fmt.Sprint(runs), share(promoted, runs), thousands(quantile(when, .5)), share(held, runs))
		o.progress("limit %s, %s: promoted %d of %d, held %d", percent(c.eps), added, promoted, runs, held)
		if c.share == 0 {
			s.add("an unchanged candidate is promoted (limit 0.1 %)", "all", share(promoted, runs)+", after "+thousands(quantile(when, .5))+" requests", "no verdict",
				promoted == runs)
		}
	}
	s.rows = append([]row{{what: fmt.Sprintf("promotion of a candidate exactly at the limit, watched to %s, %d runs", thousands(requests), total), want: "≤ 5 % wrong",
		ours: share(wrong, total), diffy: "no verdict", ok: atMost(wrong, total, .05)}}, s.rows...)
	return s
}

func plainRoutes(n int, noise float64) []route {
	routes := make([]route, n)
	for i := range routes {
		routes[i] = route{service: "orders", method: "GET", target: "/" + word(i), uneven: .05, fields: []field{
			{name: "name"}, {name: "total"}, {name: "stock", kind: flips, rate: noise},
		}}
	}
	return routes
}

// untilPromoted is after how many requests the candidate is promoted, and 0 for never.
func untilPromoted(w *world, eps, added float64, requests int) (promoted int, held bool) {
	w.edit = func(r *rand.Rand, _ int, _ []string) string {
		if added == 0 || r.Float64() >= added {
			return ""
		}
		return `,"extra` + strconv.Itoa(r.IntN(300)) + `":1`
	}
	shadow := blueprint.EffectiveShadow(&blueprint.Shadow{Gate: &blueprint.Gate{MaxDifferenceRate: eps}})
	a := engine.New(engine.Config{Control: true, Services: map[string]blueprint.Shadow{"orders": shadow}})
	agreed := 0
	for n := 1; n <= requests; n++ {
		o, t := w.next()
		a.Tally(t)
		a.Observe(o)
		st := a.Standing()
		if !st.Agrees {
			agreed = 0
			held = held || st.Differs || len(st.Confirmed) > 0
			continue
		}
		if agreed++; agreed%20 != 1 { // the other gates, which are no matter of chance here
			continue
		}
		if a.Report(engine.Meta{}).Verdict.Decision == "promote" {
			return n, held
		}
	}
	return 0, held
}
