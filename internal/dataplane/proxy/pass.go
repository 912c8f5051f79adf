// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"io"
	"net"

	"microstax/internal/dataplane/dial"
)

// splice passes bytes both ways until either side ends, after a protocol change.
func (c *conn) splice(up *upstream) {
	c.disarm()
	first := append(append([]byte(nil), c.resp.Raw...), up.rd.Buffered()...)
	if _, err := c.nc.Write(first); err != nil {
		return
	}
	early := c.rd.Buffered()
	if _, err := up.Write(early); err != nil {
		return
	}
	pass(c.nc, up.Conn)
}

// passRaw forwards a connection that is not HTTP.
func (c *conn) passRaw() {
	t := c.l.plan.Load().def
	if t == nil || len(t.Addrs) == 0 || t.Effect != nil {
		return // a shadow's raw connection has nowhere to go: nothing of it may leave
	}
	up, _, err := c.p.ups.get(c.p.ctx, t.addr(), fresh)
	if err != nil {
		c.p.stats.upstreamErrors.Add(1)
		return
	}
	defer up.Close() //nolint:errcheck // done with it
	c.using(up.Conn)
	defer c.using(nil)
	pass(c.nc, up.Conn)
}

// pass copies both ways; the end of one direction is passed on as a half-close, the end of both ends it.
func pass(a, b net.Conn) {
	a, b = dial.Plain(a), dial.Plain(b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		oneWay(b, a)
	}()
	oneWay(a, b)
	<-done
}

func oneWay(dst, src net.Conn) {
	io.Copy(dst, src) //nolint:errcheck,gosec // either end may close whenever it likes
	if tc, ok := dst.(halfCloser); ok {
		tc.CloseWrite() //nolint:errcheck,gosec // likewise
	}
	if tc, ok := src.(*net.TCPConn); ok {
		tc.CloseRead() //nolint:errcheck,gosec // likewise
	}
}
