// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sync"

	v1 "microstax/api/v1"
	"microstax/internal/engine"
	"microstax/internal/engine/cluster"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/fault"
)

// How far back is looked for findings that are gone.
const (
	maxPast   = 5  // sessions before the newest
	maxCached = 64 // reports of sessions that have ended
	surely    = 3  // -ln of the chance that a finding as frequent as it was is missed
	atLeast   = 10 // requests of its endpoint, however frequent it was
)

// past remembers what ended sessions came to: they do not change any more.
type past struct {
	mu       sync.Mutex
	sessions map[string]v1.Report // guarded by mu
}

func (p *past) get(session string) (v1.Report, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, known := p.sessions[session]
	return r, known
}

func (p *past) put(session string, r v1.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions == nil || len(p.sessions) >= maxCached {
		p.sessions = map[string]v1.Report{}
	}
	p.sessions[session] = r
}

// compareWithPast names the findings of earlier sessions that this one does not show any more, and those that had been
// gone and are back.
func (r *Reports) compareWithPast(ctx context.Context, s subject, rep *v1.Report) error {
	rep.Resolved = []v1.Resolved{}
	recs, err := r.store.List(ctx, evidence.Query{Kind: evidence.Session, Parent: s.env.ID, Limit: maxPast + 1, Descending: true})
	if err != nil {
		return storeError("read earlier sessions", err)
	}
	known := map[string]bool{}  // told of already, by the newest session that showed it
	gone := map[string]string{} // resolved in a session, by finding
	later := []v1.Report{*rep}
	for _, rec := range recs[min(len(recs), 1):] {
		old, ok, err := r.ended(ctx, s, rec)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		for _, f := range old.Findings {
			if known[f.ID] || f.Confidence != "confirmed" {
				continue
			}
			known[f.ID] = true
			if shows, enough := shown(*rep, f); !shows && enough > 0 {
				rep.Resolved = append(rep.Resolved, v1.Resolved{
					ID: f.ID, Kind: f.Kind, Service: f.Service, Endpoint: f.Endpoint, Path: f.Path, Summary: f.Summary,
					SessionID: old.SessionID, LastSeen: f.LastSeen, Compared: enough,
				})
			}
			for _, between := range later[1:] {
				if shows, enough := shown(between, f); !shows && enough > 0 {
					gone[f.ID] = between.SessionID
				}
			}
		}
		later = append(later, old)
	}
	for i := range rep.Findings {
		if in := gone[rep.Findings[i].ID]; in != "" && rep.Findings[i].Reopened == "" {
			rep.Findings[i].Reopened = fmt.Sprintf("it was resolved in session %s and is back", in)
		}
	}
	return nil
}

// shown says whether a report has a finding, and if not, how many requests say so; 0 when they are too few.
func shown(rep v1.Report, f v1.Finding) (bool, int64) {
	for i := range rep.Findings {
		if rep.Findings[i].ID == f.ID {
			return true, 0
		}
	}
	compared := int64(0)
	for _, e := range rep.Traffic.Endpoints {
		if e.Service == f.Service && (e.Endpoint == f.Endpoint || f.Endpoint == cluster.Everywhere) {
			compared += e.Compared
		}
	}
	if need := math.Max(atLeast, surely/math.Max(f.Rate, 1e-9)); float64(compared) < need {
		return false, 0
	}
	return false, compared
}

// ended is the report of an earlier session, and false where its state can't be read any more.
func (r *Reports) ended(ctx context.Context, s subject, rec evidence.Record) (v1.Report, bool, error) {
	if rep, known := r.past.get(rec.ID); known {
		return rep, true, nil
	}
	old := subject{env: s.env}
	if err := json.Unmarshal(rec.Body, &old.session); err != nil {
		return v1.Report{}, false, fault.E("read earlier sessions", fault.Internal, fmt.Errorf("%s: %w", rec.ID, err))
	}
	analysis, err := r.analysis(ctx, old.session)
	if fault.Is(err, fault.Conflict) { // of another version of this program
		return v1.Report{}, false, nil
	} else if err != nil {
		return v1.Report{}, false, err
	}
	rep := analysis.Report(engine.Meta{SessionID: old.session.ID})
	rep.Noise, rep.Latency, rep.Calls = nil, nil, nil
	if !r.now().Before(s.session.Created.Add(settled)) {
		r.past.put(rec.ID, rep)
	}
	return rep, true, nil
}

// analysis reads the state of a session.
func (r *Reports) analysis(ctx context.Context, s environment.Session) (*engine.Analysis, error) {
	const op = "report"
	cfg := engine.Config{Services: s.Settings, Control: s.Control, OpenAPI: s.OpenAPI, Protobuf: s.Protobuf}
	rec, err := r.store.Get(ctx, evidence.Key{Kind: evidence.Analysis, ID: s.ID})
	switch {
	case isNotFound(err):
		return engine.New(cfg), nil // switched on, and no traffic yet
	case err != nil:
		return nil, storeError(op, err)
	}
	analysis, err := engine.Restore(cfg, rec.Body)
	if err != nil {
		kind := fault.Internal
		if fault.Is(err, fault.Conflict) { // another version of this program wrote it
			kind = fault.Conflict
		}
		return nil, fault.E(op, kind, fmt.Errorf("session %s: %w", s.ID, err))
	}
	return analysis, nil
}
