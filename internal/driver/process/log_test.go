// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"microstax/internal/driver/process"
)

// logs makes a driver and the log file of an instance that does not run.
func logs(t *testing.T) (*process.Driver, string) {
	t.Helper()
	w := world{dir: t.TempDir()}
	d := w.open(t)
	path := d.LogPath(spec().Instance.Environment + "/" + spec().Instance.Key())
	write(t, w.dir, strings.TrimPrefix(path, w.dir), "", 0o600)
	return d, path
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func bound(t *testing.T, path string, size int64) {
	t.Helper()
	if err := process.BoundLog(path, size); err != nil {
		t.Fatalf("bound: %v", err)
	}
}

func TestLogIsReadOverTheCut(t *testing.T) {
	t.Parallel()
	d, path := logs(t)
	appendTo(t, path, "1\n2\n")
	bound(t, path, 4) // not beyond it
	bound(t, path, 3)
	if got := readAll(t, d, spec().Instance, 0); got != "1\n2\n" {
		t.Errorf("after the cut: got %q", got)
	}
	appendTo(t, path, "3\n4")
	for tail, want := range map[int]string{0: "1\n2\n3\n4", 1: "4", 2: "3\n4", 3: "2\n3\n4", 4: "1\n2\n3\n4", 9: "1\n2\n3\n4"} {
		if got := readAll(t, d, spec().Instance, tail); got != want {
			t.Errorf("tail %d: got %q, want %q", tail, got, want)
		}
	}
	bound(t, path, 1)
	if got := readAll(t, d, spec().Instance, 0); got != "3\n4" {
		t.Errorf("after the second cut: got %q", got)
	}
}

func TestFollowingGoesOnOverTheCut(t *testing.T) {
	t.Parallel()
	d, path := logs(t)
	sc := follow(t, d, spec().Instance)
	next := func(want string) {
		t.Helper()
		if sc.Scan(); sc.Text() != want {
			t.Fatalf("got %q, want %q (%v)", sc.Text(), want, sc.Err())
		}
	}
	appendTo(t, path, "1\n")
	next("1")
	appendTo(t, path, "2\n") // not read yet when the log is cut
	bound(t, path, 1)
	appendTo(t, path, "3\n")
	next("2")
	next("3")
	bound(t, path, 1)
	appendTo(t, path, "4\n5\n6\n7\n") // already longer than what was read
	for _, want := range []string{"4", "5", "6", "7"} {
		next(want)
	}
	if err := os.Truncate(path, 0); err != nil { // by somebody else
		t.Fatal(err)
	}
	appendTo(t, path, "8\n")
	next("8")
}

func TestLongLogsAreReadFromTheTail(t *testing.T) {
	t.Parallel()
	d, path := logs(t)
	var all strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&all, "line %d\n", i)
	}
	appendTo(t, path, all.String())
	got := readAll(t, d, spec().Instance, 10_000)
	if n := strings.Count(got, "\n"); n != 10_000 || !strings.HasPrefix(got, "line 10000\n") {
		t.Errorf("got %d lines from %.20q", n, got)
	}
}

func TestARunningInstancesLogIsBounded(t *testing.T) {
	t.Parallel()
	w := world{dir: t.TempDir()}
	d := process.New(process.Options{Dir: w.dir, MaxLogBytes: 1000, LogCheck: time.Millisecond})
	defer func() { _ = d.Close() }()
	write(t, w.dir, "chatter", "#!/bin/sh\nwhile :; do echo 0123456789; done\n", 0o755)
	s := spec("./chatter")
	r, err := d.Start(t.Context(), s)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	// Whatever is cut, the stream goes on in whole lines but for the bytes at a cut.
	sc, whole := follow(t, d, s.Instance), 0
	path := d.LogPath(s.Instance.Environment + "/" + s.Instance.Key())
	for cuts := 0; cuts < 3 && sc.Scan(); {
		if sc.Text() == "0123456789" {
			whole++
		}
		if _, err := os.Stat(process.OlderName(path)); err == nil {
			cuts++
			if err := os.Remove(process.OlderName(path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if whole == 0 {
		t.Error("no whole line came through")
	}
	if err := d.Forget(t.Context(), s.Instance); err != nil {
		t.Errorf("Forget: %v", err)
	}
	if sc := bufio.NewScanner(strings.NewReader(readAll(t, d, s.Instance, 0))); sc.Scan() {
		t.Errorf("forgotten log says %q", sc.Text())
	}
}
