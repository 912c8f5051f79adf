// SPDX-License-Identifier: Apache-2.0

package mutants

import (
	"fmt"
	"strings"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/demo/shop"
)

// How sure a report is.
const (
	confirmed = "confirmed"
	suspected = "suspected"
	spelling  = "info" // the severity of what differs in spelling alone
)

// Outcome is how the report of one mutant with one profile of noise came out.
type Outcome struct {
	Mutant    shop.Behaviour
	Profile   string
	Requests  int
	Took      time.Duration
	Compared  int64
	Dropped   int64
	Decision  string
	Found     *v1.Finding  // the finding that is the mutant; nil when none is
	Explained []v1.Finding // other findings that the mutant explains
	False     []v1.Finding // findings that nothing explains
	Orders    int          // that users were told were placed
	Charges   int          // that payments really made
}

// score holds a report against the catalogue.
func score(b shop.Behaviour, rep v1.Report) Outcome {
	r := Outcome{Mutant: b, Compared: rep.Traffic.Compared, Decision: rep.Verdict.Decision}
	for _, n := range rep.Traffic.Dropped {
		r.Dropped += n
	}
	for _, f := range rep.Findings {
		at := shop.Place{Endpoint: f.Endpoint, Kind: f.Kind, Path: f.Path}
		switch {
		case f.Service != shop.Orders:
			r.False = append(r.False, f)
		case b.Found(at) && r.closer(f):
			if r.Found != nil {
				r.Explained = append(r.Explained, *r.Found)
			}
			r.Found = &f
		case b.Explains(at), b.Spelling && f.Severity == spelling:
			r.Explained = append(r.Explained, f)
		default:
			r.False = append(r.False, f)
		}
	}
	return r
}

// closer says whether a finding is the mutant rather than what was taken for it so far: the place that the catalogue names
// first, then the surer one.
func (r *Outcome) closer(f v1.Finding) bool {
	if r.Found == nil {
		return true
	}
	if here, there := r.exact(f), r.exact(*r.Found); here != there {
		return here
	}
	return f.Confidence == confirmed && r.Found.Confidence != confirmed
}

// exact says whether a finding names the place as the catalogue does.
func (r *Outcome) exact(f v1.Finding) bool {
	b := shop.Behaviour{Place: r.Mutant.Place, Shows: r.Mutant.Shows}
	return b.Found(shop.Place{Endpoint: f.Endpoint, Kind: f.Kind, Path: f.Path})
}

// PathRight says whether the finding is at the place that the catalogue names.
func (r Outcome) PathRight() bool { return r.Found != nil && r.exact(*r.Found) }

// SeverityRight says whether the finding is as severe as the catalogue says.
func (r Outcome) SeverityRight() bool { return r.Found != nil && r.Found.Severity == r.Mutant.Severity }

// ConditionAsked says whether there is one truth about the condition.
func (r Outcome) ConditionAsked() bool { return r.Found != nil && !r.Mutant.Partly }

// ConditionRight says whether the finding names the member of the request, and its value, on which the mutant depends, or
// none where it depends on none.
func (r Outcome) ConditionRight() bool {
	if r.Found == nil {
		return false
	}
	member, value, some := strings.Cut(r.Mutant.When, " = ")
	if !some {
		return r.Found.Condition == ""
	}
	said := strings.ToLower(r.Found.Condition)
	return strings.Contains(said, strings.ToLower(member)) && strings.Contains(said, strings.ToLower(value))
}

// line is the run in one line.
func (r Outcome) line() string {
	how := "missed"
	switch {
	case r.Found != nil:
		how = fmt.Sprintf("%s %d/%d at %s %s %s [%s]", r.Found.Confidence, r.Found.Count, r.Found.Compared, r.Found.Kind, r.Found.Endpoint, r.Found.Path, r.Found.Severity)
		if !r.PathRight() {
			how += " (catalogue: " + r.Mutant.Place.Kind + " " + r.Mutant.Place.Path + ")"
		}
		if !r.SeverityRight() {
			how += " (catalogue: " + r.Mutant.Severity + ")"
		}
		if r.Found.Condition != "" {
			how += " when " + r.Found.Condition
		}
		if r.ConditionAsked() && !r.ConditionRight() {
			how += fmt.Sprintf(" (catalogue: when %q)", r.Mutant.When)
		}
	case r.Mutant.Shows == shop.Never:
		how = "nothing"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %-9s %5d requests %5.1f s  %-12s  %s", r.Mutant.Name, r.Profile, r.Requests, r.Took.Seconds(), r.Decision, how)
	if r.Dropped > 0 {
		fmt.Fprintf(&b, "; %d dropped", r.Dropped)
	}
	if r.Charges != r.Orders {
		fmt.Fprintf(&b, "; %d CHARGES FOR %d ORDERS", r.Charges, r.Orders)
	}
	for _, f := range r.Explained {
		fmt.Fprintf(&b, "\n    also  %s %d/%d %s %s %s [%s]", f.Confidence, f.Count, f.Compared, f.Kind, f.Endpoint, f.Path, f.Severity)
	}
	for _, f := range r.False {
		fmt.Fprintf(&b, "\n    FALSE %s %d/%d %s %s %s [%s, %s]: %s",
			f.Confidence, f.Count, f.Compared, f.Kind, f.Endpoint, f.Path, f.Severity, f.Level, f.Summary)
		if f.Example != nil {
			fmt.Fprintf(&b, " (%s: %.60q → %.60q)", f.Example.At, f.Example.Was, f.Example.Is)
		}
	}
	return b.String()
}
