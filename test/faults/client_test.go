// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"microstax/test/faults/answers"
)

func TestConnectionsResetByBackendsLookTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	d := w.drive("reset")
	direct := w.primaryAddr()
	const rounds = 10
	hows := []string{"reset", "end", "chunk", "none", "garbage"}
	for range rounds {
		for _, how := range hows {
			said := "GET /cut/" + how + " HTTP/1.1\r\nHost: x\r\nX-User: cut\r\nConnection: close\r\n\r\n"
			want, wantErr := talk(t, direct, said, false)
			got, gotErr := talk(t, w.orders, said, false)
			switch how {
			case "none", "garbage": // there is no answer to pass on: the gateway says so
				if !strings.HasPrefix(got, "HTTP/1.1 502 ") {
					t.Errorf("%s: got %q, %v", how, got, gotErr)
				}
			case "reset": // a reset may destroy what came before it
				if !strings.HasPrefix(want, got) && !strings.HasPrefix(got, "HTTP/1.1 502 ") {
					t.Errorf("%s: got %q, %v; want %q, %v", how, got, gotErr, want, wantErr)
				}
			default:
				if got != want {
					t.Errorf("%s: got %q, %v; want %q, %v", how, got, gotErr, want, wantErr)
				}
			}
		}
	}
	d.more(50)
	d.stop()
	d.none()
	d.written()
	w.all(n+d.ok.Load()+rounds*int64(len(hows)), before)
	if r := w.report(0); r.Traffic.Dropped["baselineError"] != rounds*int64(len(hows)) {
		t.Errorf("dropped %+v", r.Traffic.Dropped)
	}
}

func TestConnectionsResetByClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	d := w.drive("rude")
	const rounds = 40
	var received int64
	for i := range rounds {
		half := dial(t, w.orders) // half a head: no request
		fmt.Fprint(half, "GET /item/a HTTP/1.1\r\nHost: ")
		reset(half)
		body := dial(t, w.orders) // half a body
		fmt.Fprint(body, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf")
		_, live := w.state(w.base.ID, "orders", primary)
		if i%8 == 0 { // the request has arrived
			w.await("half a body arrives", func() error {
				if _, now := w.state(w.base.ID, "orders", primary); now == live {
					return fmt.Errorf("%d requests", now)
				}
				return nil
			})
			received++
		} else {
			received++ // its head was whole
		}
		reset(body)
		big := dial(t, w.orders) // half an answer
		fmt.Fprint(big, "GET /big/8000000 HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := io.ReadFull(big, make([]byte, 1000)); err != nil {
			t.Error(err)
		}
		reset(big)
		received++
	}
	d.more(50)
	d.stop()
	d.none()
	d.written()
	// A reset may overtake the head that was sent just before: those are not requests.
	r := w.report(n + d.ok.Load())
	if least, most := n+d.ok.Load()+rounds, n+d.ok.Load()+received; r.Traffic.Received < least || r.Traffic.Received > most {
		t.Errorf("received %d, not %d to %d", r.Traffic.Received, least, most)
	}
	if r.Traffic.Dropped["clientGone"] < rounds {
		t.Errorf("dropped %+v", r.Traffic.Dropped)
	}
	w.noLeak(before)
}

func TestClientsThatGiveUpAreGivenUpByTheBaselineToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{timeout: "100ms"})
	n, before := w.calm()
	const waiting = 200
	c := w.crowd(waiting, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
	hang := func(want int64) func() error {
		return func() error {
			if now, _ := w.state(w.base.ID, "orders", primary); now != want {
				return fmt.Errorf("%d requests hang", now)
			}
			return nil
		}
	}
	w.await("all wait", hang(waiting))
	c.leave()
	w.await("nobody waits any more", hang(0))
	d := w.drive("patient")
	d.more(50)
	d.stop()
	d.none()
	before.descriptors += keptConnections
	w.all(n+d.ok.Load()+waiting, before)
}

func TestServerStopsAlthoughTheBaselineHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{timeout: "100ms"})
	const waiting = 200
	w.crowd(waiting, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
	w.await("all wait", func() error {
		if now, _ := w.state(w.base.ID, "orders", primary); now != waiting {
			return fmt.Errorf("%d", now)
		}
		return nil
	})
	w.stop() // within its grace; that no process is left is looked at in the end
}

func TestSlowlorisHeadsAndBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	d := w.drive("slow")
	heads := w.crowd(600, "GET /item/a HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	const bodies = 300
	c := w.crowd(bodies, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf")
	for range 3 { // a byte now and then
		d.more(100)
		for _, nc := range slices.Concat(heads.conns, c.conns) {
			if _, err := nc.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.await("all bodies are under way", func() error {
		if _, live := w.state(w.base.ID, "orders", primary); live < n+bodies {
			return fmt.Errorf("%d", live)
		}
		return nil
	})
	heads.leave()
	c.leave()
	d.more(50)
	d.stop()
	d.none()
	d.written()
	w.all(n+d.ok.Load()+bodies, before)
}

func TestTenThousandConnections(t *testing.T) { //nolint:paralleltest // it takes all descriptors there are
	// Not parallel: it needs most of this process's descriptors.
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	crowdSize := min(10_000, int(limit.Cur)-500)
	w := newWorld(t, options{})
	n, before := w.calm()
	d := w.drive("crowd")
	// Each has used its connection once, and keeps it.
	c := w.crowd(crowdSize, "GET /item/a HTTP/1.1\r\nHost: x\r\nX-User: crowd\r\n\r\n")
	status, body := answers.Item("a")
	want := fmt.Sprintf("%d %s", status, body)
	for i, nc := range c.conns {
		if got, err := answered(bufio.NewReaderSize(nc, 512), "GET"); got != want {
			t.Fatalf("connection %d: got %q, %v", i, got, err)
		}
	}
	d.more(200)
	during := w.usage()
	c.leave()
	d.more(100)
	d.stop()
	d.none()
	d.written()
	t.Logf("%d connections: %v MiB more", crowdSize, int(during.resident-before.resident)>>20)
	if each := (during.resident - before.resident) / float64(crowdSize); each > 32<<10 {
		t.Errorf("%v bytes for each idle connection", each)
	}
	before.descriptors += keptConnections
	w.all(n+d.ok.Load()+int64(crowdSize), before)
}

func TestConnectionsOverTheLimitAreRefusedAndCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{vars: []string{"MICROSTAX_LIMIT_CONNECTIONS=50"}})
	n, before := w.calm()
	d := w.drive("limit")
	d.more(50) // users have their connections
	c := w.crowd(200, "")
	w.await("connections are refused", func() error {
		if refused := w.metrics()["microstax_dataplane_refused_connections_total"]; refused < 150 {
			return fmt.Errorf("%v", refused)
		}
		return nil
	})
	d.more(100)
	c.leave()
	d.more(50)
	d.stop()
	d.none()
	d.written()
	w.all(n+d.ok.Load(), before)
}
