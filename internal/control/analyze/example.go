// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"context"
	"errors"

	v1 "microstax/api/v1"
	"microstax/internal/evidence"
	"microstax/internal/fault"
	"microstax/internal/observation"
)

// maxStandIns is how many kept observations are looked at for one that shows a finding clearly.
const maxStandIns = 25

// fillExamples gives findings the messages of their examples. Where the observation that the engine names was not kept,
// another one that is kept for the finding takes its place; where there is none, there is no example.
func (r *Reports) fillExamples(ctx context.Context, s subject, findings []v1.Finding) error {
	opened := map[string]*observation.Observation{} // one answer often shows several findings
	for i := range findings {
		if i >= maxFilled {
			return nil
		}
		f := &findings[i]
		rec, ok, err := r.exampleOf(ctx, s, f)
		if err != nil {
			return err
		}
		if !ok {
			f.Example = nil
			continue
		}
		o := opened[rec.ID]
		if o == nil {
			if o, err = r.open(ctx, rec); fault.Is(err, fault.NotFound) {
				f.Example = nil // given up between the two reads
				continue
			} else if err != nil {
				return err
			}
			opened[rec.ID] = o
		}
		fill(f.Example, o)
		if p, ok := r.where(ctx, s, f.Service); ok {
			f.Example.Reproduce = reproduce(p, f.Example.Request)
		}
	}
	return nil
}

// exampleOf finds the stored observation that shows a finding, and makes the finding's example name it.
func (r *Reports) exampleOf(ctx context.Context, s subject, f *v1.Finding) (evidence.Record, bool, error) {
	const op = "find example"
	if f.Example != nil && f.Example.ObservationID != "" {
		rec, err := r.store.Get(ctx, evidence.Key{Kind: evidence.Observation, ID: f.Example.ObservationID})
		if err == nil {
			return rec, true, nil
		} else if !errors.Is(err, evidence.ErrNotFound) {
			return rec, false, storeError(op, err)
		}
	}
	recs, err := r.store.List(ctx, evidence.Query{
		Kind: evidence.Observation, Parent: s.session.ID, Labels: map[string]string{labelFinding + f.ID: "1"}, Limit: maxStandIns,
	})
	if err != nil {
		return evidence.Record{}, false, storeError(op, err)
	}
	best, shown := -1, v1.Example{}
	for i, rec := range recs {
		doc, err := summary(rec)
		if err != nil {
			return rec, false, fault.E(op, fault.Internal, err)
		}
		if e, clear := shows(doc, f); best < 0 || clear {
			best, shown = i, e
			if clear {
				break
			}
		}
	}
	if best < 0 {
		return evidence.Record{}, false, nil
	}
	f.Example = &shown
	return recs[best], true, nil
}

// shows says what an observation shows of a finding, and whether it shows it clearly: the candidate differs, and the
// control does not.
func shows(doc v1.Observation, f *v1.Finding) (v1.Example, bool) {
	e := v1.Example{ObservationID: doc.ID}
	candidate, control := false, false
	for _, d := range doc.Differences {
		if d.Kind != f.Kind || d.Path != f.Path {
			continue
		}
		if d.Side != string(observation.Candidate) {
			control = true
		} else if !candidate {
			candidate, e.Was, e.Is = true, d.Baseline, d.Candidate
		}
	}
	return e, candidate && !control
}

func fill(e *v1.Example, o *observation.Observation) {
	t := triple(o)
	e.Request, e.Baseline, e.Control, e.Candidate = t.Request, t.Baseline, t.Control, t.Candidate
}
