// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"microstax/internal/dataplane/remote"
)

func open(t *testing.T, o remote.SpoolOptions) *remote.Spool {
	t.Helper()
	s, err := remote.OpenSpool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) //nolint:errcheck // it may be closed
	return s
}

func tally(i int) remote.Frame {
	return remote.Frame{Kind: remote.KindTally, Payload: fmt.Appendf(nil, "payload %d %s", i, bytes.Repeat([]byte("x"), i%50))}
}

func put(t *testing.T, s *remote.Spool, from, n int) {
	t.Helper()
	for i := range n {
		if err := s.Append([]remote.Frame{tally(from + i)}); err != nil {
			t.Fatalf("frame %d: %v", from+i, err)
		}
	}
}

// rest reads all that a reader still has.
func rest(t *testing.T, r *remote.Reader, limit int64) (payloads []string, seqs []uint64) {
	t.Helper()
	for {
		b, err := r.Read(limit)
		if errors.Is(err, io.EOF) {
			return payloads, seqs
		}
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			f, after, err := remote.NextFrame(b)
			if err != nil {
				t.Fatal(err)
			}
			payloads, seqs, b = append(payloads, string(f.Payload)), append(seqs, f.Seq), after
		}
		if last := seqs[len(seqs)-1]; r.Next() != last+1 {
			t.Fatalf("after frame %d the next is %d", last, r.Next())
		}
	}
}

func wanted(from, n int) (out []string) {
	for i := range n {
		out = append(out, string(tally(from+i).Payload))
	}
	return out
}

func TestSpoolGivesBackWhatWasPutIn(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{1, 100, 1000, 1 << 20} {
		s := open(t, remote.SpoolOptions{Dir: t.TempDir(), Segment: 4096})
		put(t, s, 0, 500)
		got, seqs := rest(t, s.NewReader(0), limit)
		if !slices.Equal(got, wanted(0, 500)) || seqs[0] != 1 || seqs[499] != 500 {
			t.Fatalf("limit %d: got %d frames, numbers %v", limit, len(got), seqs)
		}
		for _, from := range []uint64{1, 2, 77, 250, 500} {
			if got, seqs := rest(t, s.NewReader(from), limit); seqs[0] != from || len(got) != 501-int(from) {
				t.Fatalf("from %d: %d frames, the first is %d", from, len(got), seqs[0])
			}
		}
	}
}

func TestSpoolOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, remote.SpoolOptions{Dir: dir, Segment: 4096})
	stream := s.Stream()
	put(t, s, 0, 300)
	if err := s.Release(100); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, remote.SpoolOptions{Dir: dir, Segment: 4096})
	if s.Stream() != stream || s.Torn() != 0 {
		t.Fatalf("stream %s became %s, %d bytes torn", stream, s.Stream(), s.Torn())
	}
	put(t, s, 300, 10)
	got, seqs := rest(t, s.NewReader(101), 1<<20)
	if !slices.Equal(got, wanted(100, 210)) {
		t.Fatalf("got %d frames: %.200q", len(got), got)
	}
	if seqs[199] != 300 || seqs[200] <= 301 {
		t.Errorf("numbers of the second process begin at %d: they must not be those that the first may have used", seqs[200])
	}
	if n := s.Report().Waiting; n < 210 || n > 310 {
		t.Errorf("%d frames wait", n)
	}
}

func TestSpoolIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, remote.SpoolOptions{Dir: dir, Limit: 10_000, Segment: 1000})
	n := 0
	for ; ; n++ {
		err := s.Append([]remote.Frame{tally(n)})
		if errors.Is(err, remote.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if onDisk(t, dir) > 10_000 || s.Room() > 100 {
		t.Errorf("full with %d bytes on disk and room for %d", onDisk(t, dir), s.Room())
	}
	if err := s.Release(uint64(n / 2)); err != nil { //nolint:gosec // small
		t.Fatal(err)
	}
	if room := s.Room(); room < 3000 {
		t.Errorf("half is given up, and there is room for %d bytes", room)
	}
	put(t, s, n, 20)
	if got, _ := rest(t, s.NewReader(uint64(n/2+1)), 1<<20); !slices.Equal(got, wanted(n/2, n-n/2+20)) { //nolint:gosec // small
		t.Errorf("got %d frames", len(got))
	}
	if err := s.Release(uint64(n + 20)); err != nil { //nolint:gosec // small
		t.Fatal(err)
	}
	if left := onDisk(t, dir); left > 1000 || s.Report().Waiting != 0 {
		t.Errorf("all is given up, and %d bytes are on disk, %d frames wait", left, s.Report().Waiting)
	}
}

// segments are the files of frames, oldest first.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.frames"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

func onDisk(t *testing.T, dir string) (n int64) {
	t.Helper()
	for _, p := range segments(t, dir) {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// TestTornEnd cuts a spool at every byte of its last frames: what is whole stays, what is not is counted.
func TestTornEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, remote.SpoolOptions{Dir: dir})
	put(t, s, 0, 10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := segments(t, dir)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := os.ReadFile(filepath.Join(dir, "stream"))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		dir := t.TempDir()
		for name, b := range map[string][]byte{filepath.Base(path): whole[:cut], "stream": stream} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := remote.OpenSpool(remote.SpoolOptions{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, 100, 1)
		got, _ := rest(t, s.NewReader(0), 1<<20)
		n := len(got) - 1
		size := int64(0)
		for i := range n {
			size += 17 + int64(len(tally(i).Payload))
		}
		if !slices.Equal(got, append(wanted(0, n), wanted(100, 1)...)) || s.Torn() != int64(cut)-size {
			t.Fatalf("cut at %d: %d frames, %d bytes torn", cut, n, s.Torn())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamageInTheMiddleIsPassedOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, remote.SpoolOptions{Dir: dir, Segment: 1000})
	put(t, s, 0, 100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	paths := segments(t, dir)
	if len(paths) < 3 {
		t.Fatalf("%d segments", len(paths))
	}
	b, err := os.ReadFile(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(paths[1], b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, remote.SpoolOptions{Dir: dir, Segment: 1000})
	got, seqs := rest(t, s.NewReader(0), 1<<20)
	if s.Torn() == 0 || len(got) >= 100 || got[len(got)-1] != wanted(99, 1)[0] || seqs[len(seqs)-1] != 100 {
		t.Errorf("%d bytes torn, %d frames, the last %q is number %d", s.Torn(), len(got), got[len(got)-1], seqs[len(seqs)-1])
	}
}

func TestForeignFilesAreNotTouched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, remote.SpoolOptions{Dir: dir})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "holiday.frames"), []byte("a picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.OpenSpool(remote.SpoolOptions{Dir: dir}); err == nil {
		t.Error("a file of somebody else was taken for a segment")
	}
}

// FuzzNextFrame looks for bytes that are read as another frame than was written, or break what reads them.
func FuzzNextFrame(f *testing.F) {
	f.Add(remote.AppendFrame(nil, remote.Frame{Seq: 1, Kind: remote.KindTally, Payload: []byte(`{"session":"ses_1"}`)}))
	f.Add(remote.AppendFrame(nil, remote.Frame{Seq: 1 << 60, Kind: remote.KindRestart}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			frame, after, err := remote.NextFrame(b)
			if err != nil {
				if !errors.Is(err, remote.ErrTorn) {
					t.Fatal(err)
				}
				return
			}
			if again := remote.AppendFrame(nil, frame); !bytes.Equal(again, b[:len(b)-len(after)]) {
				t.Fatal("written again it has other bytes")
			}
			frame.Envelope() //nolint:errcheck // must not panic
			b = after
		}
	})
}
