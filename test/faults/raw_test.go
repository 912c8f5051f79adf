// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// dial opens a connection that no read or write may hold for longer than patience.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	nc, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // shows at the first use
	return nc.(*net.TCPConn)                 //nolint:forcetypeassert // it was asked for
}

// reset ends a connection in the rudest way.
func reset(nc *net.TCPConn) {
	nc.SetLinger(0) //nolint:errcheck // best effort
	nc.Close()      //nolint:errcheck // likewise
}

// crowd is many connections that stay.
type crowd struct{ conns []*net.TCPConn }

// crowd opens n connections to orders' gateway, and sends something on each. It is over at the end of the test.
func (w *world) crowd(n int, said string) *crowd {
	w.t.Helper()
	c := &crowd{conns: make([]*net.TCPConn, n)}
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			for i := k; i < n; i += 8 {
				var d net.Dialer
				nc, err := d.DialContext(w.t.Context(), "tcp", w.orders)
				if err != nil {
					w.t.Errorf("connection %d: %v", i, err)
					return
				}
				c.conns[i] = nc.(*net.TCPConn) //nolint:forcetypeassert // it was asked for
				c.conns[i].Write([]byte(said)) //nolint:errcheck // a server out of descriptors may be gone again
			}
		})
	}
	wg.Wait()
	w.t.Cleanup(c.leave)
	return c
}

// leave closes all, every other one by a reset.
func (c *crowd) leave() {
	for i, nc := range c.conns {
		switch {
		case nc == nil:
		case i%2 == 0:
			reset(nc)
		default:
			nc.Close() //nolint:errcheck // it may be gone
		}
	}
	c.conns = nil
}

// answered reads one answer whole; interim ones are put before it as "103 ".
func answered(r *bufio.Reader, method string) (string, error) {
	said := ""
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return said, err
		}
		if resp.StatusCode < 200 {
			said += strconv.Itoa(resp.StatusCode) + " "
			continue
		}
		body, err := io.ReadAll(resp.Body)
		return said + strconv.Itoa(resp.StatusCode) + " " + string(body), err
	}
}

// talk sends bytes on a connection of its own, ends its own direction if it shall, and gives everything that comes back,
// with dates left out, and how it ended.
func talk(t *testing.T, addr, said string, halfClose bool) (string, error) {
	t.Helper()
	nc := dial(t, addr)
	defer nc.Close() //nolint:errcheck // read to its end
	if _, err := io.WriteString(nc, said); err != nil {
		return "", err
	}
	if halfClose {
		nc.CloseWrite() //nolint:errcheck // shows at the read
	}
	back, err := io.ReadAll(nc)
	var kept []string
	for line := range strings.SplitAfterSeq(string(back), "\r\n") {
		if !strings.HasPrefix(line, "Date: ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, ""), err
}

// state is what an instance says of itself: requests that hang, and requests so far.
func (w *world) state(env, service, role string) (hanging, live int64) {
	w.t.Helper()
	if _, err := fmt.Sscan(w.direct(env, service, role, "/state"), &hanging, &live); err != nil {
		w.t.Fatal(err)
	}
	return hanging, live
}

// primaryAddr is the address of orders itself, past the data plane.
func (w *world) primaryAddr() string {
	w.t.Helper()
	i, err := w.instance(w.base.ID, "orders", primary)
	if err != nil {
		w.t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(i.Port))
}
