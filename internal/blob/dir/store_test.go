// SPDX-License-Identifier: Apache-2.0

package dir_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"microstax/internal/blob"
	"microstax/internal/blob/blobtest"
	"microstax/internal/blob/dir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, root string) *dir.Store {
	t.Helper()
	s, err := dir.Open(root)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, filepath.Join(t.TempDir(), "blobs")) })
}

func put(t *testing.T, s *dir.Store, root string, content []byte) (digest, path string) {
	t.Helper()
	digest, _, err := s.Put(t.Context(), bytes.NewReader(content))
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	name := strings.TrimPrefix(digest, "sha256:")
	return digest, filepath.Join(root, name[:2], name[2:4], name+".zst")
}

func TestReopenedStoreHasEverythingAndNoRemains(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	digest, _ := put(t, open(t, root), root, []byte("kept"))
	remains := filepath.Join(root, "tmp", "put-1")
	if err := os.WriteFile(remains, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, root)
	if _, err := os.Stat(remains); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a killed process left: got %v, want it gone", err)
	}
	r, err := s.Open(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // only read
	if got, err := io.ReadAll(r); err != nil || string(got) != "kept" {
		t.Errorf("read: got %q, %v", got, err)
	}
}

func TestFilesArePrivateCompressedAndReadableByZstd(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	content := bytes.Repeat([]byte("again "), 10_000)
	_, path := put(t, open(t, root), root, content)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Size() > 1000 {
		t.Errorf("file: got mode %o and %d bytes, want 600 and far fewer than %d", info.Mode().Perm(), info.Size(), len(content))
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	if got, err := dec.DecodeAll(raw, nil); err != nil || !bytes.Equal(got, content) {
		t.Errorf("a plain zstd reader: got %d bytes, %v", len(got), err)
	}
}

func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	for name, content := range blobtest.Contents() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			s := open(t, root)
			digest, path := put(t, s, root, content)
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for what, bad := range damages(good) {
				if err := os.WriteFile(path, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				r, err := s.Open(t.Context(), digest)
				if err != nil {
					t.Fatalf("%s: open: %v", what, err)
				}
				got, err := io.ReadAll(r)
				switch {
				case err == nil && !bytes.Equal(got, content): // some bits of a zstd frame mean nothing, so no error may be right
					t.Errorf("%s: %d wrong bytes passed", what, len(got))
				case err != nil && !errors.Is(err, blob.ErrCorrupt), err == nil && strings.HasPrefix(what, "surely "):
					t.Errorf("%s: got %v, want ErrCorrupt", what, err)
				}
				if _, again := r.Read(make([]byte, 1)); err != nil && again == nil {
					t.Errorf("%s: reading goes on after the error", what)
				}
				if err := r.Close(); err != nil {
					t.Errorf("%s: close: %v", what, err)
				}
			}
		})
	}
}

func damages(good []byte) map[string][]byte {
	out := map[string][]byte{
		"surely empty file":    {},
		"head only":            good[:16],
		"surely half a head":   good[:7],
		"surely cut":           good[:len(good)-1],
		"doubled":              append(append([]byte{}, good...), good[16:]...),
		"surely other content": []byte("something else entirely, not zstd"),
	}
	for _, at := range []int{0, 4, 15, 20, len(good) / 2, len(good) - 1} {
		if at < len(good) {
			bad := bytes.Clone(good)
			bad[at] ^= 0x55
			out["byte "+string(rune('a'+at%26))+" changed"] = bad
		}
	}
	return out
}

func TestListShowsWhatIsDamagedAndSkipsWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := open(t, root)
	digest, path := put(t, s, root, []byte("content"))
	for _, p := range []string{path, filepath.Join(root, "README"), filepath.Join(filepath.Dir(path), "x.zst"), filepath.Join(root, filepath.Base(path))} {
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]int64{}
	if err := s.List(t.Context(), func(d string, size int64) error { got[d] = size; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[digest] != -1 {
		t.Errorf("list: got %v, want %s with size -1", got, digest)
	}
}
