// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "microstax/api/v1"
	"microstax/internal/blob"
	"microstax/internal/evidence"
	"microstax/internal/fault"
	"microstax/internal/id"
	"microstax/internal/observation"
)

// Labels of observation records, as package ingest writes them.
const (
	labelEndpoint = "endpoint"
	labelBlob     = "blob"
	labelFinding  = "finding:"
)

const (
	pageDefault = 50
	pageMost    = 1000
	maxBlob     = 256 << 20 // bytes of one decoded observation; far more than the capture's budgets allow
	maxFilled   = 200       // findings of one report that get their example's messages
)

// Query selects kept observations of an environment's newest session. Empty fields select all.
type Query struct {
	Finding  string
	Endpoint string // "METHOD /template", as reports name it
	Limit    int    // default 50, at most 1,000
	Cursor   string // what the page before gave
}

// Observations is one page of the kept observations, newest first, and the cursor of the next page or "".
func (r *Reports) Observations(ctx context.Context, ref string, q Query) ([]v1.ObservationSummary, string, error) {
	const op = "list observations"
	if q.Cursor != "" && !id.Has(q.Cursor, id.Observation) {
		return nil, "", fault.Errorf(op, fault.Invalid, "%q is no cursor", q.Cursor).WithHint("use the nextCursor of the page before, or none")
	}
	if q.Limit < 0 || q.Limit > pageMost {
		return nil, "", fault.Errorf(op, fault.Invalid, "limit %d is out of range", q.Limit).WithHint("ask for 1 to %d", pageMost)
	}
	if q.Limit == 0 {
		q.Limit = pageDefault
	}
	s, err := r.subject(ctx, ref)
	if err != nil {
		return nil, "", err
	}
	recs, err := r.store.List(ctx, evidence.Query{
		Kind: evidence.Observation, Parent: s.session.ID, Labels: q.labels(), After: q.Cursor, Limit: q.Limit + 1, Descending: true,
	})
	if err != nil {
		return nil, "", storeError(op, err)
	}
	next := ""
	if len(recs) > q.Limit {
		recs = recs[:q.Limit]
		next = recs[q.Limit-1].ID
	}
	out := make([]v1.ObservationSummary, 0, len(recs))
	for _, rec := range recs {
		doc, err := summary(rec)
		if err != nil {
			return nil, "", fault.E(op, fault.Internal, err)
		}
		out = append(out, doc.ObservationSummary)
	}
	return out, next, nil
}

func (q Query) labels() map[string]string {
	l := map[string]string{}
	if q.Finding != "" {
		l[labelFinding+q.Finding] = "1"
	}
	if q.Endpoint != "" {
		method, path, two := strings.Cut(strings.TrimSpace(q.Endpoint), " ")
		if two {
			l[labelEndpoint] = strings.ToUpper(method) + " " + strings.TrimSpace(path)
		} else {
			l[labelEndpoint] = method
		}
	}
	return l
}

// Observation is one kept observation, whole, of any session of the environment.
func (r *Reports) Observation(ctx context.Context, ref, obsID string) (v1.Observation, error) {
	const op = "read observation"
	env, err := r.envs.Lookup(ctx, ref)
	if err != nil {
		return v1.Observation{}, fault.E(op, fault.KindOf(err), err)
	}
	missing := fault.Errorf(op, fault.NotFound, "no observation %s is kept of %s", obsID, env.Name).
		WithHint("list what is kept: microstax env observations %s", env.Name)
	rec, err := r.store.Get(ctx, evidence.Key{Kind: evidence.Observation, ID: obsID})
	if errors.Is(err, evidence.ErrNotFound) {
		return v1.Observation{}, missing
	} else if err != nil {
		return v1.Observation{}, storeError(op, err)
	}
	ses, err := r.store.Get(ctx, evidence.Key{Kind: evidence.Session, ID: rec.Parent})
	if errors.Is(err, evidence.ErrNotFound) || err == nil && ses.Parent != env.ID {
		return v1.Observation{}, missing
	} else if err != nil {
		return v1.Observation{}, storeError(op, err)
	}
	doc, err := summary(rec)
	if err != nil {
		return v1.Observation{}, fault.E(op, fault.Internal, err)
	}
	o, err := r.open(ctx, rec)
	if err != nil {
		return v1.Observation{}, err
	}
	doc.Exchanges = triple(o)
	doc.BaselineCalls, doc.ControlCalls, doc.CandidateCalls = calls(o.BaselineCalls), calls(o.ControlCalls), calls(o.CandidateCalls)
	return doc, nil
}

// summary reads the body of an observation's record: everything but exchanges and calls.
func summary(rec evidence.Record) (v1.Observation, error) {
	var doc v1.Observation
	if err := json.Unmarshal(rec.Body, &doc); err != nil {
		return doc, fmt.Errorf("read summary of %s: %w", rec.ID, err)
	}
	if doc.Findings == nil {
		doc.Findings = []string{}
	}
	if doc.Differences == nil {
		doc.Differences = []v1.Difference{}
	}
	return doc, nil
}

// open reads the whole observation that a record stands for.
func (r *Reports) open(ctx context.Context, rec evidence.Record) (*observation.Observation, error) {
	const op = "read observation"
	f, err := r.blobs.Open(ctx, rec.Labels[labelBlob])
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fault.E(op, fault.NotFound, fmt.Errorf("the bytes of %s are no longer stored: %w", rec.ID, err))
	} else if err != nil {
		return nil, storeError(op, err)
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, maxBlob))
	if err != nil {
		return nil, storeError(op, fmt.Errorf("%s: %w", rec.ID, err))
	}
	o, err := observation.Decode(data)
	if err != nil {
		return nil, fault.E(op, fault.Internal, fmt.Errorf("%s: %w", rec.ID, err))
	}
	return o, nil
}
