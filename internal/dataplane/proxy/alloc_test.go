// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"strings"
	"testing"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
)

// answering answers every request with the same bytes, without an allocation of its own.
func answering(t *testing.T) string {
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { nc.Close() })
			go func() {
				buf := make([]byte, 4096)
				for n := 0; ; {
					k, err := nc.Read(buf[n:])
					if err != nil {
						return
					}
					if n += k; bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
						nc.Write(answer)
						n = 0
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// TestAllocationsOnTheUsersPath counts what the goroutine that serves a user's connection allocates for one request: with
// a shadow, that is everything up to the offer of the copy. Where no shadow runs, nothing else of the process allocates
// either. It does not run in parallel, so that nobody else's are counted.
func TestAllocationsOnTheUsersPath(t *testing.T) { //nolint:paralleltest // it counts the process's allocations
	if raceDetector {
		t.Skip("the race detector allocates too")
	}
	const plain, cookie = "GET /a HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\n\r\n", "GET /a HTTP/1.1\r\nHost: x\r\nCookie: a=b; sid=user1\r\n\r\n"
	cases := []struct {
		name, request string
		shadow        bool
		most          float64
	}{
		{name: "no shadow", request: plain, most: 0.5},
		{name: "no shadow, a session cookie", request: cookie, most: 0.5},
		{name: "identical answers", request: plain, shadow: true, most: 0.5},
		{name: "identical answers, a session cookie", request: cookie, shadow: true, most: 0.5},
	}
	defer func(rate int) { runtime.MemProfileRate = rate }(runtime.MemProfileRate)
	runtime.MemProfileRate = 1
	for _, c := range cases { //nolint:paralleltest // likewise
		t.Run(c.name, func(t *testing.T) {
			addr, up := proxytest.Addr(t), answering(t)
			table := proxytest.Mirrored(addr, up, answering(t), "", blueprint.Shadow{})
			if !c.shadow {
				table.Listeners[0].Default.Mirror, table.Shadows = nil, nil
			}
			col := proxytest.NewCollector()
			proxytest.Start(t, col, false, proxy.Limits{}, table)
			ask, asked := asking(t, addr, c.request), 0
			once := func() {
				ask()
				if asked++; c.shadow && asked%50 == 0 { // what waits for the shadows on a busy machine is no matter here
					col.WaitFor(t, asked)
				}
			}
			for range 500 { // connections, buffers, pools
				once()
			}
			const runs = 2000
			before, places := served(t)
			all := testing.AllocsPerRun(runs, once)
			after, now := served(t)
			n := float64(after-before) / (runs + 1)
			t.Logf("allocations per request, %s: %.2f (%.0f in the whole process)", c.name, n, all)
			if n > c.most || !c.shadow && all > c.most {
				for at, k := range now {
					if k -= places[at]; k > runs/2 {
						t.Logf("%6d at %s", k, at)
					}
				}
				t.Errorf("got %.2f, want at most %v", n, c.most)
			}
		})
	}
}

// served is how many objects goroutines that serve connections have allocated so far, in all and by function.
func served(t *testing.T) (sum int64, places map[string]int64) {
	runtime.GC() // twice: the profile is of the time before the last but one
	runtime.GC()
	records := make([]runtime.MemProfileRecord, 20_000)
	n, ok := runtime.MemProfile(records, true)
	if !ok {
		t.Fatalf("%d places that allocate", n)
	}
	places = map[string]int64{}
	for i := range records[:n] {
		var path []string
		serves := false
		frames := runtime.CallersFrames(records[i].Stack())
		for {
			f, more := frames.Next()
			path = append(path, f.Function)
			serves = serves || strings.HasSuffix(f.Function, "proxy.(*conn).run")
			if !more {
				break
			}
		}
		if serves {
			sum += records[i].AllocObjects
			places[strings.Join(path[:min(3, len(path))], " < ")] += records[i].AllocObjects
		}
	}
	return sum, places
}

// asking sends a request and reads the answer, on one connection.
func asking(t *testing.T, addr, request string) func() {
	var d net.Dialer
	nc, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	raw, buf := []byte(request), make([]byte, 4096)
	return func() {
		if _, err := nc.Write(raw); err != nil {
			t.Fatal(err)
		}
		for n := 0; ; {
			k, err := nc.Read(buf[n:])
			if err != nil {
				t.Fatal(err)
			}
			if n += k; bytes.HasSuffix(buf[:n], []byte("hello")) {
				return
			}
		}
	}
}
