// SPDX-License-Identifier: Apache-2.0

package mutants

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"microstax/internal/demo/shop"
)

// Score is what a set of runs adds up to.
type Score struct {
	Mutants   int // runs of mutants that traffic can show
	Found     int
	Confirmed int
	Explained int // findings that are the mutant, or follow from it
	False     int // findings that nothing explains
	Path      int // of the found, with the right place
	Severity  int
	Asked     int // of the found, with one truth about the condition
	Condition int // of these, with the right one
	Whole     int // of the found, with all of the three right
	Same      int // runs of versions that behave the same
	Clean     int // of these, without any finding
	Orders    int
	Charges   int
}

// Sum adds runs up.
func Sum(runs []Outcome) (s Score) {
	one := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	for _, r := range runs {
		s.False += len(r.False)
		s.Explained += len(r.Explained)
		s.Orders += r.Orders
		s.Charges += r.Charges
		if r.Mutant.Shows == shop.Never {
			s.Same++
			one(&s.Clean, len(r.False) == 0)
			continue
		}
		s.Mutants++
		if r.Found == nil {
			continue
		}
		s.Found++
		s.Explained++
		one(&s.Confirmed, r.Found.Confidence == confirmed)
		one(&s.Path, r.PathRight())
		one(&s.Severity, r.SeverityRight())
		condition := true
		if r.ConditionAsked() {
			s.Asked++
			condition = r.ConditionRight()
			one(&s.Condition, condition)
		}
		one(&s.Whole, r.PathRight() && r.SeverityRight() && condition)
	}
	return s
}

// Recall is the share of mutants that were found.
func (s Score) Recall() float64 { return share(s.Found, s.Mutants) }

// Precision is the share of findings that something explains.
func (s Score) Precision() float64 { return share(s.Explained, s.Explained+s.False) }

// share is 1 of nothing.
func share(part, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(part) / float64(of)
}

// Print writes the tables as Markdown: the sums, then every mutant.
func Print(w io.Writer, res Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "| noise | mutants | found | of these confirmed | recall | precision | path right | condition right | severity right | all three | same: silent | charges / orders |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	profiles := profilesOf(res.Runs)
	for _, p := range profiles {
		var of []Outcome
		for _, r := range res.Runs {
			if r.Profile == p {
				of = append(of, r)
			}
		}
		sumRow(&b, p, Sum(of))
	}
	sumRow(&b, "**all**", Sum(res.Runs))
	fmt.Fprintf(&b, "\nMeasured in %s.\n\n| version | what is different |", res.Took.Round(time.Second))
	for _, p := range profiles {
		fmt.Fprintf(&b, " %s |", p)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(profiles)) + "\n")
	var last shop.Change
	for _, r := range res.Runs {
		if r.Mutant.Name != last {
			if last != "" {
				b.WriteString("\n")
			}
			last = r.Mutant.Name
			fmt.Fprintf(&b, "| `%s` | %s |", last, r.Mutant.What)
		}
		fmt.Fprintf(&b, " %s |", r.cell())
	}
	b.WriteString("\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func profilesOf(runs []Outcome) []string {
	var out []string
	for _, r := range runs {
		if !slices.Contains(out, r.Profile) {
			out = append(out, r.Profile)
		}
	}
	return out
}

func sumRow(b *strings.Builder, name string, s Score) {
	fmt.Fprintf(b, "| %s | %d | %d | %d | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %d of %d | %d / %d |\n", name, s.Mutants, s.Found, s.Confirmed,
		s.Recall(), s.Precision(), share(s.Path, s.Found), share(s.Condition, s.Asked), share(s.Severity, s.Found),
		share(s.Whole, s.Found), s.Clean, s.Same, s.Charges, s.Orders)
}

// cell is a run in the table.
func (r Outcome) cell() string {
	var s string
	switch {
	case r.Found != nil:
		s = r.Found.Confidence
		for _, wrong := range []struct {
			what string
			is   bool
		}{
			{"path", !r.PathRight()}, {"severity", !r.SeverityRight()}, {"condition", r.ConditionAsked() && !r.ConditionRight()},
		} {
			if wrong.is {
				s += ", " + wrong.what + " wrong"
			}
		}
	case r.Mutant.Shows == shop.Never:
		s = "silent"
	default:
		s = "**missed**"
	}
	if n := len(r.False); n > 0 {
		s += fmt.Sprintf(", **%d false**", n)
	}
	return s
}
