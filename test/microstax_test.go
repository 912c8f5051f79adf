// SPDX-License-Identifier: Apache-2.0

// Package test drives the program from outside, as a user does: the built binary, real services, real processes.
package test

import (
	"bytes"
	"context"
	"encoding/json"
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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	v1 "microstax/api/v1"
)

// binary is the program under test, and service the program that stands for users' services; built once.
var binary, service string //nolint:gochecknoglobals // set once by TestMain

func TestMain(m *testing.M) {
	os.Exit(run(m)) //nolint:forbidigo // the end of a test binary
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "microstax-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	binary, service = filepath.Join(dir, "microstax"), filepath.Join(dir, "service")
	build := exec.Command("go", "build", "-o", dir, "microstax/cmd/microstax", "microstax/test/service") //nolint:noctx // bounded by the test's timeout
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// installed builds a program from the module proxy and returns its path.
func installed(t *testing.T, module, version string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "install", module+"@"+version)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=") //nolint:forbidigo // a tool run by a test
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("install %s@%s: %v\n%s", module, version, err, out)
	}
	return filepath.Join(dir, filepath.Base(module))
}

// nextPort is the port to try next: below the range from which systems take those of outgoing connections, so that
// nobody takes one between the choice and its use.
var nextPort atomic.Int64 //nolint:gochecknoglobals // one for the process

// freeAddr is a loopback address that nobody listens on.
func freeAddr(t *testing.T) (host, port string) {
	t.Helper()
	const first, ports = 10_000, 9_000
	nextPort.CompareAndSwap(0, int64(os.Getpid())*97)
	var lc net.ListenConfig
	for range ports {
		port := strconv.FormatInt(first+nextPort.Add(1)%ports, 10)
		ln, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		ln.Close() //nolint:errcheck,gosec // only its number was wanted
		return "127.0.0.1", port
	}
	t.Fatal("no port is free")
	return "", ""
}

// program is a running process of a test.
type program struct {
	cmd    *exec.Cmd
	out    bytes.Buffer
	err    bytes.Buffer
	exited chan struct{}
}

// start starts a program that is ended with the test.
func start(t *testing.T, env []string, name string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(name, args...), exited: make(chan struct{})} //nolint:noctx // ended below
	p.cmd.Env = append(os.Environ(), env...)                                     //nolint:forbidigo // the child's environment
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait() //nolint:errcheck // looked at by those who care
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill() //nolint:errcheck // it may be gone
		<-p.exited
	})
	return p
}

// interrupt is Ctrl-C; it returns the exit code.
func (p *program) interrupt(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("did not end after Ctrl-C; said %s", p.err.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// waitHTTP waits until an address answers.
func waitHTTP(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close() //nolint:errcheck // only its coming counts
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s does not answer: %v", url, err)
		}
	}
}

// client follows no redirect: a redirect is an answer to compare.
var client = &http.Client{ //nolint:gochecknoglobals // shared connections
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       patience,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true},
}

// microstax runs the program to its end, and returns what it wrote and its exit code.
func microstax(t *testing.T, env []string, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*patience) // cleaning up runs it too
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), env...) //nolint:forbidigo // the child's environment
	cmd.Dir = dir
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("microstax %s: %v\n%s", strings.Join(args, " "), err, errOut.String())
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// parse reads a document.
func parse[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not the document that was expected: %v\n%s", err, text)
	}
	return v
}

// send sends a request, reads the answer whole, and returns its status.
func send(t *testing.T, method, url, contentType, body string, header ...string) int {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Errorf("%s %s: %v", method, url, err)
		return 0
	}
	defer resp.Body.Close() //nolint:errcheck // read below
	_, err = io.Copy(io.Discard, resp.Body)
	if err != nil {
		t.Errorf("%s %s: %v", method, url, err)
	}
	return resp.StatusCode
}

// sumsHold fails the test when requests are unaccounted for.
func sumsHold(t *testing.T, r v1.Report) {
	t.Helper()
	sum := r.Traffic.Compared + r.Traffic.InFlight
	for _, n := range r.Traffic.Dropped {
		sum += n
	}
	if sum != r.Traffic.Received {
		t.Errorf("received %d, but %d are accounted for: %+v", r.Traffic.Received, sum, r.Traffic)
	}
}
