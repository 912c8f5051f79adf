// SPDX-License-Identifier: Apache-2.0

// Package blobtest is the conformance suite of the blob seam. Adapters call Run from their tests; nothing else uses it.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"microstax/internal/blob"
	"microstax/internal/fault"
)

// Run checks a store. open gives a new, empty one for each call.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	t.Helper()
	tests := []struct {
		name string
		run  func(t *testing.T, s blob.Store)
	}{
		{"bytes come back as they were stored", roundTrip},
		{"storing twice is harmless", twice},
		{"an unknown digest is ErrNotFound", notFound},
		{"what is no digest names nothing", noDigest},
		{"deleting", deleting},
		{"listing", listing},
		{"a list ends with the error of its function", listError},
		{"a reader that fails stores nothing", failingReader},
		{"an ended context stops calls", canceled},
		{"stored at once by many", concurrent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, open(t))
		})
	}
}

// Contents are blobs of the sizes and kinds at which stores go wrong. They are the same in every run.
func Contents() map[string][]byte {
	random := make([]byte, 3<<20)
	src := rand.NewChaCha8([32]byte{1})
	src.Read(random) //nolint:errcheck // never fails
	return map[string][]byte{
		"empty":      {},
		"one byte":   {0},
		"text":       []byte(`{"hello": "world"}`),
		"1 MiB":      random[:1<<20],
		"1 MiB + 1":  random[:1<<20+1],
		"1 MiB + 2":  random[1 : 1<<20+3],
		"random":     random,
		"repeating":  bytes.Repeat([]byte("again "), 1<<20),
		"compressed": {0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x00}, // begins like zstd, and is not
	}
}

// Digest is the digest that content must be stored under.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func mustPut(t *testing.T, s blob.Store, content []byte) string {
	t.Helper()
	digest, size, err := s.Put(t.Context(), bytes.NewReader(content))
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if digest != Digest(content) || size != int64(len(content)) {
		t.Fatalf("put: got digest %s and size %d, want %s and %d", digest, size, Digest(content), len(content))
	}
	return digest
}

func read(t *testing.T, s blob.Store, digest string) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), digest)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return got
}

func missing(t *testing.T, s blob.Store, digest string) {
	t.Helper()
	if _, err := s.Open(t.Context(), digest); !errors.Is(err, blob.ErrNotFound) || !fault.Is(err, fault.NotFound) {
		t.Errorf("open %q: got %v, want ErrNotFound of kind notFound", digest, err)
	}
}

func all(t *testing.T, s blob.Store) map[string]int64 {
	t.Helper()
	got := map[string]int64{}
	if err := s.List(t.Context(), func(digest string, size int64) error {
		if _, twice := got[digest]; twice {
			t.Errorf("list gives %s twice", digest)
		}
		got[digest] = size
		return nil
	}); err != nil {
		t.Fatalf("list: %v", err)
	}
	return got
}

func roundTrip(t *testing.T, s blob.Store) {
	for name, content := range Contents() {
		digest := mustPut(t, s, content)
		if got := read(t, s, digest); !bytes.Equal(got, content) {
			t.Errorf("%s: got %d bytes that differ from the %d stored", name, len(got), len(content))
		}
		r, err := s.Open(t.Context(), digest)
		if err != nil {
			t.Fatalf("%s: open: %v", name, err)
		}
		if got, err := io.ReadAll(iotest.OneByteReader(io.LimitReader(r, 100))); err != nil || !bytes.Equal(got, content[:min(100, len(content))]) {
			t.Errorf("%s: first bytes read one by one: %v", name, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: close before the end: %v", name, err)
		}
	}
}

func twice(t *testing.T, s blob.Store) {
	for name, content := range Contents() {
		if a, b := mustPut(t, s, content), mustPut(t, s, content); a != b {
			t.Errorf("%s: got digests %s and %s", name, a, b)
		}
	}
	if got, want := len(all(t, s)), len(Contents()); got != want {
		t.Errorf("list after storing everything twice: got %d blobs, want %d", got, want)
	}
	short := iotest.HalfReader(strings.NewReader("abc"))
	if digest, _, err := s.Put(t.Context(), short); err != nil || digest != mustPut(t, s, []byte("abc")) {
		t.Errorf("put from a slow reader: got %s, %v", digest, err)
	}
}

func notFound(t *testing.T, s blob.Store) {
	mustPut(t, s, []byte("something"))
	missing(t, s, Digest([]byte("something else")))
}

func noDigest(t *testing.T, s blob.Store) {
	digest := mustPut(t, s, []byte("something"))
	for _, odd := range []string{"", "sha256:", "sha256:..", strings.ToUpper(digest), digest + "0", digest[:len(digest)-1], "../../etc/passwd", "sha256:" + strings.Repeat("/", 64), strings.TrimPrefix(digest, "sha256:")} {
		missing(t, s, odd)
		if err := s.Delete(t.Context(), odd); err != nil {
			t.Errorf("delete %q: got %v, want no error", odd, err)
		}
	}
	read(t, s, digest)
}

func deleting(t *testing.T, s blob.Store) {
	a, b := mustPut(t, s, []byte("a")), mustPut(t, s, []byte("b"))
	for range 2 {
		if err := s.Delete(t.Context(), a); err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	missing(t, s, a)
	read(t, s, b)
	if got := read(t, s, mustPut(t, s, []byte("a"))); string(got) != "a" {
		t.Errorf("stored again after deletion: got %q", got)
	}
}

func listing(t *testing.T, s blob.Store) {
	if got := all(t, s); len(got) != 0 {
		t.Errorf("list of an empty store: got %v", got)
	}
	want := map[string]int64{}
	for _, content := range Contents() {
		want[mustPut(t, s, content)] = int64(len(content))
	}
	if got := all(t, s); !maps.Equal(got, want) {
		t.Errorf("list: got %v, want %v", got, want)
	}
	if err := s.List(t.Context(), func(digest string, _ int64) error { return s.Delete(t.Context(), digest) }); err != nil {
		t.Errorf("deleting while listing: %v", err)
	}
	if got := all(t, s); len(got) != 0 {
		t.Errorf("list after deleting everything: got %v", slices.Collect(maps.Keys(got)))
	}
}

func listError(t *testing.T, s blob.Store) {
	mustPut(t, s, []byte("a"))
	mustPut(t, s, []byte("b"))
	stop, calls := errors.New("stop"), 0
	if err := s.List(t.Context(), func(string, int64) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
		t.Errorf("list: got %v after %d calls, want the function's error after 1", err, calls)
	}
}

func failingReader(t *testing.T, s blob.Store) {
	broken := errors.New("broken")
	for _, n := range []int{0, 10, 2 << 20} {
		r := io.MultiReader(bytes.NewReader(make([]byte, n)), iotest.ErrReader(broken))
		if _, _, err := s.Put(t.Context(), r); !errors.Is(err, broken) {
			t.Errorf("put of a reader that fails after %d bytes: got %v, want its error", n, err)
		}
	}
	if got := all(t, s); len(got) != 0 {
		t.Errorf("list: got %v, want nothing", got)
	}
}

func canceled(t *testing.T, s blob.Store) {
	digest := mustPut(t, s, []byte("a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, putErr := s.Put(ctx, strings.NewReader("b"))
	_, openErr := s.Open(ctx, digest)
	deleteErr := s.Delete(ctx, digest)
	listErr := s.List(ctx, func(string, int64) error { return nil })
	for name, err := range map[string]error{"put": putErr, "open": openErr, "delete": deleteErr, "list": listErr} {
		if !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled of kind canceled", name, err)
		}
	}
	if got := all(t, s); len(got) != 1 {
		t.Errorf("list: got %v, want only what was stored before", got)
	}
}

func concurrent(t *testing.T, s blob.Store) {
	big := bytes.Repeat([]byte("big "), 1<<19)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 10 {
				content := fmt.Appendf(nil, "blob %d", i)
				if i == 5 {
					content = big
				}
				digest, _, err := s.Put(t.Context(), bytes.NewReader(content))
				if err != nil || digest != Digest(content) {
					t.Errorf("put: got %s, %v", digest, err)
					return
				}
				r, err := s.Open(t.Context(), digest)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				got, err := io.ReadAll(r)
				if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, content) {
					t.Errorf("read: %d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if got := all(t, s); len(got) != 10 {
		t.Errorf("list: got %d blobs, want 10", len(got))
	}
}
