// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// preface is what a client of HTTP/2 begins with (RFC 9113, 3.4); its first line is no request of HTTP/1.1.
const preface = "PRI * HTTP/2.0\r\n\r\n"

// webserver serves connections of a listener through net/http: those that begin in HTTP/2, and all of them where the
// provider has to be spoken to in HTTP/2. What else there is, the plane's own engine serves.
type webserver struct {
	srv    *http.Server
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	done   chan struct{} // closed when Serve has returned
	addr   net.Addr
}

// maxStreams is how many requests one client connection may have under way.
const maxStreams = 1000

func newWebserver(l *listener) *webserver {
	s := &webserver{
		conns: make(chan net.Conn), closed: make(chan struct{}), done: make(chan struct{}), addr: l.ln.Addr(),
	}
	limits := &l.p.opts.Limits
	p := &http.Protocols{}
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true) // TLS has been taken off before
	s.srv = &http.Server{
		Handler: http.HandlerFunc(serveStream), Protocols: p, MaxHeaderBytes: limits.MaxHead,
		ReadHeaderTimeout: limits.HeadTimeout, IdleTimeout: limits.IdleTimeout,
		DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: limits.IdleTimeout,
			CountError: func(string) { l.p.stats.malformed.Add(1) },
		},
		ErrorLog: slog.NewLogLogger(l.p.opts.Logger.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, handedKey{}, nc)
		},
	}
	go func() {
		defer close(s.done)
		s.srv.Serve(s) //nolint:errcheck,gosec // ends when it is shut down
	}()
	return s
}

// Accept implements net.Listener.
func (s *webserver) Accept() (net.Conn, error) {
	select {
	case nc := <-s.conns:
		return nc, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *webserver) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Addr implements net.Listener.
func (s *webserver) Addr() net.Addr { return s.addr }

// give hands a connection over; false when the server stops.
func (s *webserver) give(nc net.Conn) bool {
	select {
	case s.conns <- nc:
		return true
	case <-s.closed:
		return false
	}
}

// shutdown lets requests under way finish within limit, and tells clients to open no more.
func (s *webserver) shutdown(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := s.srv.Shutdown(ctx); err != nil {
		s.srv.Close() //nolint:errcheck,gosec // what is left is cut off
	}
	<-s.done
}

// handedKey is where a request's context has its connection.
type handedKey struct{}

// handed is a connection that net/http serves. It ends when net/http has closed it and no request of it is under way.
type handed struct {
	net.Conn
	c *conn

	mu     sync.Mutex
	open   int // requests under way
	closed bool
	over   bool
	end    chan struct{}
}

// Read gives what was read before, then reads on.
func (h *handed) Read(p []byte) (int, error) {
	if len(h.c.rd.Buffered()) > 0 {
		return h.c.rd.Read(p)
	}
	return h.Conn.Read(p)
}

// Close closes the connection.
func (h *handed) Close() error {
	err := h.Conn.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.check()
	return err
}

func (h *handed) check() {
	if h.closed && h.open == 0 && !h.over {
		h.over = true
		close(h.end)
	}
}

// enter notes a request; false when the connection is over.
func (h *handed) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	h.open++
	return true
}

func (h *handed) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
	h.check()
}

// beginsHTTP2 says whether the first bytes that could not be read as a request are those of HTTP/2.
func (c *conn) beginsHTTP2() bool {
	return bytes.HasPrefix(c.rd.Buffered(), []byte(preface))
}

// handOver lets net/http serve the connection, and returns when it is over.
func (c *conn) handOver() {
	c.idle.Store(false)
	c.disarm()
	h := &handed{Conn: c.nc, c: c, end: make(chan struct{})}
	if s := c.l.webserver(); s != nil && s.give(h) {
		<-h.end
	}
}

// webserver is the listener's, started when it is needed first; nil when the listener stops.
func (l *listener) webserver() *webserver {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.web == nil && !l.draining.Load() {
		l.web = newWebserver(l)
	}
	return l.web
}

// closeWeb ends what net/http serves.
func (l *listener) closeWeb() {
	l.mu.Lock()
	s := l.web
	l.mu.Unlock()
	if s != nil {
		s.shutdown(l.p.opts.Limits.DrainTimeout)
	}
}
