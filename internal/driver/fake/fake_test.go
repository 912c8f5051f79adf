// SPDX-License-Identifier: Apache-2.0

package fake_test

import (
	"errors"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"microstax/internal/driver"
	"microstax/internal/driver/drivertest"
	"microstax/internal/driver/fake"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type world struct{ machine *fake.Machine }

func (w world) Open(*testing.T) driver.Driver { return w.machine.Driver() }

func (w world) Command(do string, args ...string) []string { return append([]string{do}, args...) }

// act does what the suite's test program does.
func act(spec driver.Spec) fake.Script {
	do, args := spec.Command[0], spec.Command[1:]
	switch do {
	case drivertest.DoPrint:
		return fake.Script{Lines: args}
	case drivertest.DoStubborn:
		return fake.Script{Lines: args, Stubborn: true}
	case drivertest.DoExit:
		code, err := strconv.Atoi(args[0])
		return fake.Script{Lines: args[1:], Exit: &driver.Exit{Code: code}, Err: err}
	case drivertest.DoEnv:
		var lines []string
		for _, name := range args {
			lines = append(lines, name+"="+spec.Env[name])
		}
		return fake.Script{Lines: lines}
	}
	return fake.Script{Err: fault.E("start", fault.Invalid, exec.ErrNotFound).WithHint("install it")}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(*testing.T) drivertest.World { return world{fake.NewMachine(act)} })
}

func TestMachineIsScriptable(t *testing.T) {
	t.Parallel()
	var events []string
	boom := errors.New("boom")
	m := fake.NewMachine(func(s driver.Spec) fake.Script {
		if s.Instance.Service == "broken" {
			return fake.Script{Err: boom}
		}
		return fake.Script{
			OnStart: func() { events = append(events, "start "+s.Instance.Service) },
			OnEnd:   func() { events = append(events, "end "+s.Instance.Service) },
		}
	})
	d := m.Driver()
	broken := driver.Spec{Instance: environment.Instance{Environment: "e", Service: "broken"}, Command: []string{"x"}}
	if _, err := d.Start(t.Context(), broken); !errors.Is(err, boom) {
		t.Fatalf("Start: got %v, want %v", err, boom)
	}
	spec := driver.Spec{Instance: environment.Instance{Environment: "e", Service: "api"}, Command: []string{"x"}}
	r, err := d.Start(t.Context(), spec)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	if got := m.Running(); len(got) != 1 || got[0] != spec.Instance || len(m.Started()) != 1 {
		t.Errorf("got running %v and started %v", got, m.Started())
	}
	if !m.Crash(spec.Instance, driver.Exit{Code: 7}) {
		t.Fatal("Crash found nothing")
	}
	<-r.Done()
	if r.Exit().Code != 7 || m.Crash(spec.Instance, driver.Exit{}) {
		t.Errorf("got exit %+v, or it still runs", r.Exit())
	}
	if want := []string{"start api", "end api"}; !slices.Equal(events, want) {
		t.Errorf("got events %q, want %q", events, want)
	}
}
