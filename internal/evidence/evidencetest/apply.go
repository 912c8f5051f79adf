// SPDX-License-Identifier: Apache-2.0

package evidencetest

import (
	"errors"
	"slices"
	"testing"

	"microstax/internal/evidence"
	"microstax/internal/fault"
)

func versions(t *testing.T, s evidence.Store) {
	r := sample("obs_1")
	steps := []struct {
		name   string
		expect int64
		want   int64
	}{
		{"creation", 0, 1},
		{"change of the version read", 1, 2},
		{"change of any version", evidence.AnyVersion, 3},
		{"change of the version read, again", 3, 4},
	}
	for _, step := range steps {
		if got := apply(t, s, put(r, step.expect)); got[0] != step.want {
			t.Fatalf("%s: got version %d, want %d", step.name, got[0], step.want)
		}
		if got := get(t, s, "obs_1").Version; got != step.want {
			t.Fatalf("%s: stored version %d, want %d", step.name, got, step.want)
		}
	}
	if got := apply(t, s, put(sample("obs_2"), evidence.AnyVersion)); got[0] != 1 {
		t.Errorf("creation by any version: got version %d, want 1", got[0])
	}
	ignored := sample("obs_3")
	ignored.Version = 40
	if got := apply(t, s, put(ignored, 0)); got[0] != 1 {
		t.Errorf("the store sets the version: got %d, want 1", got[0])
	}
	if got := apply(t, s, put(sample("obs_4"), 0), put(sample("obs_4"), 1), put(sample("obs_5"), 0)); !slices.Equal(got, []int64{1, 2, 1}) {
		t.Errorf("versions come in the order of the puts: got %v, want [1 2 1]", got)
	}
	mustApply(t, s, evidence.Batch{Deletes: []evidence.Key{{Kind: evidence.Observation, ID: "obs_1"}}})
	if got := apply(t, s, put(r, 0)); got[0] != 1 {
		t.Errorf("creation after deletion: got version %d, want 1", got[0])
	}
}

func replaces(t *testing.T, s evidence.Store) {
	for i, expect := range []int64{1, evidence.AnyVersion} {
		id := number(i)
		apply(t, s, put(sample(id), 0))
		want := evidence.Record{
			Kind: evidence.Observation, ID: id, Parent: "ses_2", Labels: map[string]string{"other": "label"}, Body: []byte(`"new"`),
			Created: sample(id).Created.AddDate(1, 0, 0), Updated: sample(id).Updated.AddDate(2, 0, 0),
		}
		apply(t, s, put(want, expect))
		want.Version = 2
		sameRecords(t, []evidence.Record{get(t, s, id)}, want)
		sameRecords(t, list(t, s, evidence.Query{Kind: evidence.Observation, Parent: "ses_1"}))
		mustApply(t, s, evidence.Batch{Deletes: []evidence.Key{{Kind: want.Kind, ID: id}}})
	}
}

func expectations(t *testing.T, s evidence.Store) {
	apply(t, s, put(sample("obs_there"), 0))
	changed := sample("obs_there")
	changed.Body, changed.Labels = []byte(`"changed"`), map[string]string{"new": "label"}
	for name, p := range map[string]evidence.Put{
		"creation of what is there":       put(changed, 0),
		"an old version":                  put(changed, 7),
		"a version of what is not there":  put(sample("obs_missing"), 1),
		"a newer version than is there":   put(changed, 2),
		"a version of another kind's id ": put(evidence.Record{Kind: evidence.Session, ID: "obs_there"}, 1),
	} {
		_, err := s.Apply(t.Context(), evidence.Batch{Puts: []evidence.Put{p}})
		if !errors.Is(err, evidence.ErrVersion) || !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: got %v, want ErrVersion of kind conflict", name, err)
		}
	}
	want := sample("obs_there")
	want.Version = 1
	sameRecords(t, list(t, s, evidence.Query{Kind: evidence.Observation}), want)
	if n := len(list(t, s, evidence.Query{Kind: evidence.Observation, Labels: changed.Labels})); n != 0 {
		t.Errorf("labels of a refused put find %d records", n)
	}
}

func atomicBatch(t *testing.T, s evidence.Store) {
	apply(t, s, put(sample("obs_1"), 0), put(sample("obs_2"), 0))
	changed := sample("obs_1")
	changed.Body = []byte(`"changed"`)
	_, err := s.Apply(t.Context(), evidence.Batch{
		Puts:    []evidence.Put{put(changed, 1), put(sample("obs_3"), 0), put(sample("obs_2"), 9)},
		Deletes: []evidence.Key{{Kind: evidence.Observation, ID: "obs_2"}},
	})
	if !errors.Is(err, evidence.ErrVersion) {
		t.Fatalf("apply: got %v, want ErrVersion", err)
	}
	one, two := sample("obs_1"), sample("obs_2")
	one.Version, two.Version = 1, 1
	sameRecords(t, list(t, s, evidence.Query{Kind: evidence.Observation}), one, two)
	mustApply(t, s, evidence.Batch{})
}

func putsBeforeDeletes(t *testing.T, s evidence.Store) {
	got := mustApply(t, s, evidence.Batch{
		Puts:    []evidence.Put{put(sample("obs_1"), 0)},
		Deletes: []evidence.Key{{Kind: evidence.Observation, ID: "obs_1"}},
	})
	if !slices.Equal(got, []int64{1}) {
		t.Errorf("versions: got %v, want [1]", got)
	}
	absent(t, s, "obs_1")
}

func deletes(t *testing.T, s evidence.Store) {
	parent := evidence.Record{Kind: evidence.Session, ID: "ses_1", Body: []byte("{}")}
	apply(t, s, put(parent, 0), put(sample("obs_1"), 0))
	for range 2 {
		mustApply(t, s, evidence.Batch{Deletes: []evidence.Key{{Kind: evidence.Session, ID: "ses_1"}, {Kind: evidence.Audit, ID: "never"}}})
	}
	if _, err := s.Get(t.Context(), evidence.Key{Kind: evidence.Session, ID: "ses_1"}); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("get of the deleted parent: got %v, want ErrNotFound", err)
	}
	get(t, s, "obs_1")
	mustApply(t, s, evidence.Batch{Deletes: []evidence.Key{{Kind: evidence.Observation, ID: "obs_1"}}})
	if n := len(list(t, s, evidence.Query{Kind: evidence.Observation, Labels: sample("").Labels})); n != 0 {
		t.Errorf("labels of a deleted record find %d records", n)
	}
}

func refusals(t *testing.T, s evidence.Store) {
	for name, p := range map[string]evidence.Put{
		"no kind":             put(evidence.Record{ID: "x"}, 0),
		"no id":               put(evidence.Record{Kind: evidence.Audit}, 0),
		"a senseless version": put(evidence.Record{Kind: evidence.Audit, ID: "x"}, -2),
	} {
		_, err := s.Apply(t.Context(), evidence.Batch{Puts: []evidence.Put{put(sample("obs_1"), 0), p}})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, want an error of kind invalid", name, err)
		}
	}
	absent(t, s, "obs_1")
}

func copies(t *testing.T, s evidence.Store) {
	r := sample("obs_1")
	apply(t, s, put(r, 0))
	r.Body[0], r.Labels["finding"] = 'X', "X"
	got := get(t, s, "obs_1")
	got.Body[1], got.Labels["endpoint"] = 'Y', "Y"
	want := sample("obs_1")
	want.Version = 1
	sameRecords(t, []evidence.Record{get(t, s, "obs_1")}, want)
}
