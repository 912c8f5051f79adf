// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "microstax/api/v1"
)

// world is a user's machine: a home of its own, a folder to stand in, and a local server that the first command starts.
type world struct {
	t              *testing.T
	home, dir, api string
	vars           []string
}

// newWorld makes a world. When the test ends the server is stopped, and nothing that it started may be left.
func newWorld(t *testing.T) *world {
	t.Helper()
	host, port := freeAddr(t)
	w := &world{t: t, home: t.TempDir(), dir: t.TempDir(), api: "http://" + net.JoinHostPort(host, port)}
	// Services inherit TMPDIR, and hand it on to what they start: it tells whose a process is.
	w.vars = []string{"MICROSTAX_HOME=" + w.home, "MICROSTAX_API_URL=" + w.api, "TMPDIR=" + w.home, "MICROSTAX_API_KEY="}
	t.Cleanup(func() {
		_, stderr, code := microstax(t, w.vars, w.dir, "server", "stop")
		if code != 0 {
			t.Errorf("server stop: exit code %d: %s", code, stderr)
		}
		for pid := range w.left() {
			syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // one that this test started
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(w.home, "server.log")) //nolint:errcheck // there may be none
			t.Logf("the server's log:\n%s", log)
		}
	})
	return w
}

// processes are the command lines of this world's processes whose command line has a text, by process id.
func (w *world) processes(text string) map[int]string {
	w.t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		w.t.Fatal(err)
	}
	found := map[int]string{}
	for _, d := range dirs {
		environ, err := os.ReadFile(d + "/environ")
		if err != nil || !slices.Contains(strings.Split(string(environ), "\x00"), "TMPDIR="+w.home) {
			continue // gone, not ours to read, or somebody else's
		}
		line, err := os.ReadFile(d + "/cmdline")
		if words := strings.ReplaceAll(string(line), "\x00", " "); err == nil && words != "" && strings.Contains(words, text) {
			var pid int
			fmt.Sscanf(filepath.Base(d), "%d", &pid) //nolint:errcheck // digits, by the pattern above
			found[pid] = words
		}
	}
	return found
}

// left fails the test when a stopped server has left processes, and returns them. The server has given its folder up, and
// may itself take a moment more to be gone.
func (w *world) left() map[int]string {
	w.t.Helper()
	var all map[int]string
	w.await("the server is gone", func() bool {
		all = w.processes("")
		return len(w.processes(binary+" serve")) == 0
	})
	if len(all) > 0 {
		maps.DeleteFunc(all, func(_ int, line string) bool { return strings.HasPrefix(line, binary+" serve") })
	}
	if len(all) > 0 {
		w.t.Errorf("%d processes are left: %v", len(all), all)
	}
	return all
}

// write writes a file, with $service in it standing for the service program, and returns its name.
func (w *world) write(name, text string) string {
	w.t.Helper()
	text = strings.ReplaceAll(text, "$service", service)
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return name
}

// run runs a command that has to succeed.
func (w *world) run(args ...string) string {
	w.t.Helper()
	stdout, stderr, code := microstax(w.t, w.vars, w.dir, args...)
	if code != 0 {
		w.t.Fatalf("microstax %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// refused runs a command that has to fail with an exit code, and returns what it says.
func (w *world) refused(want int, args ...string) string {
	w.t.Helper()
	stdout, stderr, code := microstax(w.t, w.vars, w.dir, args...)
	if code != want {
		w.t.Fatalf("microstax %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
	}
	return stderr
}

// baseline creates a baseline from a Blueprint.
func (w *world) baseline(text string) v1.Environment {
	w.t.Helper()
	return parse[v1.Environment](w.t, w.run("baseline", "create", "--file", w.write("baseline.yaml", text), "-o", "json"))
}

// overlay creates an overlay.
func (w *world) overlay(baseline, text string) v1.Environment {
	w.t.Helper()
	return parse[v1.Environment](w.t, w.run("overlay", "create", "--baseline", baseline, "--file", w.write("overlay.yaml", text), "-o", "json"))
}

// read gets a document of the API.
func read[T any](w *world, path string) T {
	w.t.Helper()
	var out struct {
		Data T `json:"data"`
	}
	status, body := w.get(path)
	if status != http.StatusOK {
		w.t.Fatalf("GET %s: %d\n%s", path, status, body)
	}
	if err := json.Unmarshal(body, &out); err != nil {
		w.t.Fatalf("GET %s: %v\n%s", path, err, body)
	}
	return out.Data
}

func (w *world) get(path string) (int, []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.api+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read below
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, body
}

func (w *world) status(ref string) v1.Status {
	w.t.Helper()
	return read[v1.Status](w, "/v1/environments/"+ref+"/status")
}

// await waits until something holds; what it was waiting for is in the message when it never does.
func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), patience) // cleaning up waits too
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("never: %s", what)
		}
	}
}

// report waits until every request of a session is accounted for, and returns the report.
func (w *world) report(ref string, received int) v1.Report {
	w.t.Helper()
	var r v1.Report
	w.await(fmt.Sprintf("%d requests in the report of %s", received, ref), func() bool {
		r = read[v1.Report](w, "/v1/environments/"+ref+"/diffs")
		return r.Traffic.Received >= int64(received) && r.Traffic.InFlight == 0
	})
	if r.Traffic.Received != int64(received) {
		w.t.Errorf("%d requests were received, and %d were sent", r.Traffic.Received, received)
	}
	sumsHold(w.t, r)
	return r
}

// pids are the process ids of an environment's own instances, by service and role.
func (w *world) pids(ref string) map[string]int {
	w.t.Helper()
	out := map[string]int{}
	s := w.status(ref)
	for _, svc := range s.Services {
		if svc.Provider != s.ID {
			continue
		}
		for _, i := range svc.Instances {
			out[svc.Name+"/"+i.Role] = i.PID
		}
	}
	return out
}

// answer is what the service program says of a request.
type answer struct {
	Service string   `json:"service"`
	Version string   `json:"version"`
	Key     string   `json:"key"`
	Baggage string   `json:"baggage"`
	Calls   []answer `json:"calls"`
	Error   string   `json:"error"`
}

// way is the way a request took: "front v1 > mid v1 > back v2".
func (a answer) way() string {
	parts := []string{strings.TrimSpace(a.Service + " " + a.Version + " " + a.Error)}
	for _, c := range a.Calls {
		parts = append(parts, c.way())
	}
	return strings.Join(parts, " > ")
}

// ask sends a request to the service program and returns its answer.
func ask(t *testing.T, method, url string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read below
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s: %s", method, url, resp.Status, body)
	}
	return parse[answer](t, string(body))
}

// stub starts the service program outside of any environment and returns its host:port.
func stub(t *testing.T, args ...string) string {
	t.Helper()
	host, port := freeAddr(t)
	start(t, []string{"HOST=" + host, "PORT=" + port}, service, args...)
	addr := net.JoinHostPort(host, port)
	waitHTTP(t, "http://"+addr+"/ready")
	return addr
}

// counts are the writes that came to a service program, by path.
func counts(t *testing.T, addr string) map[string]int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/counts", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read below
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return parse[map[string]int](t, string(body))
}
