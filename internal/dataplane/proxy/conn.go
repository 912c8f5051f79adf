// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/dataplane/http1"
)

// conn is one client's connection. Its goroutine owns everything in it but what is atomic.
type conn struct {
	p     *Plane
	l     *listener
	nc    net.Conn
	id    uint64 // unlike any other connection's of the plane
	rd    *http1.Reader
	head  http1.Head
	resp  http1.Head
	out   []byte   // a rewritten head
	buf   []byte   // for request bodies
	down  []byte   // for answers
	taken []*entry // of the request under way

	// Of the request under way too; here, because they would be allocated for each otherwise.
	transit transit
	body    http1.Body
	sending upload

	web    *stream   // the request that this is, when net/http serves it
	secure *tls.Conn // nc, when it speaks TLS

	user
	idle  atomic.Bool
	hurry atomic.Bool // an upload that outlives its answer has to end

	armed    time.Time    // when the read deadline was set last
	heading  bool         // a part of a head has come, and its deadline is set
	waiting  atomic.Int32 // for an answer, see leave.go
	upMu     sync.Mutex
	up       net.Conn // the upstream in use, for abort
	upAborts bool
	begun    bool // the answer; used where there is a limit on how long it may take
	upEnded  bool // it was closed for the client, wholly or one way; changes only while up is set
}

// rearm is how old a read deadline may get before it is set again: setting it for every request would cost more than it
// is worth.
const rearm = 2 * time.Second

func newConn(l *listener, nc net.Conn) *conn {
	c := &conn{p: l.p, l: l, nc: nc, id: l.p.stats.connections.Add(1), rd: http1.NewReader(nc)}
	c.idle.Store(true)
	c.rd.BeforeRead = func() {
		if !c.heading { // the whole head has that long, however its bytes dribble in
			c.heading = true
			c.arm(l.p.opts.Limits.HeadTimeout, true)
		}
	}
	if config := l.plan.Load().tls; config != nil {
		c.secure = tls.Server(nc, config)
		c.nc = c.secure
		c.rd.Rebase(c.nc)
	}
	return c
}

// run serves the connection until either side ends it.
func (c *conn) run() {
	defer c.nc.Close() //nolint:errcheck // done with it
	if c.handshake() != nil {
		return
	}
	switch plan := c.l.plan.Load(); {
	case plan.Protocol == "tcp":
		c.passRaw()
		return
	case plan.web:
		c.handOver()
		return
	}
	for first := true; ; first = false {
		c.idle.Store(true)
		if c.l.draining.Load() {
			return
		}
		c.arm(c.p.opts.Limits.IdleTimeout, false)
		c.heading = false
		err := c.rd.ReadRequest(&c.head, c.p.opts.Limits.MaxHead)
		c.idle.Store(false)
		if err != nil && first && c.beginsHTTP2() {
			c.handOver()
			return
		}
		if err != nil {
			c.refuse(err)
			return
		}
		if c.l.plan.Load().web { // since the last table
			c.rd.Discard(-len(c.head.Raw))
			c.handOver()
			return
		}
		c.p.stats.requests.Add(1)
		if !c.handle() {
			return
		}
	}
}

// arm sets the read deadline, if the last one is old or must is set.
func (c *conn) arm(d time.Duration, must bool) {
	now := time.Now()
	if !must && now.Sub(c.armed) < rearm {
		return
	}
	c.armed = now
	c.nc.SetReadDeadline(now.Add(d)) //nolint:errcheck,gosec // a dead connection shows at the next read
}

// disarm lets reads wait: the request is being served.
func (c *conn) disarm() {
	c.armed = time.Time{}
	c.nc.SetReadDeadline(time.Time{}) //nolint:errcheck,gosec // likewise
}

// refuse answers a request that could not be read.
func (c *conn) refuse(err error) {
	switch {
	case errors.Is(err, http1.ErrMalformed):
		c.p.stats.malformed.Add(1)
		c.answer(400, err.Error())
	case errors.Is(err, http1.ErrHeadTooLarge):
		c.p.stats.malformed.Add(1)
		c.answer(431, "request head is larger than "+strconv.Itoa(c.p.opts.Limits.MaxHead)+" bytes")
	case isTimeout(err) && len(c.rd.Buffered()) > 0:
		c.p.stats.malformed.Add(1)
		c.answer(408, "request head took too long")
	case errors.Is(err, io.ErrUnexpectedEOF):
		c.p.stats.malformed.Add(1)
	}
}

var reasonPhrases = map[int]string{ //nolint:gochecknoglobals // a table that nobody writes
	400: "Bad Request", 408: "Request Timeout", 413: "Content Too Large", 431: "Request Header Fields Too Large",
	501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}

// errorAnswer is what the data plane itself answers; the connection is closed after it.
func errorAnswer(status int, why string) []byte {
	body := "microstax: " + why + "\n"
	return []byte("HTTP/1.1 " + strconv.Itoa(status) + " " + reasonPhrases[status] +
		"\r\nContent-Type: text/plain; charset=utf-8\r\nX-Msx-Error: " + oneLine(why) +
		"\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\nConnection: close\r\n\r\n" + body)
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s)
}

func (c *conn) answer(status int, why string) {
	if c.web != nil {
		c.web.fail(status, why)
		return
	}
	c.nc.SetWriteDeadline(time.Now().Add(lingerTimeout)) //nolint:errcheck,gosec // best effort
	c.nc.Write(errorAnswer(status, why))                 //nolint:errcheck,gosec // the client may be gone
	c.linger()
}

// halfCloser ends one direction of a connection.
type halfCloser interface{ CloseWrite() error }

// lingerTimeout bounds how long a connection that is being closed may still be read.
const lingerTimeout = 2 * time.Second

// linger reads on for a moment, so that the answer is not destroyed by a reset (RFC 9112, 9.6).
func (c *conn) linger() {
	if tc, ok := c.nc.(halfCloser); ok {
		tc.CloseWrite()                                     //nolint:errcheck,gosec // best effort
		c.nc.SetReadDeadline(time.Now().Add(lingerTimeout)) //nolint:errcheck,gosec // likewise
		io.CopyN(io.Discard, c.nc, 256<<10)                 //nolint:errcheck,gosec // likewise
	}
}

// abort ends the connection and whatever it waits for.
func (c *conn) abort() {
	c.nc.Close() //nolint:errcheck,gosec // that is the purpose
	c.upMu.Lock()
	defer c.upMu.Unlock()
	c.upAborts = true
	if c.up != nil {
		c.up.Close() //nolint:errcheck,gosec // likewise
	}
}

// using notes the upstream that abort has to close too; nil when there is none.
func (c *conn) using(up net.Conn) {
	c.upMu.Lock()
	defer c.upMu.Unlock()
	c.up = up
	if up != nil && c.upAborts {
		up.Close() //nolint:errcheck,gosec // aborted meanwhile
	}
}

// bodyBuffer is the buffer that bodies pass through; most requests never need one.
func (c *conn) bodyBuffer() []byte {
	if c.buf == nil {
		c.buf = make([]byte, upstreamReadSize)
	}
	return c.buf
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
