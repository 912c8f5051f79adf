// SPDX-License-Identifier: Apache-2.0

// Package evidence is the seam to durable records: environments, shadow sessions, the state of judgement, kept
// observations, findings' status, audit. A record is a JSON document with an identity, a parent, labels it can be found
// by, and a version for optimistic concurrency. Adapters stand in folders below and pass evidencetest's suite.
//
// What a document means is its owner's business (control/…); the store only keeps it, in order, atomically.
package evidence

import (
	"context"
	"errors"
	"time"
)

// Kind is the class of a record.
type Kind string

// The kinds of record.
const (
	Environment Kind = "environment"
	Session     Kind = "session"     // parent: environment
	Analysis    Kind = "analysis"    // id: session
	Observation Kind = "observation" // parent: session
	Decision    Kind = "decision"    // what a person said of a finding; parent: environment
	Rule        Kind = "rule"        // what a person said of a place; parent: environment
	Audit       Kind = "audit"
	Setting     Kind = "setting"
)

// ErrNotFound is returned by Get for a record that is not there.
var ErrNotFound = errors.New("record not found")

// ErrVersion is returned by Apply when a record is not at the version that the change expects.
var ErrVersion = errors.New("record was changed by somebody else")

// Record is one durable document.
type Record struct {
	Kind    Kind
	ID      string            // unique within the kind; sortable by creation where it comes from id.New
	Parent  string            // id of the record it belongs to, or ""
	Labels  map[string]string // what it can be found by
	Body    []byte            // JSON
	Version int64             // set by the store: 1 at creation, plus 1 for every change
	Created time.Time         // set by whoever creates the record
	Updated time.Time
}

// AnyVersion as Put.Expect means: whatever is there, or nothing. 0 means: must not exist yet.
const AnyVersion int64 = -1

// Put creates or replaces a record.
type Put struct {
	Record Record
	Expect int64 // version that must be there: AnyVersion, 0 for none, or the version read
}

// Key names a record.
type Key struct {
	Kind Kind
	ID   string
}

// Batch is applied as a whole or not at all. Within it, puts come before deletes.
type Batch struct {
	Puts    []Put
	Deletes []Key // deleting what is not there is harmless; children are not deleted with their parent
}

// Query selects records of one kind, in order of ID.
type Query struct {
	Kind       Kind
	Parent     string            // "" for any
	Labels     map[string]string // all must be equal
	After      string            // only ids after this one (before it, when Descending); "" from the start
	Limit      int               // 0 for the store's default of 1,000; at most 10,000
	Descending bool
}

// Store keeps records. Methods may be called concurrently.
type Store interface {
	// Get returns one record, or ErrNotFound.
	Get(ctx context.Context, k Key) (Record, error)
	// List returns the records that the query selects. Fewer than Limit means that there are no more.
	List(ctx context.Context, q Query) ([]Record, error)
	// Count is how many records a query selects, Limit and After aside.
	Count(ctx context.Context, q Query) (int64, error)
	// Apply applies a batch atomically and durably, and returns the new versions in the order of b.Puts. ErrVersion
	// when an expectation does not hold; then nothing is changed.
	Apply(ctx context.Context, b Batch) ([]int64, error)
	// Close releases the store; later calls fail.
	Close() error
}
