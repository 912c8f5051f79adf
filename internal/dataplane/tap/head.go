// SPDX-License-Identifier: Apache-2.0

package tap

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HTTP2 is what a capture's Proto says of an exchange over HTTP/2.
const HTTP2 = "HTTP/2.0"

// AppendRequestHead writes a request's head in the form of HTTP/1.1: that is how captures keep heads that never were text.
// Names are in lower case, as HTTP/2 sends them, and in order. Fields that belong to a connection are left out.
func AppendRequestHead(dst []byte, r *http.Request) []byte {
	dst = append(append(append(append(dst, r.Method...), ' '), r.RequestURI...), " HTTP/1.1\r\nhost: "...)
	dst = append(append(dst, r.Host...), "\r\n"...)
	dst = AppendFields(dst, r.Header)
	if r.ContentLength > 0 || r.ContentLength == 0 && r.Header.Get("Content-Length") != "" {
		dst = strconv.AppendInt(append(dst, "content-length: "...), r.ContentLength, 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// AppendResponseHead writes an answer's head in the form of HTTP/1.1.
func AppendResponseHead(dst []byte, r *http.Response) []byte {
	dst = strconv.AppendInt(append(dst, "HTTP/1.1 "...), int64(r.StatusCode), 10)
	dst = append(append(append(dst, ' '), reason(r)...), "\r\n"...)
	dst = AppendFields(dst, r.Header)
	if r.Header.Get("Content-Length") != "" {
		dst = append(append(append(dst, "content-length: "...), r.Header.Get("Content-Length")...), "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// reason is an answer's reason phrase; HTTP/2 has none.
func reason(r *http.Response) string {
	if r.ProtoMajor != 1 {
		return ""
	}
	_, phrase, _ := strings.Cut(r.Status, " ")
	return phrase
}

// AppendFields writes fields as lines, names in lower case and in order; those of a connection are left out.
func AppendFields(dst []byte, h http.Header) []byte {
	var room [24]string
	names := room[:0]
	for name := range h {
		if name != "Content-Length" && name != "Host" && !Hop(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range h[name] {
			dst = append(append(append(append(dst, strings.ToLower(name)...), ": "...), v...), "\r\n"...)
		}
	}
	return dst
}

// Hop says whether a field belongs to one connection (RFC 9110, 7.6.1) and is not passed on by a gateway between versions
// of HTTP. The name is in canonical form.
func Hop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// Chunked makes the request's head say that the body is sent in chunks: the copy goes out as HTTP/1.1, and how long the
// body would get was not known.
func (c *Capture) Chunked() {
	c.RequestHead = append(c.RequestHead[:len(c.RequestHead)-2], "transfer-encoding: chunked\r\n\r\n"...)
	c.Asked.Chunked = true
	c.account()
}

// Trailers takes a trailer section that never was text.
func (b *Body) Trailers(h http.Header) {
	if raw := AppendFields(nil, h); len(raw) > 0 {
		b.trailer = raw
	}
}

// AnsweredBy notes an answer's head that never was text.
func (c *Capture) AnsweredBy(r *http.Response, now time.Time) {
	c.ResponseHead = AppendResponseHead(c.ResponseHead[:0], r)
	c.account()
	c.FirstByte = now.Sub(c.Start)
}
