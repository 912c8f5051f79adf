// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/engine"
	"microstax/internal/evidence"
	"microstax/internal/fault"
)

// sayings is everything that people said of an environment's findings, as it is to be read for one session at one time.
type sayings struct {
	findings map[string]said // by finding, whether it holds or not
	rules    []rule
	session  string
	now      time.Time
}

// read reads every record of a kind below an environment.
func (r *Reports) read(ctx context.Context, kind evidence.Kind, envID string, each func(evidence.Record) error) error {
	const page = 1000
	q := evidence.Query{Kind: kind, Parent: envID, Limit: page}
	for {
		recs, err := r.store.List(ctx, q)
		if err != nil {
			return storeError("read "+string(kind)+"s", err)
		}
		for _, rec := range recs {
			if err := each(rec); err != nil {
				return fault.E("read "+string(kind)+"s", fault.Internal, fmt.Errorf("%s: %w", rec.ID, err))
			}
		}
		if len(recs) < page {
			return nil
		}
		q.After = recs[len(recs)-1].ID
	}
}

// said reads what people said of the findings of a subject.
func (r *Reports) said(ctx context.Context, s subject) (sayings, error) {
	out := sayings{findings: map[string]said{}, session: s.session.ID, now: r.now()}
	err := r.read(ctx, evidence.Decision, s.env.ID, func(rec evidence.Record) error {
		var d decision
		if err := json.Unmarshal(rec.Body, &d); err != nil {
			return err
		}
		out.findings[d.Finding] = d.said
		return nil
	})
	if err != nil {
		return out, err
	}
	out.rules, err = r.rules(ctx, s.env.ID)
	return out, err
}

// decisions are those in force, as the engine takes them.
func (s sayings) decisions() map[string]engine.Decision {
	out := map[string]engine.Decision{}
	for id, d := range s.findings {
		if d.holds(s.session, s.now) {
			out[id] = engine.Decision{Status: d.Status, Classes: d.Classes, Severity: d.Severity}
		}
	}
	return out
}

// ignored says whether a rule in force hides a place.
func (s sayings) ignored(p engine.Place) bool { return s.rule(p) >= 0 }

// rule is the first rule in force that hides a place, or -1.
func (s sayings) rule(p engine.Place) int {
	for i := range s.rules {
		if !s.rules[i].over(s.now) && s.rules[i].hides(p) {
			return i
		}
	}
	return -1
}

// sign writes into a report who decided what, and what the rules hide.
func (s sayings) sign(rep *v1.Report) {
	rep.Ignores = make([]v1.IgnoreRule, len(s.rules))
	for i := range s.rules {
		rep.Ignores[i] = s.rules[i].document(s.now)
	}
	for i := range rep.Findings {
		f := &rep.Findings[i]
		d, decided := s.findings[f.ID]
		switch {
		case decided && f.Status != Open && d.holds(s.session, s.now):
			f.Decision = d.document()
		case decided && f.Status == Open && d.Status != Open && d.Expires != nil && !s.now.Before(*d.Expires):
			f.Reopened = fmt.Sprintf("it was %s by %s until %s", d.Status, d.Who, d.Expires.Format(time.RFC3339))
		case f.Status == Ignored:
			if n := s.rule(engine.Place{Service: f.Service, Endpoint: f.Endpoint, Kind: f.Kind, Path: f.Path}); n >= 0 {
				f.Decision = s.rules[n].decision()
				rep.Ignores[n].Findings++
				rep.Ignores[n].Requests += f.Count
			}
		}
	}
}
