// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// procs are the processes that run, so that none outlives the benchmark.
type procs struct {
	mu   sync.Mutex
	open map[*proc]struct{}
	port int
}

func newProcs() *procs { return &procs{open: map[*proc]struct{}{}, port: firstPort} }

// Ports lie below the ephemeral range, in which a connection of the load could take one first.
const (
	firstPort = 21000
	lastPort  = 29999
)

// addr is a free loopback address.
func (ps *procs) addr(ctx context.Context) (string, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for range lastPort - firstPort {
		if ps.port++; ps.port > lastPort {
			ps.port = firstPort
		}
		a := net.JoinHostPort("127.0.0.1", strconv.Itoa(ps.port))
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", a)
		if err == nil {
			ln.Close() //nolint:errcheck,gosec // only its number was wanted
			return a, nil
		}
	}
	return "", errors.New("no free port")
}

// proc is one process with its children.
type proc struct {
	ps   *procs
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error
	out  bytes.Buffer
}

// start starts a program in a process group of its own. With a priority above 0 it and its threads are scheduled round
// robin at that priority, if that is allowed.
func (ps *procs) start(name string, priority int, env []string, argv ...string) (*proc, error) {
	p := &proc{ps: ps, name: name, done: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...) //nolint:noctx // stopped in order, and with its whole group, by stop
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := withPriority(priority, p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ps.mu.Lock()
	ps.open[p] = struct{}{}
	ps.mu.Unlock()
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// withPriority runs fork with the calling thread's scheduling changed: children inherit it.
func withPriority(priority int, fork func() error) error {
	if priority <= 0 {
		return fork()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: uint32(priority)} //nolint:gosec // 1 or 2
	if unix.SchedSetAttr(0, &attr, 0) != nil {
		return fork()
	}
	defer unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0) //nolint:errcheck // as it was
	return fork()
}

// wait gives the process time to end by itself.
func (p *proc) wait(d time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(d):
		return false
	}
}

// stop ends the process group: politely, then not.
func (p *proc) stop(sig syscall.Signal, patience time.Duration) {
	p.cmd.Process.Signal(sig) //nolint:errcheck,gosec // it may have ended
	p.wait(patience)
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck,gosec // likewise
	<-p.done
	p.ps.mu.Lock()
	delete(p.ps.open, p)
	p.ps.mu.Unlock()
}

func (ps *procs) stopAll() {
	ps.mu.Lock()
	var left []*proc
	for p := range ps.open {
		left = append(left, p)
	}
	ps.mu.Unlock()
	for _, p := range left {
		p.stop(syscall.SIGKILL, 0)
	}
}

// ready waits until something listens at addr.
func (p *proc) ready(ctx context.Context, addr string) error {
	for range 500 {
		var d net.Dialer
		if nc, err := d.DialContext(ctx, "tcp", addr); err == nil {
			return nc.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", p.name, p.err, p.out.String())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen at %s\n%s", p.name, addr, p.out.String())
}

// pids are the process and its children, of all generations.
func (p *proc) pids() []int {
	list := []int{p.cmd.Process.Pid}
	for i := 0; i < len(list); i++ {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", list[i])) //nolint:errcheck // the pattern is good
		for _, f := range files {
			data, err := os.ReadFile(f) //nolint:gosec // of the kernel
			if err != nil {
				continue
			}
			for _, word := range strings.Fields(string(data)) {
				if n, err := strconv.Atoi(word); err == nil {
					list = append(list, n)
				}
			}
		}
	}
	return list
}

// cpu is the processor time used so far, user and system, in seconds.
func (p *proc) cpu() float64 {
	var ticks int64
	for _, pid := range p.pids() {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(data, []byte(") ")) // the name before it may hold anything
		f := strings.Fields(string(rest))
		if len(f) < 13 {
			continue
		}
		user, _ := strconv.ParseInt(f[11], 10, 64)   //nolint:errcheck // the kernel's format
		system, _ := strconv.ParseInt(f[12], 10, 64) //nolint:errcheck // likewise
		ticks += user + system
	}
	return float64(ticks) / 100 // USER_HZ, 100 on every Linux that Go runs on
}

// usage is memory in MiB and open descriptors.
type usage struct {
	pss, peak float64
	fds       int
}

// usage reads the proportional set size, the highest resident set size so far, and the number of descriptors.
func (p *proc) usage() (u usage) {
	for _, pid := range p.pids() {
		u.pss += kib(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:") / 1024
		u.peak += kib(fmt.Sprintf("/proc/%d/status", pid), "VmHWM:") / 1024
		if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
			u.fds += len(fds)
		}
	}
	return u
}

func kib(file, field string) float64 {
	data, err := os.ReadFile(file) //nolint:gosec // of the kernel
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64) //nolint:errcheck // likewise
			return n
		}
	}
	return 0
}

// settled waits until the process has nothing more to do: copies that are still under way belong to their requests.
func (p *proc) settled(ctx context.Context) {
	before := p.cpu()
	for range 50 {
		select {
		case <-ctx.Done():
			return
		case <-p.done:
			return
		case <-time.After(200 * time.Millisecond):
		}
		now := p.cpu()
		if now-before < 0.011 { // one tick in 200 ms is what an idle process may take
			return
		}
		before = now
	}
}

// watch samples the process until the returned function is called, which gives all samples.
func (p *proc) watch(every time.Duration, also func()) func() []usage {
	quit, done := make(chan struct{}), make(chan struct{})
	var list []usage
	go func() {
		defer close(done)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			list = append(list, p.usage())
			if also != nil {
				also()
			}
			select {
			case <-t.C:
			case <-quit:
				return
			}
		}
	}()
	return func() []usage {
		close(quit)
		<-done
		return list
	}
}

// preferGroup makes the kernel prefer this session's processes as a whole to the machine's other ones, if that is
// allowed, and returns what takes it back.
func preferGroup() (restore func()) {
	const file = "/proc/self/autogroup"
	if os.WriteFile(file, []byte("-15"), 0o600) != nil {
		return func() {}
	}
	return func() {
		os.WriteFile(file, []byte("0"), 0o600) //nolint:errcheck,gosec // a courtesy
	}
}
