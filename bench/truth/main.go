// SPDX-License-Identifier: Apache-2.0

// Command truth measures the judgement itself, and prints a table: false findings on an unchanged candidate, requests until
// a change is confirmed, wrong promotions, and what judging costs. Diffy's rule, computed on the same observations, stands
// beside it.
//
//	go run ./bench/truth [-quick] [-only unchanged,changed,…] [-write]
//
// Observations are drawn from fixed seeds and go through the engine that the server runs; so everything but times is the
// same on every machine. With -write the page docs/truth.md is written.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "truth:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	runs     int // of the unchanged candidate, and of those at the limit
	changes  int // runs of each changed candidate
	volume   int // observations
	seed     uint64
	quick    bool
	write    bool
	only     []string
	progress func(format string, args ...any)
}

// part is one section by name.
type part struct {
	name string
	run  func(options) (*section, error)
}

func parts() []part {
	simple := func(f func(options) *section) func(options) (*section, error) {
		return func(o options) (*section, error) { return f(o), nil }
	}
	return []part{
		{"unchanged", simple(unchanged)}, {"changed", simple(changed)}, {"limit", simple(limit)},
		{"volume", volume}, {"cost", cost}, {"mutants", mutants}, {"httpbin", httpbin},
	}
}

func parse(args []string) (options, error) {
	o := options{}
	var only string
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	f := flag.NewFlagSet("truth", flag.ContinueOnError)
	f.IntVar(&o.runs, "runs", 200, "runs of an unchanged candidate, and of candidates at the limit")
	f.IntVar(&o.changes, "changes", 15, "runs of each changed candidate")
	f.IntVar(&o.volume, "volume", 1_000_000, "observations of the volume section")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the first run")
	f.BoolVar(&o.quick, "quick", false, "few runs: to see whether it works, not for figures")
	f.BoolVar(&o.write, "write", false, "write docs/truth.md")
	f.StringVar(&only, "only", "", "comma-separated: "+strings.Join(names, ", "))
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.runs, o.changes, o.volume = min(o.runs, 4), min(o.changes, 3), min(o.volume, 20_000)
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, n := range o.only {
		if !slices.Contains(names, n) {
			return o, fmt.Errorf("there is no section %q: take some of %s", n, strings.Join(names, ", "))
		}
	}
	if o.write && (o.quick || len(o.only) > 0) {
		return o, errors.New("-write is for the whole of it: leave out -quick and -only")
	}
	if o.runs < 1 || o.changes < 1 || o.volume < 1 {
		return o, errors.New("-runs, -changes and -volume are at least 1")
	}
	return o, nil
}

func run(args []string, out, progress io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	o.progress = func(format string, args ...any) { fmt.Fprintf(progress, format+"\n", args...) }
	var done []*section
	for _, p := range parts() {
		if len(o.only) > 0 && !slices.Contains(o.only, p.name) {
			continue
		}
		start := time.Now()
		s, err := p.run(o)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		o.progress("%s took %s", p.name, time.Since(start).Round(100*time.Millisecond))
		done = append(done, s)
	}
	page := page(done)
	fmt.Fprint(out, page)
	if o.write {
		if err := os.WriteFile(filepath.Join("docs", "truth.md"), []byte(page), 0o644); err != nil {
			return fmt.Errorf("write page (run it from the top of the repository): %w", err)
		}
	}
	missed := 0
	for _, s := range done {
		missed += s.missed()
	}
	if missed > 0 && !o.quick {
		return fmt.Errorf("%d rows fall short of what is to be reached", missed)
	}
	return nil
}

func page(done []*section) string {
	var b strings.Builder
	b.WriteString("# Is the judgement true?\n\n<!-- written by: go run ./bench/truth -write -->\n\n" +
		"`go run ./bench/truth` measures the judgement itself, with the engine that the server runs and observations from fixed " +
		"seeds. Beside it stands Diffy's rule (opendiffy/diffy: a field is shown when its raw differences exceed its noise by 20 % of their sum and " +
		"by 0.03 % of the requests), computed on the same observations.\n\n")
	b.WriteString(summary(done))
	fmt.Fprintf(&b, "\nTimes are of %s/%s with %d processors shared with other work.\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, s := range done {
		b.WriteString(s.detail())
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
