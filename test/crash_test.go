// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	v1 "microstax/api/v1"
)

// serverState is what server status tells.
type serverState struct {
	State string `json:"state"`
	PID   int    `json:"pid"`
}

func (w *world) server() serverState {
	w.t.Helper()
	return parse[serverState](w.t, w.run("server", "status", "-o", "json"))
}

// pair is front → back, shadowed by another version of back.
func (w *world) pair() (shop, pr1 v1.Environment, url string) {
	w.t.Helper()
	shop = w.baseline(`
name: shop
services:
  front:
    command: [$service, -name, front, -forward, traceparent, -call, "GET ${services.back.url}"]
    expose: true
  back: {command: [$service, -name, back]}
`)
	pr1 = w.overlay("shop", "{name: pr-1, services: {back: {command: [$service, -name, back, -version, v2]}}}")
	w.run("env", "shadow", "pr-1", "--enable")
	return shop, pr1, endpoint(w.t, shop)
}

// traffic sends requests until stop is called, which returns how many were answered. Failures are passed over: the server
// is killed meanwhile. It returns after the first n answers.
func traffic(t *testing.T, url string, n int) (stop func() int) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	answered, begun, end := 0, make(chan struct{}), make(chan struct{})
	for c := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/item/%d", url, i), nil)
				if err != nil {
					return
				}
				req.Header.Set("Cookie", fmt.Sprintf("sid=c%d-%d", c, i))
				resp, err := client.Do(req)
				if err != nil {
					continue
				}
				resp.Body.Close() //nolint:errcheck // only its coming counts
				mu.Lock()
				if answered++; answered == n {
					close(begun)
				}
				mu.Unlock()
			}
		})
	}
	<-begun
	return func() int {
		close(end)
		wg.Wait()
		return answered
	}
}

func TestKilledServerLosesNothingThatItKnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, pr1, url := w.pair()
	for i := range 40 {
		send(t, "GET", fmt.Sprintf("%s/item/%d", url, i), "", "", "Cookie", fmt.Sprintf("sid=s%d", i))
	}
	before := w.report("pr-1", 40)
	if len(before.Findings) != 1 {
		t.Fatalf("findings %+v, want the version alone", before.Findings)
	}
	pids := map[string]map[string]int{"shop": w.pids("shop"), "pr-1": w.pids("pr-1")}
	server := w.server()

	stop := traffic(t, url, 20)
	if err := syscall.Kill(server.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	answered := 40 + stop()
	dead := pids["shop"]["back/primary"]
	if err := syscall.Kill(dead, syscall.SIGKILL); err != nil { // while nobody looks
		t.Fatal(err)
	}

	w.run("env", "list") // the next command starts the server again
	w.await("all is ready after the restart", func() bool {
		return w.status("shop").Status == "ready" && w.status("pr-1").Status == "ready" && w.pids("shop")["back/primary"] > 0
	})
	if now := w.server(); now.PID == server.PID || now.State != "ready" {
		t.Errorf("server %+v", now)
	}
	if now := endpoint(t, w.status("shop").Environment); now != url {
		t.Errorf("the gateway was at %s and is at %s", url, now)
	}
	if now := w.status("pr-1"); now.ID != pr1.ID || now.Shadow.SessionID != before.SessionID || !now.Shadow.Enabled {
		t.Errorf("environment %+v", now)
	}
	for env, was := range pids {
		now := w.pids(env)
		for name, pid := range was {
			if pid == dead {
				if now[name] == dead || now[name] == 0 {
					t.Errorf("%s of %s died, and its process is %d", name, env, now[name])
				}
				continue
			}
			if now[name] != pid {
				t.Errorf("%s of %s was process %d and is %d", name, env, pid, now[name])
			}
		}
	}
	w.sameEvidence(before, answered)
	w.run("env", "delete", "pr-1")
	w.run("env", "delete", "shop")
	if left := w.processes(service); len(left) > 0 {
		t.Errorf("left after everything was deleted: %v", left)
	}
}

// sameEvidence looks whether all that a report had is there, and whether evidence still comes in.
func (w *world) sameEvidence(before v1.Report, answered int) {
	w.t.Helper()
	url := endpoint(w.t, w.status("shop").Environment)
	after := w.settled("pr-1")
	if after.SessionID != before.SessionID || after.Traffic.Received < before.Traffic.Received || after.Traffic.Received > int64(answered+4) {
		w.t.Errorf("session %s with %d requests, was %s with %d; %d were answered", after.SessionID, after.Traffic.Received,
			before.SessionID, before.Traffic.Received, answered)
	}
	if len(after.Findings) != len(before.Findings) || after.Findings[0].ID != before.Findings[0].ID {
		w.t.Errorf("findings were %+v and are %+v", before.Findings, after.Findings)
	}
	kept := parse[[]v1.ObservationSummary](w.t, w.run("env", "observations", "pr-1", "--finding", before.Findings[0].ID, "-o", "json"))
	if len(kept) == 0 {
		w.t.Error("no observation was kept")
	}
	send(w.t, "GET", url+"/item/1", "", "")
	r := w.report("pr-1", int(after.Traffic.Received)+1)
	if r.Traffic.Compared != after.Traffic.Compared+1 {
		w.t.Errorf("%d compared after the restart, %d before", r.Traffic.Compared, after.Traffic.Compared)
	}
}

// settled waits until nothing is in flight.
func (w *world) settled(ref string) v1.Report {
	w.t.Helper()
	var r v1.Report
	w.await("nothing in flight in "+ref, func() bool {
		r = read[v1.Report](w, "/v1/environments/"+ref+"/diffs")
		return r.Traffic.InFlight == 0
	})
	sumsHold(w.t, r)
	return r
}

func TestServerStopAndStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop, _, url := w.pair()
	send(t, "GET", url+"/item/1", "", "")
	w.report("pr-1", 1)
	w.run("server", "stop")
	w.left()
	w.run("server", "start")
	w.await("environments are back", func() bool {
		return w.status("shop").Status == "ready" && w.status("pr-1").Status == "ready" && len(w.processes(service)) == 5
	})
	if now := endpoint(t, w.status("shop").Environment); now != endpoint(t, shop) {
		t.Errorf("the gateway was at %s and is at %s", url, now)
	}
	if way := ask(t, "GET", url+"/item/2", "X-Msx-Env", "pr-1").way(); way != "front v1 > back v2" {
		t.Errorf("routed %s", way)
	}
	ask(t, "GET", url+"/item/2")
	w.report("pr-1", 2) // the routed request is not the baseline's, and not mirrored
}

func TestStopAndResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, url := w.pair()
	w.run("env", "stop", "pr-1")
	if left := w.processes("v2"); len(left) > 0 {
		t.Errorf("left after env stop: %v", left)
	}
	if way := ask(t, "GET", url+"/a").way(); way != "front v1 > back v1" {
		t.Errorf("the baseline answers %s", way)
	}
	w.run("env", "resume", "pr-1")
	if way := ask(t, "GET", url+"/a", "X-Msx-Env", "pr-1").way(); way != "front v1 > back v2" {
		t.Errorf("routed %s", way)
	}
}

func TestInterruptedServeStopsItsProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := start(t, w.vars, binary, "serve")
	waitHTTP(t, w.api+"/readyz")
	w.baseline(`
name: shop
services:
  single: {command: [$service, -name, single], expose: true}
  parent: {command: [$service, -name, parent, -children, "3"], expose: true}
`)
	if n := len(w.processes("")); n != 6 { // the server, two services, three children
		t.Errorf("%d processes: %v", n, w.processes(""))
	}
	if code := p.interrupt(t); code != 0 {
		t.Errorf("exit code %d: %s", code, p.err.String())
	}
	w.left()
}

func TestDeleteEndsWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("env", "create", "--file", w.write("env.yaml", `
name: unruly
services:
  stubborn: {command: [$service, -name, stubborn, -ignore-term], expose: true}
  parent: {command: [$service, -name, parent, -children, "3"], expose: true}
`))
	if n := len(w.processes("sleep")); n != 3 {
		t.Errorf("%d children", n)
	}
	w.run("env", "delete", "unruly")
	if left := slices.Collect(maps.Values(w.processes(""))); len(left) != 1 {
		t.Errorf("left beside the server: %v", left)
	}
}

func TestSlowStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("slow.yaml", `
name: slow
services:
  late: {command: [$service, -name, late, -start-after, open], expose: true}
  after: {command: [$service, -name, after], dependsOn: [late], expose: true}
`)
	w.run("env", "create", "--file", "slow.yaml", "--no-wait")
	w.await("late starts", func() bool { return len(w.processes("-start-after")) == 1 })
	if s := w.status("slow"); s.Status != "provisioning" {
		t.Errorf("status %s while it starts", s.Status)
	}
	if n := len(w.processes("-name after")); n != 0 {
		t.Error("what depends on it has started before it")
	}
	w.write("open", "")
	w.await("the environment is ready", func() bool { return w.status("slow").Status == "ready" })
	if n := len(w.processes("-name after")); n != 1 {
		t.Errorf("%d processes of what depends on it", n)
	}
}

func TestPortOfTheServerIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	addr := stub(t, "-name", "squatter")
	_, stderr, code := microstax(t, w.vars, w.dir, "serve", "--listen", addr)
	want := "microstax: start server: " + addr + " is taken\n" +
		"hint: another server may run there already: microstax server status; or choose another address with --listen\n"
	if code != 1 || stderr != want {
		t.Errorf("exit code %d, said\n%s", code, stderr)
	}
	cmd := exec.CommandContext(t.Context(), binary, "env", "list")
	cmd.Env = append(os.Environ(), append(w.vars, "MICROSTAX_API_URL=http://"+addr)...) //nolint:forbidigo // the child's environment
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("what is no MicroStax was taken for one: %s", strconv.Quote(string(out)))
	} else {
		t.Logf("%s", out)
	}
}

func TestGatewayPortIsTakenMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, url := w.pair()
	w.run("server", "stop")
	host := strings.TrimPrefix(url, "http://")
	var lc net.ListenConfig
	squatter, err := lc.Listen(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	w.run("server", "start")
	_, port, _ := net.SplitHostPort(host)
	w.await("the taken port is told", func() bool {
		s := w.status("shop")
		return s.Status == "degraded" && strings.Contains(s.Reason, port) && strings.Contains(s.Reason, "address already in use")
	})
	if err := squatter.Close(); err != nil {
		t.Fatal(err)
	}
	w.await("the gateway is back", func() bool { return w.status("shop").Status == "ready" })
	if way := ask(t, "GET", url+"/a").way(); way != "front v1 > back v1" {
		t.Errorf("the gateway leads to %s", way)
	}
}
