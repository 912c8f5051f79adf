// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"fmt"
	"time"

	"microstax/internal/evidence"
	"microstax/internal/fault"
)

// forgetFor is how long late envelopes of a forgotten session are refused without asking the store.
const forgetFor = time.Minute

// Forget deletes all evidence of an environment: its shadow sessions, their analyses and kept observations with their
// bytes, and what people decided about findings and places. Forgetting twice, or what never was, is harmless; after an error it can
// be called again.
func (in *Ingest) Forget(ctx context.Context, environmentID string) error {
	select {
	case in.flushing <- struct{}{}: // nothing is written meanwhile
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-in.flushing }()
	sessions, err := in.every(ctx, evidence.Query{Kind: evidence.Session, Parent: environmentID})
	if err != nil {
		return err
	}
	for _, s := range sessions {
		in.drop(s.ID)
		kept, err := in.every(ctx, evidence.Query{Kind: evidence.Observation, Parent: s.ID})
		if err != nil {
			return err
		}
		if err := in.deleteAll(ctx, kept); err != nil {
			return err
		}
		gone := []evidence.Record{{Kind: evidence.Analysis, ID: s.ID}, {Kind: evidence.Session, ID: s.ID}}
		if err := in.deleteAll(ctx, gone); err != nil {
			return err
		}
	}
	for _, kind := range []evidence.Kind{evidence.Decision, evidence.Rule} {
		words, err := in.every(ctx, evidence.Query{Kind: kind, Parent: environmentID})
		if err != nil {
			return err
		}
		if err := in.deleteAll(ctx, words); err != nil {
			return err
		}
	}
	return nil
}

// drop takes a session out of memory for good.
func (in *Ingest) drop(sessionID string) {
	in.refuse(sessionID, fault.Errorf("ingest envelope", fault.NotFound, "session %s was deleted", sessionID), forgetFor)
	in.mu.Lock()
	defer in.mu.Unlock()
	if s := in.sessions[sessionID]; s != nil {
		for id, k := range s.pending {
			in.unpend(s, id, k)
		}
		delete(in.sessions, sessionID)
	}
	for _, src := range in.sources {
		if _, had := src.InFlight[sessionID]; had {
			delete(src.InFlight, sessionID)
			src.dirty = true
		}
	}
}

// every lists all records of a query.
func (in *Ingest) every(ctx context.Context, q evidence.Query) ([]evidence.Record, error) {
	q.Limit = listPage
	var all []evidence.Record
	for {
		recs, err := in.store.List(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("list %s records: %w", q.Kind, err)
		}
		all = append(all, recs...)
		if len(recs) < listPage {
			return all, nil
		}
		q.After = recs[len(recs)-1].ID
	}
}

// deleteAll deletes records, and then the blobs that they name.
func (in *Ingest) deleteAll(ctx context.Context, recs []evidence.Record) error {
	for len(recs) > 0 {
		n := min(len(recs), listPage)
		var b evidence.Batch
		for _, r := range recs[:n] {
			b.Deletes = append(b.Deletes, evidence.Key{Kind: r.Kind, ID: r.ID})
		}
		if _, err := in.store.Apply(ctx, b); err != nil {
			return fmt.Errorf("delete evidence: %w", err)
		}
		for _, r := range recs[:n] {
			if digest := r.Labels[labelBlob]; digest != "" && in.blobs.Delete(ctx, digest) != nil {
				in.count(func(s *Stats) { s.BlobsLeft++ })
			}
		}
		recs = recs[n:]
	}
	return nil
}
