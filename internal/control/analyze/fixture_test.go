// SPDX-License-Identifier: Apache-2.0

package analyze_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	v1 "microstax/api/v1"
	"microstax/internal/blob/mem"
	"microstax/internal/blueprint"
	"microstax/internal/control/analyze"
	"microstax/internal/control/ingest"
	"microstax/internal/engine"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/evidence/sqlite"
	"microstax/internal/exchange"
	"microstax/internal/fault"
	"microstax/internal/observation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSession = "ses_01"

var start = time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)

// desk is Reports over real stores, which ingest fills as in the real program, and the live analysis to compare with.
type desk struct {
	t       *testing.T
	reports *analyze.Reports
	ingest  *ingest.Ingest
	live    *engine.Analysis
	store   *sqlite.Store
	blobs   *mem.Store
	now     time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{t: t, store: s, blobs: mem.New(), now: start.Add(time.Hour), live: engine.New(config())}
	clock := func() time.Time { return d.now }
	d.ingest = ingest.New(ingest.Options{Store: s, Blobs: d.blobs, Now: clock})
	d.reports = analyze.New(analyze.Options{Environments: d, Store: s, Blobs: d.blobs, Now: clock})
	return d
}

// Lookup knows two overlays; only the first is shadowed in these tests.
func (d *desk) Lookup(_ context.Context, ref string) (environment.Environment, error) {
	for _, e := range []environment.Environment{
		{ID: "env_01", Name: "feat", Mode: blueprint.Overlay, OverlayID: "feat-1"},
		{ID: "env_base", Name: "base", Addresses: map[string]string{"env_base/gateway/orders": "127.0.0.1:4100"}}, {ID: "env_02", Name: "other", Mode: blueprint.Overlay},
	} {
		if ref == e.ID || ref == e.Name {
			return e, nil
		}
	}
	return environment.Environment{}, fault.Errorf("find environment", fault.NotFound, "there is no %s", ref)
}

// shadowed stores a session as package shadow does.
func (d *desk) shadowed(session, env string) {
	d.t.Helper()
	body, err := json.Marshal(environment.Session{
		ID: session, Environment: env, Baseline: "env_base", BaselineRevision: 3, BaselineDigest: "sha256:base",
		OverlayDigest: "sha256:over", Services: []string{"orders"}, Control: true, Settings: config().Services,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.apply(evidence.Record{Kind: evidence.Session, ID: session, Parent: env, Body: body})
}

func (d *desk) apply(r evidence.Record) {
	d.t.Helper()
	r.Created, r.Updated = start, start
	if _, err := d.store.Apply(d.t.Context(), evidence.Batch{Puts: []evidence.Put{{Record: r, Expect: evidence.AnyVersion}}}); err != nil {
		d.t.Fatal(err)
	}
}

func config() engine.Config {
	return engine.Config{Services: map[string]blueprint.Shadow{"orders": blueprint.EffectiveShadow()}, Control: true}
}

// feed hands envelopes to ingest and to the live analysis, and stores the outcome.
func (d *desk) feed(es ...observation.Envelope) {
	d.t.Helper()
	for _, e := range es {
		if err := d.ingest.Handle(d.t.Context(), e); err != nil {
			d.t.Fatal(err)
		}
		if e.Tally != nil {
			d.live.Tally(*e.Tally)
		} else {
			d.live.Observe(e.Observation)
		}
	}
	if err := d.ingest.Flush(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// traffic is n requests of which every third shows that the candidate's total became a string.
func (d *desk) traffic(n int) {
	d.t.Helper()
	es := []observation.Envelope{{Tally: &observation.Tally{Session: testSession, At: start, Received: int64(n), Mirrored: int64(n)}}}
	for i := range n {
		body := `{"total":12,"note":"é"}`
		if i%3 == 0 {
			body = `{"total":"12","note":"é"}`
		}
		es = append(es, seen(testSession, i, body))
	}
	d.feed(es...)
}

func seen(session string, i int, candidate string) observation.Envelope {
	control := answer(i, `{"total":12,"note":"é"}`)
	call := observation.Call{
		Caller: "orders", Dependency: "payments", Effect: observation.Live, Matched: -1, Write: true,
		Exchange: exchange.Exchange{Outcome: exchange.OK, Duration: 1500 * time.Microsecond,
			Request:  exchange.Request{Method: "POST", Target: "/charge?x=1", Body: exchange.Body{Data: []byte("a=1"), Length: 3}},
			Response: exchange.Response{Status: 201}},
	}
	replayed := call
	replayed.Effect, replayed.Tier, replayed.Matched = observation.Replayed, observation.Exact, 0
	return observation.Envelope{Observation: &observation.Observation{
		ID: fmt.Sprintf("obs_%06d", i), Session: session, Service: "orders", At: start.Add(time.Duration(i) * time.Second),
		TraceID: "abc", Unit: fmt.Sprintf("user-%d", i), Lane: true, CallsTraced: true,
		Baseline: answer(i, `{"total":12,"note":"é"}`), Control: &control, Candidate: answer(i, candidate),
		BaselineCalls: []observation.Call{call}, ControlCalls: []observation.Call{replayed}, CandidateCalls: []observation.Call{replayed},
	}}
}

func answer(i int, body string) exchange.Exchange {
	return exchange.Exchange{
		Start: start.Add(time.Duration(i) * time.Second), FirstByte: time.Millisecond, Duration: 2 * time.Millisecond, Outcome: exchange.OK,
		Request: exchange.Request{Method: "POST", Target: fmt.Sprintf("/orders/%d", i), Proto: "HTTP/1.1",
			Headers: []exchange.Header{{Name: "Host", Value: "shop"}}, Body: exchange.Body{Data: []byte("{}"), Length: 2}},
		Response: exchange.Response{Status: 200, Proto: "HTTP/1.1",
			Headers: []exchange.Header{{Name: "Content-Type", Value: "application/json"}},
			Body:    exchange.Body{Data: []byte(body), Length: int64(len(body))}},
	}
}

// finding is the report's finding of that kind.
func (d *desk) finding(kind string) v1.Finding {
	d.t.Helper()
	rep, err := d.reports.Report(d.t.Context(), "feat")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range rep.Findings {
		if f.Kind == kind {
			return f
		}
	}
	d.t.Fatalf("no finding of kind %s among %d", kind, len(rep.Findings))
	return v1.Finding{}
}
