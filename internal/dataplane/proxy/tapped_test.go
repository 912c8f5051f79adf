// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/passive"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/dataplane/route"
	"microstax/internal/fault"
	"microstax/internal/observation"
)

// mayTap skips a test where packets can't be seen.
func mayTap(t *testing.T) {
	t.Helper()
	tap, err := passive.Open(passive.Options{Spec: passive.Spec{Interface: "lo", Port: 1}, Watcher: nobody{}})
	if fault.KindOf(err) == fault.Unavailable {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	tap.Close()
}

type nobody struct{ passive.Watcher }

func (nobody) Counted(observation.Capture) {}

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "%s %s %d\n", r.Method, r.URL.Path, len(body))
	w.Write(body)
}

// tapTable is a table with one tap.
func tapTable(at, candidate, control string, s blueprint.Shadow) *route.Table {
	table := proxytest.Mirrored(at, "", candidate, control, s)
	table.Listeners[0].Kind = route.Tapped
	table.Listeners[0].Default.Addrs = nil
	return table
}

func serverAt(t *testing.T, addr string, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	if addr != "" {
		var lc net.ListenConfig
		ln, err := lc.Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		s.Listener.Close()
		s.Listener = ln
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func portOf(t *testing.T, addr string) uint16 {
	t.Helper()
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port()
}

// sums checks that every request received was observed or dropped for a reason.
func sums(t *testing.T, c *proxytest.Collector, received int64) {
	t.Helper()
	n := int64(len(c.Observations()))
	for _, d := range c.Dropped() {
		n += d
	}
	if c.Received() != received || n != received {
		t.Errorf("%d received, want %d; %d observed or dropped: %v", c.Received(), received, n, c.Dropped())
	}
}

// TestTapOnLoopback takes copies of what many clients do at once.
func TestTapOnLoopback(t *testing.T) {
	t.Parallel()
	mayTap(t)
	primary := serverAt(t, "", echo)
	other := serverAt(t, "", echo)
	c := proxytest.NewCollector()
	limits := proxy.Limits{RingSize: 1 << 16, Tap: passive.Limits{Ring: 128 << 20}}
	p := proxytest.Start(t, c, false, limits, tapTable(fmt.Sprintf("lo:%d", portOf(t, primary)), other, other, blueprint.Shadow{}))
	const clients, each = 16, 60
	big := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			for n := range each {
				var body io.Reader
				method := []string{"GET", "POST", "HEAD", "PUT"}[n%4]
				switch {
				case method == "PUT" && n == 3:
					body = bytes.NewReader(big)
				case method == "PUT": // in chunks
					body = io.MultiReader(strings.NewReader("some"), strings.NewReader("more"))
				case method == "POST":
					body = strings.NewReader("few")
				}
				req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://%s/c%d/%d", primary, i, n), body)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := (&http.Client{Transport: tr}).Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	pipeline(t, primary, 20)
	const all = clients*each + 20
	c.Until(t, func() bool { return c.Received() >= all || c.Capture().PacketsLost > 0 })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for _, o := range c.Observations() {
		if o.Alike {
			continue
		}
		b := o.Baseline
		if want := fmt.Sprintf("%s %s %d\n", b.Request.Method, b.Request.Target, b.Request.Body.Length); b.Request.Method != "HEAD" &&
			(!bytes.HasPrefix(b.Response.Body.Data, []byte(want)) || o.Candidate.Response.Status != 200) {
			t.Errorf("%s %s: %q", b.Request.Method, b.Request.Target, b.Response.Body.Data[:min(40, len(b.Response.Body.Data))])
		}
	}
	if got := c.Capture(); got.PacketsLost > 0 {
		t.Skipf("this machine was too busy to keep up: %+v", got)
	}
	sums(t, c, all)
	if got := c.Capture(); got.Seen != all || got.Missed != 0 || got.Connections < clients+1 {
		t.Errorf("%+v", got)
	}
}

// TestTapOnOldConnections follows connections that are older than the tap: one that rests, and one that is in the middle of
// an answer.
func TestTapOnOldConnections(t *testing.T) {
	t.Parallel()
	mayTap(t)
	var half, rest sync.WaitGroup
	half.Add(1)
	rest.Add(1)
	primary := serverAt(t, "", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "12345")
			w.(http.Flusher).Flush() //nolint:errcheck,forcetypeassert // it is one
			half.Done()
			rest.Wait()
			io.WriteString(w, "67890")
			return
		}
		echo(w, r)
	})
	other := serverAt(t, "", echo)
	dial := func() (net.Conn, *bufio.Reader) {
		var d net.Dialer
		nc, err := d.DialContext(t.Context(), "tcp", primary)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc, bufio.NewReader(nc)
	}
	ask := func(nc net.Conn, rd *bufio.Reader, path string) {
		if path != "" {
			fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		}
		resp, err := http.ReadResponse(rd, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	idle, idleRd := dial()
	ask(idle, idleRd, "/before")
	busy, busyRd := dial()
	fmt.Fprint(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	half.Wait()
	c := proxytest.NewCollector()
	p := proxytest.Start(t, c, false, proxy.Limits{}, tapTable(fmt.Sprintf("lo:%d", portOf(t, primary)), other, "", blueprint.Shadow{}))
	rest.Done()
	ask(busy, busyRd, "")
	const n = 10
	for i := range n {
		ask(idle, idleRd, fmt.Sprintf("/idle/%d", i))
		ask(busy, busyRd, fmt.Sprintf("/busy/%d", i))
	}
	c.Until(t, func() bool { return c.Received() >= 2*n })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	sums(t, c, 2*n)
	if got := c.Capture(); got.Seen != 2*n || got.Missed != 0 {
		t.Errorf("%+v", got)
	}
}

// pipeline sends n requests without waiting.
func pipeline(t *testing.T, addr string, n int) {
	t.Helper()
	var d net.Dialer
	nc, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for i := range n {
		fmt.Fprintf(nc, "GET /pipe/%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
	}
	rd := bufio.NewReader(nc)
	for range n {
		resp, err := http.ReadResponse(rd, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
	}
}

// TestTapSaysWhatItCannotRead lets TLS, HTTP/2 and something else pass.
func TestTapSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	mayTap(t)
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			io.CopyN(io.Discard, nc, 5)
			nc.Close()
		}
	}()
	c := proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, tapTable(fmt.Sprintf("lo:%d", portOf(t, ln.Addr().String())), "127.0.0.1:1", "", blueprint.Shadow{}))
	for _, first := range []string{"\x16\x03\x01\x02\x00\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x00\x01\x02\x03\x04binary"} {
		var d net.Dialer
		nc, err := d.DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(nc, first)
		io.Copy(io.Discard, nc)
		nc.Close()
	}
	c.Until(t, func() bool { g := c.Capture(); return g.Encrypted == 1 && g.HTTP2 == 1 && g.Foreign == 1 })
	if c.Received() != 0 {
		t.Errorf("%d received, %v", c.Received(), c.Dropped())
	}
}

// TestTapCountsWhatItsRingLost gives the tap a ring that is far too small.
func TestTapCountsWhatItsRingLost(t *testing.T) {
	t.Parallel()
	mayTap(t)
	body := strings.Repeat("x", 200<<10)
	primary := serverAt(t, "", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	other := serverAt(t, "", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	c := proxytest.NewCollector()
	p := proxytest.Start(t, c, false, proxy.Limits{Tap: passive.Limits{Ring: 64 << 10}},
		tapTable(fmt.Sprintf("lo:%d", portOf(t, primary)), other, "", blueprint.Shadow{}))
	const clients, each = 8, 40
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			for range each {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+primary+"/x", http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := (&http.Client{Transport: tr}).Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	c.Until(t, func() bool { return c.Capture().PacketsLost > 0 })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	got := c.Capture()
	t.Logf("%d exchanges: %+v, dropped %v", clients*each, got, c.Dropped())
	if got.Missed == 0 || got.Missed != c.Dropped()[observation.CaptureLost] || got.BytesMissed == 0 {
		t.Errorf("missed %d, dropped %v", got.Missed, c.Dropped())
	}
	sums(t, c, c.Received())
	for _, o := range c.Observations() {
		if !o.Alike && o.Baseline.Response.Body.Length != int64(len(body)) {
			t.Errorf("an answer of %d bytes", o.Baseline.Response.Body.Length)
		}
	}
}

// TestTapBetweenNamespaces taps one end of a cable on whose other end the clients are.
func TestTapBetweenNamespaces(t *testing.T) {
	t.Parallel()
	mayTap(t)
	name := "msxt" + fmt.Sprint(time.Now().UnixNano()%1e6)
	run := func(args ...string) error {
		out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
	if err := run("ip", "netns", "add", name); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		exec.CommandContext(context.WithoutCancel(t.Context()), "ip", "netns", "del", name).Run()
	})
	for _, args := range [][]string{
		{"ip", "link", "add", name, "type", "veth", "peer", "name", "far", "netns", name},
		{"ip", "addr", "add", "10.213.7.1/24", "dev", name},
		{"ip", "link", "set", name, "up"},
		{"ip", "-n", name, "addr", "add", "10.213.7.2/24", "dev", "far"},
		{"ip", "-n", name, "link", "set", "far", "up"},
	} {
		if err := run(args...); err != nil {
			t.Skip(err)
		}
	}
	primary := serverAt(t, "10.213.7.1:0", echo)
	other := serverAt(t, "", echo)
	c := proxytest.NewCollector()
	p := proxytest.Start(t, c, false, proxy.Limits{}, tapTable(fmt.Sprintf("%s:%d", name, portOf(t, primary)), other, "", blueprint.Shadow{}))
	const n = 20
	args := []string{"ip", "netns", "exec", name, "curl", "-s", "-o", "/dev/null", "-d", strings.Repeat("y", 20_000)}
	for i := range n {
		args = append(args, fmt.Sprintf("http://%s/%d", primary, i))
	}
	if err := run(args...); err != nil {
		t.Fatal(err)
	}
	c.Until(t, func() bool { return c.Received() >= n })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	sums(t, c, n)
	if got := c.Capture(); got.Seen != n || got.Missed != 0 || len(c.Observations()) != n {
		t.Errorf("%+v, %d observed", got, len(c.Observations()))
	}
}

// TestTapRefusesToTapItsShadow would copy copies for ever.
func TestTapRefusesToTapItsShadow(t *testing.T) {
	t.Parallel()
	p := proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, &route.Table{Revision: 1})
	for _, at := range []string{"lo:127.0.0.1:8080", "lo:8080"} {
		err := p.Apply(t.Context(), tapTable(at, "127.0.0.1:8080", "", blueprint.Shadow{}))
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || !strings.Contains(err.Error(), "the copies") {
			t.Error(err)
		}
	}
}
