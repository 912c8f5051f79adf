// SPDX-License-Identifier: Apache-2.0

// Package proxytest starts a data plane in a test: real listeners, real connections, a publisher that hands what was
// observed to the test. For tests only.
package proxytest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/redact"
	"microstax/internal/dataplane/route"
	"microstax/internal/observation"
)

// Collector keeps what was published.
type Collector struct {
	mu           sync.Mutex
	observations []*observation.Observation
	tally        observation.Tally
	capture      observation.Capture
	changed      chan struct{}
	dropped      int64 // all of tally.Dropped
	least        int64 // requests in flight, at the least
}

// NewCollector is an empty collector.
func NewCollector() *Collector { return &Collector{changed: make(chan struct{})} }

// Publish keeps an envelope.
func (c *Collector) Publish(_ context.Context, e observation.Envelope) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Observation != nil {
		c.observations = append(c.observations, e.Observation)
	}
	if e.Alike != nil {
		for i := range e.Alike.List {
			o := e.Alike.List[i].Observation(e.Alike.Session)
			c.observations = append(c.observations, &o)
		}
	}
	if e.Tally != nil {
		c.tally.Received += e.Tally.Received
		c.tally.Mirrored += e.Tally.Mirrored
		c.tally.Dropped = append(c.tally.Dropped, e.Tally.Dropped...)
		if e.Tally.Capture != nil {
			c.capture.Add(*e.Tally.Capture)
		}
	}
	if e.Tally != nil {
		for _, g := range e.Tally.Dropped {
			c.dropped += g.Count
		}
	}
	c.least = min(c.least, c.tally.Received-c.dropped-int64(len(c.observations)))
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

// InFlight is how many requests were received and neither compared nor dropped: now, and at the least at any time, which
// is below zero when more was told than had been received.
func (c *Collector) InFlight() (now, least int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally.Received - c.dropped - int64(len(c.observations)), c.least
}

// Observations are those published so far.
func (c *Collector) Observations() []*observation.Observation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*observation.Observation(nil), c.observations...)
}

// Dropped is how many requests met each fate.
func (c *Collector) Dropped() map[observation.DropReason]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := map[observation.DropReason]int64{}
	for _, g := range c.tally.Dropped {
		m[g.Reason] += g.Count
	}
	return m
}

// Received is how many requests reached a mirrored hop.
func (c *Collector) Received() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally.Received
}

// Capture is what taps counted.
func (c *Collector) Capture() observation.Capture {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.capture
}

// WaitFor waits until n observations are there, and fails the test when they do not come.
func (c *Collector) WaitFor(t testing.TB, n int) []*observation.Observation {
	t.Helper()
	c.Until(t, func() bool { return len(c.Observations()) >= n })
	return c.Observations()
}

// Until waits until cond holds, looking again whenever something is published.
func (c *Collector) Until(t testing.TB, cond func() bool) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if cond() {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			t.Fatalf("still waiting: %d observations, received %d, dropped %v",
				len(c.Observations()), c.Received(), c.Dropped())
		}
	}
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// Start starts a plane that serves the table and stops with the test.
func Start(t testing.TB, c *Collector, trace bool, limits proxy.Limits, table *route.Table) *proxy.Plane {
	t.Helper()
	p := proxy.New(proxy.Options{
		Publisher: c, Logger: slog.New(slog.DiscardHandler), Entropy: rand.Reader, Trace: trace, Limits: limits,
		Redactor: func(rules []blueprint.Redact) mirror.Redactor {
			return redact.New(redact.Options{Key: []byte("test"), Rules: rules})
		},
	})
	t.Cleanup(func() { p.Close() }) //nolint:errcheck // nothing to save
	if err := p.Apply(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	return p
}

// Ports that are given out: below the range from which systems take those of outgoing connections, so that nobody takes
// one between the choice and its use.
const (
	firstPort = 10_000
	ports     = 10_000
)

// next is the port to try next; test binaries that run at the same time begin at different ones.
var next atomic.Int64 //nolint:gochecknoglobals // one for the process

// Addr is a free loopback address.
func Addr(t testing.TB) string {
	t.Helper()
	next.CompareAndSwap(0, int64(os.Getpid())*97)
	var lc net.ListenConfig
	for range ports {
		addr := net.JoinHostPort("127.0.0.1", strconv.FormatInt(firstPort+next.Add(1)%ports, 10))
		ln, err := lc.Listen(t.Context(), "tcp", addr)
		if err != nil {
			continue
		}
		ln.Close() //nolint:errcheck,gosec // only its number was wanted
		return addr
	}
	t.Fatal("no port is free")
	return ""
}

// Mirrored is a table with one gateway to primary that mirrors to candidate and control; an empty control is none.
func Mirrored(addr, primary, candidate, control string, s blueprint.Shadow) *route.Table {
	sh := &route.Shadow{Session: "ses_test", Overlay: "env_o", Baseline: "env_b", Services: []string{"svc"}}
	e := &route.Entry{Shadow: sh, Service: "svc", Candidate: []string{candidate}, Settings: s}
	if control != "" {
		sh.Control = true
		e.Control = []string{control}
	}
	return &route.Table{
		Revision: 1,
		Shadows:  map[string]*route.Shadow{sh.Session: sh},
		Listeners: []route.Listener{{
			ID: "gw", Addr: addr, Kind: route.Gateway, Origin: route.Origin{Environment: "env_b"}, Service: "svc",
			Default: &route.Target{Environment: "env_b", Service: "svc", Addrs: []string{primary}, Mirror: []*route.Entry{e}},
		}},
	}
}
