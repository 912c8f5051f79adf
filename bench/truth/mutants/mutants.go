// SPDX-License-Identifier: Apache-2.0

// Package mutants measures whether reports tell the truth about changes that are known. It runs the bundled shop as a
// baseline, and for every behaviour of the shop's catalogue an overlay whose orders service has that behaviour, with every
// profile of noise: real processes, the real server and data plane, the same visitors every time. What the report says is
// then held against the catalogue.
//
// What visitors do is decided by the seed alone. The noise is drawn by the services, and scheduling is the machine's, so
// that a run is repeated in distribution and not to the letter.
package mutants

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"microstax/internal/demo/shop"
)

// Options are what is measured, and how.
type Options struct {
	Mutants  []string // names of shop.Behaviours; empty for all
	Profiles []string // of shop.Profiles; empty for all
	// Sessions is how many visitors come for one mutant, with about 15 requests each; 0 for DefaultSessions. Mutants that
	// show seldom get SeldomTimes as many.
	Sessions int
	Parallel int       // mutants at the same time, each with a baseline of its own; 0 for 2
	Seed     uint64    // decides what visitors do
	Ports    [2]int    // first and last TCP port to use; zero for 21000 to 24000
	Binary   string    // the microstax program; "" to build it from the module that the working directory is in
	Log      io.Writer // progress and the server's log; nil for none
}

const (
	// DefaultSessions is how many visitors a mutant meets.
	DefaultSessions = 90
	// SeldomTimes is how many times as many those meet that show in few requests.
	SeldomTimes = 4
)

func (o *Options) complete() error {
	if o.Sessions == 0 {
		o.Sessions = DefaultSessions
	}
	if o.Parallel == 0 {
		o.Parallel = 2
	}
	if o.Ports == [2]int{} {
		o.Ports = [2]int{21000, 24000}
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Sessions < 1 || o.Parallel < 1 || o.Ports[1]-o.Ports[0] < 200 {
		return errors.New("sessions and parallel must be positive, and there must be 200 ports")
	}
	if len(o.Profiles) == 0 {
		for _, p := range shop.Profiles() {
			o.Profiles = append(o.Profiles, string(p))
		}
	}
	for _, p := range o.Profiles {
		if !slices.Contains(shop.Profiles(), shop.Noise(p)) {
			return fmt.Errorf("there is no profile %q; there are %v", p, shop.Profiles())
		}
	}
	if len(o.Mutants) == 0 {
		for _, b := range shop.Behaviours() {
			o.Mutants = append(o.Mutants, string(b.Name))
		}
	}
	for _, m := range o.Mutants {
		if _, known := behaviour(m); !known {
			return fmt.Errorf("there is no mutant %q", m)
		}
	}
	return nil
}

func behaviour(name string) (shop.Behaviour, bool) {
	all := shop.Behaviours()
	i := slices.IndexFunc(all, func(b shop.Behaviour) bool { return string(b.Name) == name })
	if i < 0 {
		return shop.Behaviour{}, false
	}
	return all[i], true
}

// Result is what was measured, in the order of the catalogue and then of the profiles.
type Result struct {
	Runs []Outcome
	Took time.Duration
}

// task is one mutant with one profile.
type task struct {
	number  int
	mutant  shop.Behaviour
	profile string
}

// Run measures. It ends all that it started, also when ctx ends.
func Run(ctx context.Context, o Options) (res Result, err error) {
	begin := time.Now()
	if err := o.complete(); err != nil {
		return res, fmt.Errorf("measure mutants: %w", err)
	}
	dir, err := os.MkdirTemp("", "microstax-mutants-")
	if err != nil {
		return res, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.Binary == "" {
		o.Binary = filepath.Join(dir, "microstax")
		if err := build(ctx, o.Binary); err != nil {
			return res, err
		}
	}
	s, err := serve(ctx, dir, o)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	var tasks []task
	for _, m := range o.Mutants {
		b, _ := behaviour(m)
		for _, p := range o.Profiles {
			tasks = append(tasks, task{len(tasks), b, p})
		}
	}
	res.Runs, err = all(ctx, s, tasks, o)
	res.Took = time.Since(begin)
	return res, err
}

// all runs the tasks in lanes. A lane keeps the baseline that it has while the profile stays the same.
func all(ctx context.Context, s *server, tasks []task, o Options) ([]Outcome, error) {
	runs := make([]Outcome, len(tasks))
	todo := make(chan task, len(tasks)) // all of them
	byProfile := slices.Clone(tasks)
	slices.SortStableFunc(byProfile, func(a, b task) int {
		return slices.Index(o.Profiles, a.profile) - slices.Index(o.Profiles, b.profile)
	})
	for _, t := range byProfile {
		todo <- t
	}
	close(todo)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for k := range min(o.Parallel, len(tasks)) {
		wg.Go(func() {
			l := lane{server: s, o: o, number: k}
			defer l.end(context.WithoutCancel(ctx))
			for t := range todo {
				r, err := l.run(ctx, t)
				if err != nil {
					cancel(fmt.Errorf("measure %s with noise %s: %w", t.mutant.Name, t.profile, err))
					return
				}
				runs[t.number] = r
				s.say("%s\n", r.line())
			}
		})
	}
	wg.Wait()
	return runs, context.Cause(ctx)
}
