// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"io"
	"net"
	"time"

	"microstax/internal/dataplane/dial"
	"microstax/internal/dataplane/tap"
)

// splice passes bytes both ways until either side ends, after a protocol change. Those of a WebSocket are captured.
func (c *conn) splice(tr *transit, up *upstream) {
	c.disarm()
	var s *tap.Socket
	if tr.capture != nil && tr.capture.Request.Empty() && tap.IsWebSocket(c.resp.Get("upgrade")) {
		s = tr.capture.Upgraded()
	}
	early := up.rd.Buffered()
	if s != nil && len(early) > 0 {
		s.Server(early)
	}
	first := append(append([]byte(nil), c.resp.Raw...), early...)
	if _, err := c.nc.Write(first); err != nil {
		return
	}
	early = c.rd.Buffered()
	if s != nil && len(early) > 0 {
		s.Client(early)
	}
	if _, err := up.Write(early); err != nil {
		return
	}
	if s == nil {
		pass(c.nc, up.Conn)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		end(up.Conn, c.nc, copyTo(up.Conn, c.nc, c.bodyBuffer(), s.Client))
	}()
	end(c.nc, up.Conn, copyTo(c.nc, up.Conn, c.answerBuffer(), s.Server))
	<-done
}

// longSocket is how long a WebSocket may have lasted whose service calls others, for it to be mirrored: which of their calls
// belong to it cannot be told over hours.
const longSocket = time.Minute

// copyTo passes bytes on and shows them to look.
func copyTo(dst, src net.Conn, buf []byte, look func(p []byte)) error {
	for {
		n, err := src.Read(buf)
		if n > 0 {
			look(buf[:n])
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// passRaw forwards a connection that is not HTTP.
func (c *conn) passRaw() {
	c.p.stats.raw.Add(1)
	c.idle.Store(false)
	t := c.l.plan.Load().def
	if t != nil && len(t.Addrs) == 0 {
		c.p.stats.unroutable.Add(1)
	}
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
	_, err := io.Copy(dst, src)
	end(dst, src, err)
}

// end passes on that one direction has ended: by a half-close, or when it broke by ending both connections.
func end(dst, src net.Conn, broke error) {
	if broke != nil {
		dst.Close() //nolint:errcheck,gosec // of no more use
		src.Close() //nolint:errcheck,gosec // likewise
		return
	}
	if tc, ok := dst.(halfCloser); ok {
		tc.CloseWrite() //nolint:errcheck,gosec // either end may close whenever it likes
	}
	if tc, ok := src.(*net.TCPConn); ok {
		tc.CloseRead() //nolint:errcheck,gosec // likewise
	}
}
