// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/dataplane/route"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func backend(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// rawBackend answers every connection's first request with fixed bytes, and closes.
func rawBackend(t *testing.T, answer string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				r, err := http.ReadRequest(bufio.NewReader(nc))
				if err != nil {
					return
				}
				io.Copy(io.Discard, r.Body)
				io.WriteString(nc, answer)
				if tc, ok := nc.(*net.TCPConn); ok {
					tc.CloseWrite()
				}
				io.Copy(io.Discard, nc)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// talk sends bytes and returns all that comes back.
func talk(t *testing.T, addr, request string) string {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	nc.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(nc)
	if err != nil {
		t.Fatalf("read answer: %v (have %q)", err, got)
	}
	return string(got)
}

func TestAnswersPassByteForByte(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"odd case and order": "HTTP/1.1 200 All Right\r\nx-B: 1\r\nX-a:2\r\nCONTENT-LENGTH: 2\r\nx-B: 3\r\n\r\nok",
		"no reason":          "HTTP/1.1 204 \r\nX: y\r\n\r\n",
		"chunked with extension and trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n" +
			"3;a=b\r\nabc\r\n0004\r\ndefg\r\n0\r\nX-T: end\r\n\r\n",
		"until close":    "HTTP/1.1 200 OK\r\nX: 1\r\n\r\neverything until the end",
		"http/1.0":       "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold",
		"bare line feed": "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
		"interim first":  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
		"not modified":   "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\nETag: \"a\"\r\n\r\n",
		"empty":          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"large body":     "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("0123456789", 30000),
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := rawBackend(t, answer)
			addr := proxytest.Addr(t)
			c := proxytest.NewCollector()
			proxytest.Start(t, c, true, proxy.Limits{}, proxytest.Mirrored(addr, up, up, up, blueprint.Shadow{}))
			request := "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
			direct, through := talk(t, up, request), talk(t, addr, request)
			if direct != through {
				t.Fatalf("direct  %q\nthrough %q", direct, through)
			}
			o := c.WaitFor(t, 1)[0]
			if o.Candidate.Outcome != exchange.OK || o.Candidate.Response.Status != o.Baseline.Response.Status {
				t.Fatalf("candidate %+v, baseline %+v", o.Candidate, o.Baseline)
			}
			if !bytes.Equal(o.Candidate.Response.Body.Data, o.Baseline.Response.Body.Data) {
				t.Fatal("captured bodies differ")
			}
		})
	}
}

func TestRequestsPassUnchanged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string][]string{}
	note := func(who string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			seen[who] = append(seen[who], fmt.Sprintf("%s %s %v %q %s", r.Method, r.RequestURI, r.Header["X-Odd"], body, r.Host))
			mu.Unlock()
			w.WriteHeader(201)
		}
	}
	addr := proxytest.Addr(t)
	c := proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr,
		backend(t, note("primary")), backend(t, note("candidate")), backend(t, note("control")), blueprint.Shadow{}))
	requests := []string{
		"POST /a?b=%20c HTTP/1.1\r\nHost: h:1\r\nx-odd: 1\r\nX-ODD: 2\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
		"PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
		"POST /e HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
		"DELETE /d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	}
	for i, r := range requests {
		if got := talk(t, addr, r); !strings.HasPrefix(got, "HTTP/1.1 201") {
			t.Fatalf("answer %q", got)
		}
		c.WaitFor(t, i+1)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, who := range []string{"candidate", "control"} {
		if fmt.Sprint(seen[who]) != fmt.Sprint(seen["primary"]) {
			t.Errorf("%s saw %q\nprimary saw %q", who, seen[who], seen["primary"])
		}
	}
	if len(seen["primary"]) != len(requests) {
		t.Errorf("primary saw %q", seen["primary"])
	}
}

func TestMalformedRequestsGet400AndReachNobody(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		"both framings":    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"folded header":    "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
		"bare line feed":   "GET / HTTP/1.1\nHost: a\n\n",
		"no host":          "GET / HTTP/1.1\r\n\r\n",
		"two hosts":        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"space in name":    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"bad chunk":        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
		"other coding":     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"noise":            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"negative length":  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		"control in value": "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
	}
	for name, request := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hits atomic.Int64
			up := backend(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
			addr := proxytest.Addr(t)
			p := proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, proxytest.Mirrored(addr, up, up, up, blueprint.Shadow{}))
			got := talk(t, addr, request)
			if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, "Connection: close") {
				t.Fatalf("answer %q", got)
			}
			if hits.Load() != 0 || p.Stats().Malformed != 1 {
				t.Fatalf("%d requests got through, stats %+v", hits.Load(), p.Stats())
			}
		})
	}
}

func TestShadowThatMisbehavesChangesNothingForUsers(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	t.Cleanup(func() { close(hung) })
	shadows := map[string]struct {
		addr func(t *testing.T) string
		want exchange.Outcome
	}{
		"refusing": {proxytest0, exchange.Refused},
		"hung": {func(t *testing.T) string {
			return backend(t, func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-hung:
				case <-r.Context().Done():
				}
			})
		}, exchange.Timeout},
		"resetting": {func(t *testing.T) string {
			return backend(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				io.WriteString(w, "half")
				panic(http.ErrAbortHandler)
			})
		}, exchange.Reset},
		"garbled": {func(t *testing.T) string { return rawBackend(t, "SSH-2.0-hello\r\n\r\n") }, exchange.Garbled},
	}
	for name, sh := range shadows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ok := backend(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") })
			addr := proxytest.Addr(t)
			c := proxytest.NewCollector()
			proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr, ok, sh.addr(t), ok,
				blueprint.Shadow{Timeout: blueprint.Duration(500 * time.Millisecond)}))
			for range 5 {
				resp, err := http.Get("http://" + addr + "/x")
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(body) != "fine" {
					t.Fatalf("body %q", body)
				}
			}
			for _, o := range c.WaitFor(t, 5) {
				if o.Candidate.Outcome != sh.want || o.Control.Outcome != exchange.OK {
					t.Fatalf("candidate %s %s, control %s", o.Candidate.Outcome, o.Candidate.Error, o.Control.Outcome)
				}
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}

func proxytest0(t *testing.T) string { return proxytest.Addr(t) }

func TestBodiesStreamBothWays(t *testing.T) {
	t.Parallel()
	up := backend(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		buf := make([]byte, 1)
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				return
			}
		}
	})
	addr := proxytest.Addr(t)
	c := proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr, up, up, up, blueprint.Shadow{}))
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", "http://"+addr+"/echo", pr)
	go pw.Write([]byte("1"))
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	one := make([]byte, 1)
	for i := range 5 {
		if _, err := io.ReadFull(resp.Body, one); err != nil || one[0] != byte('1'+i) {
			t.Fatalf("step %d: %q %v", i, one, err)
		}
		if i == 4 {
			pw.Close()
			break
		}
		pw.Write([]byte{byte('2' + i)})
	}
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Fatalf("rest %q %v", rest, err)
	}
	o := c.WaitFor(t, 1)[0]
	if string(o.Candidate.Response.Body.Data) != "12345" || string(o.Baseline.Request.Body.Data) != "12345" {
		t.Fatalf("captured %q and %q", o.Candidate.Response.Body.Data, o.Baseline.Request.Body.Data)
	}
}

func TestKeepAliveServesManyRequestsAndSumsHold(t *testing.T) {
	t.Parallel()
	up := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	addr := proxytest.Addr(t)
	c := proxytest.NewCollector()
	half := 0.5
	proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr, up, up, up, blueprint.Shadow{
		Sample: &half, Exclude: []blueprint.Match{{Path: "/healthz"}}, Session: []string{"cookie:sid"}, MaxBody: 1000,
	}))
	tr := &http.Transport{MaxIdleConnsPerHost: 8}
	defer tr.CloseIdleConnections()
	const n = 400
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range n / 8 {
				path, size := "/x", 10
				switch i % 10 {
				case 0:
					path = "/healthz"
				case 1:
					size = 2000
				}
				req, _ := http.NewRequest("POST", "http://"+addr+path, strings.NewReader(strings.Repeat("b", size)))
				req.Header.Set("Cookie", fmt.Sprintf("a=b; sid=s%d-%d", w, i/5))
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if len(body) != size {
					t.Errorf("%d bytes, want %d", len(body), size)
				}
			}
		})
	}
	wg.Wait()
	total := func() (sum int64) {
		for _, k := range c.Dropped() {
			sum += k
		}
		return sum + int64(len(c.Observations()))
	}
	c.Until(t, func() bool { return c.Received() == n && total() == n })
	d := c.Dropped()
	if d[observation.Excluded] != n/10 || d[observation.SampledOut] == 0 || d[observation.BodyTooLarge] == 0 {
		t.Fatalf("dropped %v", d)
	}
	units := map[string]bool{}
	for _, o := range c.Observations() {
		if o.OwnUnit || o.Unit == "" || strings.Contains(o.Unit, "s0-") {
			t.Fatalf("unit %q own %v", o.Unit, o.OwnUnit)
		}
		units[o.Unit] = true
	}
	if len(units) < 10 {
		t.Fatalf("%d units", len(units))
	}
}

func TestRoutingKeysReachTheirOverlay(t *testing.T) {
	t.Parallel()
	say := func(who string) string {
		return backend(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s key=%s baggage=%s", who, r.Header.Get("x-msx-env"), r.Header.Get("baggage"))
		})
	}
	base, one, twelve, out := say("base"), say("pr-1"), say("pr-12"), say("outside")
	addr, ext := proxytest.Addr(t), proxytest.Addr(t)
	table := &route.Table{Revision: 7, Listeners: []route.Listener{
		{
			ID: "gw", Addr: addr, Kind: route.Gateway, Service: "svc",
			Default: &route.Target{Addrs: []string{base}},
			Keys: map[string]*route.Target{
				"pr-1":  {Addrs: []string{one}, Key: "pr-1"},
				"pr-12": {Addrs: []string{twelve}, Key: "pr-12"},
			},
		},
		{
			ID: "ext", Addr: ext, Kind: route.Outgoing, Service: "world", Origin: route.Origin{Environment: "e", Service: "svc", Role: "primary"},
			Default: &route.Target{Addrs: []string{out}, External: true},
		},
	}}
	p := proxytest.Start(t, proxytest.NewCollector(), true, proxy.Limits{}, table)
	get := func(addr string, headers ...string) string {
		req := "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + strings.Join(headers, "\r\n")
		if len(headers) > 0 {
			req += "\r\n"
		}
		got := talk(t, addr, req+"\r\n")
		_, body, _ := strings.Cut(got, "\r\n\r\n")
		return body
	}
	trace := "traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	cases := []struct {
		name, addr, want string
		headers          []string
	}{
		{"none", addr, "base key= baggage=", nil},
		{"header", addr, "pr-1 key=pr-1 baggage=msx-env=pr-1", []string{"X-MSX-Env: pr-1"}},
		{"baggage", addr, "pr-12 key=pr-12 baggage=a=b,msx-env=pr-12", []string{"baggage: a=b, msx-env=pr-12;prop=1"}},
		{"exact", addr, "base key= baggage=", []string{"x-msx-env: pr-123"}},
		{"not a prefix", addr, "base key= baggage=xmsx-env=pr-1", []string{"baggage: xmsx-env=pr-1"}},
		{"trace learnt", addr, "pr-1 key=pr-1 baggage=msx-env=pr-1", []string{"x-msx-env: pr-1", trace}},
		{"trace alone", addr, "pr-1 key=pr-1 baggage=msx-env=pr-1", []string{trace}},
		{"stripped outside", ext, "outside key= baggage=a=b", []string{"x-msx-env: pr-1", "baggage: msx-env=pr-1,a=b"}},
	}
	for _, tc := range cases { // in order: one teaches the next
		if got := get(tc.addr, tc.headers...); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
	for _, s := range p.Serving() {
		if s.Revision != 7 {
			t.Errorf("%+v", s)
		}
	}
}

func TestTablesSwapWithoutLosingRequests(t *testing.T) {
	t.Parallel()
	a := backend(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a") })
	b := backend(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "b") })
	addr := proxytest.Addr(t)
	table := func(rev uint64, up string) *route.Table {
		return &route.Table{Revision: rev, Listeners: []route.Listener{{
			ID: "gw", Addr: addr, Kind: route.Gateway, Service: "svc", Default: &route.Target{Addrs: []string{up}},
		}}}
	}
	p := proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, table(1, a))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	tr := &http.Transport{MaxIdleConnsPerHost: 4}
	defer tr.CloseIdleConnections()
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				req, _ := http.NewRequest("GET", "http://"+addr+"/", nil)
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	for rev := uint64(2); rev < 60; rev++ {
		up := a
		if rev%2 == 0 {
			up = b
		}
		if err := p.Apply(t.Context(), table(rev, up)); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if got := talk(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "a") {
		t.Fatalf("answer %q", got)
	}
}

// closingBackend ends a connection when the request asks for it, as some servers do, without saying so in the answer.
func closingBackend(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				rd := bufio.NewReader(nc)
				for {
					r, err := http.ReadRequest(rd)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					if r.Close {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

func TestConnectionsThatWereAskedToCloseAreNotUsedAgain(t *testing.T) {
	t.Parallel()
	up := closingBackend(t)
	addr := proxytest.Addr(t)
	c := proxytest.NewCollector()
	p := proxytest.Start(t, c, true, proxy.Limits{}, proxytest.Mirrored(addr, up, up, up, blueprint.Shadow{}))
	const n = 100
	for range n {
		got := talk(t, addr, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
		if !strings.HasPrefix(got, "HTTP/1.1 200") {
			t.Fatalf("answer %q, stats %+v", got, p.Stats())
		}
	}
	for _, o := range c.WaitFor(t, n) {
		if o.Candidate.Outcome != exchange.OK || o.Control.Outcome != exchange.OK {
			t.Fatalf("candidate %s, control %s", o.Candidate.Outcome, o.Control.Outcome)
		}
	}
}
