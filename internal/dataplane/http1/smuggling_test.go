// SPDX-License-Identifier: Apache-2.0

package http1_test

import (
	"errors"
	"strings"
	"testing"

	"microstax/internal/dataplane/http1"
)

// attempt is a request with which two parsers could be made to disagree; body is what it carries when it is proper, and
// "refused" says that it is not taken.
type attempt struct{ name, said, body string }

const refused = "refused"

// smuggling is the corpus: the classes that have been published against proxies, and what is legal beside them.
func smuggling() []attempt {
	const next = "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
	post := func(fields, rest string) string { return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + rest }
	chunked := func(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }
	get := func(fields string) string { return "GET / HTTP/1.1\r\n" + fields + "\r\n" }
	return []attempt{
		{"plain", get("Host: a\r\n") + next, ""},
		{"length", post("Content-Length: 3\r\n", "abc"+next), "abc"},
		{"chunks", chunked("3\r\nabc\r\n0\r\n\r\n" + next), "abc"},
		{"length before coding", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"), refused},
		{"coding before length", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "5c\r\n"), refused},
		{"two codings, one odd", post("Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n", "0\r\n\r\n"), refused},
		{"coding: xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), refused},
		{"coding: chunked with parameter", post("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"), refused},
		{"coding: quoted", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), refused},
		{"coding: list", post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"), refused},
		{"coding: empty element", post("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"), refused},
		{"coding: space before colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), refused},
		{"coding: tab before value", post("Transfer-Encoding:\tchunked\r\n", "0\r\n\r\n"), ""},
		{"coding: vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), refused},
		{"coding: NUL", post("Transfer-Encoding: chunked\x00\r\n", "0\r\n\r\n"), refused},
		{"coding: folded", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), refused},
		{"coding: line of its own", post("X: y\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), refused},
		{"coding: after a bare return", post("X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), refused},
		{"coding: leading space", post(" Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), refused},
		{"coding: under HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused},
		{"length: plus", post("Content-Length: +3\r\n", "abc"), refused},
		{"length: minus", post("Content-Length: -0\r\n", ""), refused},
		{"length: list", post("Content-Length: 3, 3\r\n", "abc"), refused},
		{"length: twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), refused},
		{"length: hexadecimal", post("Content-Length: 0x3\r\n", "abc"), refused},
		{"length: digits of another script", post("Content-Length: \u0663\r\n", "abc"), refused},
		{"length: space inside", post("Content-Length: 1 0\r\n", "abc"), refused},
		{"length: overflow", post("Content-Length: 18446744073709551619\r\n", "abc"), refused},
		{"length: empty", post("Content-Length: \r\n", ""), refused},
		{"length: leading zeros", post("Content-Length: 003\r\n", "abc"), "abc"},
		{"size: overflow", chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"), refused},
		{"size: overflow of 63 bits", chunked("ffffffffffffffff\r\nabc\r\n0\r\n\r\n"), refused},
		{"size: prefix", chunked("0x3\r\nabc\r\n0\r\n\r\n"), refused},
		{"size: sign", chunked("+3\r\nabc\r\n0\r\n\r\n"), refused},
		{"size: underscore", chunked("0_3\r\nabc\r\n0\r\n\r\n"), refused},
		{"size: padded", chunked("3 \r\nabc\r\n0\r\n\r\n"), refused},
		{"size: leading space", chunked(" 3\r\nabc\r\n0\r\n\r\n"), refused},
		{"size: leading zeros", chunked("0003\r\nabc\r\n00\r\n\r\n"), "abc"},
		{"size: none", chunked("\r\nabc\r\n0\r\n\r\n"), refused},
		{"size: bare line feed", chunked("3\nabc\r\n0\r\n\r\n"), refused},
		{"data: too long", chunked("3\r\nabcd\r\n0\r\n\r\n"), refused},
		{"data: bare line feed behind", chunked("3\r\nabc\n0\r\n\r\n"), refused},
		{"data: no end", chunked("3\r\nabc0\r\n\r\n"), refused},
		{"extension", chunked("3;a=b\r\nabc\r\n0;c\r\n\r\n"), "abc"},
		{"extension: quoted", chunked("3;a=\"b;c\"\r\nabc\r\n0\r\n\r\n"), "abc"},
		{"extension: bare line feed", chunked("3;a\nabc\r\n0\r\n\r\n"), refused},
		{"extension: bare return", chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"), refused},
		{"extension: endless", chunked("3;" + strings.Repeat("a", 5<<10) + "\r\nabc\r\n0\r\n\r\n"), refused},
		{"trailer", chunked("0\r\nX: y\r\n\r\n" + next), ""},
		{"trailer: folded", chunked("0\r\nX: y\r\n z\r\n\r\n"), refused},
		{"trailer: no field", chunked("0\r\nGET / HTTP/1.1\r\n\r\n"), refused},
		{"trailer: space before colon", chunked("0\r\nX : y\r\n\r\n"), refused},
		{"trailer: bare line feed", chunked("0\r\nX: y\n\r\n"), refused},
		{"trailer: bare return", chunked("0\r\nX: y\rz\r\n\r\n"), refused},
		{"trailer: bare end", chunked("0\r\n\n"), refused},
		{"host: none", get("X: y\r\n"), refused},
		{"host: twice", get("Host: a\r\nHost: a\r\n"), refused},
		{"host: space before colon", get("Host : a\r\n"), refused},
		{"host: folded", get("Host:\r\n a\r\n"), refused},
		{"host: empty", get("Host:\r\n"), ""},
		{"target: absolute", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"target: asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"target: space", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", refused},
		{"line: two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", refused},
		{"line: tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", refused},
		{"line: space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", refused},
		{"line: HTTP/0.9", "GET /\r\n\r\n", refused},
		{"line: HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", refused},
		{"line: HTTP/01.1", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", refused},
		{"line: empty ones before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"line: bare line feed before", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", refused},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", ""},
		{"name: empty", get("Host: a\r\n: x\r\n"), refused},
		{"name: control", get("Host: a\r\nX\x01: x\r\n"), refused},
		{"name: high byte", get("Host: a\r\n\xe9: x\r\n"), refused},
		{"value: high bytes", get("Host: a\r\nX: \xc3\xa9\r\n"), ""},
		{"head: bare line feeds", "GET / HTTP/1.1\nHost: a\n\n", refused},
		{"head: one bare line feed", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", refused},
		{"head: ended by bare line feeds", "GET / HTTP/1.1\r\nHost: a\r\n\n", refused},
	}
}

func TestRequestsThatCouldBeReadInTwoWaysAreRefused(t *testing.T) {
	t.Parallel()
	for _, s := range smuggling() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			_, _, _, err := readRequest(strings.NewReader(s.said))
			if s.body == refused {
				if !errors.Is(err, http1.ErrMalformed) {
					t.Errorf("%q is not refused: %v", s.said, err)
				}
				return
			}
			if _, body, _, err := readRequest(strings.NewReader(s.said)); err != nil || body != s.body {
				t.Errorf("%q: body %q, %v; want %q", s.said, body, err, s.body)
			}
		})
	}
}

func TestOldAnswersAreTakenAsTheirClientsTakeThem(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, head string
		want       http1.Kind
		header     string // what X says, as one line
	}{
		{"folded", "HTTP/1.1 200 OK\r\nX: a\r\n  b\r\n\tc\r\nContent-Length: 1\r\n\r\n", http1.Length, "a b c"},
		{"another coding, then chunks", "HTTP/1.1 200 OK\r\nX: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", http1.Chunked, "a"},
		{"another coding", "HTTP/1.1 200 OK\r\nX: a\r\nTransfer-Encoding: identity\r\n\r\n", http1.UntilEOF, "a"},
		{"chunks under HTTP/1.0", "HTTP/1.0 200 OK\r\nX: a\r\nTransfer-Encoding: chunked\r\n\r\n", http1.UntilEOF, "a"},
		{"two equal lengths", "HTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", http1.Length, "a"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var h http1.Head
			if err := http1.NewReader(strings.NewReader(row.head)).ReadResponse(&h, limit); err != nil {
				t.Fatal(err)
			}
			if got := http1.ResponseFraming(&h, "GET").Kind; got != row.want || string(h.Raw) != row.head {
				t.Errorf("framing %d, want %d; raw %q", got, row.want, h.Raw)
			}
			for _, x := range h.Headers() {
				if x.Name == "X" && x.Value != row.header {
					t.Errorf("X is %q, want %q", x.Value, row.header)
				}
			}
		})
	}
	for name, head := range map[string]string{
		"folded length": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\n",
		"folded coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
		"two lengths":   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"fold first":    "HTTP/1.1 200 OK\r\n X: a\r\n\r\n",
	} {
		var h http1.Head
		if err := http1.NewReader(strings.NewReader(head)).ReadResponse(&h, limit); !errors.Is(err, http1.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
