// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/observation"
)

// sick is a shadow that misbehaves; most is how many connections it had at a time.
type sick struct {
	addr  string
	now   atomic.Int64
	most  atomic.Int64
	dials atomic.Int64
}

// illness is what a connection to the shadow meets.
type illness func(ctx context.Context, nc net.Conn)

func hung(ctx context.Context, nc net.Conn) {
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	io.Copy(io.Discard, nc) // until the other side has had enough
}

func resetting(_ context.Context, nc net.Conn) {
	io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	if tc, ok := nc.(*net.TCPConn); ok {
		tc.SetLinger(0)
	}
}

func stopping(ctx context.Context, nc net.Conn) {
	io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Le")
	hung(ctx, nc)
}

func garbling(_ context.Context, nc net.Conn) {
	nc.Read(make([]byte, 4096))
	io.WriteString(nc, "SSH-2.0-OpenSSH\r\n\r\n")
}

// ill starts a shadow with an illness; nil is one that refuses connections.
func ill(t *testing.T, with illness) *sick {
	t.Helper()
	s := &sick{addr: proxytest.Addr(t)}
	if with == nil {
		return s
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); ln.Close(); all.Wait() })
	all.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.dials.Add(1)
			n := s.now.Add(1)
			for m := s.most.Load(); n > m && !s.most.CompareAndSwap(m, n); m = s.most.Load() {
			}
			all.Go(func() {
				with(ctx, nc)
				nc.Close()
				s.now.Add(-1)
			})
		}
	})
	return s
}

// TestSickShadows: whatever either shadow or both do, users get their answers, no shadow gets more at a time than it may,
// and every request is accounted for, at every moment.
func TestSickShadows(t *testing.T) {
	t.Parallel()
	illnesses := map[string]illness{
		"hung": hung, "refusing": nil, "resetting": resetting, "stopping in its head": stopping, "garbling": garbling,
	}
	for name, with := range illnesses {
		for _, who := range []string{"candidate", "control", "both"} {
			t.Run(who+" "+name, func(t *testing.T) {
				t.Parallel()
				healthy := backend(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
				candidate, control := ill(t, with), ill(t, with)
				to := [2]string{candidate.addr, control.addr}
				switch who {
				case "candidate":
					to[1] = healthy
				case "control":
					to[0] = healthy
				}
				const lanes, n = 8, 300
				addr, c := proxytest.Addr(t), proxytest.NewCollector()
				p := proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr, healthy, to[0], to[1],
					blueprint.Shadow{Concurrency: lanes, Timeout: blueprint.Duration(300 * time.Millisecond)}))
				var left atomic.Int64
				left.Store(n)
				if sent := send(t, addr, 20, 1000, func() bool { return left.Add(-1) < 0 }); sent != n {
					t.Fatalf("%d sent", sent)
				}
				p.Close() // what waits is counted
				now, least := c.InFlight()
				if now != 0 || least < 0 || c.Received() != n {
					t.Errorf("%d in flight at the end, %d at the least, %d received; dropped %v", now, least, c.Received(), c.Dropped())
				}
				if len(c.Observations()) == 0 {
					t.Errorf("nothing was observed; dropped %v", c.Dropped())
				}
				if m := max(candidate.most.Load(), control.most.Load()); m > 2*lanes { // one that was given up is still there for a moment
					t.Errorf("%d connections at a time where %d are allowed", m, lanes)
				}
				if s := p.Stats(); s.Captured != 0 {
					t.Errorf("%v of the capture budget is not given back", s.Captured)
				}
			})
		}
	}
}

// TestUsersDoNotFeelAnEmptyBudget: where there is no memory for copies, they are left out and counted; users get every
// byte; and all of the memory comes back.
func TestUsersDoNotFeelAnEmptyBudget(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	}
	base := backend(t, echo)
	shadow := backend(t, func(w http.ResponseWriter, r *http.Request) {
		<-gate
		echo(w, r)
	})
	t.Cleanup(open)
	addr, c := proxytest.Addr(t), proxytest.NewCollector()
	const budget = 2 << 20
	p := proxytest.Start(t, c, false, proxy.Limits{CaptureBudget: budget}, proxytest.Mirrored(addr, base, shadow, shadow, blueprint.Shadow{
		MaxBody: 64 << 10, Session: []string{"cookie:sid"},
	}))
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	rng := rand.New(rand.NewPCG(5, 6))
	const n = 120
	for i := range n {
		body := make([]byte, rng.IntN(96<<10))
		for k := range body {
			body[k] = byte(rng.Uint32())
		}
		req, _ := http.NewRequest("POST", fmt.Sprintf("http://%s/%d", addr, i), bytes.NewReader(body))
		req.Header.Set("X-Long", strings.Repeat("h", rng.IntN(2000)))
		req.Header.Set("Cookie", fmt.Sprint("sid=", i))
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatalf("request %d with %d bytes: %v", i, len(body), err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("request %d: %d bytes sent, %d back, %v", i, len(body), len(got), err)
		}
		if used := p.Stats().Captured; used > 1 {
			t.Fatalf("%v of the budget is used", used)
		}
	}
	open()
	c.Until(t, func() bool { now, _ := c.InFlight(); return now == 0 && c.Received() == n })
	d := c.Dropped()
	if d[observation.OverBudget] == 0 || d[observation.BodyTooLarge] == 0 || len(c.Observations()) == 0 {
		t.Errorf("%d observed, dropped %v", len(c.Observations()), d)
	}
	for _, o := range c.Observations() {
		if o.Baseline.Response.Body.Truncated != o.Candidate.Response.Body.Truncated {
			t.Error("a side that was cut is compared with one that was not")
		}
	}
	p.Close()
	if used := p.Stats().Captured; used != 0 {
		t.Errorf("%v of the budget is not given back", used)
	}
}
