// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/client"
)

// world is a server with a baseline of three services (front calls orders, orders calls stock) and an overlay of orders
// that is shadowed, with a control.
type world struct {
	t       *testing.T
	dir     string // holds everything, the service program included: it tells whose a process is
	data    string
	bin     string
	first   int // of its ports
	vars    []string
	api     *client.Client
	url     string // of the API
	server  *server
	base    v1.Environment
	over    v1.Environment
	orders  string // gateway, host:port
	front   string // likewise
	journal string
}

// server is one life of the server's process.
type server struct {
	cmd    *exec.Cmd
	log    lockedBuffer
	exited chan struct{}
}

// lockedBuffer is written by the server's output and read by whoever explains a failure.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Ports of worlds: below those that the kernel gives to clients, that servers use by default, and that other tests take.
const (
	firstPort     = 2_000
	portsPerWorld = 110
	worldsAtMost  = 70
)

// options of a world.
type options struct {
	vars    []string // of the server's environment
	data    string   // data directory; default: within the world's folder
	timeout string   // of shadows; default 1s
	bare    bool     // no environments
}

// newWorld starts everything, and waits until the shadows are ready. At the end of the test the server is stopped, and no
// process may be left.
func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{t: t, dir: memory(t)}
	w.bin = filepath.Join(w.dir, "faultsvc")
	if err := copyProgram(programs.service, w.bin); err != nil {
		t.Fatal(err)
	}
	w.data, w.journal = filepath.Join(w.dir, "data"), filepath.Join(w.dir, "journal")
	if o.data != "" {
		w.data = o.data
	}
	api := w.ports()
	w.url = "http://127.0.0.1:" + strconv.Itoa(api)
	w.vars = append([]string{
		"MICROSTAX_HOME=" + filepath.Join(w.dir, "home"), "MICROSTAX_API_KEY=", "MICROSTAX_API_URL=" + w.url,
		fmt.Sprintf("MICROSTAX_PORTS=%d-%d", w.first, w.first+portsPerWorld-2), "MICROSTAX_LIMIT_DRAIN_TIMEOUT=2s",
	}, o.vars...)
	var err error
	if w.api, err = client.New(client.Options{URL: w.url}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.end)
	w.serve()
	if !o.bare {
		w.populate(cmp.Or(o.timeout, "1s"))
	}
	return w
}

// ports chooses a range of ports and returns its last, which is the API's, and free.
func (w *world) ports() int {
	w.t.Helper()
	for range worldsAtMost {
		offset := int(worlds.Add(1)) + os.Getpid()
		w.first = firstPort + offset%worldsAtMost*portsPerWorld
		last := w.first + portsPerWorld - 1
		var lc net.ListenConfig
		if ln, err := lc.Listen(w.t.Context(), "tcp", "127.0.0.1:"+strconv.Itoa(last)); err == nil {
			ln.Close() //nolint:errcheck // only its number was wanted
			return last
		}
	}
	w.t.Fatal("no ports are free")
	return 0
}

// memory is a folder of the test's own, in memory where there is such a place: how fast the disk is, and who else uses it,
// is nothing that these tests are about.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "microstax-faults-") //nolint:usetesting // in memory, so that the disk of the machine does not decide
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// copyProgram gives a world a program file of its own, by which its processes are known.
func copyProgram(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o700) //nolint:gosec // a program
}

// serve starts the server and waits until it is ready.
func (w *world) serve() {
	w.t.Helper()
	s := &server{exited: make(chan struct{})}
	s.cmd = exec.Command(programs.microstax, "serve", "--data-dir", w.data, //nolint:noctx // ended by end
		"--listen", strings.TrimPrefix(w.url, "http://"))
	s.cmd.Env = append(os.Environ(), w.vars...) //nolint:forbidigo // the child's environment
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.server = s
	go func() {
		s.cmd.Wait() //nolint:errcheck // its end is what counts
		close(s.exited)
	}()
	w.await("the server is ready", func() error {
		select {
		case <-s.exited:
			return fmt.Errorf("it ended: %s", s.log.String())
		default:
		}
		return w.api.Ready(w.t.Context())
	})
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// kill ends the server without a word.
func (w *world) kill() {
	w.t.Helper()
	w.signal(w.server.pid(), syscall.SIGKILL)
	<-w.server.exited
}

// stop ends the server politely.
func (w *world) stop() {
	w.t.Helper()
	w.signal(w.server.pid(), syscall.SIGTERM)
	select {
	case <-w.server.exited:
	case <-time.After(patience):
		w.t.Errorf("the server does not stop; it said\n%s", w.server.log.String())
		w.signal(w.server.pid(), syscall.SIGQUIT)
		<-w.server.exited
		w.t.Logf("its goroutines:\n%s", w.server.log.String())
	}
}

func (w *world) signal(pid int, sig syscall.Signal) {
	w.t.Helper()
	if pid <= 1 {
		w.t.Fatalf("no process %d", pid)
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		w.t.Fatalf("signal %s to %d: %v", sig, pid, err)
	}
}

// end stops the server, and looks for what it left.
func (w *world) end() {
	defer w.api.Close()
	if w.server == nil {
		return
	}
	select {
	case <-w.server.exited:
	default:
		w.stop()
	}
	if code := w.server.cmd.ProcessState.ExitCode(); code != 0 {
		w.t.Errorf("the server ended with status %d", code)
	}
	for _, pid := range w.processes() {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) //nolint:errcheck // for the message only
		w.t.Errorf("process %d is left: %q", pid, line)
		w.signal(pid, syscall.SIGKILL)
	}
	if w.t.Failed() {
		said := w.server.log.String()
		w.t.Logf("the server's log:\n%s", said[max(0, len(said)-6000):])
	}
}

// processes are the service processes of this world that run, whoever their parent is.
func (w *world) processes() []int {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		w.t.Fatal(err)
	}
	var pids []int
	for _, d := range dirs {
		exe, err := os.Readlink(d + "/exe")
		if err != nil || !strings.HasPrefix(exe, w.dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(d)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// populate creates both environments and switches shadowing on.
func (w *world) populate(timeout string) {
	w.t.Helper()
	probe := "probes: {readiness: {http: /ready, period: 100ms, timeout: 1s}}"
	base := fmt.Sprintf(`name: shop
services:
  stock: {command: [%[1]s, -name, stock, -journal, %[2]s], %[3]s}
  orders: {command: [%[1]s, -name, orders, -next, "${services.stock.url}"], dependsOn: [stock], expose: true, %[3]s}
  front: {command: [%[1]s, -name, front, -next, "${services.orders.url}"], dependsOn: [orders], expose: true, %[3]s}
`, w.bin, w.journal, probe)
	over := fmt.Sprintf(`name: next
services:
  orders:
    command: [%s, -name, orders, -version, v2, -next, "${services.stock.url}"]
    shadow: {session: ["header:x-user"], concurrency: 16, timeout: %s}
`, w.bin, timeout)
	ctx := w.t.Context()
	var err error
	if w.base, err = w.api.CreateBaseline(ctx, v1.CreateEnvironment{Blueprint: base, BaseDir: w.dir}); err != nil {
		w.t.Fatal(err)
	}
	w.base = w.ready(w.base.ID)
	if w.over, err = w.api.CreateOverlay(ctx, w.base.ID, v1.CreateEnvironment{Blueprint: over, BaseDir: w.dir}); err != nil {
		w.t.Fatal(err)
	}
	w.over = w.ready(w.over.ID)
	on := true
	if _, err := w.api.PatchShadow(ctx, w.over.ID, v1.ShadowPatch{Enabled: &on}); err != nil {
		w.t.Fatal(err)
	}
	for _, e := range w.base.Endpoints {
		switch addr := strings.TrimPrefix(e.URL, "http://"); e.Service {
		case "orders":
			w.orders = addr
		case "front":
			w.front = addr
		}
	}
}

// ready waits until an environment is.
func (w *world) ready(id string) v1.Environment {
	w.t.Helper()
	var env v1.Environment
	w.await(id+" is ready", func() (err error) {
		if env, err = w.api.Environment(w.t.Context(), id); err != nil {
			return err
		}
		if env.Status != "ready" {
			return fmt.Errorf("it is %s: %s", env.Status, env.Reason)
		}
		return nil
	})
	return env
}

// await waits until holds says nothing against it.
func (w *world) await(what string, holds func() error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
	}
}

// instance finds the running copy of a service.
func (w *world) instance(env, service, role string) (v1.Instance, error) {
	st, err := w.api.Status(w.t.Context(), env)
	if err != nil {
		return v1.Instance{}, err
	}
	for _, s := range st.Services {
		for _, i := range s.Instances {
			if s.Name == service && i.Role == role {
				return i, nil
			}
		}
	}
	return v1.Instance{}, fmt.Errorf("%s has no %s of %s", env, role, service)
}

// pid is the process of an instance that must be there.
func (w *world) pid(env, service, role string) int {
	w.t.Helper()
	i, err := w.instance(env, service, role)
	if err != nil || i.PID == 0 {
		w.t.Fatalf("no process: %+v, %v", i, err)
	}
	return i.PID
}

// another waits until an instance runs as another process than was, and is ready.
func (w *world) another(env, service, role string, was int) {
	w.t.Helper()
	w.await(fmt.Sprintf("%s's %s is started again", service, role), func() error {
		i, err := w.instance(env, service, role)
		if err != nil {
			return err
		}
		if i.PID == was || i.PID == 0 || i.State != "ready" {
			return fmt.Errorf("it is %+v", i)
		}
		return nil
	})
}

// direct asks an instance itself, past the data plane.
func (w *world) direct(env, service, role, path string) string {
	w.t.Helper()
	i, err := w.instance(env, service, role)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.get("http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(i.Port)) + path)
}

func (w *world) get(url string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read below
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: %d %s %v", url, resp.StatusCode, body, err)
	}
	return string(body)
}
