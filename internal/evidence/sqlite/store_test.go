// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"microstax/internal/evidence"
	"microstax/internal/evidence/evidencetest"
	"microstax/internal/evidence/sqlite"
	"microstax/internal/fault"
)

// crashDir makes this test binary the process that TestCrash kills.
var crashDir = flag.String("crash-dir", "", "write into the store in this directory until killed")

func TestMain(m *testing.M) {
	flag.Parse()
	if *crashDir != "" {
		os.Exit(crashWriter(*crashDir))
	}
	goleak.VerifyTestMain(m)
}

func crashWriter(dir string) int {
	s, err := sqlite.Open(context.Background(), sqlite.Options{Dir: dir})
	if err == nil {
		err = evidencetest.CrashWriter(context.Background(), s, os.Stdout)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func open(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Dir: dir})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { s.Close() }) //nolint:errcheck // tests that care close it themselves
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	evidencetest.Run(t, func(t *testing.T) evidence.Store { return open(t, t.TempDir()) })
	evidencetest.RunDurable(t, func(t *testing.T, dir string) evidence.Store { return open(t, dir) })
}

func TestCrash(t *testing.T) {
	t.Parallel()
	for _, after := range []int{0, 1, 25} {
		t.Run("killed after batch "+strconv.Itoa(after), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-crash-dir="+dir) //nolint:gosec // this very binary
			cmd.Stderr = t.Output()
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			last, killed := -1, false
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if last, err = strconv.Atoi(lines.Text()); err != nil {
					t.Fatal(err)
				}
				if last >= after && !killed {
					killed = true
					if err := cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := cmd.Wait(); err == nil || !killed {
				t.Fatalf("the writer ended by itself: %v", err)
			}
			evidencetest.CheckCrash(t, open(t, dir), last)
		})
	}
}

func TestOpenRefusesASecondServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	_, err := sqlite.Open(t.Context(), sqlite.Options{Dir: dir})
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) || fault.HintOf(err) == "" {
		t.Fatalf("second open: got %v (hint %q), want a conflict that names process %d and has a hint", err, fault.HintOf(err), os.Getpid())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, dir, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	_, err := sqlite.Open(t.Context(), sqlite.Options{Dir: dir})
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "schema 99") || !strings.Contains(fault.HintOf(err), "newer") {
		t.Fatalf("got %v (hint %q), want a conflict that names schema 99 and tells what to do", err, fault.HintOf(err))
	}
	raw(t, dir, "DELETE FROM goose_db_version WHERE version_id = 99")
	open(t, dir)
}

func raw(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "evidence.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // the statement below tells
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir string)
		kind    fault.Kind
		hint    string
	}{
		{"a file where the directory should be", func(t *testing.T, dir string) { write(t, dir, "x") }, fault.Unavailable, "--data-dir"},
		{"a damaged database", func(t *testing.T, dir string) {
			mkdir(t, dir)
			write(t, filepath.Join(dir, "evidence.db"), strings.Repeat("this is not a database ", 500))
		}, fault.Unavailable, "damaged"},
		{"a directory where the database should be", func(t *testing.T, dir string) { mkdir(t, filepath.Join(dir, "evidence.db")) }, fault.Unavailable, "permissions"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			tt.prepare(t, dir)
			_, err := sqlite.Open(t.Context(), sqlite.Options{Dir: dir})
			if !fault.Is(err, tt.kind) || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Fatalf("got %v (kind %s, hint %q), want kind %s with %q in the hint", err, fault.KindOf(err), fault.HintOf(err), tt.kind, tt.hint)
			}
		})
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestPathsWithOddNames(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "100% of?my #data & more")
	s := open(t, dir)
	if _, err := s.Apply(t.Context(), evidence.Batch{Puts: []evidence.Put{{Record: evidence.Record{Kind: evidence.Audit, ID: "a"}}}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "evidence.db"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("permissions of the database: got %o, want 600", got)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	sqlite.LimitPages(t, s, 60)
	record := func(id string, size int) evidence.Batch {
		return evidence.Batch{Puts: []evidence.Put{{Record: evidence.Record{Kind: evidence.Audit, ID: id, Body: make([]byte, size)}}}}
	}
	if _, err := s.Apply(t.Context(), record("small", 10)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Apply(t.Context(), record("big", 1<<20))
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.HintOf(err), "disk") {
		t.Fatalf("got %v (hint %q), want unavailable with a hint at the disk", err, fault.HintOf(err))
	}
	if _, err := s.Get(t.Context(), evidence.Key{Kind: evidence.Audit, ID: "big"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("get of what did not fit: got %v, want not found", err)
	}
	if _, err := s.Apply(t.Context(), record("small again", 10)); err != nil {
		t.Errorf("apply after the refusal: %v", err)
	}
}

func TestQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for name, q := range map[string]evidence.Query{
		"kind":              {Kind: "k", After: "x"},
		"parent":            {Kind: "k", Parent: "p", After: "x", Descending: true},
		"label":             {Kind: "k", Labels: map[string]string{"a": "1"}, After: "x"},
		"labels and parent": {Kind: "k", Parent: "p", Labels: map[string]string{"a": "1", "b": "2"}, Descending: true},
	} {
		for _, step := range sqlite.Plan(t, s, q) {
			if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s: the database reads or sorts too much: %s", name, step)
			}
		}
	}
}

func TestDurability(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000"} {
		if got := sqlite.Pragma(t, s, name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
