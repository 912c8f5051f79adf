// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/driver"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// run is one life of an instance, from start or adoption until nothing of it is left, in a goroutine of its own. It tells
// the actor what happens and decides nothing itself but what its probes say.
type run struct {
	c       *Controller
	report  reporter
	spec    driver.Spec
	ready   blueprint.Probe
	readyAs Check
	live    blueprint.Probe
	liveAs  Check
	hasLive bool
	adopt   *environment.Handle
	wanted  bool // false: whatever an earlier server left is to end

	once sync.Once
	stop chan struct{}
}

// reporter is how a run tells its actor. Each is called from the run's goroutine and may wait.
type reporter struct {
	started func(r *run, h environment.Handle, pid int, adopted bool)
	health  func(r *run, s environment.State, reason string)
	ended   func(r *run, e ended)
}

// halt asks the run to end. It may be asked any number of times.
func (r *run) halt() { r.once.Do(func() { close(r.stop) }) }

func (r *run) halting() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// main lives the run. The instance outlives it only when the controller ends without stopping anything.
func (r *run) main() {
	running, adopted, err := r.obtain()
	if r.c.life.Err() != nil {
		return
	}
	if err != nil {
		r.report.ended(r, ended{
			reason: startFailure(err), stopped: r.halting(), absent: errors.Is(err, errNotThere), hopeless: fault.Is(err, fault.Invalid),
		})
		return
	}
	r.report.started(r, running.Handle(), number(running), adopted)
	if !r.wanted {
		r.halt()
	}
	r.watch(running)
}

func startFailure(err error) string {
	reason := "could not be started: " + err.Error()
	if hint := fault.HintOf(err); hint != "" {
		reason += " (" + hint + ")"
	}
	return reason
}

// errNotThere is why nothing was adopted: it no longer runs, or never did.
var errNotThere = errors.New("it does not run")

// obtain adopts what an earlier server left, or starts the instance. Where there is nothing left to adopt it starts
// nothing: when to do that is the actor's to decide.
func (r *run) obtain() (driver.Running, bool, error) {
	switch {
	case r.adopt == nil && r.halting():
		return nil, false, errNotThere
	case r.adopt == nil:
		running, err := r.c.driver.Start(r.c.life, r.spec)
		return running, false, err //nolint:wrapcheck // the driver says what it was doing
	case r.adopt.Data == "": // the server died while it started this; the driver ends leftovers at the next start
		if !r.wanted {
			if err := r.c.driver.Forget(r.c.life, r.spec.Instance); err != nil {
				r.c.log.Error("clear up after an interrupted start", "instance", r.spec.Instance.Key(), "error", err)
			}
		}
		return nil, false, errNotThere
	}
	running, err := r.c.driver.Adopt(r.c.life, r.spec, *r.adopt)
	if err == nil {
		return running, true, nil
	}
	if !fault.Is(err, fault.NotFound) {
		r.c.log.Warn("adopt instance", "instance", r.spec.Instance.Key(), "environment", r.spec.Instance.Environment, "error", err)
	}
	return nil, false, errNotThere
}

// watch looks after the instance until it is gone.
func (r *run) watch(running driver.Running) {
	ctx, cancel := context.WithCancel(r.c.life)
	defer cancel()
	unhook := make(chan struct{})
	go func() { // ends with this call: cancel runs before
		defer close(unhook)
		select {
		case <-running.Done():
		case <-r.stop:
		case <-ctx.Done():
		}
		cancel()
	}()
	defer func() { cancel(); <-unhook }()

	end := r.awaitReady(ctx, running)
	if end == nil {
		end = r.keep(ctx)
	}
	if r.c.life.Err() != nil && !r.halting() {
		return
	}
	select {
	case <-running.Done():
	default:
		r.end(running)
	}
	if end == nil {
		end = &ended{reason: exitText(running), stopped: r.halting()}
	}
	if !end.stopped {
		end.logs = r.tail()
	}
	r.report.ended(r, *end)
}

// awaitReady looks until the instance is ready for the first time. It returns nil when it is, or has ended or is asked to
// stop, and otherwise why it is given up.
func (r *run) awaitReady(ctx context.Context, running driver.Running) *ended {
	begun := time.Now()
	pause := probeFirst
	if r.readyAs.HTTP == "" && !r.readyAs.TCP && len(r.readyAs.Exec) == 0 {
		pause = settleTime // there is nothing to look at but whether it lives
		if !wait(ctx, pause) {
			return nil
		}
	}
	for {
		err := r.look(ctx, r.ready, r.readyAs)
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-running.Done(): // somebody else answers on its port
			return nil
		default:
		}
		if err == nil {
			r.report.health(r, environment.InstanceUp, "")
			return nil
		}
		if waited := time.Since(begun); waited >= r.ready.StartupTimeout.Std() {
			return &ended{unready: true, reason: fmt.Sprintf("was not ready within %s: %s: %s",
				r.ready.StartupTimeout.Std(), describe(r.ready), why(err, r.ready.Timeout.Std()))}
		}
		if !wait(ctx, pause) {
			return nil
		}
		pause = min(2*pause, r.ready.Period.Std())
	}
}

// keep probes a ready instance until it ends, is asked to stop, or its liveness probe gives it up.
func (r *run) keep(ctx context.Context) *ended {
	ready, live := &streak{limit: unreadyAfter}, &streak{limit: restartAfter}
	readyAt, liveAt := time.Now().Add(r.ready.Period.Std()), time.Now().Add(r.live.Period.Std())
	for {
		next := readyAt
		if r.hasLive && liveAt.Before(next) {
			next = liveAt
		}
		if !wait(ctx, time.Until(next)) {
			return nil
		}
		if r.hasLive && !time.Now().Before(liveAt) {
			err := r.look(ctx, r.live, r.liveAs)
			if ctx.Err() != nil {
				return nil
			}
			if live.add(err) && live.bad {
				return &ended{reason: fmt.Sprintf("its liveness probe failed %d times: %s: %s", restartAfter, describe(r.live), why(err, r.live.Timeout.Std()))}
			}
			liveAt = time.Now().Add(r.live.Period.Std())
		}
		if time.Now().Before(readyAt) {
			continue
		}
		err := r.look(ctx, r.ready, r.readyAs)
		if ctx.Err() != nil {
			return nil
		}
		if ready.add(err) {
			r.reportHealth(ready.bad, err)
		}
		readyAt = time.Now().Add(r.ready.Period.Std())
	}
}

func (r *run) reportHealth(bad bool, err error) {
	if !bad {
		r.report.health(r, environment.InstanceUp, "")
		return
	}
	r.report.health(r, environment.Unhealthy, fmt.Sprintf("its readiness probe fails: %s: %s", describe(r.ready), why(err, r.ready.Timeout.Std())))
}

// look does one check, within its timeout.
func (r *run) look(ctx context.Context, p blueprint.Probe, c Check) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout.Std())
	defer cancel()
	return r.c.prober.Probe(ctx, c) //nolint:wrapcheck // why words it
}

// streak turns single results into a verdict that changes only after limit failures in a row, and back at one success.
type streak struct {
	limit, failed int
	bad           bool
}

// add counts a result and says whether the verdict has changed.
func (s *streak) add(err error) bool {
	was := s.bad
	if err == nil {
		s.failed, s.bad = 0, false
		return was
	}
	s.failed++
	s.bad = s.failed >= s.limit
	return s.bad != was
}

// end stops the instance: politely, and by force once the controller is in a hurry.
func (r *run) end(running driver.Running) {
	for range stopAttempts {
		err := running.Stop(r.c.force)
		select {
		case <-running.Done():
			return
		default:
		}
		r.c.log.Error("stop instance", "instance", r.spec.Instance.Key(), "environment", r.spec.Instance.Environment, "error", err)
	}
}

// exitText says how an instance ended.
func exitText(running driver.Running) string {
	select {
	case <-running.Done():
	default:
		return "could not be stopped"
	}
	switch e := running.Exit(); {
	case e.Signal != "":
		return "was ended by signal " + e.Signal
	case e.Code < 0:
		return "has ended"
	default:
		return fmt.Sprintf("exited with code %d", e.Code)
	}
}

// tail is the last lines the instance wrote.
func (r *run) tail() string {
	ctx, cancel := context.WithTimeout(r.c.life, retryAfter)
	defer cancel()
	logs, err := r.c.driver.Logs(ctx, r.spec.Instance, logTailLines, false)
	if err != nil {
		return ""
	}
	defer logs.Close()
	text, _ := io.ReadAll(io.LimitReader(logs, logTailBytes)) // what could be read is better than nothing
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-logTailLines):], "\n")
}

// wait pauses, and says whether ctx still lives.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
