// SPDX-License-Identifier: Apache-2.0

package drivertest

import (
	"bufio"
	"context"
	"time"

	"microstax/internal/environment"
	"microstax/internal/fault"
)

func startsLogsStops(s *suite) {
	spec := s.spec(DoPrint, "one", "two")
	r := s.start(spec)
	s.want("log", join(s.lines(spec, 0, 2)), "one|two")
	select {
	case <-r.Done():
		s.Fatal("Done closed while it should run")
	default:
	}
	s.stop(r)
	if r.Exit().At.IsZero() {
		s.Error("Exit says no time")
	}
	s.want("log afterwards", s.all(spec, 0), "one\ntwo\n")
	s.want("name in the handle", r.Handle().Driver, s.driver.Name())
}

func passesEnvironment(s *suite) {
	spec := s.spec(DoEnv, "PORT", "GREETING")
	spec.Env = map[string]string{"PORT": "4711", "GREETING": "two words = one value"}
	s.start(spec)
	s.want("log", join(s.lines(spec, 0, 2)), "PORT=4711|GREETING=two words = one value")
}

func reportsExit(s *suite) {
	spec := s.spec(DoExit, "3", "no database")
	e := s.wait(s.start(spec))
	if e.Code != 3 || e.Signal != "" || e.At.IsZero() {
		s.Errorf("got exit %+v, want code 3", e)
	}
	s.want("last line", s.all(spec, 1), "no database\n")
}

func stopsTwice(s *suite) {
	spec := s.spec(DoPrint, "up")
	r := s.start(spec)
	s.lines(spec, 0, 1)
	second := make(chan error, 1)
	go func() { second <- r.Stop(s.ctx) }()
	s.stop(r)
	if err := <-second; err != nil {
		s.Errorf("Stop at the same time: %v", err)
	}
	s.stop(r)
	if e := r.Exit(); e.Code != -1 || e.Signal != "terminated" {
		s.Errorf("got exit %+v, want that it was terminated", e)
	}
}

func forcedByGrace(s *suite) {
	spec := s.spec(DoStubborn, "up")
	spec.Grace = time.Millisecond
	r := s.start(spec)
	s.lines(spec, 0, 1)
	s.stop(r)
	s.want("signal", r.Exit().Signal, "killed")
}

func forcedByContext(s *suite) {
	spec := s.spec(DoStubborn, "up")
	r := s.start(spec)
	s.lines(spec, 0, 1)
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	if err := r.Stop(ended); err != nil {
		s.Fatalf("Stop: %v", err)
	}
	s.want("signal", s.wait(r).Signal, "killed")
}

func outlivesContext(s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	spec := s.spec(DoPrint, "up")
	r, err := s.driver.Start(ctx, spec)
	if err != nil {
		s.Fatalf("Start: %v", err)
	}
	s.stopLater(r)
	cancel()
	s.lines(spec, 0, 1)
	s.stop(r)
	s.want("signal", r.Exit().Signal, "terminated") // not killed when the context ended
}

func refusesUnknownCommand(s *suite) {
	spec := s.spec(DoPrint)
	spec.Command = []string{"microstax-no-such-command"}
	_, err := s.driver.Start(s.ctx, spec)
	s.wantKind(err, fault.Invalid)
	if fault.HintOf(err) == "" {
		s.Errorf("no hint with %v", err)
	}
	s.start(s.spec(DoPrint, "up")) // the name is free
}

func refusesNoCommand(s *suite) {
	spec := s.spec(DoPrint)
	spec.Command = nil
	_, err := s.driver.Start(s.ctx, spec)
	s.wantKind(err, fault.Invalid)
}

func refusesSecond(s *suite) {
	spec := s.spec(DoPrint, "up")
	s.start(spec)
	_, err := s.driver.Start(s.ctx, spec)
	s.wantKind(err, fault.Conflict)
	spec.Instance.Role = environment.Control
	s.start(spec) // another instance of the same service
}

func startsAgain(s *suite) {
	s.wait(s.start(s.spec(DoExit, "1", "first")))
	spec := s.spec(DoPrint, "second")
	s.start(spec)
	s.want("log", join(s.lines(spec, 0, 2)), "first|second")
}

func adopts(s *suite) {
	spec := s.spec(DoPrint, "up")
	h := s.start(spec).Handle()
	s.lines(spec, 0, 1)
	s.driver = s.world.Open(s.T)
	r, err := s.driver.Adopt(s.ctx, spec, h)
	if err != nil {
		s.Fatalf("Adopt: %v", err)
	}
	if r.Handle() != h {
		s.Errorf("handle changed from %+v to %+v", h, r.Handle())
	}
	s.want("log", join(s.lines(spec, 0, 1)), "up")
	_, err = s.driver.Start(s.ctx, spec)
	s.wantKind(err, fault.Conflict)
	s.stop(r)
	if r.Exit().Code != -1 {
		s.Errorf("got exit %+v of an adopted instance, want an unknown code", r.Exit())
	}
}

func adoptsTwice(s *suite) {
	spec := s.spec(DoPrint, "up")
	r := s.start(spec)
	again, err := s.driver.Adopt(s.ctx, spec, r.Handle())
	if err != nil {
		s.Fatalf("Adopt what this driver started: %v", err)
	}
	s.stop(again)
	s.wait(r)
}

func adoptsNothingEnded(s *suite) {
	spec := s.spec(DoPrint, "up")
	r := s.start(spec)
	s.stop(r)
	_, err := s.driver.Adopt(s.ctx, spec, r.Handle())
	s.wantKind(err, fault.NotFound)
	_, err = s.world.Open(s.T).Adopt(s.ctx, spec, r.Handle())
	s.wantKind(err, fault.NotFound)
	s.start(spec) // the name is free
}

func adoptsNothingStrange(s *suite) {
	spec := s.spec(DoPrint, "up")
	h := s.start(spec).Handle()
	other := s.world.Open(s.T)
	for _, strange := range []environment.Handle{{}, {Driver: s.driver.Name()}, {Driver: "other", Data: h.Data}} {
		_, err := other.Adopt(s.ctx, spec, strange)
		s.wantKind(err, fault.NotFound)
	}
	spec.Instance.Service = "payments"
	_, err := other.Adopt(s.ctx, spec, h)
	s.wantKind(err, fault.NotFound)
}

func logsEmpty(s *suite) {
	s.want("log", s.all(s.spec(DoPrint), 0), "")
	s.want("tail", s.all(s.spec(DoPrint), 5), "")
}

func logsTail(s *suite) {
	spec := s.spec(DoExit, "0", "1", "2", "", "4")
	s.wait(s.start(spec))
	for _, c := range []struct {
		tail int
		want string
	}{{0, "1\n2\n\n4\n"}, {1, "4\n"}, {2, "\n4\n"}, {3, "2\n\n4\n"}, {4, "1\n2\n\n4\n"}, {99, "1\n2\n\n4\n"}} {
		s.want("tail", s.all(spec, c.tail), c.want)
	}
}

func followsEarly(s *suite) {
	spec := s.spec(DoPrint, "up")
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	rc, err := s.driver.Logs(ctx, spec.Instance, 0, true)
	if err != nil {
		s.Fatalf("Logs: %v", err)
	}
	defer rc.Close() //nolint:errcheck // only read
	sc := bufio.NewScanner(rc)
	first := make(chan string)
	ended := make(chan bool)
	go func() {
		sc.Scan()
		first <- sc.Text()
		ended <- sc.Scan()
	}()
	s.start(spec)
	s.want("first line", <-first, "up")
	cancel()
	if <-ended {
		s.Errorf("got line %q after the context ended", sc.Text())
	}
}

func followsRestart(s *suite) {
	rc, err := s.driver.Logs(s.ctx, s.spec(DoPrint).Instance, 0, true)
	if err != nil {
		s.Fatalf("Logs: %v", err)
	}
	defer rc.Close() //nolint:errcheck // only read
	sc := bufio.NewScanner(rc)
	s.wait(s.start(s.spec(DoExit, "1", "first")))
	s.want("log", join(s.scan(sc, 1)), "first")
	s.start(s.spec(DoPrint, "second"))
	s.want("log", join(s.scan(sc, 1)), "second")
}

func forgets(s *suite) {
	spec := s.spec(DoExit, "0", "secret")
	s.wait(s.start(spec))
	for range 2 { // the second time there is nothing, which is no error
		if err := s.driver.Forget(s.ctx, spec.Instance); err != nil {
			s.Fatalf("Forget: %v", err)
		}
	}
	s.want("log", s.all(spec, 0), "")
}

func forgetsNotRunning(s *suite) {
	spec := s.spec(DoPrint, "up")
	r := s.start(spec)
	s.wantKind(s.driver.Forget(s.ctx, spec.Instance), fault.Conflict)
	s.stop(r)
	if err := s.driver.Forget(s.ctx, spec.Instance); err != nil {
		s.Fatalf("Forget: %v", err)
	}
}
