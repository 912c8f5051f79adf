// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/xml"
	"fmt"
	"strings"

	api "microstax/api/v1"
)

type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Suites   []suite  `xml:"testsuite"`
}

type suite struct {
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Time     string     `xml:"time,attr"`
	Cases    []testcase `xml:"testcase"`
}

type testcase struct {
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Failure *message `xml:"failure"`
	Skipped *message `xml:"skipped"`
}

type message struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit is the report as a JUnit file: one test case for the verdict and one for each finding. Confirmed open findings and
// a verdict of hold fail; what is suspected, accepted or ignored, and a verdict of insufficient, is skipped.
func JUnit(r api.Report) string {
	s := suite{Name: "microstax shadow " + r.EnvironmentID, Time: fmt.Sprintf("%.3f", r.Window.End.Sub(r.Window.Start).Seconds())}
	verdict := testcase{Name: "verdict", Class: "microstax"}
	all := &message{Message: headline(r), Type: r.Verdict.Decision, Text: strings.Join(r.Verdict.Reasons, "\n")}
	switch r.Verdict.Decision {
	case "promote":
	case "hold":
		verdict.Failure = all
	default:
		verdict.Skipped = all
	}
	s.Cases = append(s.Cases, verdict)
	for _, f := range r.Findings {
		c := testcase{Name: f.Kind + " " + f.Path, Class: f.Service + " " + f.Endpoint}
		m := &message{Message: f.Severity + ": " + f.Summary, Type: f.Kind, Text: findingText(f)}
		if f.Status == "open" && f.Confidence != "suspected" && f.Severity != "info" {
			c.Failure = m
		} else {
			c.Skipped = &message{Message: m.Message + " (" + sureness(f) + ")"}
		}
		s.Cases = append(s.Cases, c)
	}
	for _, c := range s.Cases {
		if c.Failure != nil {
			s.Failures++
		}
		if c.Skipped != nil {
			s.Skipped++
		}
	}
	s.Tests = len(s.Cases)
	doc := suites{Name: "microstax", Tests: s.Tests, Failures: s.Failures, Skipped: s.Skipped, Suites: []suite{s}}
	out, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil { // only strings and numbers: it cannot fail
		return xml.Header + "<testsuites/>\n"
	}
	return xml.Header + string(out) + "\n"
}

func findingText(f api.Finding) string {
	lines := []string{f.Summary, f.Path, rateLine(f) + "; " + sureness(f)}
	if e := f.Example; e != nil {
		lines = append(lines, fmt.Sprintf("e.g. %s at %s: %s -> %s", e.ObservationID, or(e.At, f.Path), or(e.Was, "nothing"), or(e.Is, "nothing")))
	}
	return strings.Join(append(lines, f.ID), "\n")
}
