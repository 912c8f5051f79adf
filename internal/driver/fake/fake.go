// SPDX-License-Identifier: Apache-2.0

// Package fake is a driver without processes, for the tests of whoever uses a driver. It passes drivertest's suite.
//
// A Machine stands for the computer: its instances outlive the Drivers that started them, as processes outlive a server.
// Everything may be used concurrently; no goroutines are started.
package fake

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"microstax/internal/driver"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// Name is what a Handle of this driver says.
const Name = "fake"

// defaultGrace is what a Spec without a grace period gets.
const defaultGrace = 10 * time.Second

// Script is how an instance behaves. The zero Script runs until it is stopped, and writes nothing.
type Script struct {
	Err      error        // Start returns it
	Lines    []string     // written at the start
	Exit     *driver.Exit // it ends so at once
	Stubborn bool         // it ends only by force
	OnStart  func()       // called before Start returns, e.g. to open what the service would listen on
	OnEnd    func()       // called before Done closes
}

// Machine is where instances run.
type Machine struct {
	script func(driver.Spec) Script

	mu      sync.Mutex // guards what follows
	last    int
	started []driver.Spec
	running map[environment.Instance]*instance
	logs    map[environment.Instance]*log
}

// NewMachine makes a machine; script may be nil.
func NewMachine(script func(driver.Spec) Script) *Machine {
	if script == nil {
		script = func(driver.Spec) Script { return Script{} }
	}
	return &Machine{
		script: script, running: make(map[environment.Instance]*instance), logs: make(map[environment.Instance]*log),
	}
}

// Driver is a driver of a server that has just started on this machine.
func (m *Machine) Driver() driver.Driver {
	return &fakeDriver{m: m, mine: make(map[environment.Instance]bool)}
}

// Started are the specs of all that was started successfully, in order.
func (m *Machine) Started() []driver.Spec {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.started)
}

// Running are the instances that run, in the order of their keys.
func (m *Machine) Running() []environment.Instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []environment.Instance
	for i := range m.running {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b environment.Instance) int {
		return bytes.Compare([]byte(a.Environment+"/"+a.Key()), []byte(b.Environment+"/"+b.Key()))
	})
	return all
}

// Crash ends a running instance as if by itself; false when it does not run.
func (m *Machine) Crash(i environment.Instance, e driver.Exit) bool {
	m.mu.Lock()
	in := m.running[i]
	m.mu.Unlock()
	if in == nil {
		return false
	}
	in.end(e)
	<-in.done
	return true
}

// Write appends to an instance's log.
func (m *Machine) Write(i environment.Instance, text string) { m.log(i).write(text) }

func (m *Machine) log(i environment.Instance) *log {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.logs[i]
	if l == nil {
		l = newLog()
		m.logs[i] = l
	}
	return l
}

// fakeDriver is one server's view of the machine.
type fakeDriver struct {
	m *Machine

	mu   sync.Mutex                    // guards mine; never held while m.mu is taken
	mine map[environment.Instance]bool // started or adopted here
}

var _ driver.Driver = (*fakeDriver)(nil)

// Name is "fake".
func (d *fakeDriver) Name() string { return Name }

// Start follows the script. Beside what scripts say, the seam's rules hold.
func (d *fakeDriver) Start(ctx context.Context, spec driver.Spec) (driver.Running, error) {
	op := "start " + spec.Instance.Key()
	if err := ctx.Err(); err != nil {
		return nil, fault.E(op, fault.Canceled, err)
	}
	if len(spec.Command) == 0 && spec.Image == "" {
		return nil, fault.Errorf(op, fault.Invalid, "the service has no command").WithHint("write `command: […]`")
	}
	s := d.m.script(spec)
	if s.Err != nil {
		return nil, s.Err
	}
	d.mu.Lock()
	mine := d.mine[spec.Instance]
	d.mu.Unlock()
	d.m.mu.Lock()
	old := d.m.running[spec.Instance]
	d.m.mu.Unlock()
	if old != nil {
		if mine {
			return nil, fault.Errorf(op, fault.Conflict, "it runs already").WithHint("stop it first")
		}
		old.end(driver.Exit{Code: -1, Signal: "killed"})
		<-old.done
	}
	in, err := d.m.start(op, spec, s)
	if err != nil {
		return nil, err
	}
	d.own(spec.Instance)
	if s.OnStart != nil {
		s.OnStart()
	}
	l := d.m.log(spec.Instance)
	for _, line := range s.Lines {
		l.write(line + "\n")
	}
	if s.Exit != nil {
		in.end(*s.Exit)
	}
	return in, nil
}

// start makes the instance, unless another call was faster.
func (m *Machine) start(op string, spec driver.Spec, s Script) (*instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running[spec.Instance] != nil {
		return nil, fault.Errorf(op, fault.Conflict, "it runs already").WithHint("stop it first")
	}
	m.last++
	grace := spec.Grace
	if grace <= 0 {
		grace = defaultGrace
	}
	in := &instance{
		m: m, i: spec.Instance, pid: m.last, grace: grace, script: s,
		done: make(chan struct{}),
	}
	m.running[spec.Instance] = in
	m.started = append(m.started, spec)
	return in, nil
}

// Adopt finds a running instance by its number.
func (d *fakeDriver) Adopt(_ context.Context, spec driver.Spec, h environment.Handle) (driver.Running, error) {
	op := "adopt " + spec.Instance.Key()
	d.m.mu.Lock()
	in := d.m.running[spec.Instance]
	d.m.mu.Unlock()
	if in == nil || h.Driver != Name || h.Data != strconv.Itoa(in.pid) {
		return nil, fault.Errorf(op, fault.NotFound, "it no longer runs")
	}
	d.own(spec.Instance)
	return in, nil
}

// Logs reads from memory.
func (d *fakeDriver) Logs(ctx context.Context, i environment.Instance, tail int, follow bool) (io.ReadCloser, error) {
	return d.m.log(i).open(ctx, tail, follow), nil
}

// Forget deletes the log.
func (d *fakeDriver) Forget(_ context.Context, i environment.Instance) error {
	d.m.mu.Lock()
	in := d.m.running[i]
	d.m.mu.Unlock()
	if in != nil {
		return fault.Errorf("forget "+i.Key(), fault.Conflict, "it runs")
	}
	d.m.log(i).clear()
	return nil
}

func (d *fakeDriver) own(i environment.Instance) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mine[i] = true
}
