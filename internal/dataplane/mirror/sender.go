// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"microstax/internal/dataplane/dial"
	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/route"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
)

// Limits of a shadow's answers and connections.
const (
	maxResponseHead = 256 << 10
	dialTimeout     = 2 * time.Second
	idleFor         = 20 * time.Second // a kept connection is not used after so long
	bodyBuffer      = 16 << 10
)

// lane is one worker's way to one side: a connection that is kept, and buffers. A worker uses it for one copy at a time.
type lane struct {
	web    *web
	dialer net.Dialer
	addr   string
	conn   net.Conn
	rd     *http1.Reader
	since  time.Time
	head   http1.Head
	buf    []byte
	host   string                   // what Host says instead of what came; "" leaves it
	armed  time.Time                // the deadline that is set on the connection
	live   atomic.Pointer[net.Conn] // conn, for abort
}

// abort makes the exchange under way fail. It may be called concurrently.
func (l *lane) abort() {
	if c := l.live.Load(); c != nil {
		(*c).Close() //nolint:errcheck,gosec // that is the purpose
	}
}

func (l *lane) close() {
	if l.conn != nil {
		l.conn.Close() //nolint:errcheck,gosec // of no more use
		l.conn = nil
		l.live.Store(nil)
	}
}

// connect makes sure that there is a connection to addr, and says whether it was used before.
func (l *lane) connect(ctx context.Context, addr string, now time.Time) (reused bool, err error) {
	if l.conn != nil && l.addr == addr && now.Sub(l.since) < idleFor {
		return true, nil
	}
	l.close()
	l.dialer.Timeout = dialTimeout
	conn, err := dial.Conn(ctx, &l.dialer, addr)
	if err != nil {
		return false, err
	}
	l.addr, l.conn, l.armed, l.host = addr, conn, time.Time{}, ""
	if route.ParseEndpoint(addr).TLS {
		l.host = route.Authority(addr)
	}
	l.live.Store(&conn)
	if l.rd == nil {
		l.rd = http1.NewReader(conn)
	} else {
		l.rd.Reset(conn)
	}
	return false, nil
}

// letter is a copy ready to be sent: the bytes as they go on the wire. Its buffer is used again.
type letter struct {
	wire   []byte
	method string
	close  bool         // the request asks for the connection's end
	second bool         // to be sent as HTTP/2: wire is head and content, without framing
	base   *tap.Capture // what the baseline answered
	head   http1.Head
	talk   *talk  // of a WebSocket, else nil: wire is its opening
	steps  *steps // of a stream of messages, where it matters
}

// write frames a captured request: its body was kept without chunk framing.
func (l *letter) write(c *tap.Capture) {
	m := c.Asked
	if m.Method == "" && l.head.ParseRequest(c.RequestHead) == nil {
		m = tap.MannerOf(&l.head)
	}
	l.method, l.close, l.second, l.base = m.Method, m.Close, c.Proto == tap.HTTP2, c
	chunked, body := m.Chunked, c.Request.Data()
	l.wire = append(l.wire[:0], c.RequestHead...)
	l.talk, l.steps = talkOf(c), stepsOf(c)
	switch {
	case l.talk != nil:
	case !chunked:
		l.wire = append(l.wire, body...)
	default:
		if len(body) > 0 {
			l.wire = strconv.AppendInt(l.wire, int64(len(body)), 16)
			l.wire = append(append(append(l.wire, "\r\n"...), body...), "\r\n"...)
		}
		l.wire = append(append(append(l.wire, "0\r\n"...), c.Request.RawTrailer()...), "\r\n"...)
	}
	if cap(l.wire) > maxWire {
		l.wire = bytes.Clone(l.wire) // let the large buffer go with this letter
	}
}

// rewrite frames a request whose target, headers or body are not those that came: the framing is made anew.
func (l *letter) rewrite(r *exchange.Request) {
	l.method, l.steps = r.Method, nil // where its messages end may have changed
	body := r.Body.Data
	if l.talk != nil {
		l.talk, body = l.talk.with(r), nil
	}
	w := append(l.wire[:0], r.Method...)
	w = append(append(append(w, ' '), r.Target...), " HTTP/1.1"...)
	for _, h := range r.Headers {
		if exchange.EqualFold(h.Name, "content-length") || exchange.EqualFold(h.Name, "transfer-encoding") {
			continue
		}
		w = append(append(append(append(w, "\r\n"...), h.Name...), ": "...), h.Value...)
	}
	if _, had := exchange.Get(r.Headers, "content-length"); had || len(body) > 0 {
		w = strconv.AppendInt(append(w, "\r\nContent-Length: "...), int64(len(body)), 10)
	}
	l.wire = append(append(w, "\r\n\r\n"...), body...)
}

// to is the copy for a host of that name.
func (l *letter) to(host string) []byte {
	if host == "" {
		return l.wire
	}
	end := bytes.Index(l.wire, []byte("\r\n\r\n")) + 4
	var h http1.Head
	if h.ParseRequest(l.wire[:end]) != nil {
		return l.wire
	}
	for _, f := range h.Fields {
		if exchange.EqualFold(string(f.Name), "host") {
			named := append(append(bytes.Clone(l.wire[:f.Start]), "Host: "...), host...)
			return append(append(named, "\r\n"...), l.wire[f.End:]...)
		}
	}
	return l.wire
}

// maxWire is the largest buffer for a copy, in bytes, that a worker keeps.
const maxWire = 256 << 10

// errGarbled marks an answer that is not HTTP.
var errGarbled = errors.New("answer is not HTTP")

// staleError is a kept connection that turned out to be dead before anything of an answer came.
type staleError struct{ error }

func isStale(err error) bool {
	var stale *staleError
	return errors.As(err, &stale)
}

// send sends one copy to addr and captures the answer. It always returns a capture, which the caller releases; what went
// wrong is its outcome.
func (l *lane) send(ctx context.Context, h *half) *tap.Capture {
	out := tap.New(time.Now(), nil, h.maxBody, h.budget)
	err := l.try(ctx, h.addr, h.letter, out, out.Start.Add(h.limit))
	if err != nil && isStale(err) {
		out.Release()
		out = tap.New(time.Now(), nil, h.maxBody, h.budget)
		err = l.try(ctx, h.addr, h.letter, out, out.Start.Add(h.limit))
	}
	switch {
	case err == nil && out.Echo: // it was read at once
		out.Finished(l.since, exchange.OK, "")
	case err == nil:
		out.Finished(time.Now(), exchange.OK, "")
	case ctx.Err() != nil || isTimeout(err):
		out.Finished(time.Now(), exchange.Timeout, "no whole answer in time")
	case errors.Is(err, errGarbled):
		out.Finished(time.Now(), exchange.Garbled, err.Error())
	case errors.Is(err, syscall.ECONNREFUSED):
		out.Finished(time.Now(), exchange.Refused, "connection refused")
	default:
		out.Finished(time.Now(), exchange.Reset, plain(err))
	}
	return out
}

func (l *lane) try(ctx context.Context, addr string, copied *letter, out *tap.Capture, deadline time.Time) error {
	if copied.second {
		return l.web.try(ctx, addr, copied, out, deadline)
	}
	reused, err := l.connect(ctx, addr, out.Start)
	if err != nil {
		return err
	}
	l.arm(deadline, out.Start)
	keep, err := l.converse(copied, out, reused)
	if !keep {
		l.close()
	}
	if !out.Echo {
		l.since = time.Now()
	}
	return err
}

// arm sets the deadline, unless the one that is set is nearly as good: it may be up to a tenth later than asked for.
func (l *lane) arm(deadline, now time.Time) {
	limit := deadline.Sub(now)
	if d := l.armed.Sub(deadline); d >= 0 && d < limit/10 {
		return
	}
	l.armed = deadline.Add(limit / 20)
	l.conn.SetDeadline(l.armed) //nolint:errcheck,gosec // a dead connection shows at the next read
}

// converse writes the copy and reads the answer; keep says whether the connection can serve another.
func (l *lane) converse(copied *letter, out *tap.Capture, reused bool) (keep bool, err error) {
	if _, err := l.conn.Write(copied.to(l.host)); err != nil && reused {
		return false, &staleError{err}
	} // a server may answer without reading everything: a failed write on a new connection is judged by the read
	err = l.rd.Fill(maxResponseHead)
	if err == nil && l.echoes(copied, out) {
		return true, nil
	}
	for {
		if err == nil {
			err = l.rd.ReadResponse(&l.head, maxResponseHead)
		}
		if err != nil {
			if reused && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
				return false, &staleError{err}
			}
			return false, garbled(err)
		}
		reused = false
		if l.head.Status >= 200 || l.head.Status == 101 {
			break
		}
	}
	out.Answered(l.head.Raw, time.Now())
	if l.head.Status == 101 && copied.talk != nil {
		l.speak(copied.talk, out, l.armed)
		return false, nil
	}
	body := http1.NewBody(http1.ResponseFraming(&l.head, copied.method))
	keep = !l.head.Close && body.Kind != http1.UntilEOF && l.head.Status != 101 && !copied.close
	n, err := body.Take(l.rd.Buffered(), &out.Response)
	l.rd.Discard(n)
	if err == nil && !body.Done() {
		dial.QuickAck(l.conn)
		if l.buf == nil {
			l.buf = make([]byte, bodyBuffer)
		}
		err = body.Copy(io.Discard, l.rd, l.buf, &out.Response, false)
	}
	return keep && err == nil && len(l.rd.Buffered()) == 0, garbled(err)
}

// echoes says whether what was read is, byte for byte, what the baseline answered: the common case, in which nothing has
// to be taken apart.
func (l *lane) echoes(copied *letter, out *tap.Capture) bool {
	base, answer := copied.base, l.rd.Buffered()
	n := len(base.ResponseHead)
	if !base.Simple || copied.close || len(answer) < n || !base.Response.Is(answer[n:]) || !sameHead(base.ResponseHead, answer[:n]) {
		return false
	}
	l.since = time.Now()
	out.Answered(answer[:n], l.since)
	out.Response.Content(answer[n:])
	out.Echo = true
	l.rd.Discard(len(answer))
	return true
}

// garbled marks errors about bytes that are not a proper message.
func garbled(err error) error {
	if errors.Is(err, http1.ErrMalformed) || errors.Is(err, http1.ErrHeadTooLarge) {
		return errors.Join(errGarbled, err)
	}
	return err
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// plain is an error without the addresses that differ from run to run.
func plain(err error) string {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the answer was whole"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	}
	return err.Error()
}
