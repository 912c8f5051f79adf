// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "microstax/api/v1"
)

// newFleet is a world whose server has its data plane outside.
func newFleet(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.vars = append(w.vars, "MICROSTAX_DATAPLANE=external")
	w.run("server", "start")
	return w
}

// gateway is a running gateway process.
type gateway struct {
	*program
	admin string
}

// gateway starts one, in a folder that it finds again when it is started a second time.
func (w *world) gateway(name string, flags ...string) *gateway {
	w.t.Helper()
	host, port := freeAddr(w.t)
	g := &gateway{admin: "http://" + net.JoinHostPort(host, port)}
	args := append([]string{
		"gateway", "--name", name, "--spool", filepath.Join(w.home, "gateways", name), "--admin", net.JoinHostPort(host, port),
	}, flags...)
	g.program = start(w.t, w.vars, binary, args...)
	w.t.Cleanup(func() {
		if w.t.Failed() {
			g.cmd.Process.Kill() //nolint:errcheck // it may be gone
			<-g.exited           // its output is whole now
			w.t.Logf("gateway %s said:\n%s", name, g.err.String())
		}
	})
	return g
}

// gateways are those that the server knows, by name.
func (w *world) gateways() map[string]v1.Gateway {
	w.t.Helper()
	out := map[string]v1.Gateway{}
	for _, g := range parse[[]v1.Gateway](w.t, w.run("gateway", "list", "-o", "json")) {
		out[g.Name] = g
	}
	return out
}

// ready says whether an address answers 200.
func ready(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close() //nolint:errcheck // its status counts
	return resp.StatusCode == http.StatusOK
}

// load sends requests all the time, and counts those that were answered well and those that were not.
type load struct {
	end      chan struct{}
	wg       sync.WaitGroup
	mu       sync.Mutex
	answered int
	failed   []string
	moved    chan struct{}
}

func newLoad(t *testing.T, url string) *load {
	t.Helper()
	l := &load{end: make(chan struct{}), moved: make(chan struct{})}
	for c := range 4 {
		l.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.end:
					return
				default:
					l.note(l.send(t.Context(), fmt.Sprintf("%s/item/%d", url, i), fmt.Sprintf("sid=c%d-%d", c, i)))
				}
			}
		})
	}
	return l
}

func (l *load) send(ctx context.Context, url, cookie string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Cookie", cookie)
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	resp.Body.Close() //nolint:errcheck // its status counts
	if resp.StatusCode != http.StatusOK {
		return resp.Status
	}
	return ""
}

func (l *load) note(failure string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if failure == "" {
		l.answered++
	} else if len(l.failed) < 20 {
		l.failed = append(l.failed, failure)
	}
	close(l.moved)
	l.moved = make(chan struct{})
}

// more waits until n further requests were answered.
func (l *load) more(t *testing.T, n int) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	from := -1
	for {
		l.mu.Lock()
		now, moved := l.answered, l.moved
		l.mu.Unlock()
		if from < 0 {
			from = now
		}
		if now >= from+n {
			return
		}
		select {
		case <-moved:
		case <-limit.C:
			t.Fatalf("%d more requests were answered, not %d", now-from, n)
		}
	}
}

// stop ends the load and returns how many were answered; none may have failed.
func (l *load) stop(t *testing.T) int {
	t.Helper()
	close(l.end)
	l.wg.Wait()
	if len(l.failed) > 0 {
		t.Errorf("requests failed: %v", l.failed)
	}
	return l.answered
}

// served waits until the environments are ready and the gateway serves the routes in force.
func (w *world) served(gateways ...string) {
	w.t.Helper()
	w.await("everything is ready and served", func() bool {
		all := w.gateways()
		for _, name := range gateways {
			if g := all[name]; g.State != "connected" || g.Behind > 0 {
				return false
			}
		}
		return w.status("shop").Status == "ready" && w.status("pr-1").Status == "ready"
	})
}

// nothingLost looks whether all that was sent is accounted for, and nothing of it lost.
func (w *world) nothingLost(sent int) {
	w.t.Helper()
	r := w.report("pr-1", sent)
	if r.Traffic.Compared != int64(sent) {
		w.t.Errorf("%d of %d requests were compared; dropped: %v", r.Traffic.Compared, sent, r.Traffic.Dropped)
	}
}

func TestGatewayServesWithoutItsServer(t *testing.T) {
	t.Parallel()
	w := newFleet(t)
	g := w.gateway("one")
	_, _, url := w.pair()

	l := newLoad(t, url)
	l.more(t, 100)
	kill(t, w.server().PID)
	l.more(t, 200)                                                  // nobody notices
	if stdout := w.run("env", "list", "-o", "json"); stdout == "" { // the next command starts the server again
		t.Error("no environments")
	}
	w.served("one")
	l.more(t, 100)
	sent := l.stop(t)
	w.nothingLost(sent)

	kill(t, w.server().PID)
	kill(t, g.cmd.Process.Pid)
	<-g.exited
	g = w.gateway("one") // with nobody to ask
	w.await("the gateway serves what it served before", func() bool { return ready(t.Context(), g.admin+"/readyz") })
	l = newLoad(t, url)
	l.more(t, 200)
	sent += l.stop(t)
	w.run("env", "list")
	w.served("one")
	w.nothingLost(sent)

	if code := g.terminate(t); code != 0 {
		t.Errorf("the gateway ended with exit code %d", code)
	}
	w.await("the server knows that the gateway stopped", func() bool { return w.gateways()["one"].State == "stopped" })
	if s := w.status("shop"); s.Status != "degraded" {
		t.Errorf("without a gateway the environment is %s", s.Status)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// terminate asks a program to end in order, and returns its exit code.
func (p *program) terminate(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("did not end after SIGTERM; said %s", p.err.String())
	}
	return p.cmd.ProcessState.ExitCode()
}
