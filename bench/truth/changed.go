// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"microstax/internal/engine"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/stats"
	"microstax/internal/id"
)

// cell is one strength of change under one rate of noise.
type cell struct {
	rate, noise float64
	// derived is the requests until E ≥ 20 that the derivation of the method gives for it (a simulation of one field on
	// paper, nothing else tested); 0 where it gives none.
	derived int
}

func cells() []cell {
	var out []cell
	known := map[[2]float64]int{{1, 0}: 7, {.1, 0}: 66, {.02, 0}: 337, {.005, 0}: 1303, {.02, .01}: 693, {.1, .3}: 646}
	for _, rate := range []float64{1, .1, .02, .005} {
		for _, noise := range []float64{0, .01, .05, .3} {
			out = append(out, cell{rate, noise, known[[2]float64{rate, noise}]})
		}
	}
	return out
}

// slack is how many times the requests of the bare test on the one changed field the whole judgement may take.
const slack = 1.5

// hunts sums up the runs of a cell.
type hunts struct {
	cell
	runs, found, others int
	ours                []int // requests
	bare                float64
	shown, falsely      int // runs in which Diffy's rule showed the change then; fields it showed wrongly
}

// changed runs candidates in which one field of one endpoint is changed in some of the answers.
func changed(o options) *section {
	s := &section{name: "changed", title: "A changed candidate"}
	s.note("One value of one endpoint's answers is changed by the candidate in the given share of the requests, besides the noise that " +
		"the same field has on all three sides, the baseline's too; a changed value is one that noise makes, too, so that nothing but the rate tells them apart. The answers " +
		"hold an identifier that varies always as well. Every request is a user session. Counted are requests until the finding is confirmed.")
	s.note("The measure is the paired test by itself, as the derivation of the method simulates it: requests until its e-value (even stakes) reaches 20, " +
		"on that field alone, as if it were known beforehand where to look. In brackets is the derivation's own figure where it gives one; without noise that " +
		"is the measure, with noise the mean of at least 40 and mostly 1,000 simulated tests, since there the baseline is noisy as well. The whole " +
		"judgement looks everywhere and answers for all that it confirms; on average it may take 1.5 × as many. In the last rows four more endpoints with 32 noisy " +
		"fields, each with a fifth of the changed one's traffic, compete for the same certainty: what that costs is stated.")
	s.head = []string{"changed in", "noise", "found", "requests until confirmed, median (90th percentile)", "on average", "the bare test", "ratio",
		"other findings", "Diffy's rule, when we confirm", "fields it shows wrongly then, per run"}
	all := hunts{}
	within, diffyWrong := 0, 0
	list := cells()
	for i, c := range list {
		h := huntAll(o, uint64(1000*i), c, nil)
		s.show(h, "")
		all.runs, all.found, all.others, all.shown = all.runs+h.runs, all.found+h.found, all.others+h.others, all.shown+h.shown
		within += count(h.ratio() <= slack)
		diffyWrong += count(h.falsely > 0)
	}
	for i, c := range []cell{{1, 0, 7}, {.1, 0, 66}, {.02, 0, 337}, {.1, .05, 0}} {
		h := huntAll(o, uint64(100_000+1000*i), c, manyRoutes(4))
		s.show(h, ", 32 noisy fields elsewhere")
		all.runs, all.found, all.others, all.shown = all.runs+h.runs, all.found+h.found, all.others+h.others, all.shown+h.shown
	}
	s.add(fmt.Sprintf("A/B at 100, 10, 2, 0.5 %% with noise 0, 1, 5, 30 %%: changes found, of %d runs", all.runs), "all", share(all.found, all.runs),
		fmt.Sprintf("shows it, when we confirm it, in %d of %d", all.shown, all.runs), all.found == all.runs)
	s.add("the same: combinations in which requests until confirmed are within 1.5 × those of the bare test (without noise 7, 66, 337, 1,303)",
		fmt.Sprintf("%d of %d", len(list), len(list)), fmt.Sprintf("%d of %d", within, len(list)), "", within == len(list))
	s.add("the same: runs with a confirmed finding anywhere else", "≤ 1 %", share(all.others, all.runs), "", atMost(all.others, all.runs, .01))
	return s
}

func huntAll(o options, seed uint64, c cell, others []route) hunts {
	h := hunts{cell: c, runs: o.changesOf(c), bare: bareTest(c)}
	for run := range h.runs {
		t := hunt(newWorld(o.seed+seed+uint64(run), append([]route{changedRoute(c.noise)}, others...), 1), c)
		h.ours = append(h.ours, t.requests)
		h.found, h.shown, h.others, h.falsely = h.found+count(t.found), h.shown+count(t.shown), h.others+count(t.others > 0), h.falsely+t.falsely
	}
	o.progress("changed in %s, noise %s, %d others: %d of %d, mean %.0f, bare %.0f, ratio %.2f", percent(c.rate), percent(c.noise), len(others), h.found,
		h.runs, average(h.ours), h.bare, h.ratio())
	return h
}

func average(list []int) float64 {
	sum := 0
	for _, n := range list {
		sum += n
	}
	return float64(sum) / float64(max(len(list), 1))
}

// ratio is requests needed over those of the bare test.
func (h hunts) ratio() float64 {
	if h.noise == 0 {
		return average(h.ours) / float64(h.derived)
	}
	return average(h.ours) / h.bare
}

func (s *section) show(h hunts, where string) {
	bare := thousands(int(h.bare + .5))
	if h.derived > 0 {
		bare += fmt.Sprintf(" (%s)", thousands(h.derived))
	}
	s.line(percent(h.rate), percent(h.noise)+where, fmt.Sprintf("%d of %d", h.found, h.runs), fmt.Sprintf("%s (%s)", thousands(quantile(h.ours, .5)),
		thousands(quantile(h.ours, .9))), thousands(int(average(h.ours)+.5)), bare, fmt.Sprintf("%.2f", h.ratio()), fmt.Sprint(h.others),
		fmt.Sprintf("shows it in %d of %d", h.shown, h.runs), fmt.Sprintf("%.1f", float64(h.falsely)/float64(h.runs)))
}

// The bare test is simulated so often, or as often as so many requests allow.
const (
	bareRuns     = 1000
	bareLeast    = 40
	bareRequests = 20_000_000
)

// bareTest is after how many requests, on average, the paired test on the changed field alone reaches 20.
func bareTest(c cell) float64 {
	r := rand.New(rand.NewPCG(math.Float64bits(c.rate), math.Float64bits(c.noise)))
	value := func(odd bool) int {
		if odd {
			return 1 + r.IntN(4)
		}
		return 0
	}
	requests, runs := 0, 0
	for runs < bareLeast || runs < bareRuns && requests < bareRequests {
		runs++
		for x := (stats.Tri{}); ; {
			requests++
			changed := value(r.Float64() < c.rate)
			b, n := value(r.Float64() < c.noise), value(r.Float64() < c.noise)
			if v := value(r.Float64() < c.noise); v > 0 {
				changed = v
			}
			if (changed != b) == (n != b) {
				continue
			}
			if n != b {
				x.Neg++
				continue
			}
			if x.Pos++; x.LogUp(0, stats.ForFindings()) >= math.Log(20) {
				break
			}
		}
	}
	return float64(requests) / float64(runs)
}

// changesOf is how many runs a cell gets: the rarest changes under the strongest noise take hundreds of thousands of requests
// each.
func (o options) changesOf(c cell) int {
	strength := c.rate * c.rate / (c.noise + c.rate) // requests needed are about ten over it
	switch {
	case strength > .005:
		return 8 * o.changes
	case strength > .0015:
		return 4 * o.changes
	case strength > .0003:
		return 2 * o.changes
	}
	return max(o.changes/8, 1)
}

func percent(x float64) string { return fmt.Sprintf("%g %%", 100*x) }

// changedRoute is the endpoint that changes.
func changedRoute(noise float64) route {
	return route{service: "orders", method: "GET", target: "/cart", uneven: .5, fields: []field{
		{name: "requestId", kind: unique}, {name: "price", kind: flips, rate: noise},
	}}
}

// trail is how one hunt for a change went.
type trail struct {
	requests        int // to the changed endpoint
	found, shown    bool
	others, falsely int
}

// patience is how many requests are waited for.
const patience = 5_000_000

func hunt(w *world, c cell) trail {
	const at = 1 // price among the fields
	w.edit = func(r *rand.Rand, i int, v []string) string {
		if i == 0 && r.Float64() < c.rate {
			v[at] = oddWord(r) // just as noise has it
		}
		return ""
	}
	a, d := engine.New(engine.Config{Control: true}), newRival()
	want := id.Stable(id.Finding, "orders", "GET /cart", string(diff.KindValue), "$.price")
	var out trail
	for !out.found && out.requests < patience {
		o, t := w.at(0)
		if out.requests++; w.r.IntN(5) == 0 {
			for k := 1; k < len(w.routes); k++ {
				x, t := w.at(k)
				a.Tally(t)
				a.Observe(x)
				d.observe(x, "")
			}
		}
		a.Tally(t)
		a.Observe(o)
		out.shown = d.observe(o, "body.price")
		out.others = 0
		for _, f := range a.Standing().Confirmed {
			if f == want {
				out.found = true
			} else {
				out.others++
			}
		}
	}
	for _, f := range d.shown() {
		if f != "orders GET /cart body.price" {
			out.falsely++
		}
	}
	return out
}
