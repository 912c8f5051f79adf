// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

// row is one thing that was to be reached, and what was.
type row struct {
	what, want, ours, diffy string
	ok                      bool
	stated                  bool // nothing was to be reached
}

// section is one part of the page.
type section struct {
	name, title string
	rows        []row
	head        []string // of the detail table, when there is one
	lines       [][]string
	notes       []string
}

func (s *section) add(what, want, ours, diffy string, ok bool) {
	s.rows = append(s.rows, row{what: what, want: want, ours: ours, diffy: diffy, ok: ok})
}

func (s *section) line(cells ...string) { s.lines = append(s.lines, cells) }

func (s *section) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// missed are the rows that fall short.
func (s *section) missed() (n int) {
	for _, r := range s.rows {
		if !r.ok && !r.stated {
			n++
		}
	}
	return n
}

// summary is the table of all sections.
func summary(sections []*section) string {
	var b strings.Builder
	b.WriteString("| | to reach | MicroStax | reached | Diffy's rule on the same observations |\n|---|---|---|---|---|\n")
	for _, s := range sections {
		for _, r := range s.rows {
			reached := "yes"
			switch {
			case r.stated:
				reached = "–"
			case !r.ok:
				reached = "**no**"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.what, r.want, r.ours, reached, r.diffy)
		}
	}
	return b.String()
}

// detail is the part of one section.
func (s *section) detail() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", s.title)
	for _, n := range s.notes {
		fmt.Fprintf(&b, "%s\n\n", n)
	}
	if len(s.head) > 0 {
		fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(s.head, " | "), strings.Repeat("---|", len(s.head)))
		for _, l := range s.lines {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(l, " | "))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// quantile is the p-quantile of a list of numbers, and 0 for none.
func quantile(list []int, p float64) int {
	if len(list) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(list))
	return s[min(int(p*float64(len(s))), len(s)-1)]
}

// thousands writes 12345 as 12,345.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// share writes k of n with the percentage.
func share(k, n int) string {
	return fmt.Sprintf("%d of %d (%.3g %%)", k, n, 100*float64(k)/float64(max(n, 1)))
}
