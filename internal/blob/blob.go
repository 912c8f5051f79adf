// SPDX-License-Identifier: Apache-2.0

// Package blob is the seam to immutable bytes that are named by their content: bodies of kept observations, captures,
// snapshots. Adapters stand in folders below and pass blobtest's suite.
//
// What goes in has been redacted before: the store looks at nothing.
package blob

import (
	"context"
	"errors"
	"io"
)

// ErrNotFound is returned for a digest that is not stored.
var ErrNotFound = errors.New("blob not found")

// ErrCorrupt is returned by a read whose bytes no longer have the digest they are stored under.
var ErrCorrupt = errors.New("blob is corrupt")

// Store keeps blobs. Methods may be called concurrently.
type Store interface {
	// Put stores all of r and returns its digest, sha256:<hex>. Storing the same bytes twice is harmless and cheap.
	Put(ctx context.Context, r io.Reader) (digest string, size int64, err error)
	// Open reads a blob from its start; the caller closes it. ErrNotFound when there is none.
	Open(ctx context.Context, digest string) (io.ReadCloser, error)
	// Delete removes a blob; one that is not there is no error.
	Delete(ctx context.Context, digest string) error
	// List calls f for every digest, in no order, until f returns an error, which List returns.
	List(ctx context.Context, f func(digest string, size int64) error) error
}
