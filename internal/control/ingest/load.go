// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"microstax/internal/engine"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/fault"
	"microstax/internal/observation"
)

// Labels of analysis records: which process wrote it, and whether something may have been in flight then.
const (
	labelBoot = "boot"
	labelOpen = "open"
)

// Labels of observation records. A finding's label is labelFinding plus its id, with the value "1".
const (
	labelEndpoint = "endpoint"
	labelService  = "service"
	labelBlob     = "blob" // digest of the whole observation
	labelWhy      = "why"
	labelSize     = "size" // what a person has to read, in bytes
	labelFinding  = "finding:"
)

const (
	readTimeout   = 10 * time.Second // for one attempt to load a session
	refuseFor     = 5 * time.Second  // before a session that could not be loaded is looked for again
	maxRefused    = 1024
	backoffFirst  = 250 * time.Millisecond
	backoffLast   = 10 * time.Second
	listPage      = 1000
	maxPagesAhead = 100 // more kept observations than a session can have
)

type refusal struct {
	err   error
	until time.Time
}

// load brings a session into memory from the store, waiting and asking again while the store cannot be read. Only a
// session that does not exist, or whose state cannot be understood, is an error; so is the end of ctx.
func (in *Ingest) load(ctx context.Context, sessionID string) error {
	if err := in.refusal(sessionID); err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		s, err := in.read(ctx, sessionID)
		if err == nil {
			in.adopt(s)
			return nil
		}
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Internal) {
			in.refuse(sessionID, err, refuseFor)
			return err
		}
		in.count(func(st *Stats) { st.ReadErrors++ })
		if !pause(ctx, backoff(attempt)) {
			return err
		}
	}
}

// read builds a session from the store. Envelopes are still delivered while the bus drains after ctx has ended, so one
// attempt does not end with ctx.
func (in *Ingest) read(ctx context.Context, sessionID string) (*session, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	const op = "load shadow session"
	if err := in.readSources(ctx); err != nil {
		return nil, err
	}
	rec, err := in.store.Get(ctx, evidence.Key{Kind: evidence.Session, ID: sessionID})
	if errors.Is(err, evidence.ErrNotFound) {
		return nil, fault.Errorf(op, fault.NotFound, "there is no session %s", sessionID)
	} else if err != nil {
		return nil, fault.E(op, fault.Unavailable, err)
	}
	var doc environment.Session
	if err := json.Unmarshal(rec.Body, &doc); err != nil {
		return nil, fault.Errorf(op, fault.Internal, "read session %s: %w", sessionID, err)
	}
	now := in.now()
	s := &session{
		id: sessionID, environment: doc.Environment, created: now, used: now,
		keep: newKeeper(in.limits), pending: map[string]*kept{}, deletes: map[string]string{},
	}
	cfg := engine.Config{Services: doc.Settings, Control: doc.Control, OpenAPI: doc.OpenAPI, Protobuf: doc.Protobuf}
	if err := in.readAnalysis(ctx, s, cfg); err != nil {
		return nil, err
	}
	if err := in.readKept(ctx, s); err != nil {
		return nil, err
	}
	return s, nil
}

func (in *Ingest) readAnalysis(ctx context.Context, s *session, cfg engine.Config) error {
	const op = "restore analysis"
	rec, err := in.store.Get(ctx, evidence.Key{Kind: evidence.Analysis, ID: s.id})
	if errors.Is(err, evidence.ErrNotFound) {
		s.analysis = engine.New(cfg)
		return nil
	} else if err != nil {
		return fault.E(op, fault.Unavailable, err)
	}
	if s.analysis, err = engine.Restore(cfg, rec.Body); err != nil {
		return fault.Errorf(op, fault.Internal, "session %s: %w", s.id, err)
	}
	s.created = rec.Created
	if rec.Labels[labelBoot] != in.boot {
		// Another process wrote this, and it is gone: what it had in flight will never be compared. What gateways have in
		// flight is with them.
		s.analysis.Lose(observation.Crashed, s.analysis.InFlight()-in.elsewhere(s.id))
		s.dirty = true
	}
	return nil
}

// readKept gives the stored observations their places again.
func (in *Ingest) readKept(ctx context.Context, s *session) error {
	q := evidence.Query{Kind: evidence.Observation, Parent: s.id, Limit: listPage}
	for range maxPagesAhead {
		recs, err := in.store.List(ctx, q)
		if err != nil {
			return fault.E("list kept observations", fault.Unavailable, err)
		}
		for _, r := range recs {
			j := engine.Judged{Endpoint: r.Labels[labelEndpoint], Why: r.Labels[labelWhy], Keep: true}
			for l := range r.Labels {
				if f, ok := strings.CutPrefix(l, labelFinding); ok {
					j.Findings = append(j.Findings, f)
				}
			}
			slices.Sort(j.Findings)
			size, err := strconv.ParseInt(r.Labels[labelSize], 10, 64)
			if err != nil {
				return fault.E("list kept observations", fault.Internal, fmt.Errorf("read size of %s: %w", r.ID, err))
			}
			take, lost := s.keep.offer(r.ID, j, size)
			if take {
				s.keep.stored(r.ID, r.Labels[labelBlob])
			} else {
				s.deletes[r.ID] = r.Labels[labelBlob]
			}
			for _, l := range lost {
				s.deletes[l.id] = l.digest
			}
		}
		if len(recs) < listPage {
			return nil
		}
		q.After = recs[len(recs)-1].ID
	}
	return fault.E("list kept observations", fault.Internal, fmt.Errorf("session %s has too many", s.id))
}

// adopt puts a loaded session into memory, unless another goroutine was quicker.
func (in *Ingest) adopt(s *session) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.sessions[s.id] != nil {
		return
	}
	in.sessions[s.id] = s
	delete(in.refused, s.id)
	if s.dirty || len(s.deletes) > 0 {
		in.touch(s)
	}
}

func (in *Ingest) refusal(sessionID string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	r, ok := in.refused[sessionID]
	if !ok || !in.now().Before(r.until) {
		return nil
	}
	return r.err
}

func (in *Ingest) refuse(sessionID string, err error, d time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.refused) >= maxRefused {
		clear(in.refused)
	}
	in.refused[sessionID] = refusal{err: err, until: in.now().Add(d)}
}

// recover settles what was in flight when the process before this one ended, also of sessions that get no traffic now.
func (in *Ingest) recover(ctx context.Context) {
	q := evidence.Query{Kind: evidence.Analysis, Labels: map[string]string{labelOpen: "1"}, Limit: listPage}
	for {
		recs, err := in.store.List(ctx, q)
		if err != nil {
			in.log.ErrorContext(ctx, "evidence of earlier sessions cannot be read yet", "error", err)
			return // each is restored at its first use
		}
		for _, r := range recs {
			if r.Labels[labelBoot] == in.boot {
				continue
			}
			if err := in.load(ctx, r.ID); err != nil {
				in.log.ErrorContext(ctx, "session of an earlier run cannot be restored", "session", r.ID, "error", err)
			}
		}
		if len(recs) < listPage || ctx.Err() != nil {
			return
		}
		q.After = recs[len(recs)-1].ID
	}
}

// backoff grows from a quarter of a second to ten.
func backoff(attempt int) time.Duration {
	return min(backoffFirst<<min(attempt, 10), backoffLast)
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
