// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"microstax/internal/blueprint"
	"microstax/internal/control/deploy"
	"microstax/internal/control/gateways"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/dataplane/redact"
	"microstax/internal/dataplane/remote"
	"microstax/internal/dataplane/route"
	"microstax/internal/httpapi"
)

// planeUnderTest is a data plane as the controller sees it, and what it has observed.
type planeUnderTest struct {
	deploy.Plane
	seen  *proxytest.Collector
	swaps int // of routes under traffic; a gateway acknowledges each
}

// makers are the ways to have one. Both have to pass every test here.
func makers() map[string]func(*testing.T) planeUnderTest {
	return map[string]func(*testing.T) planeUnderTest{"embedded": embeddedPlane, "gateway": gatewayPlane}
}

func newProxy(t *testing.T, pub mirror.Publisher) *proxy.Plane {
	t.Helper()
	return proxy.New(proxy.Options{
		Publisher: pub, Logger: slog.New(slog.DiscardHandler), Entropy: rand.Reader, Trace: true,
		Redactor: func(rules []blueprint.Redact) mirror.Redactor {
			return redact.New(redact.Options{Key: []byte("test"), Rules: rules})
		},
	})
}

func embeddedPlane(t *testing.T) planeUnderTest {
	t.Helper()
	c := proxytest.NewCollector()
	p := newProxy(t, c)
	t.Cleanup(func() { p.Close() }) //nolint:errcheck // nothing to save
	return planeUnderTest{p, c, 3000}
}

// intake hands what a gateway has observed to a collector, each frame once.
type intake struct {
	c    *proxytest.Collector
	mu   sync.Mutex
	last uint64
}

func (s *intake) Receive(ctx context.Context, _, _ string, _ *uint64, frames []remote.Frame) (accepted, stored uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range frames {
		if f.Seq <= s.last {
			continue
		}
		if s.last = f.Seq; f.Kind == remote.KindRestart {
			continue
		}
		e, err := f.Envelope()
		if err != nil {
			return 0, 0, err
		}
		if err := s.c.Publish(ctx, e); err != nil {
			return 0, 0, err
		}
	}
	return s.last, s.last, nil
}

func (s *intake) Forget(context.Context, string) error { return nil }

// gatewayPlane is a registry behind the API and a gateway that is connected to it.
func gatewayPlane(t *testing.T) planeUnderTest {
	t.Helper()
	c := proxytest.NewCollector()
	r := gateways.New(gateways.Options{
		Sink: &intake{c: c}, Key: []byte("key"), Server: "srv", Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	api, err := httpapi.New(httpapi.Options{
		Gateways: r, GatewaySecret: "secret", Loopback: true, Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		NewRequestID: rand.Text, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	spool, err := remote.OpenSpool(remote.SpoolOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { spool.Close() }) //nolint:errcheck // a temporary folder
	out := remote.NewOutbox(spool, slog.New(slog.DiscardHandler))
	p := newProxy(t, out)
	transport := &http.Transport{}
	agent, err := remote.NewAgent(remote.AgentOptions{
		Server: server.URL, Token: "secret", Name: "one", Version: "test", Dir: dir, Plane: p, Spool: spool, Dropped: out.Dropped,
		Keyed: func([]byte) {}, HTTP: transport, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { agent.Steer(ctx) })
	running.Go(func() { agent.Send(ctx) })
	t.Cleanup(func() {
		p.Close()   //nolint:errcheck // nothing to save
		out.Close() //nolint:errcheck // likewise
		r.Close()   //nolint:errcheck // likewise
		cancel()
		running.Wait()
		transport.CloseIdleConnections()
	})
	for r.Trouble() != "" {
		<-r.Changed()
	}
	return planeUnderTest{r, c, 1000}
}

// eachPlane runs a test on both.
func eachPlane(t *testing.T, test func(t *testing.T, p planeUnderTest)) {
	t.Helper()
	for name, made := range makers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, made(t))
		})
	}
}

func upstream(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// visitor keeps its connections between requests.
func visitor(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func ask(ctx context.Context, c *http.Client, addr string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/x", nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read below
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return string(b), err
}

func doors(revision uint64, to map[string]string) *route.Table {
	t := &route.Table{Revision: revision, Shadows: map[string]*route.Shadow{}}
	for addr, up := range to {
		t.Listeners = append(t.Listeners, route.Listener{
			ID: "door at " + addr, Addr: addr, Kind: route.Gateway, Origin: route.Origin{Environment: "env_1"}, Service: "svc",
			Default: &route.Target{Environment: "env_1", Service: "svc", Addrs: []string{up}},
		})
	}
	return t
}

func digest(t *testing.T, table *route.Table) string {
	t.Helper()
	d, err := route.Digest(table)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (p planeUnderTest) serving(t *testing.T) map[string]route.Serving {
	t.Helper()
	out := map[string]route.Serving{}
	for _, s := range p.Serving() {
		out[s.Addr] = s
	}
	return out
}

func TestPlaneOpensChangesAndClosesListeners(t *testing.T) {
	t.Parallel()
	eachPlane(t, func(t *testing.T, p planeUnderTest) {
		one, two, c := upstream(t, "one"), upstream(t, "two"), visitor(t)
		a, b := proxytest.Addr(t), proxytest.Addr(t)
		steps := []map[string]string{{a: one}, {a: two}, {a: two, b: one}, {b: two}, {a: one, b: one}}
		for i, to := range steps {
			revision := uint64(i + 1) //nolint:gosec // an index
			table := doors(revision, to)
			before := digest(t, table)
			if err := p.Apply(t.Context(), table); err != nil {
				t.Fatal(err)
			}
			if digest(t, table) != before {
				t.Errorf("step %d: the table was changed", i)
			}
			for _, addr := range []string{a, b} {
				want := map[string]string{one: "one", two: "two", "": ""}[to[addr]]
				if got, _ := ask(t.Context(), c, addr); got != want {
					t.Errorf("step %d: %s answers %q, want %q", i, addr, got, want)
				}
				if s := p.serving(t)[addr]; (s.Revision == revision) != (want != "") || s.Err != "" {
					t.Errorf("step %d: %+v", i, s)
				}
			}
		}
	})
}

func TestPlaneServesTheRestWhereAnAddressIsTaken(t *testing.T) {
	t.Parallel()
	eachPlane(t, func(t *testing.T, p planeUnderTest) {
		up, c := upstream(t, "up"), visitor(t)
		free := proxytest.Addr(t)
		var lc net.ListenConfig
		other, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		taken := other.Addr().String()
		table := doors(1, map[string]string{free: up, taken: up})
		p.Apply(t.Context(), table) //nolint:errcheck // Serving says it too
		if got, err := ask(t.Context(), c, free); got != "up" {
			t.Errorf("the other address: %q, %v", got, err)
		}
		if s := p.serving(t); s[free].Revision != 1 || s[taken].Revision != 0 || !strings.Contains(s[taken].Err, "address already in use") {
			t.Errorf("%+v", s)
		}
		other.Close() //nolint:errcheck // nobody came
		limit := time.After(30 * time.Second)
		for p.serving(t)[taken].Revision != 1 { // the controller applies it again, and so does a gateway by itself
			p.Apply(t.Context(), table) //nolint:errcheck // as above
			select {
			case <-time.After(20 * time.Millisecond):
			case <-limit:
				t.Fatalf("%+v", p.serving(t)[taken])
			}
		}
		if got, err := ask(t.Context(), c, taken); got != "up" {
			t.Errorf("once it is free: %q, %v", got, err)
		}
	})
}

// TestPlaneTellsEverythingOfASession looks whether a session's evidence is whole after the table that ends it.
func TestPlaneTellsEverythingOfASession(t *testing.T) {
	t.Parallel()
	eachPlane(t, func(t *testing.T, p planeUnderTest) {
		addr, c := proxytest.Addr(t), visitor(t)
		base, candidate := upstream(t, "base"), upstream(t, "candidate")
		table := proxytest.Mirrored(addr, base, candidate, base, blueprint.Shadow{})
		table.Listeners[0].ID = "door at " + addr
		if err := p.Apply(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		const n = 200
		for range n {
			if got, err := ask(t.Context(), c, addr); got != "base" {
				t.Fatalf("%q, %v", got, err)
			}
		}
		if err := p.Apply(t.Context(), doors(2, map[string]string{addr: base})); err != nil {
			t.Fatal(err)
		}
		p.seen.Until(t, func() bool {
			dropped := int64(0)
			for _, d := range p.seen.Dropped() {
				dropped += d
			}
			return p.seen.Received() == n && int64(len(p.seen.Observations()))+dropped == n
		})
		if got := len(p.seen.Observations()); got != n {
			t.Errorf("%d of %d were compared; dropped: %v", got, n, p.seen.Dropped())
		}
	})
}

// TestPlaneSwapsRoutesWithoutDroppingARequest changes the table thousands of times under traffic.
func TestPlaneSwapsRoutesWithoutDroppingARequest(t *testing.T) {
	t.Parallel()
	const clients = 2
	eachPlane(t, func(t *testing.T, p planeUnderTest) {
		addr := proxytest.Addr(t)
		ups := [2]string{upstream(t, "one"), upstream(t, "two")}
		table := func(n int) *route.Table {
			tab := doors(uint64(n+1), map[string]string{addr: ups[n%2]}) //nolint:gosec // an index
			if n%3 == 0 {                                                // with a session, whose runner comes and goes
				m := proxytest.Mirrored(addr, ups[n%2], ups[0], "", blueprint.Shadow{})
				m.Revision, m.Listeners[0].ID = tab.Revision, tab.Listeners[0].ID
				tab = m
			}
			return tab
		}
		if err := p.Apply(t.Context(), table(0)); err != nil {
			t.Fatal(err)
		}
		var done atomic.Bool
		var answered, changes atomic.Int64
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				c, last := visitor(t), ""
				for !done.Load() {
					got, err := ask(t.Context(), c, addr)
					if err != nil || got != "one" && got != "two" {
						t.Errorf("request %d: %q, %v", answered.Load(), got, err)
						return
					}
					if answered.Add(1); got != last {
						changes.Add(1)
						last = got
					}
				}
			})
		}
		for n := range p.swaps {
			if err := p.Apply(t.Context(), table(n+1)); err != nil {
				t.Error(err)
				break
			}
		}
		done.Store(true)
		wg.Wait()
		if changes.Load() < clients || p.serving(t)[addr].Revision != uint64(p.swaps+1) { //nolint:gosec // small
			t.Errorf("%d answers from another than the one before; serving %+v", changes.Load(), p.serving(t)[addr])
		}
		t.Logf("%d swaps under %d requests, %d of them answered by another than the one before", p.swaps, answered.Load(), changes.Load())
	})
}
