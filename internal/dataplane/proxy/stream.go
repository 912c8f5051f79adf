// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
)

// stream is one request that net/http serves. What becomes of it is decided by the code for HTTP/1.1, to which it is a
// connection with one request, whose head was written as text; only what comes from the client and goes to it differs.
type stream struct {
	conn
	w      http.ResponseWriter
	r      *http.Request
	text   []byte     // the head as it came
	sent   http1.Head // the head as it goes out
	broken bool       // the answer broke off
}

// streams are used again.
var streams = sync.Pool{New: func() any { return new(stream) }} //nolint:gochecknoglobals // a pool of buffers

// serveStream is the handler of all webservers.
func serveStream(w http.ResponseWriter, r *http.Request) {
	h, ok := r.Context().Value(handedKey{}).(*handed)
	if !ok || !h.enter() {
		panic(http.ErrAbortHandler)
	}
	defer h.leave()
	s := streams.Get().(*stream) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	s.p, s.l, s.nc, s.id, s.web = h.c.p, h.c.l, h.c.nc, h.c.id, s
	s.w, s.r, s.broken = w, r, false
	s.serve()
	broken := s.broken
	s.w, s.r, s.nc, s.client = nil, nil, nil, ""
	streams.Put(s)
	if broken {
		panic(http.ErrAbortHandler) // the client sees a broken answer as without us
	}
}

func (s *stream) serve() {
	s.p.stats.requests.Add(1)
	if s.r.Host == "" {
		s.r.Host = s.l.plan.Load().Service // :authority may be missing (RFC 9113, 8.3.1), Host may not
	}
	if s.r.ProtoMajor == 1 {
		unlink(s.r.Header)
		http.NewResponseController(s.w).EnableFullDuplex() //nolint:errcheck,gosec // it is there for HTTP/1.1
	}
	s.text = tap.AppendRequestHead(s.text[:0], s.r)
	if err := s.head.ParseRequest(s.text); err != nil {
		s.p.stats.malformed.Add(1)
		s.fail(http.StatusBadRequest, err.Error())
		return
	}
	s.handle()
}

// unlink takes out what was meant for this connection alone (RFC 9110, 7.6.1).
func unlink(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	if te := h.Get("Te"); te != "" && !strings.EqualFold(te, "trailers") {
		h.Del("Te")
	}
}

// forward is conn.forward for a stream.
func (s *stream) forward(tr *transit) bool {
	ctx, cancel := context.WithCancel(s.r.Context())
	defer cancel()
	body := s.upload(tr)
	up, err := s.outgoing(ctx, tr, body)
	if err != nil {
		s.unreachable(tr, err)
		return false
	}
	early := &interim{w: s.w}
	up = up.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: early.pass}))
	res, err := s.p.web.RoundTrip(up, tr.addr, tr.target.HTTP2)
	early.end()
	if err != nil {
		s.whole(tr, body)
		if s.r.Context().Err() != nil {
			s.breakOff(tr, exchange.Canceled, "client left")
		} else {
			s.unreachable(tr, err)
		}
		return false
	}
	defer res.Body.Close() //nolint:errcheck // read to its end, or of no use
	s.answerWith(res, tr)
	tr.badRequest = !s.whole(tr, body)
	if tr.capture != nil && !tr.badRequest {
		tr.capture.Request.Trailers(s.r.Trailer)
	}
	return !s.broken
}

// whole ends the taking of the request, and says whether all of it came: otherwise there is nothing to copy.
func (s *stream) whole(tr *transit, body *upbody) bool {
	return body.capture == nil || body.finish(http.NewResponseController(s.w), s.answerBuffer())
}

// outgoing is the request as it goes to the provider.
func (s *stream) outgoing(ctx context.Context, tr *transit, body *upbody) (*http.Request, error) {
	if err := s.sent.ParseRequest(tr.head); err != nil {
		return nil, err
	}
	h := make(http.Header, len(s.sent.Fields)+2)
	for i := range s.sent.Fields {
		f := &s.sent.Fields[i]
		name := textproto.CanonicalMIMEHeaderKey(string(f.Name))
		if name != "Host" && name != "Content-Length" {
			h[name] = append(h[name], string(f.Value))
		}
	}
	if _, said := h["User-Agent"]; !said {
		h["User-Agent"] = []string{""} // none of ours
	}
	up := &http.Request{
		Method: s.r.Method, URL: location(string(s.sent.Target)), Header: h, Host: string(s.sent.Get("host")),
		ContentLength: body.length, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if body.length != 0 {
		up.Body, up.Trailer = body, s.r.Trailer
	}
	if tr.capture != nil {
		if tr.target.HTTP2 {
			tr.capture.Proto = tap.HTTP2
		} else if body.length < 0 {
			tr.capture.Chunked()
		}
	}
	return up.WithContext(ctx), nil
}

// location is a URL that makes net/http send the target as it came.
func location(target string) *url.URL {
	if !strings.HasPrefix(target, "//") {
		return &url.URL{Opaque: target}
	}
	path, query, asked := strings.Cut(target, "?") // opaque, it would be taken for a host
	u := &url.URL{Path: path, RawPath: path, RawQuery: query, ForceQuery: asked && query == ""}
	if p, err := url.PathUnescape(path); err == nil {
		u.Path = p
	}
	return u
}

// answerWith passes the answer back, each part when it arrives.
func (s *stream) answerWith(res *http.Response, tr *transit) {
	sink := tr.responseSink()
	if tr.capture != nil {
		tr.capture.AnsweredBy(res, time.Now())
	}
	announced := s.passHead(res)
	control := http.NewResponseController(s.w)
	// An answer that ends with its head has to go out in one frame, by which gRPC knows it. The head of any other goes
	// out at once.
	if res.ContentLength != 0 && s.r.Method != http.MethodHead {
		control.Flush() //nolint:errcheck,gosec // shows at the next write
	}
	buf := s.answerBuffer()
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			if sink != nil {
				sink.Content(buf[:n])
				tr.capture.Pace.Heard(n)
			}
			if _, werr := s.w.Write(buf[:n]); werr != nil {
				s.breakOff(tr, exchange.Canceled, "client left")
				return
			}
			control.Flush() //nolint:errcheck,gosec // shows at the next write
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.cutOff(tr)
			return
		}
	}
	s.passTrailers(res.Trailer, announced)
	if tr.capture != nil {
		tr.capture.Response.Trailers(res.Trailer)
	}
	tr.finish(exchange.OK, "")
}

// passHead writes the answer's head, with nothing added to it, and says whether its trailers were announced in it.
func (s *stream) passHead(res *http.Response) (announced bool) {
	to := s.w.Header()
	for name, vs := range res.Header {
		if !tap.Hop(name) {
			to[name] = vs
		}
	}
	for _, ours := range []string{"Date", "Content-Type"} {
		if _, theirs := to[ours]; !theirs {
			to[ours] = nil
		}
	}
	if _, said := to["Content-Length"]; !said && s.r.ProtoMajor == 2 {
		to["Content-Length"] = nil
	}
	for name := range res.Trailer {
		to["Trailer"] = append(to["Trailer"], name)
		announced = true
	}
	if announced && s.r.ProtoMajor == 1 {
		delete(to, "Content-Length") // HTTP/1.1 has trailers behind chunks only
	}
	s.w.WriteHeader(res.StatusCode)
	return announced
}

func (s *stream) passTrailers(trailers http.Header, announced bool) {
	to := s.w.Header()
	for name, vs := range trailers {
		if !announced {
			name = http.TrailerPrefix + name
		}
		if len(vs) > 0 {
			to[name] = vs
		}
	}
}

// cutOff ends an answer that the provider did not finish.
func (s *stream) cutOff(tr *transit) {
	if s.r.Context().Err() != nil {
		s.breakOff(tr, exchange.Canceled, "client left")
		return
	}
	s.p.stats.upstreamErrors.Add(1)
	s.breakOff(tr, exchange.Reset, "answer was cut off")
}

func (s *stream) breakOff(tr *transit, o exchange.Outcome, why string) {
	tr.finish(o, why)
	s.broken = true
}

// upload is the request's body on its way to the provider.
func (s *stream) upload(tr *transit) *upbody {
	if tr.body != nil { // read and taken before
		return &upbody{src: bytes.NewReader(tr.body), length: int64(len(tr.body))}
	}
	if tr.capture != nil && s.r.ContentLength < 0 && isGRPC(s.r.Header) {
		tr.capture.Streams()
	}
	return &upbody{src: s.r.Body, capture: tr.capture, length: s.r.ContentLength}
}

// upbody gives the provider the request's body and takes the copy of it. net/http reads it on a goroutine of its own,
// which may outlive the answer.
type upbody struct {
	src    io.Reader
	length int64 // -1: unknown

	mu      sync.Mutex   // held while src is read
	capture *tap.Capture // nil when nothing is taken
	whole   bool
	over    atomic.Bool // the provider gets no more
}

// Read implements io.Reader.
func (b *upbody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over.Load() {
		return 0, io.ErrClosedPipe
	}
	return b.read(p)
}

func (b *upbody) read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	if n > 0 && b.capture != nil {
		b.capture.Request.Content(p[:n])
		b.capture.Pace.Said()
	}
	b.whole = b.whole || errors.Is(err, io.EOF)
	return n, err
}

// Close implements io.Closer. What the provider did not want to read is still part of the copy.
func (b *upbody) Close() error {
	b.over.Store(true)
	return nil
}

// patience is how long a finished answer waits for the end of its request, which came long before as a rule.
const patience = 2 * time.Millisecond

// finish ends the taking of the copy, and says whether the request was whole. A provider may have answered without
// reading all of it; buf is for what is left.
func (b *upbody) finish(control *http.ResponseController, buf []byte) bool {
	b.over.Store(true)
	if !b.mu.TryLock() { // it is being read: by a client that pauses, it may be for long
		control.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck,gosec // net/http has it for both versions
		b.mu.Lock()
	} else if !b.whole && b.length != 0 {
		control.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck,gosec // likewise
	}
	defer b.mu.Unlock()
	for !b.whole && b.length != 0 {
		if _, err := b.read(buf); err != nil {
			break
		}
	}
	b.capture = nil
	return b.whole || b.length == 0
}

// interim passes interim answers on until the final one.
type interim struct {
	mu   sync.Mutex
	w    http.ResponseWriter
	over bool
}

func (i *interim) pass(status int, h textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over || status == http.StatusContinue { // net/http itself asks the client for the body, when it is read
		return nil
	}
	to := i.w.Header()
	for name, vs := range h {
		to[name] = vs
	}
	i.w.WriteHeader(status)
	clear(to)
	return nil
}

func (i *interim) end() {
	i.mu.Lock()
	i.over = true
	i.mu.Unlock()
}
