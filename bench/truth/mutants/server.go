// SPDX-License-Identifier: Apache-2.0

package mutants

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"microstax/internal/client"
)

// startWithin bounds the server's start, and stopWithin its end.
const startWithin, stopWithin = 60 * time.Second, 30 * time.Second

// build builds the program.
func build(ctx context.Context, path string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "microstax/cmd/microstax").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build microstax: %w: %s", err, out)
	}
	return nil
}

// server is a running microstax server and a client of it.
type server struct {
	binary, dir string
	client      *client.Client
	cmd         *exec.Cmd
	exited      chan error

	mu  sync.Mutex // guards what follows
	out io.Writer
}

// serve starts a server with a home of its own.
func serve(ctx context.Context, dir string, o Options) (*server, error) {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Ports[0]))
	c, err := client.New(client.Options{URL: "http://" + addr, User: "mutants", NewKey: rand.Text})
	if err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	if taken := c.Ready(ctx); taken == nil {
		return nil, fmt.Errorf("start server: somebody answers at %s", addr)
	}
	log, err := os.Create(filepath.Join(dir, "server.log")) //nolint:gosec // a folder of our own
	if err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	defer log.Close() //nolint:errcheck // the server has its own
	s := &server{binary: o.Binary, dir: dir, client: c, exited: make(chan error, 1), out: o.Log}
	s.cmd = exec.Command(o.Binary, "serve", "--listen", addr, "--data-dir", filepath.Join(dir, "data")) //nolint:noctx // ended by stop
	s.cmd.Env = append(os.Environ(), "MICROSTAX_HOME="+dir, "MICROSTAX_API_KEY=", "MICROSTAX_LOG=warn",
		fmt.Sprintf("MICROSTAX_PORTS=%d-%d", o.Ports[0]+1, o.Ports[1]))
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	go func() { s.exited <- s.cmd.Wait() }()
	if err := until(ctx, startWithin, func() (bool, error) { return c.Ready(ctx) == nil, nil }); err != nil {
		text, _ := os.ReadFile(log.Name()) //nolint:errcheck // it may say why
		return nil, errors.Join(fmt.Errorf("start server: %w: %s", err, text), s.stop())
	}
	return s, nil
}

// stop ends the server, and with it what it runs.
func (s *server) stop() error {
	defer s.client.Close()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop server: %w", err)
	}
	t := time.NewTimer(stopWithin)
	defer t.Stop()
	select {
	case err := <-s.exited:
		if err != nil {
			return fmt.Errorf("stop server: %w", err)
		}
		return nil
	case <-t.C:
		return errors.Join(errors.New("stop server: it does not end"), s.cmd.Process.Kill(), <-s.exited)
	}
}

// say writes progress; lanes take turns.
func (s *server) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format, args...) //nolint:errcheck // progress
}

// until asks again and again until something is so.
func until(ctx context.Context, within time.Duration, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := so(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// get reads a URL.
func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s: %s", url, resp.Status)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	return b, nil
}
