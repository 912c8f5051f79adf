// SPDX-License-Identifier: Apache-2.0

// Package process is the driver that runs services as processes of this machine (Linux).
//
// An instance is a command in a session of its own, with its output appended straight to a log file, so that it and its
// log outlive the server that started it. The next server adopts it: a Handle names the process by number, start time and
// boot, so that a number that was given to another process is never taken for it.
//
// What belongs to an instance is found in /proc in three ways, because each alone has a hole: the session that the
// command leads, a mark in the environment (which daemons that open a session of their own still carry, also after their
// parents are gone), and parentage. Only a process that clears its environment, opens its own session and loses its
// parent is out of reach; no cgroup is needed. When the command ends, whatever it left running is ended too.
//
// A Driver may be used concurrently. It never ends processes by itself when it is closed.
package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"microstax/internal/driver"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// Name is what a Handle of this driver says.
const Name = "process"

// DefaultMaxLogBytes bounds a log file where Options say nothing.
const DefaultMaxLogBytes = 64 << 20

// markKey is the environment variable by which an instance's processes are known. Its value is
// owner/environment/service/role/replica/nonce.
const markKey = "MICROSTAX_INSTANCE"

// Options are what a Driver needs.
type Options struct {
	Dir         string            // absolute; log files are kept in Dir/logs, and it is the default working directory
	Inherit     map[string]string // what every instance inherits: PATH, HOME, LANG, TZ, TMPDIR, USER
	MaxLogBytes int64             // bound of one log file; as much again is kept of what came before; default 64 MiB
	LogCheck    time.Duration     // how often the size of a running instance's log is looked at; default 1 s
	Logger      *slog.Logger      // nil: none
}

// Driver runs instances as processes.
type Driver struct {
	dir      string
	owner    string // tells this data directory's instances from another's
	inherit  map[string]string
	maxLog   int64
	logCheck time.Duration
	logger   *slog.Logger
	pidfd    func(pid int) (int, error) // a variable so that tests can take it away

	quit chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex           // guards what follows
	live   map[string]*instance // by instance path; nil while it is being started or adopted
	closed bool
}

var _ driver.Driver = (*Driver)(nil)

// New makes a driver. Close it when its instances need no more watching.
func New(o Options) *Driver {
	if o.MaxLogBytes <= 0 {
		o.MaxLogBytes = DefaultMaxLogBytes
	}
	if o.LogCheck <= 0 {
		o.LogCheck = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	inherit := make(map[string]string, len(o.Inherit))
	for k, v := range o.Inherit {
		inherit[k] = v
	}
	sum := sha256.Sum256([]byte(o.Dir))
	return &Driver{
		dir: o.Dir, owner: hex.EncodeToString(sum[:6]), inherit: inherit, maxLog: o.MaxLogBytes, logCheck: o.LogCheck,
		logger: o.Logger, pidfd: openPidfd, quit: make(chan struct{}), live: make(map[string]*instance),
	}
}

// Name is "process".
func (d *Driver) Name() string { return Name }

// Close stops watching and waits until that is done. Processes run on, for another Driver to adopt; Done of an instance
// that still runs never closes.
func (d *Driver) Close() error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.quit)
	}
	d.mu.Unlock()
	d.wg.Wait()
	return nil
}

// Start starts an instance. Whatever a server that died left running under the same name is ended first.
func (d *Driver) Start(ctx context.Context, spec driver.Spec) (driver.Running, error) {
	op := "start " + spec.Instance.Key()
	if err := ctx.Err(); err != nil {
		return nil, fault.E(op, fault.Canceled, err)
	}
	path, err := instancePath(spec.Instance)
	if err != nil {
		return nil, fault.E(op, fault.Invalid, err)
	}
	prog, err := d.resolve(spec)
	if err != nil {
		return nil, err
	}
	if err := d.reserve(op, path); err != nil {
		return nil, err
	}
	in, err := d.launch(ctx, op, path, prog, spec)
	d.settle(path, in)
	if err != nil {
		return nil, err
	}
	return in, nil
}

// Adopt finds an instance again. When its main process is gone but others that it started are not, those are ended.
func (d *Driver) Adopt(ctx context.Context, spec driver.Spec, h environment.Handle) (driver.Running, error) {
	op := "adopt " + spec.Instance.Key()
	path, err := instancePath(spec.Instance)
	if err != nil {
		return nil, fault.E(op, fault.Invalid, err)
	}
	data, err := readHandle(h)
	if err != nil {
		return nil, fault.E(op, fault.NotFound, err)
	}
	d.mu.Lock()
	known := d.live[path]
	d.mu.Unlock()
	if known != nil && known.data == data {
		return known, nil
	}
	if err := d.reserve(op, path); err != nil {
		return nil, err
	}
	in, err := d.find(ctx, op, path, data, spec)
	d.settle(path, in)
	if err != nil {
		return nil, err
	}
	return in, nil
}

// Forget deletes an instance's log, and ends what may still run under its name because a server died between starting
// a process and writing that down. fault.Conflict while the instance runs.
func (d *Driver) Forget(ctx context.Context, i environment.Instance) error {
	op := "forget " + i.Key()
	path, err := instancePath(i)
	if err != nil {
		return fault.E(op, fault.Invalid, err)
	}
	if err := d.reserve(op, path); err != nil {
		return err
	}
	defer d.settle(path, nil)
	if err := d.endStrays(ctx, d.mark(path)); err != nil {
		return fault.E(op, fault.Unavailable, err)
	}
	log := d.logPath(path)
	for _, name := range []string{log, olderName(log), copyName(log)} {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			return fault.E(op, fault.Unavailable, err)
		}
	}
	_ = os.Remove(filepath.Dir(log)) // the environment's folder; fails while another instance's log is in it
	return nil
}

// reserve takes the instance's name, so that it is started only once. Close waits until it is settled.
func (d *Driver) reserve(op, path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fault.Errorf(op, fault.Unavailable, "the driver is closed")
	}
	if _, taken := d.live[path]; taken {
		return fault.Errorf(op, fault.Conflict, "it runs already").WithHint("stop it first")
	}
	d.live[path] = nil
	d.wg.Add(1)
	return nil
}

// settle ends a reservation: with the instance that runs now, or with nothing.
func (d *Driver) settle(path string, in *instance) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if in == nil {
		delete(d.live, path)
		d.wg.Done()
		return
	}
	d.live[path] = in
	go in.own()
}

// gone takes an ended instance out.
func (d *Driver) gone(in *instance) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.live[in.path] == in {
		delete(d.live, in.path)
	}
}

// mark is what the environment of every process of an instance begins with, whichever time it was started.
func (d *Driver) mark(path string) string { return d.owner + "/" + path + "/" }

// instancePath is environment/service/role/replica, each fit to be a file's name.
func instancePath(i environment.Instance) (string, error) {
	for _, part := range []string{i.Environment, i.Service, string(i.Role)} {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "/\x00") {
			return "", fault.Errorf("name instance", fault.Invalid, "%q cannot name an instance", part)
		}
	}
	return i.Environment + "/" + i.Key(), nil
}
