// SPDX-License-Identifier: Apache-2.0

// Package mem keeps blobs in memory: for tests, and for runs that leave nothing behind. What it holds is bounded by its
// user alone.
package mem

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"sync"

	"microstax/internal/blob"
	"microstax/internal/fault"
)

// Store is a blob.Store in memory.
type Store struct {
	mu    sync.RWMutex
	blobs map[string][]byte // guarded by mu; values never change
}

var _ blob.Store = (*Store)(nil)

// New makes an empty store.
func New() *Store { return &Store{blobs: map[string][]byte{}} }

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, r io.Reader) (digest string, size int64, err error) {
	b, err := io.ReadAll(r)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", 0, fmt.Errorf("store blob: read content: %w", err)
	}
	sum := sha256.Sum256(b)
	digest = "sha256:" + hex.EncodeToString(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[digest] = b
	return digest, int64(len(b)), nil
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, digest string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.E("open blob", fault.Canceled, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.blobs[digest]
	if !ok {
		return nil, fault.Errorf("open blob", fault.NotFound, "%s: %w", digest, blob.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, digest string) error {
	if err := ctx.Err(); err != nil {
		return fault.E("delete blob", fault.Canceled, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, digest)
	return nil
}

// List implements blob.Store. f may use the store.
func (s *Store) List(ctx context.Context, f func(digest string, size int64) error) error {
	s.mu.RLock()
	blobs := maps.Clone(s.blobs)
	s.mu.RUnlock()
	for digest, b := range blobs {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		if err := f(digest, int64(len(b))); err != nil {
			return err
		}
	}
	return nil
}
