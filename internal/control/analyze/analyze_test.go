// SPDX-License-Identifier: Apache-2.0

package analyze_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	v1 "microstax/api/v1"
	"microstax/internal/control/analyze"
	"microstax/internal/engine"
	"microstax/internal/evidence"
	"microstax/internal/fault"
)

func TestReportIsTheLiveAnalysisWithLineageAndExamples(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.traffic(300)
	got, err := d.reports.Report(t.Context(), "feat")
	if err != nil {
		t.Fatal(err)
	}
	want := d.live.Report(engine.Meta{
		EnvironmentID: "env_01", BaselineID: "env_base", SessionID: testSession,
		Lineage: v1.ReportLineage{BaselineRevision: 3, BaselineDigest: "sha256:base", OverlayDigest: "sha256:over", Services: []string{"orders"}},
	})
	messages := cmpopts.IgnoreFields(v1.Example{}, "Reproduce", "Request", "Baseline", "Control", "Candidate")
	if diff := cmp.Diff(want, got, messages); diff != "" {
		t.Fatalf("report (-live +stored):\n%s", diff)
	}
	e := d.finding("body.type").Example
	if e == nil || e.Control == nil {
		t.Fatalf("example: got %+v", e)
	}
	if e.Baseline.Body != `{"total":12,"note":"é"}` || e.Candidate.Body != `{"total":"12","note":"é"}` || e.Control.Body != e.Baseline.Body {
		t.Errorf("bodies: got %q, %q, %q", e.Baseline.Body, e.Control.Body, e.Candidate.Body)
	}
	if e.Request.Method != "POST" || !strings.HasPrefix(e.Request.Target, "/orders/") || e.Baseline.Status != 200 || e.Baseline.DurationMS != 2 {
		t.Errorf("messages: got %+v, %+v", e.Request, e.Baseline)
	}
}

func TestReportWithoutASessionSaysWhatToDo(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, err := d.reports.Report(t.Context(), "feat")
	if !fault.Is(err, fault.NotFound) || fault.HintOf(err) != "switch shadowing on: microstax env shadow feat --enable" {
		t.Fatalf("got %v, hint %q", err, fault.HintOf(err))
	}
	if _, err := d.reports.Report(t.Context(), "nobody"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("an unknown environment: got %v", err)
	}
	if _, _, err := d.reports.Standing(t.Context(), "feat"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("standing: got %v", err)
	}
}

func TestASessionWithoutTrafficIsInsufficient(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	rep, err := d.reports.Report(t.Context(), "env_01")
	if err != nil || rep.Verdict.Decision != "insufficient" || rep.Findings == nil || rep.SessionID != testSession {
		t.Fatalf("got %+v, %v", rep, err)
	}
	traffic, verdict, err := d.reports.Standing(t.Context(), "env_01")
	if err != nil || traffic.Received != 0 || verdict.Decision != "insufficient" {
		t.Fatalf("standing: got %+v, %+v, %v", traffic, verdict, err)
	}
}

func TestTheNewestSessionIsReported(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.traffic(30)
	d.shadowed("ses_02", "env_01")
	rep, err := d.reports.Report(t.Context(), "feat")
	if err != nil || rep.SessionID != "ses_02" || rep.Traffic.Received != 0 {
		t.Fatalf("got %s with %d requests, %v", rep.SessionID, rep.Traffic.Received, err)
	}
	// What an earlier session kept can still be opened.
	if _, err := d.reports.Observation(t.Context(), "feat", "obs_000000"); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherKeptObservationStandsInForAnExampleThatIsGone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.traffic(60)
	before := d.finding("body.type")
	_, err := d.store.Apply(t.Context(), evidence.Batch{Deletes: []evidence.Key{{Kind: evidence.Observation, ID: before.Example.ObservationID}}})
	if err != nil {
		t.Fatal(err)
	}
	after := d.finding("body.type")
	if after.Example == nil || after.Example.ObservationID == before.Example.ObservationID {
		t.Fatalf("got %+v", after.Example)
	}
	if after.Example.Was == "" || after.Example.Is == "" || after.Example.Candidate.Body != `{"total":"12","note":"é"}` {
		t.Errorf("got %+v", after.Example)
	}
	for _, rec := range d.list() {
		if _, err := d.store.Apply(t.Context(), evidence.Batch{Deletes: []evidence.Key{{Kind: evidence.Observation, ID: rec.ID}}}); err != nil {
			t.Fatal(err)
		}
	}
	if none := d.finding("body.type"); none.Example != nil {
		t.Errorf("an example of nothing: %+v", none.Example)
	}
}

func (d *desk) list() []evidence.Record {
	d.t.Helper()
	recs, err := d.store.List(d.t.Context(), evidence.Query{Kind: evidence.Observation})
	if err != nil {
		d.t.Fatal(err)
	}
	return recs
}

func TestFindingIsTheReportsFinding(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.traffic(60)
	want := d.finding("body.type")
	got, err := d.reports.Finding(t.Context(), "feat", want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-report +finding):\n%s", diff)
	}
	if _, err := d.reports.Finding(t.Context(), "feat", "fnd_nothing"); !fault.Is(err, fault.NotFound) || fault.HintOf(err) == "" {
		t.Fatalf("an unknown finding: got %v", err)
	}
}

func TestDecisionsChangeTheReportAndCanBeTakenBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.traffic(300)
	id := d.finding("body.type").ID
	if v := d.verdict(); v.Decision != "hold" {
		t.Fatalf("before: got %+v", v)
	}
	for _, step := range []struct{ status, reason, decision string }{
		{analyze.Accepted, "the new API has strings", "insufficient"},
		{analyze.Open, "", "hold"},
		{analyze.Ignored, "", "insufficient"},
	} {
		f, err := d.reports.Decide(t.Context(), "feat", id, v1.FindingPatch{Status: step.status, Reason: step.reason}, "ada")
		if err != nil || f.ID != id || f.Status != step.status {
			t.Fatalf("%s: got %+v, %v", step.status, f, err)
		}
		if got := d.finding("body.type"); got.Status != step.status {
			t.Errorf("%s: the report says %s", step.status, got.Status)
		}
		if v := d.verdict(); v.Decision == "hold" != (step.decision == "hold") {
			t.Errorf("%s: verdict %s", step.status, v.Decision)
		}
	}
	rec, err := d.store.Get(t.Context(), evidence.Key{Kind: evidence.Decision, ID: "env_01/" + id})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"status":"ignored"`, `"who":"ada"`, `"reason":"the new API has strings"`, `"history"`, `"classes":["type"]`} {
		if !strings.Contains(string(rec.Body), want) {
			t.Errorf("decision %s lacks %s", rec.Body, want)
		}
	}
	// The decision holds for the next session too, which has the same finding.
	d.shadowed("ses_02", "env_01")
	e := seen("ses_02", 1, `{"total":"12","note":"é"}`)
	d.feed(e)
}

func (d *desk) verdict() v1.Verdict {
	d.t.Helper()
	_, v, err := d.reports.Standing(d.t.Context(), "feat")
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

func TestDecisionsThatCannotBeTakenAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.traffic(60)
	id := d.finding("body.type").ID
	cases := []struct {
		name, ref, id, status, reason string
		kind                          fault.Kind
	}{
		{"an unknown status", "feat", id, "fine", "x", fault.Invalid},
		{"a novel", "feat", id, analyze.Ignored, strings.Repeat("é", 2001), fault.Invalid},
		{"an unknown finding", "feat", "fnd_nothing", analyze.Ignored, "", fault.NotFound},
		{"an environment without evidence", "other", id, analyze.Ignored, "", fault.NotFound},
	}
	for _, c := range cases {
		if _, err := d.reports.Decide(t.Context(), c.ref, c.id, v1.FindingPatch{Status: c.status, Reason: c.reason}, "ada"); !fault.Is(err, c.kind) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.kind)
		}
	}
	if n, err := d.store.Count(t.Context(), evidence.Query{Kind: evidence.Decision}); err != nil || n != 0 {
		t.Errorf("decisions stored: %d, %v", n, err)
	}
}

func TestEvidenceThatCannotBeReadIsAnErrorNotAnEmptyReport(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.apply(evidence.Record{Kind: evidence.Analysis, ID: testSession, Parent: "env_01", Body: []byte(`[]`)})
	if _, err := d.reports.Report(t.Context(), "feat"); !fault.Is(err, fault.Internal) {
		t.Errorf("a damaged state: got %v", err)
	}
	d.apply(evidence.Record{Kind: evidence.Analysis, ID: testSession, Parent: "env_01", Body: []byte(`{"version":9999}`)})
	if _, err := d.reports.Report(t.Context(), "feat"); !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Errorf("a state of another version: got %v, hint %q", err, fault.HintOf(err))
	}
}
