// SPDX-License-Identifier: Apache-2.0

// Package dir keeps blobs as files of a directory, compressed with zstd, at ab/cd/<hex digest>.zst; ab and cd are the
// digest's first two bytes.
//
// Layout of a file: a zstd skippable frame (RFC 8878, 3.1.2) of 16 bytes that holds the blob's length as 8 bytes, big
// endian, then the blob as zstd frames; the zstd tool reads it. Files appear whole or not at all: they are written and
// synced under tmp/, then renamed.
//
// One process at a time may use a directory: Open clears what a killed one left under tmp/.
package dir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"microstax/internal/blob"
	"microstax/internal/fault"
)

const (
	prefix = "sha256:"
	suffix = ".zst"
	tmp    = "tmp"
	// inMemory is how much of a blob is read before it is written: a smaller one that is stored already costs a hash
	// and no file. It is above the usual limit of a body.
	inMemory = 1<<20 + 1
)

// Store is a blob.Store in a directory.
type Store struct{ root string }

var _ blob.Store = (*Store)(nil)

// Open makes the directory where it is missing. The store needs no closing.
func Open(root string) (*Store, error) {
	s := &Store{root: root}
	if err := os.RemoveAll(filepath.Join(root, tmp)); err != nil {
		return nil, s.fail("open blob store", err)
	}
	if err := os.MkdirAll(filepath.Join(root, tmp), 0o700); err != nil {
		return nil, s.fail("open blob store", err)
	}
	return s, nil
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, r io.Reader) (digest string, size int64, err error) {
	const op = "store blob"
	r = &reader{ctx: ctx, r: r}
	head, err := io.ReadAll(io.LimitReader(r, inMemory))
	if err != nil {
		return "", 0, fmt.Errorf("%s: read content: %w", op, err)
	}
	if len(head) < inMemory {
		sum := sha256.Sum256(head)
		if digest = prefix + hex.EncodeToString(sum[:]); s.has(digest) {
			return digest, int64(len(head)), nil
		}
	}
	f, err := os.CreateTemp(filepath.Join(s.root, tmp), "put-")
	if err != nil {
		return "", 0, s.fail(op, err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone when it was renamed; Open clears it otherwise
	digest, size, err = fill(f, io.MultiReader(bytes.NewReader(head), r))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", 0, s.fail(op, err)
	}
	if s.has(digest) {
		return digest, size, nil
	}
	if err := s.publish(f.Name(), digest); err != nil {
		return "", 0, s.fail(op, err)
	}
	return digest, size, nil
}

// publish gives a written file its name, and makes sure that the name outlives a power failure.
func (s *Store) publish(from, digest string) error {
	to := s.path(digest)
	folder := filepath.Dir(to)
	_, missing := os.Stat(folder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	folders := []string{folder}
	if missing != nil {
		folders = append(folders, filepath.Dir(folder), s.root)
	}
	for _, folder := range folders {
		if err := syncFolder(folder); err != nil {
			return err
		}
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path) //nolint:gosec // a folder of ours
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open implements blob.Store. What is read is checked as it goes: a damaged file ends in blob.ErrCorrupt instead of
// io.EOF, so nothing must be believed before the end was reached.
func (s *Store) Open(ctx context.Context, digest string) (io.ReadCloser, error) {
	const op = "open blob"
	if err := ctx.Err(); err != nil {
		return nil, fault.E(op, fault.Canceled, err)
	}
	if !valid(digest) {
		return nil, fault.Errorf(op, fault.NotFound, "%q is not a digest: %w", digest, blob.ErrNotFound)
	}
	f, err := os.Open(s.path(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Errorf(op, fault.NotFound, "%s: %w", digest, blob.ErrNotFound)
	}
	if err != nil {
		return nil, s.fail(op, err)
	}
	return newContent(ctx, f, digest), nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, digest string) error {
	const op = "delete blob"
	if err := ctx.Err(); err != nil {
		return fault.E(op, fault.Canceled, err)
	}
	if !valid(digest) {
		return nil // nothing can be stored under it
	}
	if err := os.Remove(s.path(digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.fail(op, err)
	}
	return nil
}

// List implements blob.Store. A file that is damaged at its head is listed with size -1, so that it can be deleted.
func (s *Store) List(ctx context.Context, f func(digest string, size int64) error) error {
	return filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // deleted meanwhile
		case err != nil:
			return fmt.Errorf("list blobs: %w", err)
		case d.IsDir() && d.Name() == tmp:
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		digest := prefix + strings.TrimSuffix(d.Name(), suffix)
		if !valid(digest) || path != s.path(digest) {
			return nil // not ours
		}
		size, err := sizeOf(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return s.fail("list blobs", err)
		}
		return f(digest, size)
	})
}

func (s *Store) has(digest string) bool {
	_, err := os.Stat(s.path(digest))
	return err == nil
}

func (s *Store) path(digest string) string {
	name := strings.TrimPrefix(digest, prefix)
	return filepath.Join(s.root, name[:2], name[2:4], name+suffix)
}

// valid keeps digests from naming files elsewhere.
func valid(digest string) bool {
	name, ok := strings.CutPrefix(digest, prefix)
	if !ok || len(name) != hex.EncodedLen(sha256.Size) {
		return false
	}
	return strings.Trim(name, "0123456789abcdef") == ""
}

// fail gives an error of the file system a kind and a hint.
func (s *Store) fail(op string, err error) error {
	var e *fault.Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return fault.E(op, fault.Canceled, err)
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
		return fault.E(op, fault.Unavailable, err).WithHint("the disk of %s is full: free some space", s.root)
	case errors.Is(err, fs.ErrPermission):
		return fault.E(op, fault.Unavailable, err).WithHint("check the owner and the permissions of %s", s.root)
	}
	return fault.E(op, fault.Unavailable, err)
}

// reader ends with ctx.
type reader struct {
	ctx context.Context //nolint:containedctx // lives for one Put
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
