// SPDX-License-Identifier: Apache-2.0

// Package sqlstore keeps evidence records in two tables of a SQL database: records, and labels as their index. It is the
// part that SQL adapters share; opening, locking, migrating and reading the database's error codes is theirs.
//
// The statements use ? for arguments, ON CONFLICT and RETURNING. A Store may be used concurrently.
package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"microstax/internal/evidence"
	"microstax/internal/fault"
)

// Options are what an adapter hands over. The databases stay the adapter's: it closes them.
type Options struct {
	Writer *sql.DB // transactions that change something
	Reader *sql.DB // everything else; may be the same
	// Classify turns an error of the database into one with a kind and a hint; op is what was being done.
	Classify func(op string, err error) error
}

// Store is evidence.Store without Close.
type Store struct {
	writer, reader *sql.DB
	classify       func(op string, err error) error
}

// New makes a store over tables that are there.
func New(o Options) *Store {
	return &Store{writer: o.Writer, reader: o.Reader, classify: o.Classify}
}

const columns = "r.kind, r.id, r.parent, r.version, r.created, r.updated, r.labels, r.body"

// Get implements evidence.Store.
func (s *Store) Get(ctx context.Context, k evidence.Key) (evidence.Record, error) {
	op := "get " + string(k.Kind) + " " + k.ID
	row := s.reader.QueryRowContext(ctx, "SELECT "+columns+" FROM records r WHERE r.kind = ? AND r.id = ?", string(k.Kind), k.ID)
	r, err := scan(row)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return evidence.Record{}, fault.E(op, fault.NotFound, evidence.ErrNotFound)
	case err != nil:
		return evidence.Record{}, s.classify(op, err)
	}
	return r, nil
}

// List implements evidence.Store.
func (s *Store) List(ctx context.Context, q evidence.Query) ([]evidence.Record, error) {
	op := "list " + string(q.Kind) + " records"
	if err := check(q); err != nil {
		return nil, fault.E(op, fault.Invalid, err)
	}
	text, args := Statement(q)
	rows, err := s.reader.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, s.classify(op, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err below says what went wrong
	var out []evidence.Record
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, s.classify(op, err)
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, s.classify(op, err)
	}
	return out, nil
}

// Count implements evidence.Store.
func (s *Store) Count(ctx context.Context, q evidence.Query) (int64, error) {
	op := "count " + string(q.Kind) + " records"
	text, args := count(q)
	var n int64
	if err := s.reader.QueryRowContext(ctx, text, args...).Scan(&n); err != nil {
		return 0, s.classify(op, err)
	}
	return n, nil
}

// Apply implements evidence.Store.
func (s *Store) Apply(ctx context.Context, b evidence.Batch) ([]int64, error) {
	const op = "apply batch"
	for i := range b.Puts {
		if p := &b.Puts[i]; p.Record.Kind == "" || p.Record.ID == "" || p.Expect < evidence.AnyVersion {
			return nil, fault.Errorf(op, fault.Invalid, "put %d has kind %q, id %q and expects version %d: kind and id must be set, the version at least %d",
				i, p.Record.Kind, p.Record.ID, p.Expect, evidence.AnyVersion)
		}
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, s.classify(op, err)
	}
	versions, err := apply(ctx, tx, b)
	if err != nil {
		tx.Rollback() //nolint:errcheck // the error that led here says more
		return nil, s.refused(op, err)
	}
	if err := tx.Commit(); err != nil {
		return nil, s.classify(op, err)
	}
	return versions, nil
}

// refused gives an error of apply its kind.
func (s *Store) refused(op string, err error) error {
	var invalid invalidError
	switch {
	case errors.Is(err, evidence.ErrVersion):
		return fault.E(op, fault.Conflict, err)
	case errors.As(err, &invalid):
		return fault.E(op, fault.Invalid, err)
	}
	return s.classify(op, err)
}

// invalidError marks what is the caller's mistake and not the database's.
type invalidError struct{ error }

func (e invalidError) Unwrap() error { return e.error }

func apply(ctx context.Context, tx *sql.Tx, b evidence.Batch) ([]int64, error) {
	versions := make([]int64, len(b.Puts))
	for i := range b.Puts {
		v, err := put(ctx, tx, &b.Puts[i])
		if err != nil {
			return nil, fmt.Errorf("put %s %s: %w", b.Puts[i].Record.Kind, b.Puts[i].Record.ID, err)
		}
		versions[i] = v
	}
	for _, k := range b.Deletes {
		for _, text := range []string{"DELETE FROM labels WHERE kind = ? AND id = ?", "DELETE FROM records WHERE kind = ? AND id = ?"} {
			if _, err := tx.ExecContext(ctx, text, string(k.Kind), k.ID); err != nil {
				return nil, fmt.Errorf("delete %s %s: %w", k.Kind, k.ID, err)
			}
		}
	}
	return versions, nil
}

const (
	insert  = "INSERT INTO records (parent, created, updated, labels, body, kind, id, version) VALUES (?, ?, ?, ?, ?, ?, ?, 1) "
	create  = insert + "ON CONFLICT (kind, id) DO NOTHING RETURNING version"
	upsert  = insert + "ON CONFLICT (kind, id) DO UPDATE SET parent = excluded.parent, created = excluded.created, updated = excluded.updated, labels = excluded.labels, body = excluded.body, version = records.version + 1 RETURNING version"
	replace = "UPDATE records SET parent = ?, created = ?, updated = ?, labels = ?, body = ?, version = version + 1 WHERE kind = ? AND id = ? AND version = ? RETURNING version"
)

func put(ctx context.Context, tx *sql.Tx, p *evidence.Put) (int64, error) {
	r := &p.Record
	args, err := values(r)
	if err != nil {
		return 0, invalidError{err}
	}
	text := create
	switch p.Expect {
	case 0:
	case evidence.AnyVersion:
		text = upsert
	default:
		text = replace
		args = append(args, p.Expect)
	}
	var version int64
	err = tx.QueryRowContext(ctx, text, args...).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, evidence.ErrVersion
	}
	if err != nil {
		return 0, err
	}
	return version, index(ctx, tx, r, version > 1)
}

// index brings the labels table in line with a record's labels.
func index(ctx context.Context, tx *sql.Tx, r *evidence.Record, replaced bool) error {
	if replaced {
		if _, err := tx.ExecContext(ctx, "DELETE FROM labels WHERE kind = ? AND id = ?", string(r.Kind), r.ID); err != nil {
			return err
		}
	}
	for k, v := range r.Labels {
		if _, err := tx.ExecContext(ctx, "INSERT INTO labels (kind, id, key, value) VALUES (?, ?, ?, ?)", string(r.Kind), r.ID, k, v); err != nil {
			return err
		}
	}
	return nil
}

func values(r *evidence.Record) ([]any, error) {
	created, err := r.Created.UTC().MarshalText()
	if err != nil {
		return nil, fmt.Errorf("write time of creation: %w", err)
	}
	updated, err := r.Updated.UTC().MarshalText()
	if err != nil {
		return nil, fmt.Errorf("write time of change: %w", err)
	}
	labels := []byte("{}")
	if len(r.Labels) > 0 {
		if labels, err = json.Marshal(r.Labels); err != nil {
			return nil, fmt.Errorf("write labels: %w", err)
		}
	}
	body := r.Body
	if body == nil {
		body = []byte{} // the column takes no NULL
	}
	return []any{r.Parent, string(created), string(updated), string(labels), body, string(r.Kind), r.ID}, nil
}

func scan(row interface{ Scan(dest ...any) error }) (evidence.Record, error) {
	var r evidence.Record
	var kind, created, updated, labels string
	if err := row.Scan(&kind, &r.ID, &r.Parent, &r.Version, &created, &updated, &labels, &r.Body); err != nil {
		return evidence.Record{}, err
	}
	r.Kind = evidence.Kind(kind)
	var err error
	if r.Created, err = time.Parse(time.RFC3339Nano, created); err != nil {
		return evidence.Record{}, fmt.Errorf("read time of creation of %s %s: %w", kind, r.ID, err)
	}
	if r.Updated, err = time.Parse(time.RFC3339Nano, updated); err != nil {
		return evidence.Record{}, fmt.Errorf("read time of change of %s %s: %w", kind, r.ID, err)
	}
	if labels != "{}" {
		if err := json.Unmarshal([]byte(labels), &r.Labels); err != nil {
			return evidence.Record{}, fmt.Errorf("read labels of %s %s: %w", kind, r.ID, err)
		}
	}
	return r, nil
}
