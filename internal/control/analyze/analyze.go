// SPDX-License-Identifier: Apache-2.0

// Package analyze answers what the evidence says: the diff report, single findings, the observations that were kept, and
// what people decided about findings. Everything comes from the store, so that answers are the same after a restart, and
// for a session that ended long ago.
//
// It judges nothing itself: the engine does, from the state that package ingest stored. Methods of Reports may be called
// concurrently.
package analyze

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/blob"
	"microstax/internal/engine"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/fault"
)

// Environments finds environments.
type Environments interface {
	// Lookup finds an environment by id or unique name; fault.NotFound when there is none.
	Lookup(ctx context.Context, ref string) (environment.Environment, error)
}

// Options are what Reports are built from. All but Now are required.
type Options struct {
	Environments Environments
	Store        evidence.Store
	Blobs        blob.Store
	Now          func() time.Time // default time.Now
}

// Reports answers from the evidence.
type Reports struct {
	envs  Environments
	store evidence.Store
	blobs blob.Store
	now   func() time.Time
	past  past
}

// settled is how long after a session's successor began the session may still change: what was under way is being judged.
const settled = time.Minute

// New makes Reports.
func New(o Options) *Reports {
	r := &Reports{envs: o.Environments, store: o.Store, blobs: o.Blobs, now: o.Now}
	if r.now == nil {
		r.now = time.Now
	}
	return r
}

// Report is the diff report of an environment's newest shadow session, with an example for each finding.
func (r *Reports) Report(ctx context.Context, ref string) (v1.Report, error) {
	s, err := r.subject(ctx, ref)
	if err != nil {
		return v1.Report{}, err
	}
	rep, err := r.judge(ctx, s)
	if err != nil {
		return v1.Report{}, err
	}
	if err := r.fillExamples(ctx, s, rep.Findings); err != nil {
		return v1.Report{}, err
	}
	return rep, nil
}

// Standing is how much traffic the newest session has seen, and what it comes to.
func (r *Reports) Standing(ctx context.Context, ref string) (v1.Traffic, v1.Verdict, error) {
	s, err := r.subject(ctx, ref)
	if err != nil {
		return v1.Traffic{}, v1.Verdict{}, err
	}
	rep, err := r.judge(ctx, s)
	return rep.Traffic, rep.Verdict, err
}

// Finding is one finding of the report.
func (r *Reports) Finding(ctx context.Context, ref, findingID string) (v1.Finding, error) {
	s, err := r.subject(ctx, ref)
	if err != nil {
		return v1.Finding{}, err
	}
	return r.finding(ctx, s, findingID)
}

func (r *Reports) finding(ctx context.Context, s subject, findingID string) (v1.Finding, error) {
	rep, err := r.judge(ctx, s)
	if err != nil {
		return v1.Finding{}, err
	}
	for i := range rep.Findings {
		if rep.Findings[i].ID == findingID {
			one := rep.Findings[i : i+1]
			err := r.fillExamples(ctx, s, one)
			return one[0], err
		}
	}
	return v1.Finding{}, fault.Errorf("find finding", fault.NotFound, "there is no finding %s in session %s of %s", findingID, s.session.ID, s.env.Name).
		WithHint("list them: microstax env diffs %s", s.env.Name)
}

// subject is what a question is about: an environment and its newest session.
type subject struct {
	env     environment.Environment
	session environment.Session
}

func (r *Reports) subject(ctx context.Context, ref string) (subject, error) {
	const op = "read evidence"
	env, err := r.envs.Lookup(ctx, ref)
	if err != nil {
		return subject{}, fault.E(op, fault.KindOf(err), err)
	}
	recs, err := r.store.List(ctx, evidence.Query{Kind: evidence.Session, Parent: env.ID, Limit: 1, Descending: true})
	if err != nil {
		return subject{}, storeError(op, err)
	}
	if len(recs) == 0 {
		return subject{}, fault.Errorf(op, fault.NotFound, "%s has never been shadowed, so there is nothing to compare", env.Name).
			WithHint("switch shadowing on: microstax env shadow %s --enable", env.Name)
	}
	s := subject{env: env}
	if err := json.Unmarshal(recs[0].Body, &s.session); err != nil {
		return subject{}, fault.E(op, fault.Internal, fmt.Errorf("read session %s: %w", recs[0].ID, err))
	}
	return s, nil
}

// judge makes the report of a session from its stored analysis; examples name their observations only.
func (r *Reports) judge(ctx context.Context, s subject) (v1.Report, error) {
	words, err := r.said(ctx, s)
	if err != nil {
		return v1.Report{}, err
	}
	analysis, err := r.analysis(ctx, s.session)
	if err != nil {
		return v1.Report{}, err
	}
	rep := analysis.Report(engine.Meta{
		EnvironmentID: s.env.ID, BaselineID: s.session.Baseline, SessionID: s.session.ID,
		Lineage: v1.ReportLineage{
			BaselineRevision: s.session.BaselineRevision, BaselineDigest: s.session.BaselineDigest,
			OverlayDigest: s.session.OverlayDigest, Services: append([]string{}, s.session.Services...),
		},
		Decisions: words.decisions(), Ignored: words.ignored,
	})
	words.sign(&rep)
	return rep, r.compareWithPast(ctx, s, &rep)
}

func isNotFound(err error) bool { return errors.Is(err, evidence.ErrNotFound) }

// storeError keeps the kind that an adapter gave; other errors of a store mean that it cannot be reached.
func storeError(op string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.E(op, fault.KindOf(err), err)
	}
	return fault.E(op, fault.Unavailable, err)
}
