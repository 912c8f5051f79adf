// SPDX-License-Identifier: Apache-2.0

package http1_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"microstax/internal/dataplane/http1"
)

// ending is where a message ended, as one reader has it.
type ending struct {
	at   int // offset behind it
	body string
	err  error
}

// ours reads the message at the beginning of data. start is where its head begins: empty lines before it are skipped.
func ours(data []byte, method string, request bool) (start int, e ending) {
	src := bytes.NewReader(data)
	rd := http1.NewReader(src)
	consumed := func() int { return len(data) - src.Len() - len(rd.Buffered()) }
	var h http1.Head
	var f http1.Framing
	if request {
		if e.err = rd.ReadRequest(&h, limit); e.err != nil {
			return 0, e
		}
		f = http1.RequestFraming(&h)
	} else {
		if e.err = rd.ReadResponse(&h, limit); e.err != nil {
			return 0, e
		}
		f = http1.ResponseFraming(&h, method)
	}
	start = consumed() - len(h.Raw)
	b := http1.NewBody(f)
	var sink collect
	e.err = b.Copy(io.Discard, rd, make([]byte, 512), &sink, false)
	e.at, e.body = consumed(), sink.content.String()
	return start, e
}

// theirs reads it with net/http; status is that of an answer.
func theirs(data []byte, method string, request bool) (e ending, status int, head error) {
	src := bytes.NewReader(data)
	rd := bufio.NewReader(src)
	var body io.ReadCloser
	if request {
		r, err := http.ReadRequest(rd)
		if err != nil {
			return e, 0, err
		}
		body = r.Body
	} else {
		r, err := http.ReadResponse(rd, &http.Request{Method: method})
		if err != nil {
			return e, 0, err
		}
		status, body = r.StatusCode, r.Body
	}
	content, err := io.ReadAll(body)
	return ending{at: len(data) - src.Len() - rd.Buffered(), body: string(content), err: err}, status, nil
}

// taste is an error of net/http's that is not about where a message ends: it bounds what we bound otherwise, or looks into
// a target or a host.
func taste(err error) bool {
	for _, about := range []string{"Content-Length", "transfer encoding", "Transfer-Encoding", "chunk", "trailer", "malformed MIME"} {
		if strings.Contains(err.Error(), about) {
			return strings.Contains(err.Error(), "too much non-data")
		}
	}
	return true
}

// FuzzRequest holds our reading of a connection against net/http's: whatever we take for a message, it takes for the same
// one, which ends at the same byte and has the same content. What we refuse ends the connection, so it does not matter.
func FuzzRequest(f *testing.F) {
	for _, s := range smuggling() {
		f.Add([]byte(s.said))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for range 4 { // as many as lie behind each other
			start, mine := ours(data, "", true)
			if mine.err != nil {
				return
			}
			std, _, head := theirs(data[start:], "", true)
			switch {
			case head != nil && !taste(head):
				t.Fatalf("net/http refuses the framing of %q, which we take: %v", data[start:], head)
			case head != nil, std.err != nil && taste(std.err) && !errors.Is(std.err, io.ErrUnexpectedEOF):
				return
			case std.err != nil:
				t.Fatalf("net/http cannot read the body of %q: %v", data[start:mine.at], std.err)
			case start+std.at != mine.at || std.body != mine.body:
				t.Fatalf("%q: ours ends at %d with %q, net/http's at %d with %q",
					data, mine.at, mine.body, start+std.at, std.body)
			}
			data = data[mine.at:]
		}
	})
}

// FuzzResponse holds our reading of answers against net/http's where both take them, and against our own when the bytes
// come one by one. We take some that net/http does not, since a user's own client may.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0;x=\"y\"\r\nT: x\r\n\r\nrest",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nabc",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\n\nrest", "HTTP/1.1 200\r\n\r\nrest", "HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\nrest",
		"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\nrest",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n 4\r\n\r\nabcd",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\nabc",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, toHead bool) {
		method := "GET"
		if toHead {
			method = "HEAD"
		}
		_, mine := ours(data, method, false)
		std, status, head := theirs(data, method, false)
		if mine.err == nil && head == nil && std.err == nil && status >= 200 && (mine.at != std.at || mine.body != std.body) {
			t.Fatalf("%s %q: ours ends at %d with %q, net/http's at %d with %q", method, data, mine.at, mine.body, std.at, std.body)
		}
		read := func(src io.Reader) (string, bool) {
			rd := http1.NewReader(src)
			var h http1.Head
			if rd.ReadResponse(&h, limit) != nil {
				return "", false
			}
			b := http1.NewBody(http1.ResponseFraming(&h, method))
			var sink collect
			err := b.Copy(io.Discard, rd, make([]byte, 64), &sink, false)
			return sink.content.String(), err == nil
		}
		a, okA := read(bytes.NewReader(data))
		b, okB := read(iotest.OneByteReader(bytes.NewReader(data)))
		if okA != okB || okA && a != b {
			t.Fatalf("%q: whole %q %v, byte by byte %q %v", data, a, okA, b, okB)
		}
	})
}
