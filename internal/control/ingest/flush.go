// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"microstax/internal/evidence"
	"microstax/internal/observation"
)

// lastFlush bounds the flush that Run does when it ends.
const lastFlush = 10 * time.Second

// slowdown is how much longer than the last flush took is waited before the next: storing costs at most a tenth of the
// time.
const slowdown = 10

// longestGap bounds that wait, however slow the store: a report is never older than this and one flush, and a crash
// loses no more.
const longestGap = 2 * time.Second

// Run stores what is new until ctx ends, then once more, and returns what that last write said. What was in flight when
// an earlier process died is settled first. End ctx when the bus has delivered everything, not before.
func (in *Ingest) Run(ctx context.Context) error {
	in.recover(ctx)
	idle := time.NewTicker(in.limits.Idle)
	defer idle.Stop()
	var gap time.Duration // how long after the last flush the next may begin
	var last time.Time
	failures := 0
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			return in.Flush(end)
		case <-idle.C:
			in.dropIdle()
			continue
		case <-in.wake:
		}
		if d := gap - in.now().Sub(last); d > 0 && !pause(ctx, d) {
			continue
		}
		began := in.now()
		err := in.Flush(ctx)
		last = in.now()
		if err != nil {
			gap = backoff(failures)
			failures++
			continue
		}
		failures = 0
		gap = max(in.limits.Interval, min(slowdown*last.Sub(began), longestGap))
	}
}

// Flush writes everything that is not stored yet, in one batch. What could not be written stays in memory and is tried
// again by Run.
func (in *Ingest) Flush(ctx context.Context) error {
	select {
	case in.flushing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-in.flushing }()
	work, marks, err := in.collect()
	if len(work) == 0 && len(marks) == 0 {
		return err
	}
	began := in.now()
	applied, werr := in.write(ctx, work, marks)
	if applied {
		in.dropBlobs(ctx, work)
	}
	in.finish(ctx, work, applied, werr, in.now().Sub(began))
	in.marked(marks, applied)
	return errors.Join(err, werr)
}

// work is what one flush writes of one session.
type work struct {
	session *session
	open    bool
	state   []byte
	kept    []*kept
	deletes map[string]string
}

// collect takes a consistent view of every dirty session: the state and the observations that it counts; and of how far
// gateways have been heard, unless that would speak of a state that is not written.
func (in *Ingest) collect() ([]*work, []mark, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	var all []*work
	var errs error
	for _, id := range slices.Sorted(maps.Keys(in.sessions)) {
		s := in.sessions[id]
		if !s.dirty {
			continue
		}
		state, err := s.analysis.State()
		if err != nil {
			in.stats.FlushErrors++
			errs = errors.Join(errs, fmt.Errorf("save analysis of %s: %w", id, err))
			continue
		}
		w := &work{session: s, open: s.open, state: state, deletes: s.deletes}
		for _, k := range s.pending {
			k.writing = true
			w.kept = append(w.kept, k)
		}
		slices.SortFunc(w.kept, func(a, b *kept) int { return a.observation.At.Compare(b.observation.At) })
		s.deletes = map[string]string{}
		s.dirty = false
		all = append(all, w)
	}
	if errs != nil {
		return all, nil, errs
	}
	return all, in.marks(), nil
}

// write puts the blobs and then applies one batch. Blobs that cannot be written do not keep the counts from being so.
// It says whether the batch was applied.
func (in *Ingest) write(ctx context.Context, all []*work, marks []mark) (bool, error) {
	now := in.now()
	var b evidence.Batch
	var blobErr error
	for _, w := range all {
		for _, k := range w.kept {
			if blobErr == nil && k.digest == "" {
				blobErr = in.putBlob(ctx, k)
			}
			if k.digest == "" {
				continue
			}
			rec, err := k.record(now)
			if err != nil {
				return false, err
			}
			b.Puts = append(b.Puts, evidence.Put{Record: rec, Expect: evidence.AnyVersion})
		}
		rec, err := w.record(in.boot, now)
		if err != nil {
			return false, err
		}
		b.Puts = append(b.Puts, evidence.Put{Record: rec, Expect: evidence.AnyVersion})
		for _, id := range slices.Sorted(maps.Keys(w.deletes)) {
			b.Deletes = append(b.Deletes, evidence.Key{Kind: evidence.Observation, ID: id})
		}
	}
	for _, m := range marks {
		rec, err := m.record(now)
		if err != nil {
			return false, err
		}
		b.Puts = append(b.Puts, evidence.Put{Record: rec, Expect: evidence.AnyVersion})
	}
	if _, err := in.store.Apply(ctx, b); err != nil {
		return false, errors.Join(blobErr, fmt.Errorf("store evidence: %w", err))
	}
	return true, blobErr
}

func (in *Ingest) putBlob(ctx context.Context, k *kept) error {
	data, err := observation.Encode(k.observation)
	if err != nil {
		return err
	}
	if k.digest, _, err = in.blobs.Put(ctx, bytes.NewReader(data)); err != nil {
		k.digest = ""
		return fmt.Errorf("store observation %s: %w", k.observation.ID, err)
	}
	return nil
}

// record is the analysis of a session as stored. The engine's state is JSON already.
func (w *work) record(boot string, now time.Time) (evidence.Record, error) {
	if !json.Valid(w.state) {
		return evidence.Record{}, fmt.Errorf("save analysis of %s: its state is no JSON", w.session.id)
	}
	open := "0"
	if w.open {
		open = "1"
	}
	return evidence.Record{
		Kind: evidence.Analysis, ID: w.session.id, Parent: w.session.environment, Body: w.state,
		Labels:  map[string]string{labelBoot: boot, labelOpen: open},
		Created: w.session.created, Updated: now,
	}, nil
}

// dropBlobs removes the bytes of observations whose records are gone. One that stays behind is only wasted space.
func (in *Ingest) dropBlobs(ctx context.Context, all []*work) {
	for _, w := range all {
		for _, digest := range w.deletes {
			if digest == "" {
				continue
			}
			if err := in.blobs.Delete(ctx, digest); err != nil {
				in.count(func(s *Stats) { s.BlobsLeft++ })
			}
		}
	}
}

// finish brings memory in line with what was stored, and tells who watches.
func (in *Ingest) finish(ctx context.Context, all []*work, applied bool, err error, took time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stats.Flushes++
	in.stats.LastFlush = took
	if err != nil {
		in.stats.FlushErrors++
	}
	for _, w := range all {
		in.finishOne(w, applied, err != nil)
	}
	switch {
	case err == nil && in.stats.Failing:
		in.stats.Failing = false
		in.log.InfoContext(ctx, "evidence is stored again", "keptDropped", in.stats.KeptDropped)
	case err != nil && !in.stats.Failing && ctx.Err() == nil: // an ended context is not the store's fault
		in.stats.Failing = true
		in.log.ErrorContext(ctx, "evidence cannot be stored; counts are kept in memory and tried again", "error", err)
	}
}

func (in *Ingest) finishOne(w *work, applied, again bool) {
	s := w.session
	for _, k := range w.kept {
		k.writing = false
		id := k.observation.ID
		if _, gone := s.deletes[id]; gone {
			s.deletes[id] = k.digest // it lost its place while it was written
			continue
		}
		if applied && k.digest != "" {
			in.unpend(s, id, k)
			s.keep.stored(id, k.digest)
		}
	}
	if !applied {
		for id, digest := range w.deletes {
			s.deletes[id] = digest
		}
	}
	if again || len(s.deletes) > 0 {
		in.touch(s)
	}
	if applied {
		in.notify(s.id)
		in.notify(s.environment)
	}
}

// dropIdle takes sessions without traffic out of memory; they come back from the store at their next use.
func (in *Ingest) dropIdle() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for id, s := range in.sessions {
		if !s.dirty && len(s.pending) == 0 && in.now().Sub(s.used) >= in.limits.Idle {
			delete(in.sessions, id)
		}
	}
}
