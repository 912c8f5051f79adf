// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"html"
	"strings"

	api "microstax/api/v1"
	"microstax/internal/numeral"
)

// style of the page; it follows the reader's colour scheme.
const style = `:root{color-scheme:light dark;--line:#8884;--dim:#888;--bad:#c62828;--warn:#b26a00;--good:#2e7d32}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.15rem;margin-top:2rem}code,pre{font:13px/1.45 ui-monospace,monospace;overflow-wrap:anywhere}
pre{background:#8881;padding:.6rem;overflow:auto;max-height:24rem}
table{border-collapse:collapse;width:100%;font-size:14px}td,th{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
.finding{border:1px solid var(--line);border-left-width:4px;border-radius:6px;padding:.6rem 1rem;margin:.8rem 0}
.breaking,.hold{border-left-color:var(--bad)}.major,.insufficient{border-left-color:var(--warn)}.promote{border-left-color:var(--good)}
.dim{color:var(--dim)}.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:.6rem}`

// HTML is the report as one page that needs nothing else: no script, no other file. Everything that comes from the traffic
// is escaped.
func HTML(r api.Report) string {
	var b strings.Builder
	title := verdictWord(r.Verdict.Decision) + " – shadow report " + r.EnvironmentID
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"+
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"><title>%s</title>\n<style>%s</style></head>\n<body>\n",
		esc(title), style)
	fmt.Fprintf(&b, "<h1>%s</h1>\n<div class=\"finding %s\">\n", esc(verdictWord(r.Verdict.Decision)), class(r.Verdict.Decision))
	for _, reason := range r.Verdict.Reasons {
		fmt.Fprintf(&b, "<p>%s</p>\n", esc(reason))
	}
	fmt.Fprintf(&b, "</div>\n<p>%s.</p>\n", esc(trafficLine(r.Traffic)))
	if l := loadLine(r.Traffic); l != "" {
		fmt.Fprintf(&b, "<p>Load: %s.</p>\n", esc(l))
	}
	fmt.Fprintf(&b, "<p class=\"dim\">%s</p>\n", esc(lineage(r)))
	fmt.Fprintf(&b, "<h2>Findings (%d)</h2>\n", len(r.Findings))
	for _, f := range r.Findings {
		htmlFinding(&b, f)
	}
	gates := grid{"Gates", []string{"gate", "passed", "evidence", "needed", "detail"}, nil}
	for _, g := range r.Verdict.Gates {
		passed := "no"
		if g.Passed {
			passed = "yes"
		}
		gates.rows = append(gates.rows, []string{g.Name, passed, evidence(g.E), evidence(g.Need), g.Detail})
	}
	endpoints := grid{"Traffic", []string{"endpoint", "received", "compared", "different"}, nil}
	for _, e := range r.Traffic.Endpoints {
		endpoints.rows = append(endpoints.rows, []string{e.Service + " " + e.Endpoint, numeral.Count(e.Received), numeral.Count(e.Compared), numeral.Count(e.Different)})
	}
	htmlList(&b, resolvedTitle, lines(r.Resolved, resolvedLine))
	htmlList(&b, ignoresTitle, lines(r.Ignores, ignoreLine))
	noise, latency, calls := tables(r)
	for _, g := range []grid{gates, breaches(r), noise, latency, calls, endpoints} {
		htmlTable(&b, g)
	}
	fmt.Fprintf(&b, "<p>%s</p>\n</body></html>\n", esc(nextStep(r)))
	return b.String()
}

func htmlFinding(b *strings.Builder, f api.Finding) {
	fmt.Fprintf(b, "<section class=\"finding %s\" id=\"%s\">\n<strong>%s</strong> <code>%s</code> %s\n<p>%s</p>\n", class(f.Severity), esc(f.ID),
		esc(f.Severity), esc(f.Kind), esc(where(f)), esc(f.Summary))
	fmt.Fprintf(b, "<p>at <code>%s</code>: %s; %s</p>\n", esc(f.Path), esc(rateLine(f)), esc(sureness(f)))
	if f.Condition != "" {
		fmt.Fprintf(b, "<p>when <code>%s</code>%s</p>\n", esc(f.Condition), esc(check(f)))
	}
	if f.Cause != nil {
		fmt.Fprintf(b, "<p>first difference in the same requests: %s (%s)</p>\n", esc(f.Cause.Summary), esc(f.Cause.Detail))
	}
	if d := decision(f); d != "" {
		fmt.Fprintf(b, "<p>%s</p>\n", esc(d))
	}
	if e := f.Example; e != nil {
		fmt.Fprintf(b, "<details><summary>example <code>%s</code> at <code>%s</code>: <code>%s</code> → <code>%s</code></summary>\n<div class=\"sides\">\n",
			esc(e.ObservationID), esc(or(e.At, f.Path)), esc(or(e.Was, "nothing")), esc(or(e.Is, "nothing")))
		htmlMessage(b, "request", &e.Request)
		htmlMessage(b, "baseline", &e.Baseline)
		htmlMessage(b, "control", e.Control)
		htmlMessage(b, "candidate", &e.Candidate)
		b.WriteString("</div>\n")
		if p := e.Reproduce; p != nil {
			fmt.Fprintf(b, "<p class=\"dim\">%s</p><pre>%s\n%s</pre>\n", esc(p.Note), esc(p.Baseline), esc(p.Candidate))
		}
		b.WriteString("</details>\n")
	}
	fmt.Fprintf(b, "<p class=\"dim\">%s · %s</p>\n</section>\n", esc(f.ID), esc(seen(f)))
}

// htmlMessage shows a message, when there is anything of it.
func htmlMessage(b *strings.Builder, name string, m *api.Message) {
	if m == nil || m.Method == "" && m.Status == 0 && m.Outcome == "" {
		return
	}
	var t strings.Builder
	switch {
	case m.Method != "":
		t.WriteString(m.Method + " " + m.Target + "\n")
	case m.Status != 0:
		fmt.Fprintf(&t, "%d\n", m.Status)
	default:
		t.WriteString(m.Outcome + "\n")
	}
	for _, h := range m.Headers {
		t.WriteString(h.Name + ": " + h.Value + "\n")
	}
	switch {
	case m.BodyBase64:
		fmt.Fprintf(&t, "\n(%d bytes that are no text)", m.BodyLength)
	case m.Body != "":
		t.WriteString("\n" + m.Body)
	}
	if m.Truncated {
		t.WriteString("\n(cut)")
	}
	fmt.Fprintf(b, "<div><div class=\"dim\">%s</div><pre>%s</pre></div>\n", name, esc(t.String()))
}

func htmlList(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "<h2>%s</h2>\n<ul>\n", esc(title))
	for _, l := range lines {
		fmt.Fprintf(b, "<li>%s</li>\n", esc(l))
	}
	b.WriteString("</ul>\n")
}

func htmlTable(b *strings.Builder, g grid) {
	if len(g.rows) == 0 {
		return
	}
	fmt.Fprintf(b, "<h2>%s</h2>\n<table><tr>", esc(g.title))
	for _, h := range g.head {
		fmt.Fprintf(b, "<th>%s</th>", esc(h))
	}
	b.WriteString("</tr>\n")
	for _, row := range g.rows {
		b.WriteString("<tr>")
		for _, c := range row {
			fmt.Fprintf(b, "<td>%s</td>", esc(c))
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</table>\n")
}

func esc(s string) string { return html.EscapeString(strings.ToValidUTF8(s, "�")) }

// class lets only the words that the style knows become a class.
func class(s string) string {
	switch s {
	case "breaking", "major", "minor", "info", "hold", "insufficient", "promote":
		return s
	}
	return ""
}
