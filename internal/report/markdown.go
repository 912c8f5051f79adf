// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"

	api "microstax/api/v1"
	"microstax/internal/numeral"
)

// Markdown is the report for a pull request or a wiki (GitHub's dialect). Values from the traffic are escaped.
func Markdown(r api.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", md(headline(r)))
	for _, reason := range rest(r.Verdict.Reasons) {
		fmt.Fprintf(&b, "- %s\n", md(reason))
	}
	if len(r.Verdict.Reasons) > 1 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s.\n\n", md(trafficLine(r.Traffic)))
	if l := loadLine(r.Traffic); l != "" {
		fmt.Fprintf(&b, "Load: %s.\n\n", md(l))
	}
	fmt.Fprintf(&b, "%s\n", md(lineage(r)))
	if len(r.Findings) == 0 {
		b.WriteString("\nNo findings.\n")
	} else {
		fmt.Fprintf(&b, "\n### Findings (%d)\n", len(r.Findings))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n#### %s · %s · %s\n\n", md(f.Severity), md(f.Kind), md(where(f)))
		fmt.Fprintf(&b, "**%s**\n\n", md(f.Summary))
		fmt.Fprintf(&b, "- place: %s\n- %s; %s\n", code(f.Path), md(rateLine(f)), md(sureness(f)))
		if f.Condition != "" {
			fmt.Fprintf(&b, "- when %s%s\n", code(f.Condition), md(check(f)))
		}
		if f.Cause != nil {
			fmt.Fprintf(&b, "- first difference in the same requests: %s (%s)\n", md(f.Cause.Summary), md(f.Cause.Detail))
		}
		if d := decision(f); d != "" {
			fmt.Fprintf(&b, "- %s\n", md(d))
		}
		if e := f.Example; e != nil {
			fmt.Fprintf(&b, "- example %s at %s: %s → %s\n", code(e.ObservationID), code(or(e.At, f.Path)), code(or(e.Was, "nothing")), code(or(e.Is, "nothing")))
		}
		fmt.Fprintf(&b, "- %s\n", code(f.ID))
	}
	mdList(&b, resolvedTitle, lines(r.Resolved, resolvedLine))
	mdList(&b, ignoresTitle, lines(r.Ignores, ignoreLine))
	mdTable(&b, breaches(r))
	noise, latency, calls := tables(r)
	mdTable(&b, noise)
	mdTable(&b, latency)
	mdTable(&b, calls)
	fmt.Fprintf(&b, "\n%s\n", md(nextStep(r)))
	return b.String()
}

func lineage(r api.Report) string {
	s := "Baseline " + or(r.BaselineID, "–")
	if r.Lineage.BaselineRevision > 0 {
		s += fmt.Sprintf(" revision %d", r.Lineage.BaselineRevision)
	}
	s += ", overlay " + or(r.EnvironmentID, "–") + ", session " + or(r.SessionID, "–")
	if len(r.Lineage.Services) > 0 {
		s += ", services " + strings.Join(r.Lineage.Services, ", ")
	}
	return s + "; " + window(r.Window) + "; rules " + or(r.Rules, "–") + "."
}

// grid is a table before it has a format.
type grid struct {
	title string
	head  []string
	rows  [][]string
}

// tables are noise, latency and calls.
func tables(r api.Report) (noise, latency, calls grid) {
	noise = grid{"Noise: what varies without the change", []string{"endpoint", "path", "model", "varies", "learned from", "still seen"}, nil}
	for _, n := range r.Noise {
		noise.rows = append(noise.rows, []string{n.Service + " " + n.Endpoint, n.Path, n.Model,
			numeral.Percent(n.Rate) + " of " + numeral.Count(n.Pairs), n.LearnedFrom, n.StillSeen})
	}
	latency = grid{"Latency in ms", []string{"endpoint", "pairs", "baseline p50", "control p50 / p95 / p99", "candidate p50 / p95 / p99", "ratio of medians", "regressed"}, nil}
	for _, l := range slowestFirst(r.Latency) {
		regressed := "no"
		if l.Regressed {
			regressed = "yes"
		}
		latency.rows = append(latency.rows, []string{l.Service + " " + l.Endpoint, numeral.Count(l.Pairs), number(l.Baseline.P50),
			three(l.Control), three(l.Candidate), ratioText(l), regressed})
	}
	calls = grid{"Calls per request", []string{"endpoint", "dependency", "operation", "baseline", "control", "candidate"}, nil}
	for _, c := range r.Calls {
		calls.rows = append(calls.rows, []string{c.Service + " " + c.Endpoint, c.Dependency, c.Operation,
			number(c.BaselinePerRequest), number(c.ControlPerRequest), number(c.CandidatePerRequest)})
	}
	return noise, latency, calls
}

func breaches(r api.Report) grid {
	g := grid{breachTitle, []string{"endpoint", "breaks", "because", "baseline", "control", "candidate", "checked"}, nil}
	for _, b := range r.Breaches {
		g.rows = append(g.rows, []string{b.Service + " " + b.Endpoint, strings.TrimSpace(b.Rule + " " + b.Path), b.Detail, numeral.Count(b.Baseline),
			numeral.Count(b.Control), numeral.Count(b.Candidate), numeral.Count(b.Checked)})
	}
	return g
}

func three(q api.Quantiles) string {
	return number(q.P50) + " / " + number(q.P95) + " / " + number(q.P99)
}

func mdList(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n", title)
	for _, l := range lines[:min(len(lines), maxRows)] {
		fmt.Fprintf(b, "- %s\n", md(l))
	}
	if more := len(lines) - maxRows; more > 0 {
		fmt.Fprintf(b, "- … and %d more\n", more)
	}
}

func mdTable(b *strings.Builder, g grid) {
	if len(g.rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n", g.title)
	cells := func(row []string) {
		for _, c := range row {
			b.WriteString("| " + md(c) + " ")
		}
		b.WriteString("|\n")
	}
	cells(g.head)
	b.WriteString(strings.Repeat("|---", len(g.head)) + "|\n")
	for _, row := range g.rows[:min(len(g.rows), maxRows)] {
		cells(row)
	}
	if more := len(g.rows) - maxRows; more > 0 {
		fmt.Fprintf(b, "\n… and %d more.\n", more)
	}
}

// md escapes text, so that a value from the traffic can be neither markup nor a link.
func md(s string) string {
	var b strings.Builder
	for _, r := range clip(s, 2000) {
		switch r {
		case '\\', '`', '*', '_', '[', ']', '|', '~', '#', '!':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '&':
			b.WriteString("&amp;")
		case '@':
			b.WriteString("&#64;") // no mention of anybody
		default:
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "://", ":&#47;/")
}

// code is a code span that its content cannot end; bars would end a table's cell.
func code(s string) string {
	s = clip(s, 200)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || s == "" {
		s = " " + s + " "
	}
	return fence + s + fence
}
