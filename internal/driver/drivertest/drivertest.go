// SPDX-License-Identifier: Apache-2.0

// Package drivertest is the conformance suite of the driver seam: what every adapter must do, whatever it runs.
// It is for tests only.
package drivertest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"microstax/internal/driver"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// World is one place where instances run, seen by any number of server processes one after another.
type World interface {
	// Open gives a driver as a server process that has just started would make it.
	Open(t *testing.T) driver.Driver
	// Command is what makes an instance do one of the Do constants.
	Command(do string, args ...string) []string
}

// patience bounds a case; nothing depends on how long anything takes.
const patience = time.Minute

// Run runs the suite. Each case has a world of its own.
func Run(t *testing.T, world func(t *testing.T) World) {
	t.Helper()
	cases := []struct {
		name string
		run  func(*suite)
	}{
		{"starts, logs and stops", startsLogsStops},
		{"passes the environment on", passesEnvironment},
		{"reports how it ended", reportsExit},
		{"stopping twice is harmless", stopsTwice},
		{"stops by force after the grace period", forcedByGrace},
		{"stops by force when the context ends", forcedByContext},
		{"outlives the context it was started with", outlivesContext},
		{"refuses a command that does not exist", refusesUnknownCommand},
		{"refuses an instance without a command", refusesNoCommand},
		{"refuses to start what runs", refusesSecond},
		{"starts again what has ended", startsAgain},
		{"adopts what an earlier server started", adopts},
		{"adopts twice", adoptsTwice},
		{"does not adopt what has ended", adoptsNothingEnded},
		{"does not adopt a strange handle", adoptsNothingStrange},
		{"logs of an instance that never was are empty", logsEmpty},
		{"logs are read from the tail", logsTail},
		{"following begins before the instance does", followsEarly},
		{"following goes on over a restart", followsRestart},
		{"forgets", forgets},
		{"does not forget what runs", forgetsNotRunning},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			t.Cleanup(cancel)
			w := world(t)
			c.run(&suite{T: t, ctx: ctx, world: w, driver: w.Open(t)})
		})
	}
}

type suite struct {
	*testing.T
	ctx    context.Context //nolint:containedctx // bounds the case
	world  World
	driver driver.Driver
}

func (s *suite) spec(do string, args ...string) driver.Spec {
	return driver.Spec{
		Instance: environment.Instance{Environment: "env_conformance", Service: "orders", Role: environment.Primary},
		Command:  s.world.Command(do, args...),
		Grace:    time.Hour, // a case that needs force says so
	}
}

// start starts an instance that is stopped when the case is over.
func (s *suite) start(spec driver.Spec) driver.Running {
	s.Helper()
	r, err := s.driver.Start(s.ctx, spec)
	if err != nil {
		s.Fatalf("Start: %v", err)
	}
	s.stopLater(r)
	return r
}

func (s *suite) stopLater(r driver.Running) {
	s.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel() // by force at once
		if err := r.Stop(ended); err != nil {
			s.Errorf("Stop at the end: %v", err)
		}
	})
}

func (s *suite) stop(r driver.Running) {
	s.Helper()
	if err := r.Stop(s.ctx); err != nil {
		s.Fatalf("Stop: %v", err)
	}
	select {
	case <-r.Done():
	default:
		s.Fatal("Stop returned before Done closed")
	}
}

func (s *suite) wait(r driver.Running) driver.Exit {
	s.Helper()
	select {
	case <-r.Done():
	case <-s.ctx.Done():
		s.Fatal("the instance does not end")
	}
	return r.Exit()
}

// lines follows the log until it has n lines.
func (s *suite) lines(spec driver.Spec, tail, n int) []string {
	s.Helper()
	rc, err := s.driver.Logs(s.ctx, spec.Instance, tail, true)
	if err != nil {
		s.Fatalf("Logs: %v", err)
	}
	defer rc.Close() //nolint:errcheck // only read
	return s.scan(bufio.NewScanner(rc), n)
}

func (s *suite) scan(sc *bufio.Scanner, n int) []string {
	s.Helper()
	var got []string
	for len(got) < n && sc.Scan() {
		got = append(got, sc.Text())
	}
	if len(got) < n {
		s.Fatalf("log ended after %q, want %d lines: %v", got, n, sc.Err())
	}
	return got
}

// all reads the log as it is now.
func (s *suite) all(spec driver.Spec, tail int) string {
	s.Helper()
	rc, err := s.driver.Logs(s.ctx, spec.Instance, tail, false)
	if err != nil {
		s.Fatalf("Logs: %v", err)
	}
	b, err := io.ReadAll(rc)
	if err := errors.Join(err, rc.Close()); err != nil {
		s.Fatalf("read logs: %v", err)
	}
	return string(b)
}

func (s *suite) wantKind(err error, kind fault.Kind) {
	s.Helper()
	if !fault.Is(err, kind) {
		s.Fatalf("got error %v of kind %q, want kind %q", err, fault.KindOf(err), kind)
	}
}

func (s *suite) want(what, got, want string) {
	s.Helper()
	if got != want {
		s.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

func join(lines []string) string { return strings.Join(lines, "|") }
