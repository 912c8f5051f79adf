// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"strings"
	"testing"
	"time"

	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/dataplane/route"
)

// TestDribbledHeadMeetsItsDeadline is about the plane alone: the deadline of a real server is too long to wait for.
func TestDribbledHeadMeetsItsDeadline(t *testing.T) {
	t.Parallel()
	addr := proxytest.Addr(t)
	proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{HeadTimeout: 400 * time.Millisecond}, &route.Table{
		Revision: 1, Listeners: []route.Listener{{
			ID: "g", Addr: addr, Kind: route.Gateway, Service: "s",
			Default: &route.Target{Service: "s", Addrs: []string{"127.0.0.1:1"}},
		}},
	})
	nc := dial(t, addr)
	defer nc.Close() //nolint:errcheck // done with it
	if _, err := nc.Write([]byte("GET / HTTP/1.1\r\nX-Slow: ")); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		buf := make([]byte, 1000)
		n, _ := nc.Read(buf) //nolint:errcheck // nothing read is what is complained of
		said <- string(buf[:n])
	}()
	tick := time.NewTicker(20 * time.Millisecond) // each byte comes long before the deadline
	defer tick.Stop()
	for range 500 {
		select {
		case got := <-said:
			if !strings.HasPrefix(got, "HTTP/1.1 408 ") {
				t.Errorf("got %q", got)
			}
			return
		case <-tick.C:
			nc.Write([]byte("x")) //nolint:errcheck // the read tells
		}
	}
	t.Error("a head may take as long as its sender likes")
}
