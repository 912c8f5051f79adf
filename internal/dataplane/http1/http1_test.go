// SPDX-License-Identifier: Apache-2.0

package http1_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"microstax/internal/dataplane/http1"
)

const limit = 64 << 10

// collect is a sink that keeps everything.
type collect struct {
	content bytes.Buffer
	trailer string
}

func (c *collect) Content(p []byte)   { c.content.Write(p) }
func (c *collect) Trailer(raw []byte) { c.trailer = string(raw) }

// readRequest reads one message as the proxy does: what it decodes to, and how many bytes it took.
func readRequest(src io.Reader) (h http1.Head, body string, raw []byte, err error) {
	rd := http1.NewReader(src)
	if err = rd.ReadRequest(&h, limit); err != nil {
		return h, "", nil, err
	}
	raw = append(raw, h.Raw...)
	method := string(h.Method)
	h.Method = []byte(method)
	b := http1.NewBody(http1.RequestFraming(&h))
	var sink collect
	var out bytes.Buffer
	err = b.Copy(&out, rd, make([]byte, 512), &sink, false)
	return h, sink.content.String(), append(raw, out.Bytes()...), err
}

func TestMessagesEndWhereTheyEndHoweverTheyArrive(t *testing.T) {
	t.Parallel()
	next := "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
	cases := []struct{ name, message, body string }{
		{"no body", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00\r\n\r\n", "hello"},
		{"chunked, upper case", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
		{"trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", "x"},
		{"empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
	}
	for _, tc := range cases {
		readers := map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "half": iotest.HalfReader,
		}
		for how, wrap := range readers {
			t.Run(tc.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				rd := http1.NewReader(wrap(strings.NewReader(tc.message + next)))
				var h http1.Head
				if err := rd.ReadRequest(&h, limit); err != nil {
					t.Fatal(err)
				}
				b := http1.NewBody(http1.RequestFraming(&h))
				var sink collect
				if err := b.Copy(io.Discard, rd, make([]byte, 7), &sink, false); err != nil {
					t.Fatal(err)
				}
				if sink.content.String() != tc.body {
					t.Fatalf("body %q, want %q", sink.content.String(), tc.body)
				}
				if err := rd.ReadRequest(&h, limit); err != nil || string(h.Target) != "/next" {
					t.Fatalf("next request: %q, %v", h.Target, err)
				}
				if err := rd.ReadRequest(&h, limit); !errors.Is(err, io.EOF) {
					t.Fatalf("end: %v", err)
				}
			})
		}
	}
}

func TestTrailersAreSeen(t *testing.T) {
	t.Parallel()
	rd := http1.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nGrpc-Status: 5\r\nB: c\r\n\r\n"))
	var h http1.Head
	if err := rd.ReadResponse(&h, limit); err != nil {
		t.Fatal(err)
	}
	b := http1.NewBody(http1.ResponseFraming(&h, "GET"))
	var sink collect
	if err := b.Copy(io.Discard, rd, make([]byte, 64), &sink, false); err != nil {
		t.Fatal(err)
	}
	fs := http1.ParseTrailer([]byte(sink.trailer))
	if len(fs) != 2 || string(fs[0].Name) != "Grpc-Status" || string(fs[0].Value) != "5" {
		t.Fatalf("trailer %q: %v", sink.trailer, fs)
	}
}

func TestResponseFraming(t *testing.T) {
	t.Parallel()
	cases := []struct {
		head, method string
		want         http1.Kind
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", http1.Length},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", http1.NoBody},
		{"HTTP/1.1 204 No\r\n\r\n", "GET", http1.NoBody},
		{"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", "GET", http1.NoBody},
		{"HTTP/1.1 100 Continue\r\n\r\n", "POST", http1.NoBody},
		{"HTTP/1.1 200 OK\r\n\r\n", "GET", http1.UntilEOF},
		{"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", http1.Chunked},
	}
	for _, tc := range cases {
		var h http1.Head
		if err := http1.NewReader(strings.NewReader(tc.head)).ReadResponse(&h, limit); err != nil {
			t.Errorf("%q: %v", tc.head, err)
			continue
		}
		if got := http1.ResponseFraming(&h, tc.method).Kind; got != tc.want {
			t.Errorf("%q %s: %d, want %d", tc.head, tc.method, got, tc.want)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	var h http1.Head
	long := "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 2*limit) + "\r\n\r\n"
	if err := http1.NewReader(strings.NewReader(long)).ReadRequest(&h, limit); !errors.Is(err, http1.ErrHeadTooLarge) {
		t.Errorf("long head: %v", err)
	}
	_, _, _, err := readRequest(strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" +
		strings.Repeat("A: b\r\n", 10_000) + "\r\n"))
	if !errors.Is(err, http1.ErrMalformed) {
		t.Errorf("long trailer: %v", err)
	}
	_, _, _, err = readRequest(strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"))
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short body: %v", err)
	}
}
