// SPDX-License-Identifier: Apache-2.0

// Package report renders the diff report for people and for continuous integration: text for a terminal, Markdown, one
// self-contained HTML page, and JUnit. Everything is a pure function of the report.
package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	api "microstax/api/v1"
	"microstax/internal/numeral"
)

// Bounds on what the tables of the text and Markdown forms show; the rest is counted. HTML and JSON show all.
const (
	maxRows    = 20
	valueWidth = 60
)

// headline is the verdict as one sentence.
func headline(r api.Report) string {
	first := ""
	if len(r.Verdict.Reasons) > 0 {
		first = r.Verdict.Reasons[0]
	}
	return strings.TrimSpace(verdictWord(r.Verdict.Decision) + ": " + first)
}

// verdictWord is the decision as it stands at the head of a report.
func verdictWord(decision string) string {
	switch decision {
	case "promote":
		return "PROMOTE"
	case "hold":
		return "HOLD"
	case "insufficient":
		return "NOT ENOUGH EVIDENCE"
	}
	return strings.ToUpper(decision)
}

// nextStep is what to do now. A report without an environment comes from services that nobody keeps evidence of.
func nextStep(r api.Report) string {
	env := r.EnvironmentID
	open := func(confidence string) *api.Finding {
		for i, f := range r.Findings {
			if f.Status == "open" && (f.Confidence == confidence || confidence == "" && f.Confidence != "suspected") {
				return &r.Findings[i]
			}
		}
		return nil
	}
	switch r.Verdict.Decision {
	case "promote":
		return "Next: keep the evidence with the change: this report with -o markdown, html or json."
	case "hold":
		f := open("")
		switch {
		case f != nil && env != "":
			return fmt.Sprintf("Next: microstax env observations %s --finding %s, then mend it, or microstax env accept %s %s --reason WHY",
				env, f.ID, env, f.ID)
		case f != nil:
			return "Next: mend it, start the candidate anew, and run this again."
		}
		if f := open("suspected"); f != nil && env != "" {
			return fmt.Sprintf("Next: look at what is suspected: microstax env observations %s --finding %s; more traffic makes it sure", env, f.ID)
		}
		return "Next: mend what makes the evidence untrustworthy, then send more traffic."
	}
	again := "run this again"
	if env != "" {
		again = "microstax env diffs " + env
	}
	if n := r.Verdict.RequestsNeeded; n > 0 {
		return fmt.Sprintf("Next: send about %s more requests, then %s", numeral.Count(n), again)
	}
	return "Next: send more traffic, then " + again
}

// trafficLine accounts for the requests in one line.
func trafficLine(t api.Traffic) string {
	s := fmt.Sprintf("%s received, %s compared, %s identical", numeral.Count(t.Received), numeral.Count(t.Compared), numeral.Count(t.Identical))
	if t.InFlight > 0 {
		s += fmt.Sprintf(", %s in flight", numeral.Count(t.InFlight))
	}
	var lost []string
	for _, k := range slices.Sorted(maps.Keys(t.Dropped)) {
		if n := t.Dropped[k]; n > 0 {
			lost = append(lost, fmt.Sprintf("%s %s", k, numeral.Count(n)))
		}
	}
	if len(lost) > 0 {
		s += "; not compared: " + strings.Join(lost, ", ")
	}
	if t.Capture != nil {
		s += "; " + captureLine(t.Capture)
	}
	return s
}

// captureLine says how much a passive tap saw.
func captureLine(c *api.Capture) string {
	s := fmt.Sprintf("the tap saw %g %% of %s exchanges", math.Floor(c.Rate*1e4)/100, numeral.Count(c.Seen+c.Missed)) // not rounded up
	if c.PacketsLost > 0 {
		s += fmt.Sprintf(" and lost %s of %s packets", numeral.Count(c.PacketsLost), numeral.Count(c.Packets))
	}
	var unread []string
	for _, k := range slices.Sorted(maps.Keys(c.Unread)) {
		unread = append(unread, fmt.Sprintf("%s %s", k, numeral.Count(c.Unread[k])))
	}
	if len(unread) > 0 {
		s += "; connections not read: " + strings.Join(unread, ", ")
	}
	return s
}

// rateLine is "9 of 900 requests (1 %; 0.4 … 2 %)".
func rateLine(f api.Finding) string {
	return fmt.Sprintf("%s of %s requests (%s; always-valid %s … %s)", numeral.Count(f.Count), numeral.Count(f.Compared), numeral.Percent(f.Rate),
		numeral.Percent(f.Interval[0]), numeral.Percent(f.Interval[1]))
}

// sureness is "confirmed, E = 1.2e5" and the like.
func sureness(f api.Finding) string {
	s := or(f.Confidence, "suspected") + ", E = " + evidence(f.Evidence)
	if f.Status != "open" && f.Status != "" {
		s = f.Status + "; " + s
	}
	return s
}

// decision says who decided what, when and why, and why that holds no more; "" where nobody did.
func decision(f api.Finding) string {
	if f.Reopened != "" {
		return "open again: " + f.Reopened
	}
	d := f.Decision
	if d == nil {
		return ""
	}
	s := d.Status + " by " + or(d.Who, "somebody") + " on " + d.At.UTC().Format(time.DateOnly)
	if d.Expires != nil {
		s += " until " + d.Expires.UTC().Format(time.DateOnly)
	}
	if d.Scope == "session" {
		s += " for this session"
	}
	if d.Rule != "" {
		s += " by " + d.Rule
	}
	if d.Reason != "" {
		s += ": " + d.Reason
	}
	return s
}

// ignoreLine is what one rule hides.
func ignoreLine(r api.IgnoreRule) string {
	s := fmt.Sprintf("%s at %s (%s) by %s hides %s in %s requests", strings.Join(r.Kinds, ", "), r.Path,
		or(strings.TrimSpace(r.Service+" "+r.Endpoint), "everywhere"), or(r.Who, "somebody"), plural(int64(r.Findings), "finding"), numeral.Count(r.Requests))
	if r.Expired {
		s += "; expired"
	} else if r.Expires != nil {
		s += "; until " + r.Expires.UTC().Format(time.DateOnly)
	}
	if r.Reason != "" {
		s += ": " + r.Reason
	}
	return s
}

// resolvedLine is one finding that is gone.
func resolvedLine(r api.Resolved) string {
	return fmt.Sprintf("%s %s: %s (%s); not seen in %s requests", r.Service, r.Endpoint, r.Summary, r.ID, numeral.Count(r.Compared))
}

// The titles of lists.
const (
	breachTitle   = "Answers that break the OpenAPI description"
	resolvedTitle = "Resolved since an earlier session"
	ignoresTitle  = "Ignored by rule"
)

// lines writes each of a list.
func lines[T any](list []T, line func(T) string) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = line(list[i])
	}
	return out
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return numeral.Count(n) + " " + noun + "s"
}

func where(f api.Finding) string {
	if f.Endpoint == "*" {
		return f.Service + " (several endpoints)"
	}
	return f.Service + " " + f.Endpoint
}

func evidence(e float64) string {
	switch {
	case math.IsNaN(e), e <= 0:
		return "0"
	case e < 100:
		return strconv.FormatFloat(e, 'g', 3, 64)
	case e < 1e5:
		return numeral.Count(int64(math.Round(e)))
	}
	return strconv.FormatFloat(e, 'e', 1, 64)
}

// number writes a latency or a mean with three significant digits.
func number(x float64) string {
	if x >= 1000 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

func ratioText(l api.Latency) string {
	if l.Ratio == 0 {
		return "–"
	}
	high := number(l.Interval[1])
	if l.Interval[1] >= 1e6 {
		high = "?"
	}
	return fmt.Sprintf("%s (%s … %s)", number(l.Ratio), number(l.Interval[0]), high)
}

func or(s, alternative string) string {
	if s == "" {
		return alternative
	}
	return s
}

// clip shortens s to at most n characters and makes it one line without control characters.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > n {
		return string(r[:max(n-1, 0)]) + "…"
	}
	return s
}

func window(w api.Window) string {
	if w.Start.IsZero() {
		return "no traffic yet"
	}
	return fmt.Sprintf("%s to %s (%s)", w.Start.UTC().Format(time.RFC3339), w.End.UTC().Format(time.RFC3339),
		w.End.Sub(w.Start).Round(time.Second))
}

func seen(f api.Finding) string {
	return fmt.Sprintf("first %s, last %s", f.FirstSeen.UTC().Format(time.RFC3339), f.LastSeen.UTC().Format(time.RFC3339))
}

// check says how well a finding's condition was borne out.
func check(f api.Finding) string {
	if f.ConditionCheck == "" {
		return ""
	}
	return ": " + f.ConditionCheck
}
