// SPDX-License-Identifier: Apache-2.0

// Package demo runs the main job of MicroStax on the shop that comes with it: a baseline, an overlay of one service with
// changes that were planted in it, live traffic, shadowing, the report, and a check of that report against what was
// planted. It uses the API as any client does, and so it is no part of the server.
//
// Package shop holds the services.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/demo/shop"
	"microstax/internal/fault"
)

// Environments are the calls of the API that the demo needs to run environments. *client.Client has them.
type Environments interface {
	CreateBaseline(ctx context.Context, req v1.CreateEnvironment) (v1.Environment, error)
	CreateOverlay(ctx context.Context, baseline string, req v1.CreateEnvironment) (v1.Environment, error)
	Environment(ctx context.Context, ref string) (v1.Environment, error)
	Delete(ctx context.Context, ref string) error
}

// Shadows are those that it needs to shadow one.
type Shadows interface {
	PatchShadow(ctx context.Context, ref string, p v1.ShadowPatch) (v1.ShadowState, error)
	Report(ctx context.Context, ref string) (v1.Report, error)
}

// Client is what the demo needs of the API.
type Client interface {
	Environments
	Shadows
}

// The candidates.
const (
	Planted = "planted" // all of shop.Changes
	Same    = "same"    // what the baseline runs
)

const (
	// DefaultDuration is how long traffic runs where Options say nothing. With start and end it stays under a minute.
	DefaultDuration = 30 * time.Second
	// defaultRate is how many visitors come each second.
	defaultRate = 16
	// readyWithin bounds the start of an environment, settleWithin the wait for the last comparisons, and goneWithin the
	// cleaning up.
	readyWithin, settleWithin, goneWithin = 30 * time.Second, 8 * time.Second, 15 * time.Second
	// lookEvery is how often a state is asked for that is waited for.
	lookEvery = 100 * time.Millisecond
	// progressEvery is how often a line of progress is written.
	progressEvery = 3 * time.Second
	// seed makes every demo have the same visitors.
	seed = 20
)

// Options are what a demo needs.
type Options struct {
	Client     Client
	Executable string        // absolute path of microstax, which has the command demo-service
	Candidate  string        // Planted (also "") or Same
	Duration   time.Duration // of the traffic; 0 for DefaultDuration
	Rate       float64       // visitors per second; 0 for the default
	Keep       bool          // leave everything running
	// Say tells people what happens and, at the end, how it came out, line by line; never from two goroutines at once.
	Say func(line string)
	// Render shows the report before Say concludes; nil when the caller shows Result.Report afterwards.
	Render func(r v1.Report) error
}

// Result is how a demo came out.
type Result struct {
	Report   v1.Report
	Seen     Seen          // by users
	Charges  shop.Stats    // what payments really did
	Found    []shop.Change // planted changes with at least one finding
	Missed   []shop.Change // planted changes without
	Invented []v1.Finding  // findings that no planted change explains
	Problems []string      // what did not come out as promised; empty when all did
	Baseline string        // id
	Overlay  string        // id
}

// Err is nil when all came out as promised: hold is what a demo with planted changes promises.
func (res Result) Err() error {
	if len(res.Problems) == 0 {
		return nil
	}
	return fault.E("run demo", fault.Internal, errors.New("not as promised: "+strings.Join(res.Problems, "; "))).
		WithHint("on a machine that is very busy, try again with --duration 45s; look further with --keep")
}

// run is a demo that is running.
type run struct {
	Options
	dir               string
	baseline, overlay v1.Environment
	traffic           *Traffic
}

// Run runs the demo. It cleans up also when it fails or when ctx ends, unless Keep is set.
func Run(ctx context.Context, o Options) (res Result, err error) {
	if err := o.complete(); err != nil {
		return res, err
	}
	dir, err := os.MkdirTemp("", "microstax-demo-")
	if err != nil {
		return res, fault.E("run demo", fault.Unavailable, err).WithHint("see that TMPDIR can be written to")
	}
	r := &run{Options: o, dir: dir}
	defer func() {
		if cerr := r.cleanUp(ctx, err); cerr != nil {
			err = errors.Join(err, cerr)
		}
	}()
	if err := r.start(ctx); err != nil {
		return res, err
	}
	if err := r.drive(ctx); err != nil {
		return res, err
	}
	return r.conclude(ctx)
}

func (o *Options) complete() error {
	if o.Candidate == "" {
		o.Candidate = Planted
	}
	if !slices.Contains([]string{Planted, Same}, o.Candidate) {
		return fault.Errorf("run demo", fault.Invalid, "there is no candidate %q", o.Candidate).
			WithHint("choose %s or %s", Planted, Same)
	}
	if !filepath.IsAbs(o.Executable) {
		return fault.Errorf("run demo", fault.Invalid, "%q is no absolute path of microstax", o.Executable)
	}
	if o.Duration < 0 || o.Rate < 0 {
		return fault.Errorf("run demo", fault.Invalid, "duration and rate cannot be negative")
	}
	if o.Duration == 0 {
		o.Duration = DefaultDuration
	}
	if o.Rate == 0 {
		o.Rate = defaultRate
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	return nil
}

// changes are those of the candidate.
func (o *Options) changes() []shop.Change {
	if o.Candidate == Same {
		return nil
	}
	return shop.Changes()
}

func (r *run) say(format string, args ...any) { r.Say(fmt.Sprintf(format, args...)) }

// start creates both environments and switches shadowing on.
func (r *run) start(ctx context.Context) error {
	basePath, base, err := write(r.dir, "baseline.yaml", baselineFile(r.Executable))
	if err != nil {
		return err
	}
	overPath, over, err := write(r.dir, "overlay.yaml", overlayFile(r.changes()))
	if err != nil {
		return err
	}
	r.say("Starting a shop of %d services as baseline, from %s", len(shop.Services()), basePath)
	r.baseline, err = r.Client.CreateBaseline(ctx, v1.CreateEnvironment{Blueprint: base, BaseDir: r.dir, FileName: basePath})
	if err != nil {
		return fmt.Errorf("create baseline: %w", err)
	}
	if r.baseline, err = r.ready(ctx, r.baseline.ID); err != nil {
		return err
	}
	what := "which is the same again"
	if n := len(r.changes()); n > 0 {
		what = fmt.Sprintf("with %d changes planted in it", n)
	}
	r.say("Starting an overlay with a new version of orders, %s, from %s", what, overPath)
	r.overlay, err = r.Client.CreateOverlay(ctx, r.baseline.ID, v1.CreateEnvironment{Blueprint: over, BaseDir: r.dir, FileName: overPath})
	if err != nil {
		return fmt.Errorf("create overlay: %w", err)
	}
	if r.overlay, err = r.ready(ctx, r.overlay.ID); err != nil {
		return err
	}
	on := true
	if _, err := r.Client.PatchShadow(ctx, r.overlay.ID, v1.ShadowPatch{Enabled: &on}); err != nil {
		return fmt.Errorf("shadow overlay: %w", err)
	}
	return nil
}

// ready waits until an environment is.
func (r *run) ready(ctx context.Context, id string) (v1.Environment, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	var last v1.Environment
	for {
		env, err := r.Client.Environment(ctx, id)
		switch {
		case err == nil && env.Status == "ready":
			return env, nil
		case err == nil && env.Status == "failed":
			return env, fault.Errorf("start "+env.Name, fault.Unavailable, "%s", env.Reason).
				WithHint("run the demo with --keep, then look with: microstax env logs %s", env.ID)
		case err == nil:
			last = env
		case ctx.Err() == nil:
			return env, fmt.Errorf("wait for %s: %w", id, err)
		}
		if wait(ctx, lookEvery) != nil {
			return last, unready(ctx, last)
		}
	}
}

func unready(ctx context.Context, env v1.Environment) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fault.E("wait for "+env.Name, fault.Canceled, ctx.Err())
	}
	return fault.Errorf("start "+env.Name, fault.Unavailable, "it is still %s after %s: %s", env.Status, readyWithin, env.Reason).
		WithHint("run the demo with --keep, then look with: microstax env status %s", env.ID)
}

// endpoint is where a service of the baseline is reached.
func (r *run) endpoint(service string) (string, error) {
	for _, e := range r.baseline.Endpoints {
		if e.Service == service {
			return e.URL, nil
		}
	}
	return "", fault.Errorf("run demo", fault.Internal, "the baseline has no endpoint for %s", service)
}

// drive sends the traffic, and says how it goes.
func (r *run) drive(ctx context.Context) error {
	url, err := r.endpoint(shop.API)
	if err != nil {
		return err
	}
	sessions := max(1, int(r.Duration.Seconds()*r.Rate))
	r.traffic = NewTraffic(TrafficOptions{URL: url, Seed: seed, Sessions: sessions, Rate: r.Rate})
	r.say("Sending %d visitors to %s for %s; the baseline answers them all, the new version only gets copies", sessions, url, r.Duration)
	begin := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.traffic.Run(ctx)
	}()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			if err := ctx.Err(); err != nil {
				return fault.E("run demo", fault.Canceled, err)
			}
			return r.settle(ctx)
		case <-tick.C:
			report, err := r.Client.Report(ctx, r.overlay.ID)
			r.say("%s", progressLine(time.Since(begin), r.traffic.Seen(), report, err))
		}
	}
}

// settle waits until what was sent is compared.
func (r *run) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	want := int64(r.traffic.Seen().ToOrders)
	for {
		report, err := r.Client.Report(ctx, r.overlay.ID)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("wait for the last comparisons: %w", err)
		}
		if err == nil && report.Traffic.Received >= want && report.Traffic.InFlight == 0 {
			return nil
		}
		if wait(ctx, lookEvery) != nil {
			if errors.Is(ctx.Err(), context.Canceled) {
				return fault.E("run demo", fault.Canceled, ctx.Err())
			}
			return nil // the report says how many are in flight
		}
	}
}

// cleanUp removes everything, or says how to look at it.
func (r *run) cleanUp(ctx context.Context, failed error) error {
	if r.Keep {
		r.farewell(failed)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goneWithin)
	defer cancel()
	var errs []error
	for _, env := range []v1.Environment{r.overlay, r.baseline} {
		if env.ID == "" {
			continue
		}
		if err := r.Client.Delete(ctx, env.ID); err != nil && !fault.Is(err, fault.NotFound) {
			errs = append(errs, fault.E("clean up", fault.KindOf(err), err).WithHint("try: microstax env delete %s", env.ID))
		}
	}
	if err := os.RemoveAll(r.dir); err != nil {
		errs = append(errs, fmt.Errorf("clean up: %w", err))
	}
	return errors.Join(errs...)
}

// wait pauses; it returns ctx's error when that ends first.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
