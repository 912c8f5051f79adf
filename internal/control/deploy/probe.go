// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"microstax/internal/blueprint"
)

// Check is one look at an instance, ready to be done. With none of HTTP, TCP and Exec there is nothing to look at.
type Check struct {
	HTTP  string // path
	HTTP2 bool   // HTTP is asked for in HTTP/2: the instance may speak nothing else
	TCP   bool
	Exec  []string
	Addr  string            // host:port of the instance
	Dir   string            // where Exec runs
	Env   map[string]string // what Exec gets
}

// Prober looks whether an instance is well. Methods may be called concurrently; ctx bounds the look.
type Prober interface {
	Probe(ctx context.Context, c Check) error
}

// NewProber makes real requests, connections and commands.
func NewProber() Prober {
	client := func(p *http.Protocols) *http.Client {
		return &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil, Protocols: p},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	first, second := &http.Protocols{}, &http.Protocols{}
	first.SetHTTP1(true)
	second.SetUnencryptedHTTP2(true)
	return prober{first: client(first), second: client(second)}
}

// prober has a client for each version of HTTP.
type prober struct{ first, second *http.Client }

// Probe does the check that is set.
func (p prober) Probe(ctx context.Context, c Check) error {
	switch {
	case c.HTTP != "":
		client := p.first
		if c.HTTP2 {
			client = p.second
		}
		return get(ctx, client, "http://"+c.Addr+"/"+strings.TrimPrefix(c.HTTP, "/"))
	case c.TCP:
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.Addr)
		if err != nil {
			if errors.Is(err, syscall.ECONNREFUSED) {
				return fmt.Errorf("nothing listens on %s: let it listen on PORT, or on ${self.port}", c.Addr)
			}
			return fmt.Errorf("connect: %w", err)
		}
		return conn.Close()
	case len(c.Exec) > 0:
		return command(ctx, c)
	}
	return nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("User-Agent", "microstax-probe")
	resp, err := client.Do(req)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("nothing listens on %s: let it listen on PORT, or on ${self.port}", req.URL.Host)
		}
		return fmt.Errorf("probe: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // what an answer says does not matter
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}

// command runs a probe's command; its exit status is the answer.
func command(ctx context.Context, c Check) error {
	cmd := exec.CommandContext(ctx, c.Exec[0], c.Exec[1:]...) //nolint:gosec // the user's own command, as the service's is
	cmd.Dir = c.Dir
	cmd.WaitDelay = time.Second // a grandchild that keeps the pipe open must not keep the probe
	for _, entry := range cmd.Environ() {
		if name, _, _ := strings.Cut(entry, "="); slices.Contains(inherited(), name) {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	for k, v := range c.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &limited{w: &out, left: 1 << 10}, &limited{w: &out, left: 1 << 10}
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("run %s: %w", c.Exec[0], ctx.Err())
	}
	if err != nil {
		if text := strings.TrimSpace(out.String()); text != "" {
			return fmt.Errorf("run %s: %w: %s", c.Exec[0], err, text)
		}
		return fmt.Errorf("run %s: %w", c.Exec[0], err)
	}
	return nil
}

// inherited are the server's variables that a probe's command gets too. The rest may hold secrets.
func inherited() []string { return []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "PWD"} }

// limited passes on the first bytes and swallows the rest.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	if _, err := l.w.Write(b[:n]); err != nil {
		return 0, err //nolint:wrapcheck // a writer passes errors on as they are
	}
	return len(b), nil
}

// describe names a probe for people.
func describe(p blueprint.Probe) string {
	switch {
	case p.HTTP != "":
		return "GET " + p.HTTP
	case p.TCP:
		return "connecting to its port"
	case len(p.Exec) > 0:
		return "running " + strings.Join(p.Exec, " ")
	}
	return "nothing to check"
}

// why is a probe's error for people: a deadline is said as such.
func why(err error, timeout time.Duration) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + timeout.String()
	}
	return err.Error()
}
