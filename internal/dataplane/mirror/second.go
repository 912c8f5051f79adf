// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"microstax/internal/dataplane/dial"
	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/route"
	"microstax/internal/dataplane/tap"
)

// web sends copies of requests that were spoken in HTTP/2. All workers of a session share its connections, which carry many
// requests at a time.
type web struct{ client *dial.Client }

func newWeb() *web { return &web{client: dial.NewClient(dialTimeout, 0)} }

func (w *web) close() { w.client.Close() }

// try sends one copy to addr, and captures the answer.
func (w *web) try(ctx context.Context, addr string, copied *letter, out *tap.Capture, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	req, err := copied.request(addr)
	if err != nil {
		return err
	}
	out.Proto = tap.HTTP2
	to := sink{b: &out.Response}
	if copied.steps != nil {
		to.steps = newStepper(ctx, copied.steps, copied.content(), time.Until(deadline)/2)
		req.Body, req.ContentLength = to.steps, -1
	}
	res, err := w.client.RoundTrip(req.WithContext(ctx), addr, true)
	if err != nil {
		return judged(ctx, err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end, or of no use
	out.AnsweredBy(res, time.Now())
	if _, err := io.Copy(to, res.Body); err != nil {
		return judged(ctx, err)
	}
	out.Response.Trailers(res.Trailer)
	return nil
}

// judged is an error of net/http's in the words that are used for HTTP/1.1.
func judged(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.DeadlineExceeded
	case dial.IsReset(err):
		return syscall.ECONNRESET // the text of err has the stream's number, which differs from run to run
	}
	return err
}

// sink gives a body's copy what is written to it.
type sink struct {
	b     *tap.Body
	steps *stepper // or nil
}

func (s sink) Write(p []byte) (int, error) {
	s.b.Content(p)
	if s.steps != nil {
		s.steps.note(p)
	}
	return len(p), nil
}

// content is a copy's body, in memory of its own.
func (l *letter) content() []byte {
	return bytes.Clone(l.wire[bytes.Index(l.wire, []byte("\r\n\r\n"))+4:])
}

// request is the copy as net/http sends it: its wire form is head and content.
func (l *letter) request(addr string) (*http.Request, error) {
	end := bytes.Index(l.wire, []byte("\r\n\r\n")) + 4
	var h http1.Head
	if err := h.ParseRequest(l.wire[:max(end, 0)]); err != nil {
		return nil, errors.Join(errGarbled, err)
	}
	body := l.content() // net/http may read it after an early answer, when the letter is in use again
	r := &http.Request{
		Method: string(h.Method), URL: &url.URL{Opaque: string(h.Target)}, Header: make(http.Header, len(h.Fields)+1),
		Host: string(h.Get("host")), ContentLength: int64(len(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	said := false
	for _, f := range h.Fields {
		name := http.CanonicalHeaderKey(string(f.Name))
		switch name {
		case "Host":
		case "Content-Length":
			said = true
		default:
			r.Header[name] = append(r.Header[name], string(f.Value))
		}
	}
	if _, named := r.Header["User-Agent"]; !named {
		r.Header["User-Agent"] = []string{""}
	}
	if route.ParseEndpoint(addr).TLS {
		r.Host = route.Authority(addr)
	}
	for _, f := range http1.ParseTrailer(l.base.Request.RawTrailer()) {
		if r.Trailer == nil {
			r.Trailer = http.Header{}
		}
		r.Trailer.Add(string(f.Name), string(f.Value))
	}
	if len(body) > 0 || r.Trailer != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !said || r.Trailer != nil {
			r.ContentLength = -1 // as it was sent
		}
	}
	return r, nil
}
