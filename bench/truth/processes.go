// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"
)

// processLimit is how long a part that starts real processes may take.
const processLimit = 30 * time.Minute

// delivered is what a part of its own prints as its last line: rows for the table, and its section of the page.
type delivered struct {
	Rows []struct {
		What  string `json:"what"`
		Want  string `json:"want"`
		Ours  string `json:"ours"`
		Diffy string `json:"diffy"`
		OK    bool   `json:"ok"`
	} `json:"rows"`
	Head  []string   `json:"head"`
	Lines [][]string `json:"lines"`
	Notes []string   `json:"notes"`
}

// mutants runs bench/mutants: real processes behind the real proxy, each with one deliberate change.
func mutants(o options) (*section, error) {
	s := &section{name: "mutants", title: "Deliberate changes, real processes"}
	if _, err := os.Stat("bench/mutants"); errors.Is(err, fs.ErrNotExist) {
		s.note("Left out: bench/mutants is not there (run from the top of the repository).")
		return s, nil
	}
	args := []string{"run", "./bench/mutants", "-json"}
	if o.quick {
		args = append(args, "-quick")
	}
	out, err := command(args...)
	if err != nil {
		return nil, err
	}
	line := out[strings.LastIndexByte(strings.TrimRight(out, "\n"), '\n')+1:]
	var d delivered
	if err := json.Unmarshal([]byte(line), &d); err != nil {
		return nil, fmt.Errorf("read what bench/mutants printed last: %w", err)
	}
	for _, r := range d.Rows {
		s.add(r.What, r.Want, r.Ours, r.Diffy, r.OK)
	}
	s.head, s.lines, s.notes = d.Head, d.Lines, d.Notes
	return s, nil
}

// httpbin runs the test with the real pair of versions.
func httpbin(o options) (*section, error) {
	s := &section{name: "httpbin", title: "Two real versions of go-httpbin"}
	s.note("go-httpbin v2.18.2 as baseline and control, v2.26.0 as candidate, some sixty kinds of requests through the real proxy " +
		"(`go test ./test -run HTTPBin`). What people changed between the two is known: `/cookies`, `/basic-auth`, `/cookies/set`, `/version`, `POST /upload`.")
	out, err := command("test", "./test", "-run", "TestShadowFindsWhatPeopleChangedInHTTPBin", "-count=1", "-v", "-timeout", "10m")
	said := strings.Contains(out, "--- PASS: TestShadowFindsWhatPeopleChangedInHTTPBin")
	if err != nil && !strings.Contains(out, "--- FAIL") {
		return nil, err
	}
	if !said && err == nil {
		s.note("Left out: the test was skipped, which it is where the module proxy cannot be reached.")
		return s, nil
	}
	s.head = []string{"reported"}
	for l := range strings.Lines(out) {
		if _, what, ok := strings.Cut(l, "confirmed "); ok {
			s.line(strings.TrimSpace(what))
		}
	}
	ours := "all five, nothing unexplained"
	if !said {
		ours = "not as it should be: see the test's output"
		o.progress("%s", out)
	}
	s.add("go-httpbin v2.18.2 → v2.26.0", "all five known changes, nothing else unexplained", ours, "", said)
	return s, nil
}

// command runs the Go tool and gives what it printed.
func command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), processLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends what it started
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("go %s: %w\n%s", strings.Join(args[:2], " "), err, tail(string(out)))
	}
	return string(out), nil
}

// tail is the last of a text.
func tail(s string) string { return s[max(0, len(s)-2000):] }
