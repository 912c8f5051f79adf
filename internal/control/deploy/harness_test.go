// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/control/deploy"
	"microstax/internal/dataplane/route"
	"microstax/internal/driver"
	"microstax/internal/driver/fake"
	"microstax/internal/environment"
	"microstax/internal/evidence"
)

// bubble runs a test in a bubble with a clock of its own: whatever the controller waits for is over when settle returns.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer func() { w.stop() }() // of a failed test too: no goroutine may outlive the bubble
		f(t, w)
	})
}

// world is a machine, a store and a data plane, and the server on them.
type world struct {
	t       *testing.T
	machine *fake.Machine
	mu      sync.Mutex
	script  func(driver.Spec) fake.Script // guarded by mu; nil: everything runs
	store   *memory
	plane   *plane
	prober  *prober
	entropy *entropy
	c       *deploy.Controller
	ran     chan error
	end     context.CancelFunc
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, store: newMemory(), plane: &plane{busy: map[string]string{}}, prober: &prober{}, entropy: &entropy{}}
	w.entropy.r = rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32.32s", t.Name()))))
	w.machine = fake.NewMachine(func(s driver.Spec) fake.Script {
		w.mu.Lock()
		f := w.script
		w.mu.Unlock()
		if f == nil {
			return fake.Script{}
		}
		return f(s)
	})
	return w
}

// behave says how instances behave that are started from now on.
func (w *world) behave(f func(driver.Spec) fake.Script) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.script = f
}

// start starts a server on the world as it is.
func (w *world) start() {
	w.plane.reset()
	w.c = deploy.New(deploy.Options{
		Store: w.store, Driver: w.machine.Driver(), Plane: w.plane, Entropy: w.entropy, Prober: w.prober,
		Ports: deploy.PortRange{First: 20000, Last: 29999}, Logger: slog.New(slog.DiscardHandler),
	})
	w.ran = make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	w.end = cancel
	c, ran := w.c, w.ran
	go func() { ran <- c.Run(ctx) }()
	synctest.Wait()
}

// stop stops the server gracefully.
func (w *world) stop() {
	w.t.Helper()
	w.end()
	if err := w.c.Close(context.Background()); err != nil {
		w.t.Errorf("Close: %v", err)
	}
	if err := <-w.ran; err != nil {
		w.t.Errorf("Run: %v", err)
	}
	if left := w.machine.Running(); len(left) > 0 {
		w.t.Errorf("after Close these still run: %v", left)
	}
}

// kill ends the server as kill -9 would.
func (w *world) kill() {
	w.t.Helper()
	w.c.Abandon()
	w.end()
	if err := <-w.ran; err != nil {
		w.t.Errorf("Run: %v", err)
	}
}

// pass lets time go by, in the bubble, until nothing more happens.
func (w *world) pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock, not the machine's
	synctest.Wait()
}

func (w *world) create(mode blueprint.Mode, base, file string) v1.Environment {
	w.t.Helper()
	env, err := w.c.Create(w.t.Context(), mode, base, v1.CreateEnvironment{Blueprint: file, BaseDir: "/srv", FileName: "f.yaml"})
	if err != nil {
		w.t.Fatalf("Create: %v", err)
	}
	if env.Status != "provisioning" {
		w.t.Errorf("Create answered with status %q, want provisioning", env.Status)
	}
	synctest.Wait()
	return w.get(env.ID)
}

func (w *world) get(ref string) v1.Environment {
	w.t.Helper()
	env, err := w.c.Get(w.t.Context(), ref)
	if err != nil {
		w.t.Fatalf("Get %s: %v", ref, err)
	}
	return env
}

func (w *world) lookup(ref string) environment.Environment {
	w.t.Helper()
	env, err := w.c.Lookup(w.t.Context(), ref)
	if err != nil {
		w.t.Fatalf("Lookup %s: %v", ref, err)
	}
	return env
}

// wantStatus checks an environment's status, and that its reason contains some words.
func (w *world) wantStatus(ref, status string, words ...string) v1.Environment {
	w.t.Helper()
	env := w.get(ref)
	if env.Status != status {
		w.t.Fatalf("%s is %s (%s), want %s", env.Name, env.Status, env.Reason, status)
	}
	for _, word := range words {
		if !strings.Contains(env.Reason, word) {
			w.t.Errorf("reason %q does not contain %q", env.Reason, word)
		}
	}
	return env
}

// running are the keys of what runs of an environment.
func (w *world) running(id string) []string {
	out := []string{}
	for _, i := range w.machine.Running() {
		if i.Environment == id {
			out = append(out, i.Key())
		}
	}
	return out
}

// started are the keys of all that was started, in order.
func (w *world) started() []string {
	var out []string
	for _, s := range w.machine.Started() {
		out = append(out, s.Instance.Key())
	}
	return out
}

// spec is what an instance was started with last.
func (w *world) spec(env, key string) driver.Spec {
	w.t.Helper()
	all := w.machine.Started()
	for _, s := range slices.Backward(all) {
		if s.Instance.Environment == env && s.Instance.Key() == key {
			return s
		}
	}
	w.t.Fatalf("%s was never started", key)
	return driver.Spec{}
}

func instance(env, service string, role environment.Role, replica int) environment.Instance {
	return environment.Instance{Environment: env, Service: service, Role: role, Replica: replica}
}

// entropy is a seeded source that may be read concurrently.
type entropy struct {
	mu sync.Mutex
	r  *rand.ChaCha8
}

func (e *entropy) Read(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.r.Read(b)
}

// prober answers probes as the test says; nil means that all is well.
type prober struct {
	mu   sync.Mutex
	says func(deploy.Check) error
}

func (p *prober) set(f func(deploy.Check) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.says = f
}

func (p *prober) Probe(_ context.Context, c deploy.Check) error {
	p.mu.Lock()
	f := p.says
	p.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(c)
}

// plane is a data plane that only remembers.
type plane struct {
	mu      sync.Mutex
	tables  []*route.Table
	serving map[string]route.Serving
	busy    map[string]string // address → why it can't be opened
	refuses error             // Apply returns it and does nothing
	refuse  func(addr string) bool
	watch   func() // called while a table is applied
}

func (p *plane) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serving = map[string]route.Serving{}
}

func (p *plane) Apply(_ context.Context, t *route.Table) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses != nil {
		return p.refuses
	}
	p.tables = append(p.tables, t)
	p.serving = map[string]route.Serving{}
	var errs []error
	for _, l := range t.Listeners {
		s := route.Serving{Listener: l.ID, Addr: l.Addr, Revision: t.Revision}
		why, busy := p.busy[l.Addr]
		if p.refuse != nil && p.refuse(l.Addr) {
			why, busy = "address already in use", true
		}
		if busy {
			s.Revision, s.Err = 0, why
			errs = append(errs, errors.New(why))
		}
		p.serving[l.ID] = s
	}
	if p.watch != nil {
		p.watch()
	}
	return errors.Join(errs...)
}

func (p *plane) Serving() []route.Serving {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.serving))
}

func (p *plane) occupy(addr, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if why == "" {
		delete(p.busy, addr)
		return
	}
	p.busy[addr] = why
}

func (p *plane) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = err
}

// table is the one in force.
func (p *plane) table() *route.Table {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tables[len(p.tables)-1]
}

func (p *plane) listener(t *testing.T, id string) route.Listener {
	t.Helper()
	for _, l := range p.table().Listeners {
		if l.ID == id {
			return l
		}
	}
	t.Fatalf("there is no listener %s", id)
	return route.Listener{}
}

// memory is an evidence store that outlives the controllers that use it.
type memory struct {
	mu      sync.Mutex
	records map[evidence.Key]evidence.Record
	broken  error
}

func newMemory() *memory { return &memory{records: map[evidence.Key]evidence.Record{}} }

func (m *memory) breakDown(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

func (m *memory) Get(_ context.Context, k evidence.Key) (evidence.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[k]
	if !ok {
		return r, evidence.ErrNotFound
	}
	return r, nil
}

func (m *memory) List(_ context.Context, q evidence.Query) ([]evidence.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []evidence.Record
	for k, r := range m.records {
		if k.Kind == q.Kind && k.ID > q.After {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b evidence.Record) int { return strings.Compare(a.ID, b.ID) })
	return out[:min(len(out), q.Limit)], nil
}

func (m *memory) Count(context.Context, evidence.Query) (int64, error) { return 0, nil }

func (m *memory) Apply(_ context.Context, b evidence.Batch) ([]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return nil, m.broken
	}
	var versions []int64
	for _, p := range b.Puts {
		k := evidence.Key{Kind: p.Record.Kind, ID: p.Record.ID}
		if p.Expect != evidence.AnyVersion && m.records[k].Version != p.Expect {
			return nil, evidence.ErrVersion
		}
		p.Record.Version = m.records[k].Version + 1
		m.records[k] = p.Record
		versions = append(versions, p.Record.Version)
	}
	for _, k := range b.Deletes {
		delete(m.records, k)
	}
	return versions, nil
}

func (m *memory) Close() error { return nil }
