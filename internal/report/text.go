// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	api "microstax/api/v1"
	"microstax/internal/numeral"
)

// Options are how Text writes.
type Options struct {
	Color bool // ANSI colours
	Width int  // columns of the terminal; 0 means 100
}

const (
	defaultWidth = 100
	minWidth     = 40
)

// painter writes text within a width, in colour or not.
type painter struct {
	b     strings.Builder
	color bool
	width int
}

// The colours, as SGR parameters.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
	bold   = "1"
)

func (p *painter) paint(sgr, s string) string {
	if !p.color {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// Text is the report for a terminal: the verdict first, what to do next last.
func Text(r api.Report, o Options) string {
	p := &painter{color: o.Color, width: max(o.Width, minWidth)}
	if o.Width == 0 {
		p.width = defaultWidth
	}
	word := clip(verdictWord(r.Verdict.Decision), valueWidth)
	p.wrap(p.paint(bold+";"+verdictColor(r.Verdict.Decision), word)+"  ", utf8.RuneCountInString(word)+2, first(r.Verdict.Reasons))
	for _, reason := range rest(r.Verdict.Reasons) {
		p.wrap(strings.Repeat(" ", utf8.RuneCountInString(word)+2), utf8.RuneCountInString(word)+2, reason)
	}
	p.wrap("", 0, "Traffic: "+trafficLine(r.Traffic)+".")
	if l := loadLine(r.Traffic); l != "" {
		p.wrap("", 0, "Load: "+l+".")
	}
	p.findings(r)
	p.list(resolvedTitle, lines(r.Resolved, resolvedLine))
	p.list(ignoresTitle, lines(r.Ignores, ignoreLine))
	p.tables(r)
	p.b.WriteByte('\n')
	p.b.WriteString(p.paint(dim, clip(nextStep(r), 4000)) + "\n")
	return p.b.String()
}

func first(xs []string) string {
	if len(xs) == 0 {
		return ""
	}
	return clip(xs[0], 2000)
}

func rest(xs []string) []string {
	if len(xs) < 2 {
		return nil
	}
	return xs[1:]
}

func verdictColor(decision string) string {
	switch decision {
	case "promote":
		return green
	case "hold":
		return red
	}
	return yellow
}

func severityColor(s string) string {
	switch s {
	case "breaking":
		return red
	case "major":
		return yellow
	}
	return dim
}

// findings lists the findings, a few lines each.
func (p *painter) findings(r api.Report) {
	if len(r.Findings) == 0 {
		p.b.WriteString("\nFindings: none.\n")
		return
	}
	fmt.Fprintf(&p.b, "\n%s\n", p.paint(bold, fmt.Sprintf("Findings (%d)", len(r.Findings))))
	for _, f := range r.Findings {
		p.b.WriteByte('\n')
		severity := fmt.Sprintf("%-8s", clip(f.Severity, valueWidth))
		p.b.WriteString("  " + p.paint(severityColor(f.Severity), severity) + "  " + clip(f.Kind+"  "+where(f), p.width-4) + "\n")
		p.wrap("    ", 4, f.Summary)
		p.line(f.Path)
		p.line(rateLine(f) + "; " + sureness(f))
		if f.Condition != "" {
			p.wrap("    ", 4, "when "+f.Condition+check(f))
		}
		if f.Cause != nil {
			p.wrap("    ", 4, "first difference in the same requests: "+f.Cause.Summary+" ("+f.Cause.Detail+")")
		}
		if d := decision(f); d != "" {
			p.wrap("    ", 4, d)
		}
		if e := f.Example; e != nil {
			change := ""
			if e.Was != "" || e.Is != "" {
				change = fmt.Sprintf(": %s → %s", or(clip(e.Was, valueWidth), "nothing"), or(clip(e.Is, valueWidth), "nothing"))
			}
			p.line("e.g. " + e.ObservationID + " at " + or(e.At, f.Path) + change)
		}
		p.b.WriteString("    " + p.paint(dim, clip(f.ID, valueWidth)) + "\n")
	}
}

// list writes lines below a title, and nothing when there are none.
func (p *painter) list(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(&p.b, "\n%s\n", p.paint(bold, title))
	for _, l := range lines[:min(len(lines), maxRows)] {
		p.wrap("  ", 2, l)
	}
	if more := len(lines) - maxRows; more > 0 {
		fmt.Fprintf(&p.b, "  … and %d more (-o json shows all)\n", more)
	}
}

// line writes one indented line, cut at the width.
func (p *painter) line(s string) { p.b.WriteString("    " + clip(s, p.width-4) + "\n") }

// wrap writes words within the width behind a prefix of the given visible length.
func (p *painter) wrap(prefix string, indent int, s string) {
	p.b.WriteString(prefix)
	column := indent
	for i, word := range strings.Fields(clip(s, 4000)) {
		n := utf8.RuneCountInString(word)
		switch {
		case i > 0 && column+1+n > p.width:
			p.b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		case i > 0:
			p.b.WriteByte(' ')
			column++
		}
		p.b.WriteString(word)
		column += n
	}
	p.b.WriteByte('\n')
}

// tables are noise, latency and calls.
func (p *painter) tables(r api.Report) {
	var rows [][]string
	p.table(breachTitle, []string{"ENDPOINT", "BREAKS", "BECAUSE", "BASE", "CTRL", "CAND", "CHECKED"}, breaches(r).rows)
	for _, n := range r.Noise {
		rows = append(rows, []string{n.Service + " " + n.Endpoint, n.Path, n.Model, numeral.Percent(n.Rate) + " of " + numeral.Count(n.Pairs), n.StillSeen})
	}
	p.table("Noise: what varies without the change", []string{"ENDPOINT", "PATH", "MODEL", "VARIES", "STILL SEEN"}, rows)
	rows = nil
	for _, l := range slowestFirst(r.Latency) {
		mark := ""
		if l.Regressed {
			mark = "slower"
		}
		rows = append(rows, []string{l.Service + " " + l.Endpoint, number(l.Baseline.P50), number(l.Control.P50), number(l.Candidate.P50),
			number(l.Candidate.P95), number(l.Candidate.P99), ratioText(l), mark})
	}
	p.table("Latency in ms, candidate against control", []string{"ENDPOINT", "BASE P50", "CTRL P50", "CAND P50", "P95", "P99", "RATIO", ""}, rows)
	rows = nil
	for _, c := range r.Calls {
		rows = append(rows, []string{c.Service + " " + c.Endpoint, c.Dependency + " " + c.Operation, number(c.BaselinePerRequest),
			number(c.ControlPerRequest), number(c.CandidatePerRequest)})
	}
	p.table("Calls per request", []string{"ENDPOINT", "CALLS", "BASE", "CTRL", "CAND"}, rows)
}

// slowestFirst puts what regressed before the rest, which stays in order.
func slowestFirst(ls []api.Latency) []api.Latency {
	out := slices.Clone(ls)
	slices.SortStableFunc(out, func(x, y api.Latency) int {
		switch {
		case x.Regressed && !y.Regressed:
			return -1
		case y.Regressed && !x.Regressed:
			return 1
		}
		return 0
	})
	return out
}

// maxCell is the widest that a cell of a text table gets.
const maxCell = 40

// table writes aligned columns; rows beyond maxRows are counted.
func (p *painter) table(title string, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(&p.b, "\n%s\n", p.paint(bold, title))
	more := len(rows) - maxRows
	rows = rows[:min(len(rows), maxRows)]
	widths := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i := range row {
			row[i] = clip(row[i], maxCell)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for i, row := range append([][]string{head}, rows...) {
		var b strings.Builder
		for k, cell := range row {
			b.WriteString(cell + strings.Repeat(" ", widths[k]-utf8.RuneCountInString(cell)+2))
		}
		text := clip(strings.TrimRight(b.String(), " "), p.width-2)
		if i == 0 {
			text = p.paint(dim, text)
		}
		p.b.WriteString("  " + text + "\n")
	}
	if more > 0 {
		fmt.Fprintf(&p.b, "  … and %d more (-o json shows all)\n", more)
	}
}
