// SPDX-License-Identifier: Apache-2.0

// Package evidencetest is the conformance suite of the evidence seam: Run checks every sentence of its documentation,
// RunDurable what must survive a reopening, and CrashWriter with CheckCrash what must survive kill -9. Adapters call it
// from their tests; nothing else uses it.
package evidencetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"microstax/internal/evidence"
	"microstax/internal/fault"
)

// Run checks a store. open gives a new, empty one for each call; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) evidence.Store) {
	t.Helper()
	tests := []struct {
		name string
		run  func(t *testing.T, s evidence.Store)
	}{
		{"a record comes back as it was put", roundTrip},
		{"what is not there is ErrNotFound", notFound},
		{"kinds do not share ids", kindsApart},
		{"versions count changes", versions},
		{"a put replaces the whole record", replaces},
		{"an expectation that does not hold changes nothing", expectations},
		{"a batch is applied as a whole", atomicBatch},
		{"puts come before deletes", putsBeforeDeletes},
		{"deletes are harmless and leave children", deletes},
		{"records without kind or id are refused", refusals},
		{"lists are ordered by id", ordering},
		{"pages join without gap or overlap", paging},
		{"limits", limits},
		{"queries by parent and labels", queries},
		{"changed labels are found by their new value only", relabelled},
		{"counting leaves limit and after aside", counting},
		{"what is read is a copy", copies},
		{"optimistic writers lose no change", optimistic},
		{"readers see whole batches", isolation},
		{"an ended context stops calls", canceled},
		{"a closed store fails", closed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() { s.Close() }) //nolint:errcheck // some tests close it themselves
			tt.run(t, s)
		})
	}
}

// RunDurable checks that what was applied is there after a reopening. open opens the store that is kept in dir.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) evidence.Store) {
	t.Helper()
	t.Run("a reopened store has everything", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := open(t, dir)
		want := sample("obs_1")
		want.Version = 2
		apply(t, s, put(sample("obs_1"), 0), put(sample("obs_2"), 0))
		apply(t, s, put(sample("obs_1"), 1))
		mustApply(t, s, evidence.Batch{Deletes: []evidence.Key{{Kind: evidence.Observation, ID: "obs_2"}}})
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		s = open(t, dir)
		defer s.Close() //nolint:errcheck // only read from here on
		sameRecords(t, list(t, s, evidence.Query{Kind: evidence.Observation, Labels: map[string]string{"finding": "fnd_1"}}), want)
	})
}

func sample(id string) evidence.Record {
	return evidence.Record{
		Kind: evidence.Observation, ID: id, Parent: "ses_1",
		Labels:  map[string]string{"finding": "fnd_1", "endpoint": "GET /orders/{id} – é"},
		Body:    []byte("{ \"spaces\" : \"stay\\u0000\", \"é\": 1 }\n"),
		Created: time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC),
		Updated: time.Date(2026, 3, 4, 5, 6, 8, 1, time.UTC),
	}
}

func bare(id, parent string, labels map[string]string) evidence.Record {
	return evidence.Record{Kind: evidence.Observation, ID: id, Parent: parent, Labels: labels, Body: []byte("{}")}
}

func put(r evidence.Record, expect int64) evidence.Put {
	return evidence.Put{Record: r, Expect: expect}
}

func apply(t *testing.T, s evidence.Store, puts ...evidence.Put) []int64 {
	t.Helper()
	return mustApply(t, s, evidence.Batch{Puts: puts})
}

func mustApply(t *testing.T, s evidence.Store, b evidence.Batch) []int64 {
	t.Helper()
	v, err := s.Apply(t.Context(), b)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	if len(v) != len(b.Puts) {
		t.Fatalf("apply returned %d versions for %d puts", len(v), len(b.Puts))
	}
	return v
}

func list(t *testing.T, s evidence.Store, q evidence.Query) []evidence.Record {
	t.Helper()
	rs, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatalf("list %+v: %v", q, err)
	}
	return rs
}

func get(t *testing.T, s evidence.Store, id string) evidence.Record {
	t.Helper()
	r, err := s.Get(t.Context(), evidence.Key{Kind: evidence.Observation, ID: id})
	if err != nil {
		t.Fatalf("get %s: %v", id, err)
	}
	return r
}

func absent(t *testing.T, s evidence.Store, id string) {
	t.Helper()
	if _, err := s.Get(t.Context(), evidence.Key{Kind: evidence.Observation, ID: id}); !errors.Is(err, evidence.ErrNotFound) {
		t.Fatalf("get %s: got error %v, want ErrNotFound", id, err)
	}
}

func sameRecords(t *testing.T, got []evidence.Record, want ...evidence.Record) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("records differ (-want +got):\n%s", d)
	}
}

func ids(rs []evidence.Record) []string {
	out := make([]string, len(rs))
	for i := range rs {
		out[i] = rs[i].ID
	}
	return out
}

func roundTrip(t *testing.T, s evidence.Store) {
	elsewhere := sample("obs_zone")
	elsewhere.Created = elsewhere.Created.In(time.FixedZone("x", 3600))
	empty := evidence.Record{Kind: evidence.Observation, ID: "obs_empty"}
	apply(t, s, put(sample("obs_full"), 0), put(elsewhere, 0), put(empty, 0))
	want := sample("obs_full")
	want.Version = 1
	sameRecords(t, []evidence.Record{get(t, s, "obs_full")}, want)
	if got := get(t, s, "obs_zone").Created; !got.Equal(elsewhere.Created) {
		t.Errorf("time of creation: got %v, want %v", got, elsewhere.Created)
	}
	empty.Version = 1
	sameRecords(t, []evidence.Record{get(t, s, "obs_empty")}, empty)
}

func notFound(t *testing.T, s evidence.Store) {
	absent(t, s, "obs_1")
	_, err := s.Get(t.Context(), evidence.Key{Kind: evidence.Observation, ID: "obs_1"})
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("kind of %v: got %s, want %s", err, fault.KindOf(err), fault.NotFound)
	}
	if rs := list(t, s, evidence.Query{Kind: evidence.Observation}); len(rs) != 0 {
		t.Errorf("list of an empty store: got %v", ids(rs))
	}
}

func kindsApart(t *testing.T, s evidence.Store) {
	a, b := sample("same"), sample("same")
	b.Kind, b.Body = evidence.Session, []byte(`"session"`)
	apply(t, s, put(a, 0), put(b, 0))
	mustApply(t, s, evidence.Batch{Deletes: []evidence.Key{{Kind: evidence.Observation, ID: "same"}}})
	absent(t, s, "same")
	rs := list(t, s, evidence.Query{Kind: evidence.Session, Labels: map[string]string{"finding": "fnd_1"}})
	b.Version = 1
	sameRecords(t, rs, b)
}

func canceled(t *testing.T, s evidence.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Apply(ctx, evidence.Batch{Puts: []evidence.Put{put(sample("obs_1"), 0)}}); !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Canceled) {
		t.Errorf("apply: got %v, want context.Canceled of kind canceled", err)
	}
	if _, err := s.List(ctx, evidence.Query{Kind: evidence.Observation}); !errors.Is(err, context.Canceled) {
		t.Errorf("list: got %v, want context.Canceled", err)
	}
	absent(t, s, "obs_1")
}

func closed(t *testing.T, s evidence.Store) {
	apply(t, s, put(sample("obs_1"), 0))
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	key := evidence.Key{Kind: evidence.Observation, ID: "obs_1"}
	_, getErr := s.Get(t.Context(), key)
	_, listErr := s.List(t.Context(), evidence.Query{Kind: evidence.Observation})
	_, countErr := s.Count(t.Context(), evidence.Query{Kind: evidence.Observation})
	_, applyErr := s.Apply(t.Context(), evidence.Batch{Deletes: []evidence.Key{key}})
	for name, err := range map[string]error{"get": getErr, "list": listErr, "count": countErr, "apply": applyErr} {
		if err == nil {
			t.Errorf("%s works on a closed store", name)
		}
	}
}

func number(i int) string { return fmt.Sprintf("obs_%05d", i) }
