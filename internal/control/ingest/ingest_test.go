// SPDX-License-Identifier: Apache-2.0

package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	v1 "microstax/api/v1"
	"microstax/internal/control/ingest"
	"microstax/internal/engine"
	"microstax/internal/evidence"
	"microstax/internal/fault"
	"microstax/internal/observation"
)

func TestWhatIsStoredGivesTheReportOfTheLiveAnalysis(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	live := engine.New(config())
	feed := func(e observation.Envelope) {
		b.handle(in, e)
		if e.Tally != nil {
			live.Tally(*e.Tally)
		} else {
			live.Observe(e.Observation)
		}
	}
	feed(received(testSession, 300))
	for i := range 300 {
		if i%3 == 0 {
			feed(changed(testSession, i))
		} else {
			feed(same(testSession, i))
		}
		if i%50 == 0 {
			b.flush(in)
		}
	}
	b.flush(in)
	got, want := b.stored(testSession), live.Report(engine.Meta{})
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("report (-live +stored):\n%s", d)
	}
	if len(got.Findings) == 0 || got.Traffic.Compared != 300 {
		t.Fatalf("the case shows nothing: %d findings, %d compared", len(got.Findings), got.Traffic.Compared)
	}
}

func TestKeptObservationsCanBeListedAndOpened(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	b.handle(in, received(testSession, 1), changed(testSession, 7))
	b.flush(in)
	recs := b.kept(testSession)
	if len(recs) != 1 {
		t.Fatalf("kept: got %d, want 1", len(recs))
	}
	var doc v1.Observation
	if err := json.Unmarshal(recs[0].Body, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.ID != "obs_000007" || doc.Method != "GET" || doc.Target != "/orders/7" || doc.Baseline != "200" || doc.Control != "200" || doc.Candidate != "200" {
		t.Errorf("summary: got %+v", doc.ObservationSummary)
	}
	if len(doc.Findings) == 0 || len(doc.Differences) == 0 || doc.SessionID != testSession || doc.Why == "" {
		t.Errorf("summary: got %+v", doc)
	}
	labels := recs[0].Labels
	if labels["service"] != "orders" || labels["endpoint"] != doc.Endpoint || labels["finding:"+doc.Findings[0]] != "1" {
		t.Errorf("labels: got %v", labels)
	}
	f, err := b.blobs.Open(t.Context(), labels["blob"])
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	whole, err := observation.Decode(data)
	if err != nil || !bytes.Equal(whole.Candidate.Response.Body.Data, []byte(`{"total":"12"}`)) {
		t.Fatalf("whole observation: got %+v, %v", whole, err)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{PerFinding: 6, PerEndpoint: 2})
	b.handle(in, received(testSession, 600))
	for i := range 400 {
		e := changed(testSession, i)
		// Every answer is much shorter than the one before, so that each is a better example.
		pad := bytes.Repeat([]byte(" "), max(0, 100_000>>i))
		e.Observation.Candidate.Response.Body.Length += int64(len(pad))
		e.Observation.Candidate.Response.Body.Data = append(e.Observation.Candidate.Response.Body.Data, pad...)
		b.handle(in, e)
		if i%37 == 0 {
			b.flush(in)
		}
	}
	for i := range 200 {
		b.handle(in, same(testSession, 1000+i))
	}
	b.flush(in)
	b.flush(in) // what lost its place during the last write
	report := b.stored(testSession)
	byFinding := map[string]int{}
	for _, r := range b.kept(testSession) {
		for l := range r.Labels {
			if f, ok := strings.CutPrefix(l, "finding:"); ok {
				byFinding[f]++
			}
		}
	}
	for f, n := range byFinding {
		if n > 6+2 { // what another finding holds shows here too
			t.Errorf("finding %s: %d kept, want at most 6", f, n)
		}
	}
	if n, blobs := len(b.kept(testSession)), b.blobCount(); n != blobs || n == 0 || n > 30 {
		t.Errorf("kept: %d records, %d blobs", n, blobs)
	}
	for _, f := range report.Findings {
		if f.Example == nil {
			continue
		}
		if _, err := b.store.Get(t.Context(), evidence.Key{Kind: evidence.Observation, ID: f.Example.ObservationID}); err != nil {
			t.Errorf("the example of %s %s is not kept: %s, %v", f.Kind, f.Path, f.Example.ObservationID, err)
		}
	}
	if s := in.Stats(); s.Pending != 0 || s.PendingBytes != 0 || s.Evicted == 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestEnvelopesThatBelongNowhereAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	both := same(testSession, 1)
	both.Tally = received(testSession, 1).Tally
	cases := []struct {
		name string
		e    observation.Envelope
		kind fault.Kind
	}{
		{"an unknown session", same("ses_nobody", 1), fault.NotFound},
		{"the unknown session again", same("ses_nobody", 2), fault.NotFound},
		{"nothing", observation.Envelope{}, fault.Invalid},
		{"two things", both, fault.Invalid},
		{"no session", same("", 1), fault.Invalid},
	}
	for _, c := range cases {
		if err := in.Handle(t.Context(), c.e); !fault.Is(err, c.kind) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.kind)
		}
	}
	if s := in.Stats(); s.Rejected != int64(len(cases)) || s.Observations != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestAStateThatCannotBeReadIsNotOverwritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.store.Apply(t.Context(), evidence.Batch{Puts: []evidence.Put{{Expect: evidence.AnyVersion, Record: evidence.Record{
		Kind: evidence.Analysis, ID: testSession, Parent: testEnv, Body: []byte(`{"from":"the future"}`), Created: start, Updated: start,
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	in := b.ingest(ingest.Limits{})
	if err := in.Handle(t.Context(), same(testSession, 1)); !fault.Is(err, fault.Internal) {
		t.Fatalf("got %v", err)
	}
	b.flush(in)
	rec, err := b.store.Get(t.Context(), evidence.Key{Kind: evidence.Analysis, ID: testSession})
	if err != nil || rec.Version != 1 {
		t.Fatalf("state: version %d, %v", rec.Version, err)
	}
}

func TestWatchersAreToldOnceUntilTheyLook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{Watchers: 2})
	ctx, cancel := context.WithCancel(t.Context())
	bySession, err := in.Changed(ctx, testSession)
	if err != nil {
		t.Fatal(err)
	}
	byEnv, err := in.Changed(ctx, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Changed(ctx, "env_other"); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a watcher too many: got %v", err)
	}
	for i := range 3 {
		b.handle(in, same(testSession, i))
		b.flush(in)
	}
	for name, ch := range map[string]<-chan struct{}{"session": bySession, "environment": byEnv} {
		if _, open := <-ch; !open {
			t.Errorf("%s: closed instead of signalled", name)
		}
		select {
		case <-ch:
			t.Errorf("%s: signalled twice for changes that nobody had looked at", name)
		default:
		}
	}
	b.flush(in) // nothing is new
	select {
	case <-byEnv:
		t.Error("signalled although nothing changed")
	default:
	}
	cancel()
	if _, open := <-bySession; open {
		t.Error("a value instead of the end")
	}
	if _, open := <-byEnv; open {
		t.Error("a value instead of the end")
	}
	if _, err := in.Changed(t.Context(), testEnv); err != nil {
		t.Errorf("places of watchers that left: %v", err)
	}
}

func TestForgettingAnEnvironmentLeavesNothingOfIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.session("ses_02", testEnv)
	b.session("ses_other", "env_other")
	in := b.ingest(ingest.Limits{})
	for _, s := range []string{testSession, "ses_02", "ses_other"} {
		b.handle(in, received(s, 2))
	}
	b.handle(in, changed(testSession, 1), changed("ses_02", 2), changed("ses_other", 3))
	b.flush(in)
	b.handle(in, changed(testSession, 4)) // still in memory only
	_, err := b.store.Apply(t.Context(), evidence.Batch{Puts: []evidence.Put{{Record: evidence.Record{
		Kind: evidence.Decision, ID: testEnv + "/fnd_x", Parent: testEnv, Body: []byte(`{}`), Created: start, Updated: start,
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := in.Forget(t.Context(), testEnv); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Handle(t.Context(), same(testSession, 5)); !fault.Is(err, fault.NotFound) {
		t.Errorf("a late envelope: got %v", err)
	}
	b.flush(in)
	for kind, want := range map[evidence.Kind]int64{
		evidence.Session: 1, evidence.Analysis: 1, evidence.Observation: 1, evidence.Decision: 0,
	} {
		if n, err := b.store.Count(t.Context(), evidence.Query{Kind: kind}); err != nil || n != want {
			t.Errorf("%s records left: got %d, %v, want %d", kind, n, err, want)
		}
	}
	if n := b.blobCount(); n != 1 {
		t.Errorf("blobs left: got %d, want 1", n)
	}
	if s := in.Stats(); s.Pending != 0 || s.PendingBytes != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	b.handle(in, received(testSession, 2), same(testSession, 1), changed(testSession, 2))
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(in.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	for name, want := range map[string]float64{
		"microstax_ingest_observations_total": 2, "microstax_ingest_observations_identical_total": 1,
		"microstax_ingest_tallies_total": 1, "microstax_ingest_sessions": 1, "microstax_ingest_store_failing": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: got %v, there: %v, want %v", name, v, ok, want)
		}
	}
}

func TestAlikeObservationsCountAsThoseThatTravelAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	list := []observation.Alike{
		{ID: "obs_1", Service: "orders", Method: "GET", Path: "/orders/1", Status: 200, At: start, Unit: "u", Context: 1, Twin: true},
		{Service: "orders", Method: "GET", Path: "/orders/2", Status: 200, At: start, OwnUnit: true, Context: 2},
	}
	batched, single := b.ingest(ingest.Limits{}), newBench(t)
	b.handle(batched, received(testSession, 2), observation.Envelope{Alike: &observation.AlikeBatch{Session: testSession, List: list}})
	b.flush(batched)
	alone := single.ingest(ingest.Limits{})
	single.handle(alone, received(testSession, 2))
	for i := range list {
		o := list[i].Observation(testSession)
		single.handle(alone, observation.Envelope{Observation: &o})
	}
	single.flush(alone)
	got, want := b.stored(testSession), single.stored(testSession)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-one by one +together):\n%s", d)
	}
	if got.Traffic.Compared != 2 || got.Traffic.Identical != 2 || len(b.kept(testSession)) != 0 {
		t.Errorf("got %+v, %d kept", got.Traffic, len(b.kept(testSession)))
	}
	if s := batched.Stats(); s.Observations != 2 || s.Identical != 2 {
		t.Errorf("stats: %+v", s)
	}
}
