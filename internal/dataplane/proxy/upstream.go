// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"microstax/internal/dataplane/dial"
	"microstax/internal/dataplane/http1"
)

// Bounds of the connections kept to an upstream.
const (
	maxIdleUpstream  = 256
	idleUpstream     = 55 * time.Second
	checkUpstream    = 5 * time.Millisecond // idle for longer: look first whether it was closed
	maxUpstreamHead  = 256 << 10
	upstreamReadSize = 32 << 10
)

// upstreams keep connections to providers. The lock of an address is held for a push or a pop; only live traffic uses
// these, shadows have their own.
type upstreams struct {
	dialer net.Dialer
	mu     sync.RWMutex
	pools  map[string]*pool
}

type pool struct {
	mu     sync.Mutex
	idle   []*upstream
	closed bool
}

// upstream is one connection to a provider.
type upstream struct {
	net.Conn
	rd     *http1.Reader
	socket *dial.Socket // nil if it is none
	since  time.Time
}

func newUpstreams(dial time.Duration) *upstreams {
	return &upstreams{dialer: net.Dialer{Timeout: dial}, pools: map[string]*pool{}}
}

func (u *upstreams) pool(addr string) *pool {
	u.mu.RLock()
	p := u.pools[addr]
	u.mu.RUnlock()
	if p != nil {
		return p
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if p = u.pools[addr]; p == nil {
		p = &pool{}
		u.pools[addr] = p
	}
	return p
}

// choice says which connection will do.
type choice uint8

const (
	fresh  choice = iota // a new one
	kept                 // a kept one, if it looks alive; one used a moment ago is taken for alive
	proven               // a kept one that was looked at: what is sent cannot be sent again
)

// reuse is the choice for a request.
func reuse(idempotent bool) choice {
	if idempotent {
		return kept
	}
	return proven
}

// get gives a connection.
func (u *upstreams) get(ctx context.Context, addr string, want choice) (c *upstream, reused bool, err error) {
	p := u.pool(addr)
	for want != fresh {
		c := p.pop()
		if c == nil {
			break
		}
		if idle := time.Since(c.since); idle < idleUpstream && (want == kept && idle < checkUpstream || c.alive()) {
			return c, true, nil
		}
		c.Close() //nolint:errcheck,gosec // stale
	}
	nc, err := dial.Conn(ctx, &u.dialer, addr)
	if err != nil {
		return nil, false, err
	}
	return newUpstream(nc), false, nil
}

func newUpstream(nc net.Conn) *upstream {
	c := &upstream{Conn: nc, rd: http1.NewReader(nc)}
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	c.socket, _ = nc.(*dial.Socket) //nolint:errcheck // nil says that it is none
	return c
}

// alive looks whether the peer has closed, or said something out of turn.
func (c *upstream) alive() bool { return c.socket == nil || c.socket.Quiet() }

func (u *upstreams) put(addr string, c *upstream) {
	p := u.pool(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdleUpstream {
		c.Close() //nolint:errcheck,gosec // one too many
		return
	}
	c.since = time.Now()
	p.idle = append(p.idle, c)
}

func (p *pool) pop() *upstream {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

func (u *upstreams) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range u.pools {
		p.mu.Lock()
		p.closed = true
		for _, c := range p.idle {
			c.Close() //nolint:errcheck,gosec // idle
		}
		p.idle = nil
		p.mu.Unlock()
	}
}
