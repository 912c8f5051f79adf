// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"microstax/internal/fault"
)

// The ANSI sequences in use.
const (
	reset  = "\x1b[0m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
)

// print writes a result as JSON or YAML, or calls asTable for people.
func (a *app) print(v any, asTable func(*table)) error {
	switch a.output {
	case "json":
		return printJSON(a.Out, v)
	case "yaml":
		return printYAML(a.Out, v)
	}
	t := &table{color: a.OutTerminal && a.set.Color}
	asTable(t)
	return t.write(a.Out)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fault.E("write result", fault.Unavailable, err)
	}
	return nil
}

// printYAML writes what JSON would have, in the same order and under the same names.
func printYAML(w io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fault.E("write result", fault.Internal, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil { // JSON is YAML
		return fault.E("write result", fault.Internal, err)
	}
	blockStyle(&doc)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return fault.E("write result", fault.Unavailable, err)
	}
	return enc.Close()
}

// blockStyle undoes the braces and quotes of JSON; the encoder quotes again where a string would be read as something else.
func blockStyle(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && strings.Contains(n.Value, "\n") {
		n.Style = yaml.LiteralStyle
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}

// table is aligned text for people.
type table struct {
	color bool
	rows  [][]string
	notes []string // lines below, as they are
}

// row adds a row; cells may hold ANSI sequences.
func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// head adds the row of titles.
func (t *table) head(cells ...string) {
	for i, c := range cells {
		cells[i] = t.paint(bold, c)
	}
	t.row(cells...)
}

// field adds a name and a value, and nothing when there is no value.
func (t *table) field(name, value string) {
	if value != "" {
		t.row(t.paint(bold, name), value)
	}
}

// paint colours text when the table is for a terminal.
func (t *table) paint(style, text string) string {
	if !t.color || style == "" || text == "" {
		return text
	}
	return style + text + reset
}

// state colours a status or state.
func (t *table) state(s string) string {
	switch s {
	case "ready", "promote", "enabled", "identical", "connected":
		return t.paint(green, s)
	case "failed", "exited", "unhealthy", "hold", "breaking":
		return t.paint(red, s)
	case "provisioning", "starting", "degraded", "insufficient", "major", "lost":
		return t.paint(yellow, s)
	}
	return s
}

// write writes the rows, columns apart by three spaces, and no space at the end of a line.
func (t *table) write(w io.Writer) error {
	var b strings.Builder
	flush := func(block [][]string) {
		var wide []int
		for _, r := range block {
			for i, c := range r {
				if i == len(wide) {
					wide = append(wide, 0)
				}
				if i < len(r)-1 { // the last column need not align what follows it
					wide[i] = max(wide[i], visible(c))
				}
			}
		}
		for _, r := range block {
			var line strings.Builder
			for i, c := range r {
				line.WriteString(c)
				if i < len(r)-1 {
					line.WriteString(strings.Repeat(" ", wide[i]-visible(c)+3))
				}
			}
			b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		}
	}
	start := 0
	for i, r := range t.rows { // an empty row ends a block of columns
		if len(r) == 0 {
			flush(t.rows[start:i])
			b.WriteString("\n")
			start = i + 1
		}
	}
	flush(t.rows[start:])
	for _, n := range t.notes {
		b.WriteString(n + "\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fault.E("write result", fault.Unavailable, err)
	}
	return nil
}

// visible counts what a terminal shows of s.
func visible(s string) int {
	n := 0
	for s != "" {
		if rest, ok := strings.CutPrefix(s, "\x1b["); ok {
			if _, after, ok := strings.Cut(rest, "m"); ok {
				s = after
				continue
			}
		}
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		n++
	}
	return n
}

// ago is a time for people, like kubectl's ages.
func (a *app) ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return age(a.Now().Sub(t)) + " ago"
}

// age rounds a duration to what a person would say.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// orDash is s, or a dash where there is nothing.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// plural is "1 thing" or "n things".
func plural[N int | int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
