// SPDX-License-Identifier: Apache-2.0

package analyze_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/control/analyze"
	"microstax/internal/fault"
	"microstax/internal/observation"
)

const same = `{"total":12,"note":"é"}`

// session feeds n requests of a session, in which the candidate answers with the bodies in turn.
func (d *desk) session(session string, from, n int, bodies ...string) {
	d.t.Helper()
	d.shadowed(session, "env_01")
	es := []observation.Envelope{{Tally: &observation.Tally{Session: session, At: start, Received: int64(n), Mirrored: int64(n)}}}
	for i := range n {
		es = append(es, seen(session, from+i, bodies[i%len(bodies)]))
	}
	d.feed(es...)
}

func (d *desk) report() v1.Report {
	d.t.Helper()
	rep, err := d.reports.Report(d.t.Context(), "feat")
	if err != nil {
		d.t.Fatal(err)
	}
	return rep
}

func TestAFindingThatIsGoneIsResolvedAndOneThatComesBackIsReopened(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	bad := `{"total":"12","note":"é"}`
	d.session("ses_01", 0, 90, bad, same, same)
	id := d.finding("body.type").ID
	d.session("ses_02", 1000, 5, same)
	if r := d.report().Resolved; len(r) != 0 {
		t.Errorf("five requests prove nothing, yet %+v", r)
	}
	d.session("ses_02", 1010, 60, same)
	r := d.report().Resolved
	if len(r) != 1 || r[0].ID != id || r[0].SessionID != "ses_01" || r[0].Compared != 65 {
		t.Errorf("resolved %+v", r)
	}
	d.session("ses_03", 2000, 90, bad, same, same)
	if f := d.finding("body.type"); f.ID != id || !strings.Contains(f.Reopened, "resolved in session ses_02") {
		t.Errorf("reopened %q", f.Reopened)
	}
	if r := d.report().Resolved; len(r) != 0 {
		t.Errorf("it is there, and resolved as %+v", r)
	}
}

func TestAnAcceptedChangeIsOpenAgainWhenItBecomesAnother(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.session("ses_01", 0, 90, `{"total":13,"note":"é"}`, same, same)
	f := d.finding("body.value")
	f, err := d.reports.Decide(t.Context(), "feat", f.ID, v1.FindingPatch{Status: analyze.Accepted, Reason: "a new tax"}, "ada")
	if err != nil || f.Status != "accepted" || f.Decision == nil || f.Decision.Who != "ada" || f.Decision.Reason != "a new tax" {
		t.Fatalf("got %+v, %v", f.Decision, err)
	}
	d.session("ses_02", 1000, 90, `{"total":13,"note":"é"}`, same, same)
	if f := d.finding("body.value"); f.Status != "accepted" {
		t.Errorf("in the next session it is %s", f.Status)
	}
	d.session("ses_03", 2000, 90, `{"total":-12,"note":"é"}`, same, same)
	if f := d.finding("body.value"); f.Status != "open" || !strings.Contains(f.Reopened, "sign") {
		t.Errorf("another change at the same place is %s: %q", f.Status, f.Reopened)
	}
}

func TestADecisionEndsWithItsTimeOrItsSession(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	bad := `{"total":"12","note":"é"}`
	d.session("ses_01", 0, 90, bad, same, same)
	id := d.finding("body.type").ID
	ends := d.now.Add(24 * time.Hour)
	decide := func(p v1.FindingPatch) error {
		_, err := d.reports.Decide(t.Context(), "feat", id, p, "ada")
		return err
	}
	if err := decide(v1.FindingPatch{Status: analyze.Accepted, Expires: &start}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an end in the past: %v", err)
	}
	if err := decide(v1.FindingPatch{Status: analyze.Accepted, Scope: "world"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown scope: %v", err)
	}
	if err := decide(v1.FindingPatch{Status: analyze.Accepted, Expires: &ends}); err != nil {
		t.Fatal(err)
	}
	if f := d.finding("body.type"); f.Status != "accepted" {
		t.Errorf("before its end it is %s", f.Status)
	}
	d.now = ends
	if f := d.finding("body.type"); f.Status != "open" || !strings.Contains(f.Reopened, "accepted by ada until") {
		t.Errorf("at its end it is %s: %q", f.Status, f.Reopened)
	}
	if err := decide(v1.FindingPatch{Status: analyze.Ignored, Scope: analyze.ScopeSession}); err != nil {
		t.Fatal(err)
	}
	if f := d.finding("body.type"); f.Status != "ignored" || f.Decision.Scope != analyze.ScopeSession {
		t.Errorf("in its session it is %s", f.Status)
	}
	d.session("ses_02", 1000, 90, bad, same, same)
	if f := d.finding("body.type"); f.Status != "open" {
		t.Errorf("in another session it is %s", f.Status)
	}
}

func TestAnIgnoreRuleSaysWhatItHidesAndHidesNothingElse(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.session("ses_01", 0, 300, `{"total":13,"note":"é"}`, same, same)
	if v := d.verdict(); v.Decision != "hold" {
		t.Fatalf("before: %+v", v)
	}
	rule, err := d.reports.Ignore(t.Context(), "feat", v1.CreateIgnore{Path: "$.total", Endpoint: "POST /orders/{id}", Reason: "in flux"}, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rule.Kinds, []string{"body.value"}) || rule.Findings != 1 || rule.Requests != 100 {
		t.Errorf("the rule is %+v", rule)
	}
	f := d.finding("body.value")
	if f.Status != "ignored" || f.Decision == nil || f.Decision.Rule != rule.ID || f.Decision.Reason != "in flux" {
		t.Errorf("the finding is %s: %+v", f.Status, f.Decision)
	}
	if v := d.verdict(); v.Decision == "hold" {
		t.Errorf("after: %+v", v)
	}
	d.session("ses_02", 1000, 300, `{"note":"é"}`, same, same)
	if f := d.finding("body.missing"); f.Status != "open" {
		t.Errorf("a value that may vary went missing, and that is %s", f.Status)
	}
	if err := d.reports.Unignore(t.Context(), "other", rule.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("another environment's rule: %v", err)
	}
	if err := d.reports.Unignore(t.Context(), "feat", rule.ID); err != nil {
		t.Fatal(err)
	}
	if rules, err := d.reports.Ignores(t.Context(), "feat"); err != nil || len(rules) != 0 {
		t.Errorf("rules %+v, %v", rules, err)
	}
}

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, c := range []v1.CreateIgnore{{Path: " "}, {Path: "$"}, {Path: "$.a", Kinds: []string{"body.colour"}}, {Path: "$.a", Expires: &start}} {
		if _, err := d.reports.Ignore(t.Context(), "feat", c, "ada"); !fault.Is(err, fault.Invalid) || c.Path != "$.a" && fault.HintOf(err) == "" {
			t.Errorf("%+v: %v", c, err)
		}
	}
	// Before the first session a rule is about values.
	rule, err := d.reports.Ignore(t.Context(), "feat", v1.CreateIgnore{Path: "$.a"}, "ada")
	if err != nil || !slices.Contains(rule.Kinds, "body.value") || slices.Contains(rule.Kinds, "body.missing") {
		t.Errorf("%+v, %v", rule, err)
	}
}

func TestAnExampleCanBeReproduced(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.session("ses_01", 0, 90, `{"total":"12","note":"é"}`, same, same)
	p := d.finding("body.type").Example.Reproduce
	if p == nil {
		t.Fatal("no way to reproduce it")
	}
	if want := "curl -i -X POST --data-binary '{}' http://127.0.0.1:4100/orders/"; !strings.HasPrefix(p.Baseline, want) {
		t.Errorf("baseline: %s", p.Baseline)
	}
	if want := "-H 'x-msx-env: feat-1' http://127.0.0.1:4100/orders/"; !strings.Contains(p.Candidate, want) {
		t.Errorf("candidate: %s", p.Candidate)
	}
}
