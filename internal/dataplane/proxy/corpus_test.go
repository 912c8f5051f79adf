// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
)

// script answers requests with fixed bytes, as many on a connection as come, and keeps what it got as it came.
type script struct {
	addr    string
	answers map[string]string // by path; "close " before one ends the connection behind it

	mu  sync.Mutex
	got []string
}

func play(t *testing.T, answers map[string]string) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{addr: ln.Addr().String(), answers: answers}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(nc) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return s
}

func (s *script) serve(nc net.Conn) {
	defer nc.Close()
	var raw bytes.Buffer
	rd := bufio.NewReader(io.TeeReader(nc, &raw))
	for {
		r, err := http.ReadRequest(rd)
		if err != nil {
			return
		}
		answer := s.answers[r.URL.Path]
		switch {
		case strings.HasPrefix(answer, "refuse "): // without the body
			io.WriteString(nc, strings.TrimPrefix(answer, "refuse "))
			nc.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, rd)
			return
		case r.Header.Get("Expect") != "":
			io.WriteString(nc, "HTTP/1.1 100 Go On\r\nX-Odd: yes\r\n\r\n")
		}
		io.Copy(io.Discard, r.Body)
		n := raw.Len() - rd.Buffered()
		s.mu.Lock()
		s.got = append(s.got, string(raw.Next(n)))
		s.mu.Unlock()
		answer, ends := strings.CutPrefix(answer, "close ")
		io.WriteString(nc, answer)
		if ends || r.Close {
			nc.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, rd)
			return
		}
	}
}

// taken is what came since the last time.
func (s *script) taken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.got, "|")
	s.got = nil
	return all
}

// odd are answers that are legal, or that clients put up with, and that a proxy easily makes others of.
func odd() map[string]string {
	var cookies strings.Builder
	for i := range 200 {
		fmt.Fprintf(&cookies, "Set-Cookie: c%d=%d; Path=/\r\n", i, i)
	}
	var bytewise strings.Builder
	for i := range 300 {
		fmt.Fprintf(&bytewise, "1\r\n%c\r\n", 'a'+i%26)
	}
	const ok, one = "HTTP/1.1 200 OK\r\n", "Content-Length: 1\r\n\r\nx"
	return map[string]string{
		"/plain": ok + one,
		"/interim": "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" +
			"HTTP/1.1 103 early hints\r\nlink: </b>\r\n\r\n" + ok + one,
		"/trailers":    ok + "Transfer-Encoding: chunked\r\nTrailer: A, B\r\n\r\n1\r\nx\r\n0\r\nA: 1\r\nb:2\r\nA: 3\r\n\r\n",
		"/extensions":  ok + "Transfer-Encoding: chunked\r\n\r\n0000A;name=\"v;1\";x\r\n0123456789\r\n5;\r\nabcde\r\n000;end\r\n\r\n",
		"/bytewise":    ok + "transfer-encoding: Chunked\r\n\r\n" + bytewise.String() + "0\r\n\r\n",
		"/padded":      ok + "Transfer-Encoding: chunked\r\n\r\n5  \r\nabcde\r\n0\r\n\r\n",
		"/gzip":        "close " + ok + "Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"/identity":    "close " + ok + "Transfer-Encoding: identity\r\n\r\nuntil the end",
		"/204":         "HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nX-Empty:\r\n\r\n",
		"/304":         "HTTP/1.1 304 Not Modified\r\nContent-Length: 12345\r\nTransfer-Encoding: chunked\r\nETag: W/\"x\"\r\nVary: *\r\n\r\n",
		"/205":         "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
		"/reason":      "HTTP/1.1 200 everything is fine, mostly\r\n" + one,
		"/noreason":    "HTTP/1.1 200\r\n" + one,
		"/emptyreason": "HTTP/1.1 200 \r\n" + one,
		"/latin":       "HTTP/1.1 200 Sch\xf6n\r\nX-Latin: \xe4\xf6\xfc\r\n" + one,
		"/strange":     "HTTP/1.1 799 Who Knows\r\n" + one,
		"/cookies":     ok + cookies.String() + one,
		"/duplicates":  ok + "X: 1\r\nx: 1\r\nX:1\r\nX: 2 \r\nX:\t3\t\r\nDate: yesterday\r\nServer:\r\n" + one,
		"/lengths":     ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"/zeros":       ok + "Content-Length: 0001\r\n\r\nx",
		"/folded":      ok + "X-Long: one\r\n two\r\n\tthree\r\n" + one,
		"/linefeeds":   "HTTP/1.1 200 OK\nX: y\nContent-Length: 1\n\nx",
		"/longline":    ok + "X-Long: " + strings.Repeat("long ", 30_000) + "\r\n" + one,
		"/old":         "close HTTP/1.0 200 OK\r\nX: y\r\n\r\nuntil the end",
		"/oldkept":     "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
		"/oldchunks":   "close HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"/untilclose":  "close " + ok + "Connection: close\r\n\r\nuntil the end",
		"/refusal":     "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\nx",
		"/413":         "refuse HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
		"/empty":       ok + "Content-Length: 0\r\n\r\n",
		"/both":        ok + "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
	}
}

// both starts a script and a plane before it, and says what each answers to the same bytes.
func both(t *testing.T) (s *script, addr string, same func(name string, do func(addr string) string)) {
	t.Helper()
	s = play(t, odd())
	shadow := play(t, odd())
	addr = proxytest.Addr(t)
	proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, proxytest.Mirrored(addr, s.addr, shadow.addr, shadow.addr, blueprint.Shadow{}))
	return s, addr, func(name string, do func(addr string) string) {
		t.Helper()
		want := do(s.addr)
		sent := s.taken()
		got := do(addr)
		if got != want {
			t.Errorf("%s: the user gets\n%q\nwhere the provider answers\n%q", name, short120(got), short120(want))
		}
		if came := s.taken(); came != sent {
			t.Errorf("%s: the provider gets\n%q\nwhere the user sends\n%q", name, short120(came), short120(sent))
		}
		if want == "" {
			t.Errorf("%s: nothing is answered at all", name)
		}
	}
}

func short120(s string) string {
	if len(s) > 600 {
		return fmt.Sprintf("%s… (%d bytes)", s[:600], len(s))
	}
	return s
}

func TestOddAnswersAreWhatTheProviderSent(t *testing.T) {
	t.Parallel()
	_, _, same := both(t)
	for path := range odd() {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			if method == "HEAD" && headless(path) {
				continue
			}
			body := ""
			if method == "POST" {
				body = "Content-Length: 5\r\n"
			}
			said := method + " " + path + " HTTP/1.1\r\nHost: a\r\n" + body + "Connection: close\r\n\r\n"
			if body != "" {
				said += "hello"
			}
			same(method+" "+path, func(addr string) string { return talk(t, addr, said) })
		}
	}
}

// headless are answers whose script sends a body that no answer to HEAD may have: what lies behind it is another message.
func headless(path string) bool {
	switch path {
	case "/204", "/205", "/304", "/empty", "/413", "/untilclose":
		return path == "/413" || path == "/untilclose"
	}
	return true
}

func TestAnswersToHead(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"/length":  "HTTP/1.1 200 OK\r\nContent-Length: 123456\r\n\r\n",
		"/chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"/neither": "HTTP/1.1 200 OK\r\n\r\n",
		"/interim": "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
	}
	up := play(t, answers)
	addr := proxytest.Addr(t)
	proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, proxytest.Mirrored(addr, up.addr, up.addr, "", blueprint.Shadow{}))
	said, want := "", ""
	for path, answer := range answers { // behind each other on one connection: nothing may be taken for a body
		said += "HEAD " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
		want += answer
	}
	if got := talk(t, addr, said); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOddRequestsReachTheProviderAsTheyCame(t *testing.T) {
	t.Parallel()
	_, _, same := both(t)
	requests := map[string]string{
		"absolute target":        "GET http://other.example/plain?q HTTP/1.1\r\nHost: a\r\n\r\n",
		"fields":                 "GET /plain HTTP/1.1\r\nx-A:1\r\nHOST:   a  \r\nX-b: \t2\r\nx-A: 3\r\nX-Latin: \xe9\r\nEmpty:\r\n\r\n",
		"unusual method":         "M-SEARCH /plain HTTP/1.1\r\nHost: a\r\n\r\n",
		"chunks":                 "POST /plain HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00005;a=\"b\"\r\nhello\r\n1\r\n!\r\n0;x\r\nSum: 1\r\n\r\n",
		"GET with a body":        "GET /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		"no body, with a length": "POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"encoded path":           "GET /plain?a=%2F%2f&b=[]|{} HTTP/1.1\r\nHost: a\r\n\r\n",
		"HTTP/1.0":               "GET /plain HTTP/1.0\r\n\r\n",
		"HTTP/1.0, kept":         "GET /oldkept HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /oldkept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"hop by hop":             "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nVia: 1.1 x\r\n\r\n",
		"upgrade refused":        "GET /refusal HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /plain HTTP/1.1\r\nHost: a\r\n\r\n",
		"upgrade ignored":        "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: something/2\r\n\r\n",
		"pipelined": strings.Repeat("GET /plain HTTP/1.1\r\nHost: a\r\n\r\nPOST /trailers HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"+
			"GET /304 HTTP/1.1\r\nHost: a\r\n\r\nPOST /interim HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 20),
	}
	for name, said := range requests {
		same(name, func(addr string) string { return talk(t, addr, said) })
	}
}

// steps writes parts of a request, each when the answer so far ends with what it waits for, and returns everything.
func steps(t *testing.T, addr string, parts ...[2]string) string {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	var got []byte
	one := make([]byte, 1)
	for _, p := range parts {
		for !strings.HasSuffix(string(got), p[0]) {
			if _, err := io.ReadFull(nc, one); err != nil {
				t.Fatalf("%v behind %q, waiting for %q", err, got, p[0])
			}
			got = append(got, one[0])
		}
		if _, err := io.WriteString(nc, p[1]); err != nil {
			t.Fatal(err)
		}
	}
	nc.(*net.TCPConn).CloseWrite()
	rest, err := io.ReadAll(nc)
	if err != nil {
		t.Fatalf("%v behind %q", err, append(got, rest...))
	}
	return string(append(got, rest...))
}

func TestClientsThatAskBeforeTheySend(t *testing.T) {
	t.Parallel()
	_, _, same := both(t)
	const ask = " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	same("told to go on", func(addr string) string {
		return steps(t, addr, [2]string{"", "POST /plain" + ask}, [2]string{"X-Odd: yes\r\n\r\n", "hel"}, [2]string{"", "lo"},
			[2]string{"\r\n\r\nx", "POST /empty" + ask}, [2]string{"X-Odd: yes\r\n\r\n", "hello"})
	})
	same("refused before the body", func(addr string) string {
		return steps(t, addr, [2]string{"", "POST /413" + ask}, [2]string{"\r\n\r\nno", ""})
	})
	same("does not wait", func(addr string) string {
		return steps(t, addr, [2]string{"", "POST /plain" + ask + "hello"})
	})
}
