// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strconv"
	"strings"

	v1 "microstax/api/v1"
)

// findingTable is one finding with its example.
func (a *app) findingTable(t *table, f v1.Finding) {
	t.field("Finding", f.ID)
	t.field("Summary", t.paint(bold, f.Summary))
	t.field("Severity", t.state(f.Severity))
	t.field("Kind", f.Kind)
	t.field("Service", f.Service)
	t.field("Endpoint", f.Endpoint)
	t.field("Path", f.Path)
	t.field("When", f.Condition)
	t.field("", f.ConditionCheck)
	if f.Cause != nil {
		t.field("First", f.Cause.Summary+" ("+f.Cause.Detail+"; "+f.Cause.FindingID+")")
	}
	t.field("Status", f.Status)
	t.field("Decided", a.decided(f.Decision))
	t.field("Reopened", f.Reopened)
	t.field("Confidence", f.Confidence)
	t.field("Seen", fmt.Sprintf("%d of %d compared, %s (between %s and %s), in %s", f.Count, f.Compared, percent(f.Rate),
		percent(f.Interval[0]), percent(f.Interval[1]), plural(f.UniqueContexts, "context")))
	t.field("First, last seen", a.ago(f.FirstSeen)+", "+a.ago(f.LastSeen))
	e := f.Example
	if e == nil {
		return
	}
	t.field("Example", e.ObservationID)
	t.field("At", e.At)
	t.field("Was", e.Was)
	t.field("Is", e.Is)
	t.notes = append(t.notes, "")
	t.message("request", &e.Request)
	t.message("baseline answered", &e.Baseline)
	t.message("control answered", e.Control)
	t.message("candidate answered", &e.Candidate)
	if r := e.Reproduce; r != nil {
		t.notes = append(t.notes, "", t.paint(bold, "to see it yourself")+" ("+r.Note+"):", "  "+printable(r.Baseline), "  "+printable(r.Candidate))
	}
}

// maxBodyLines bounds how much of a body a table shows.
const maxBodyLines = 40

// message adds an HTTP message below the table.
func (t *table) message(title string, m *v1.Message) {
	if m == nil {
		return
	}
	first := m.Outcome
	switch {
	case m.Method != "":
		first = m.Method + " " + m.Target
	case m.Status != 0:
		first = strconv.Itoa(m.Status)
		if m.DurationMS > 0 {
			first += fmt.Sprintf(" in %.1f ms", m.DurationMS)
		}
	}
	t.notes = append(t.notes, t.paint(bold, title+": ")+printable(first))
	for _, h := range m.Headers {
		t.notes = append(t.notes, "  "+printable(h.Name+": "+h.Value))
	}
	if m.Body == "" {
		return
	}
	if m.BodyBase64 {
		t.notes = append(t.notes, "", fmt.Sprintf("  (%d bytes that are not text)", m.BodyLength))
		return
	}
	t.notes = append(t.notes, "")
	lines := strings.Split(strings.TrimSuffix(m.Body, "\n"), "\n")
	for i, l := range lines {
		if i == maxBodyLines {
			t.notes = append(t.notes, fmt.Sprintf("  … %d more lines; -o json has them", len(lines)-i))
			break
		}
		t.notes = append(t.notes, "  "+printable(l))
	}
}

// printable keeps what services said from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '�'
		}
		return r
	}, s)
}
