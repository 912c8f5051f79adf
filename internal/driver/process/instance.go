// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"microstax/internal/driver"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// defaultGrace is what a Spec without a grace period gets.
const defaultGrace = 10 * time.Second

// handleData is what a Handle holds, as JSON.
type handleData struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // clock ticks since boot
	Boot    string `json:"boot"`
	Mark    string `json:"mark"` // owner/environment/service/role/replica/nonce
	Log     string `json:"log"`
}

func readHandle(h environment.Handle) (handleData, error) {
	var data handleData
	if h.Driver != Name {
		return data, fmt.Errorf("the handle is of driver %q", h.Driver)
	}
	if err := json.Unmarshal([]byte(h.Data), &data); err != nil {
		return data, fmt.Errorf("read handle: %w", err)
	}
	if data.PID <= 1 || data.Mark == "" {
		return data, fmt.Errorf("read handle: no process in %q", h.Data)
	}
	return data, nil
}

// instance is one that runs. Goroutine own is its only owner.
type instance struct {
	d      *Driver
	path   string
	data   handleData
	grace  time.Duration
	cmd    *exec.Cmd // nil when adopted
	leader *watch

	stopOnce, forceOnce sync.Once
	stop, force         chan struct{}
	stuck               chan struct{} // closes when it does not even end by force
	remain              []stat        // valid once stuck is closed
	done                chan struct{}
	exit                driver.Exit // valid once done is closed
}

var (
	_ driver.Running  = (*instance)(nil)
	_ driver.Numbered = (*instance)(nil)
)

func (d *Driver) newInstance(path string, data handleData, grace time.Duration, cmd *exec.Cmd) *instance {
	if grace <= 0 {
		grace = defaultGrace
	}
	return &instance{
		d: d, path: path, data: data, grace: grace, cmd: cmd,
		stop: make(chan struct{}), force: make(chan struct{}), stuck: make(chan struct{}), done: make(chan struct{}),
	}
}

// launch starts the command. Its name is reserved.
func (d *Driver) launch(ctx context.Context, op, path string, p program, spec driver.Spec) (*instance, error) {
	if err := d.endStrays(ctx, d.mark(path)); err != nil {
		return nil, fault.E(op, fault.Unavailable, err)
	}
	boot, err := readBoot()
	if err != nil {
		return nil, fault.E(op, fault.Unavailable, err)
	}
	data := handleData{Boot: boot, Mark: d.mark(path) + rand.Text(), Log: d.logPath(path)}
	out, err := openLog(data.Log, d.maxLog)
	if err != nil {
		return nil, fault.E(op, fault.Unavailable, err)
	}
	defer out.Close() //nolint:errcheck // the process has its own descriptor, and nothing was written here
	cmd := &exec.Cmd{
		Path: p.file, Args: p.args, Dir: p.dir, Env: append(p.env, markKey+"="+data.Mark), Stdout: out, Stderr: out,
		// No Pdeathsig: instances outlive a server that dies.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return nil, startError(op, p, err)
	}
	data.PID = cmd.Process.Pid
	// Nobody has waited for it, so that its entry is there even if it has ended.
	s, err := readStat(data.PID)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fault.E(op, fault.Unavailable, fmt.Errorf("read process %d: %w", data.PID, err))
	}
	data.Started = s.started
	in := d.newInstance(path, data, spec.Grace, cmd)
	in.leader = d.watch(s)
	d.logger.Debug("process started", "instance", path, "pid", data.PID)
	return in, nil
}

// find adopts. The instance's name is reserved.
func (d *Driver) find(ctx context.Context, op, path string, data handleData, spec driver.Spec) (*instance, error) {
	boot, err := readBoot()
	if err != nil {
		return nil, fault.E(op, fault.Unavailable, err)
	}
	if boot != data.Boot {
		return nil, fault.Errorf(op, fault.NotFound, "the machine was started anew since")
	}
	if !strings.HasPrefix(data.Mark, d.mark(path)) {
		return nil, fault.Errorf(op, fault.NotFound, "the handle is of another instance")
	}
	s, err := readStat(data.PID)
	if err != nil || s.started != data.Started || s.dead() {
		// Its session may belong to somebody else by now; the mark is of this start alone.
		if err := d.endStrays(ctx, data.Mark); err != nil {
			return nil, fault.E(op, fault.Unavailable, err)
		}
		return nil, fault.Errorf(op, fault.NotFound, "process %d no longer runs", data.PID)
	}
	in := d.newInstance(path, data, spec.Grace, nil)
	in.leader = d.watch(s)
	d.logger.Debug("process adopted", "instance", path, "pid", data.PID)
	return in, nil
}

// endStrays ends every process whose mark begins so.
func (d *Driver) endStrays(ctx context.Context, mark string) error {
	var failed error
	stuck := make(chan struct{})
	ended := family{mark: mark}.end(ending{
		grace: remainsGrace, force: ctx.Done(), quit: stuck,
		stuck: func(left []stat) {
			failed = errors.New("end what an earlier server left running: " + survivors(left))
			close(stuck)
		},
		fail: func(err error) { failed = err; close(stuck) },
	})
	if !ended {
		return failed
	}
	return nil
}

// Handle is what finds the instance again.
func (in *instance) Handle() environment.Handle {
	b, err := json.Marshal(in.data)
	if err != nil {
		panic("process: marshal handle: " + err.Error()) // strings and numbers only
	}
	return environment.Handle{Driver: Name, Data: string(b)}
}

// PID is the main process.
func (in *instance) PID() int { return in.data.PID }

// Done closes when nothing of the instance is left.
func (in *instance) Done() <-chan struct{} { return in.done }

// Exit is how the main process ended; the code of an adopted one is unknown.
func (in *instance) Exit() driver.Exit { return in.exit }

// Stop ends the instance. Besides what the seam says: fault.Unavailable when something survives even SIGKILL.
func (in *instance) Stop(ctx context.Context) error {
	in.stopOnce.Do(func() { close(in.stop) })
	select {
	case <-in.done:
		return nil
	case <-ctx.Done():
		in.forceOnce.Do(func() { close(in.force) })
	case <-in.stuck:
	case <-in.d.quit:
	}
	op := "stop " + in.path
	select {
	case <-in.done:
		return nil
	case <-in.stuck:
		return fault.E(op, fault.Unavailable, errors.New(survivors(in.remain))).
			WithHint("they wait for a device or a file system, or belong to another user: look with `ps -o pid,stat,user,wchan`")
	case <-in.d.quit:
		return fault.Errorf(op, fault.Unavailable, "the driver is closed")
	}
}

// own waits for the end, and brings it about.
func (in *instance) own() {
	defer in.d.wg.Done()
	defer in.leader.close()
	check := time.NewTicker(in.d.logCheck)
	defer check.Stop()
	for {
		grace := in.grace
		select {
		case <-in.d.quit:
			return
		case <-check.C:
			if err := boundLog(in.data.Log, in.d.maxLog); err != nil {
				in.d.logger.Warn("log file not bounded", "instance", in.path, "error", err)
			}
			continue
		case <-in.leader.gone:
			grace = min(grace, remainsGrace)
		case <-in.stop:
		}
		if in.end(grace) {
			in.finish()
		}
		return
	}
}

// end ends all that belongs to the instance, and says whether that was seen through.
func (in *instance) end(grace time.Duration) bool {
	all := family{leader: in.data.PID, started: in.data.Started, mark: in.data.Mark}
	return all.end(ending{
		grace: grace, force: in.force, quit: in.d.quit, wake: in.leader.gone,
		stuck: func(left []stat) { in.remain = left; close(in.stuck) },
		fail:  func(err error) { in.d.logger.Error("processes not listed", "instance", in.path, "error", err) },
	})
}

// finish collects the main process, whose number was kept from others until here.
func (in *instance) finish() {
	in.exit = driver.Exit{Code: -1}
	if in.cmd != nil {
		// An error only says that the status is not 0; the state is there either way.
		_ = in.cmd.Wait()
		if st, ok := in.cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
			switch {
			case st.Exited():
				in.exit.Code = st.ExitStatus()
			case st.Signaled():
				in.exit.Signal = st.Signal().String()
			}
		}
	}
	in.exit.At = time.Now()
	in.d.logger.Debug("process ended", "instance", in.path, "pid", in.data.PID, "code", in.exit.Code, "signal", in.exit.Signal)
	in.d.gone(in)
	close(in.done)
}

func survivors(left []stat) string {
	s := "processes survive SIGKILL:"
	for _, p := range left {
		s += " " + strconv.Itoa(p.pid)
	}
	return s
}
