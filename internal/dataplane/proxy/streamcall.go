// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
)

// The codes of gRPC that the data plane itself answers with.
const (
	grpcUnimplemented = "12"
	grpcInternal      = "13"
	grpcUnavailable   = "14"
)

// isGRPC says whether the request is a call of gRPC, whose client looks for the outcome in grpc-status only.
func isGRPC(h http.Header) bool {
	media := h.Get("Content-Type")
	return strings.HasPrefix(media, "application/grpc") && !strings.HasPrefix(media, "application/grpc-web")
}

// fail answers what the data plane itself has to say.
func (s *stream) fail(status int, why string) {
	h := s.w.Header()
	clear(h)
	h.Set("X-Msx-Error", oneLine(why))
	if !isGRPC(s.r.Header) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		s.w.WriteHeader(status)
		io.WriteString(s.w, "microstax: "+why+"\n") //nolint:errcheck,gosec // the client may be gone
		return
	}
	code := grpcUnavailable
	switch status {
	case http.StatusNotImplemented:
		code = grpcUnimplemented
	case http.StatusBadRequest:
		code = grpcInternal
	}
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", code)
	h.Set("Grpc-Message", grpcMessage("microstax: "+why))
	h["Content-Length"] = nil
	s.w.WriteHeader(http.StatusOK)
}

// grpcMessage encodes a status message as gRPC's protocol over HTTP/2 wants it.
func grpcMessage(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + strings.ToUpper(strconv.FormatUint(uint64(s[i])|0x100, 16)[1:]))
	}
	return b.String()
}

// unreachable answers for a provider that did not.
func (s *stream) unreachable(tr *transit, err error) {
	s.p.stats.upstreamErrors.Add(1)
	why, outcome := tr.diagnose(err)
	tr.finish(outcome, why)
	s.fail(statusOf(outcome), tr.plan.Service+" "+why)
}

// wholeBody reads the request's body into the capture, and returns it.
func (s *stream) wholeBody(capture *tap.Capture) ([]byte, error) {
	all := &bounded{}
	_, err := io.Copy(io.MultiWriter(all, content{&capture.Request}), s.r.Body)
	if all.Len() == 0 {
		return []byte{}, err
	}
	return all.Bytes(), err
}

// content gives a capture what is written to it.
type content struct{ b *tap.Body }

func (c content) Write(p []byte) (int, error) {
	c.b.Content(p)
	return len(p), nil
}

// playback answers a shadow's call without the dependency.
func (s *stream) playback(call *mirror.Call, capture *tap.Capture) {
	s.pause(call.Delay - time.Since(capture.Start))
	a := call.Answer
	capture.Proto = tap.HTTP2
	if a == nil {
		why := refusal(call.Effect)
		if call.Failed != "" {
			why = "the baseline's call failed: " + string(call.Failed)
		}
		raw := errorAnswer(http.StatusServiceUnavailable, why)
		capture.Answered(headOf(raw), time.Now())
		capture.Response.Content(raw[len(headOf(raw)):])
		s.fail(http.StatusServiceUnavailable, why)
		capture.Finished(time.Now(), exchange.OK, "")
		return
	}
	res := &http.Response{StatusCode: a.Status, ProtoMajor: 2, Header: fieldsOf(a.Headers), ContentLength: int64(len(a.Body.Data))}
	if res.Header.Get("Content-Length") != "" && s.r.Method != http.MethodHead {
		res.Header.Set("Content-Length", strconv.Itoa(len(a.Body.Data)))
	}
	res.Header.Del("Trailer")
	capture.AnsweredBy(res, time.Now())
	s.passHead(res)
	if len(a.Body.Data) > 0 {
		capture.Response.Content(a.Body.Data)
		s.w.Write(a.Body.Data) //nolint:errcheck,gosec // the shadow may be gone
	}
	trailers := fieldsOf(a.Trailers)
	s.passTrailers(trailers, false)
	capture.Response.Trailers(trailers)
	capture.Finished(time.Now(), exchange.OK, "")
}

func fieldsOf(hs []exchange.Header) http.Header {
	h := http.Header{}
	for _, x := range hs {
		h.Add(x.Name, x.Value)
	}
	return h
}
