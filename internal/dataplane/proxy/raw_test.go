// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/dataplane/route"
)

// rawPeer serves every connection with serve.
func rawPeer(t *testing.T, serve func(nc *net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(20 * time.Second))
				serve(nc.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// rawTable carries raw TCP to up.
func rawTable(addr string, up ...string) *route.Table {
	return &route.Table{Revision: 1, Listeners: []route.Listener{{
		ID: "db", Addr: addr, Kind: route.Gateway, Service: "db", Protocol: "tcp",
		Default: &route.Target{Service: "db", Addrs: up},
	}}}
}

func rawDial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return nc.(*net.TCPConn)
}

func TestRawConnectionsPassBothWaysAndEndOneWayAtATime(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("0123456789", 100_000)
	rows := map[string]struct {
		serve func(nc *net.TCPConn)
		talk  func(t *testing.T, nc *net.TCPConn)
	}{
		"the server speaks first": {func(nc *net.TCPConn) {
			io.WriteString(nc, "220 ready\r\n")
			io.Copy(nc, nc)
		}, func(t *testing.T, nc *net.TCPConn) {
			hello := make([]byte, 11)
			if _, err := io.ReadFull(nc, hello); err != nil || string(hello) != "220 ready\r\n" {
				t.Fatalf("%q %v", hello, err)
			}
			go func() { io.WriteString(nc, big); nc.CloseWrite() }()
			if got, err := io.ReadAll(nc); err != nil || string(got) != big {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		}},
		"the client ends first": {func(nc *net.TCPConn) {
			got, _ := io.ReadAll(nc) // sees the end
			io.WriteString(nc, "behind it: "+string(got))
		}, func(t *testing.T, nc *net.TCPConn) {
			io.WriteString(nc, "GET is no HTTP here\r\n\r\n")
			nc.CloseWrite()
			if got, err := io.ReadAll(nc); err != nil || string(got) != "behind it: GET is no HTTP here\r\n\r\n" {
				t.Errorf("%q %v", got, err)
			}
		}},
		"the server ends first": {func(nc *net.TCPConn) {
			io.WriteString(nc, "bye")
			nc.CloseWrite()
			io.Copy(io.Discard, nc)
		}, func(t *testing.T, nc *net.TCPConn) {
			if got, err := io.ReadAll(nc); err != nil || string(got) != "bye" {
				t.Errorf("%q %v", got, err)
			}
			if _, err := io.WriteString(nc, "I am still here"); err != nil {
				t.Error(err)
			}
		}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := proxytest.Addr(t)
			p := proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, rawTable(addr, rawPeer(t, row.serve)))
			row.talk(t, rawDial(t, addr))
			if s := p.Stats(); s.RawConnections != 1 || s.Requests != 0 || s.Malformed != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestRawConnectionsBreakOnBothSides(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	addr := proxytest.Addr(t)
	proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, rawTable(addr, rawPeer(t, func(nc *net.TCPConn) {
		one := make([]byte, 1)
		io.ReadFull(nc, one)
		if one[0] == 'r' { // the server breaks it
			nc.SetLinger(0)
			return
		}
		_, err := io.Copy(io.Discard, nc)
		ended <- err
	})))
	broken := rawDial(t, addr)
	io.WriteString(broken, "r")
	if got, err := io.ReadAll(broken); len(got) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%q %v", got, err)
	}
	breaks := rawDial(t, addr)
	io.WriteString(breaks, "x and more")
	breaks.SetLinger(0)
	breaks.Close()
	<-ended // it learns of it, and so does not wait for ever
}

func TestRawConnectionsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	for name, up := range map[string][]string{"nobody provides it": nil, "nobody listens": {proxytest.Addr(t)}} {
		addr := proxytest.Addr(t)
		p := proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, rawTable(addr, up...))
		if got, err := io.ReadAll(rawDial(t, addr)); len(got) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %q %v", name, got, err)
		}
		if s := p.Stats(); s.RawConnections != 1 || s.Unroutable+s.UpstreamErrors != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
