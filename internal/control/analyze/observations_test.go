// SPDX-License-Identifier: Apache-2.0

package analyze_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"

	v1 "microstax/api/v1"
	"microstax/internal/control/analyze"
	"microstax/internal/evidence"
	"microstax/internal/exchange"
	"microstax/internal/fault"
)

func TestObservationsAreListedNewestFirstInPages(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.traffic(60)
	all := len(d.list())
	var got []v1.ObservationSummary
	q := analyze.Query{Limit: 4}
	for pages := 0; ; pages++ {
		page, next, err := d.reports.Observations(t.Context(), "feat", q)
		if err != nil || len(page) > 4 || pages > all {
			t.Fatalf("page %d: %d rows, %v", pages, len(page), err)
		}
		got = append(got, page...)
		if next == "" {
			break
		}
		q.Cursor = next
	}
	if len(got) != all || all < 10 {
		t.Fatalf("got %d in pages, %d are stored", len(got), all)
	}
	for i := 1; i < len(got); i++ {
		if got[i].ID >= got[i-1].ID {
			t.Fatalf("%s after %s", got[i].ID, got[i-1].ID)
		}
	}
}

func TestObservationsAreSelectedByFindingAndEndpoint(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.traffic(60)
	f := d.finding("body.type")
	count := func(q analyze.Query) int {
		t.Helper()
		rows, _, err := d.reports.Observations(t.Context(), "feat", q)
		if err != nil {
			t.Fatal(err)
		}
		return len(rows)
	}
	rows, _, err := d.reports.Observations(t.Context(), "feat", analyze.Query{Finding: f.ID})
	if err != nil || len(rows) == 0 || len(rows) > 20+1 {
		t.Fatalf("by finding: got %d, %v", len(rows), err)
	}
	for _, r := range rows {
		if !strings.Contains(strings.Join(r.Findings, " "), f.ID) {
			t.Errorf("%s has findings %v", r.ID, r.Findings)
		}
	}
	method, path, _ := strings.Cut(f.Endpoint, " ")
	if n := count(analyze.Query{Endpoint: strings.ToLower(method) + " " + path}); n != len(d.list()) {
		t.Errorf("by endpoint: got %d of %d", n, len(d.list()))
	}
	if n := count(analyze.Query{Endpoint: "GET /elsewhere"}); n != 0 {
		t.Errorf("by another endpoint: got %d", n)
	}
}

func TestWrongQueriesAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	for name, q := range map[string]analyze.Query{
		"a cursor of something else": {Cursor: "env_01"}, "a negative limit": {Limit: -1}, "a huge limit": {Limit: 1001},
	} {
		if _, _, err := d.reports.Observations(t.Context(), "feat", q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, _, err := d.reports.Observations(t.Context(), "other", analyze.Query{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("no session: got %v", err)
	}
}

func TestOneObservationIsShownWhole(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.traffic(6)
	o, err := d.reports.Observation(t.Context(), "feat", "obs_000003")
	if err != nil {
		t.Fatal(err)
	}
	if o.SessionID != testSession || o.TraceID != "abc" || len(o.Differences) == 0 || o.Exchanges.Control == nil {
		t.Errorf("got %+v", o)
	}
	if len(o.BaselineCalls) != 1 || len(o.ControlCalls) != 1 || len(o.CandidateCalls) != 1 {
		t.Fatalf("calls: got %d, %d, %d", len(o.BaselineCalls), len(o.ControlCalls), len(o.CandidateCalls))
	}
	c := o.CandidateCalls[0]
	if c.Operation != "POST /charge" || c.Request.Target != "/charge?x=1" || c.Status != 201 || c.Effect != "replayed" || c.Match != "exact" || c.DurationMS != 1.5 {
		t.Errorf("call: got %+v", c)
	}
}

func TestObservationsOfOthersAndLostBytesAreNotFound(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.shadowed(testSession, "env_01")
	d.shadowed("ses_09", "env_02")
	d.traffic(6)
	for name, c := range map[string]struct{ ref, id string }{
		"unknown": {"feat", "obs_nothing"}, "of another environment": {"other", "obs_000003"}, "an id of another kind": {"feat", testSession},
	} {
		if _, err := d.reports.Observation(t.Context(), c.ref, c.id); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	rec, err := d.store.Get(t.Context(), evidence.Key{Kind: evidence.Observation, ID: "obs_000003"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.blobs.Delete(t.Context(), rec.Labels["blob"]); err != nil {
		t.Fatal(err)
	}
	if _, err := d.reports.Observation(t.Context(), "feat", "obs_000003"); !fault.Is(err, fault.NotFound) {
		t.Errorf("bytes that are gone: got %v", err)
	}
}

func TestBodiesAreShownForPeople(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte("plain")); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	gzipped := []exchange.Header{{Name: "Content-Encoding", Value: "gzip"}, {Name: "Content-Type", Value: "text/plain"}}
	binary := []byte{0xff, 0xfe, 0x00}
	long := strings.Repeat("é", 5000) // ten thousand bytes; byte 8,192 lies between two characters
	odd := "x" + long                 // and here within one
	cases := []struct {
		name    string
		body    exchange.Body
		headers []exchange.Header
		want    string
		base64  bool
		cut     bool
	}{
		{name: "nothing"},
		{name: "text", body: exchange.Body{Data: []byte("é\n"), Length: 3}, want: "é\n"},
		{name: "bytes", body: exchange.Body{Data: binary, Length: 3}, want: base64.StdEncoding.EncodeToString(binary), base64: true},
		{name: "long text", body: exchange.Body{Data: []byte(long), Length: 10_000}, want: long[:8192], cut: true},
		{name: "long text, cut within a character", body: exchange.Body{Data: []byte(odd), Length: 10_001}, want: odd[:8191], cut: true},
		{name: "cut by the capture within a character", body: exchange.Body{Data: []byte("a\xc3"), Length: 900, Hash: 1, Truncated: true}, want: "a", cut: true},
		{name: "compressed", body: exchange.Body{Data: zipped.Bytes(), Length: int64(zipped.Len())}, headers: gzipped, want: "plain"},
		{name: "said to be compressed", body: exchange.Body{Data: []byte("plain"), Length: 5}, headers: gzipped, want: "plain"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.shadowed(testSession, "env_01")
			e := seen(testSession, 1, `{"total":"12"}`)
			e.Observation.Candidate.Response.Body = c.body
			e.Observation.Candidate.Response.Headers = c.headers
			e.Observation.Candidate.Outcome = exchange.OK
			d.feed(e)
			o, err := d.reports.Observation(t.Context(), "feat", "obs_000001")
			if err != nil {
				t.Fatal(err)
			}
			m := o.Exchanges.Candidate
			if m.Body != c.want || m.BodyBase64 != c.base64 || m.Truncated != c.cut || m.BodyLength != c.body.Length {
				t.Errorf("got %d bytes %.40q, base64 %v, truncated %v, length %d", len(m.Body), m.Body, m.BodyBase64, m.Truncated, m.BodyLength)
			}
		})
	}
}
