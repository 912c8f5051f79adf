// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/dataplane/route"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// webClient speaks one version of HTTP, and trusts whoever signed.
func webClient(t *testing.T, second bool, trust *route.TLS) *http.Client {
	t.Helper()
	p := &http.Protocols{}
	p.SetHTTP1(!second)
	p.SetHTTP2(second)
	p.SetUnencryptedHTTP2(second)
	tr := &http.Transport{Protocols: p, DisableCompression: true}
	if trust != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(trust.Certificate)
		tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// secondBackend speaks HTTP/2 only.
func secondBackend(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// describe answers with what the provider saw.
func describe(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Trailer", "X-Sum")
	w.Header()["Date"] = nil
	fmt.Fprintf(w, "%s %s %s host=%s %q len=%d te=%q", r.Proto, r.Method, r.RequestURI, r.Host, body, r.ContentLength, r.Header["Te"])
	w.Header().Set("X-Sum", fmt.Sprint(len(body)))
}

func get(t *testing.T, c *http.Client, method, url, body string) (*http.Response, string) {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, content)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "svc.example"
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func TestBothVersionsOnOnePort(t *testing.T) {
	t.Parallel()
	for _, upstream := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(upstream, func(t *testing.T) {
			t.Parallel()
			start := backend
			if upstream == "HTTP/2.0" {
				start = secondBackend
			}
			addr, c := proxytest.Addr(t), proxytest.NewCollector()
			table := proxytest.Mirrored(addr, start(t, describe), start(t, describe), start(t, describe), blueprint.Shadow{})
			table.Listeners[0].Default.HTTP2 = upstream == "HTTP/2.0"
			proxytest.Start(t, c, false, proxy.Limits{}, table)
			for _, second := range []bool{false, true, false} {
				resp, got := get(t, webClient(t, second, nil), "POST", "http://"+addr+"/a%2Fb//c?q=%20", "hello")
				want := upstream + ` POST /a%2Fb//c?q=%20 host=svc.example "hello" len=5 te=[]`
				if got != want || resp.Trailer.Get("X-Sum") != "5" {
					t.Errorf("HTTP/2 %v: got %s, trailer %v\nwant %s", second, got, resp.Trailer, want)
				}
				if resp.Header["Date"] != nil || (resp.ProtoMajor == 2) != second {
					t.Errorf("answer %s %v", resp.Proto, resp.Header)
				}
			}
			get(t, webClient(t, true, nil), "HEAD", "http://"+addr+"/", "")
			for _, o := range c.WaitFor(t, 4) {
				if o.Alike {
					continue
				}
				if got := string(o.Candidate.Response.Body.Data); o.Candidate.Outcome != exchange.OK || got != string(o.Baseline.Response.Body.Data) {
					t.Errorf("candidate %+v %q, baseline %q", o.Candidate.Outcome, got, o.Baseline.Response.Body.Data)
				}
				if o.Baseline.Request.Proto != upstream {
					t.Errorf("captured as %s", o.Baseline.Request.Proto)
				}
			}
		})
	}
}

func TestRoutingContextInHTTP2(t *testing.T) {
	t.Parallel()
	who := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s key=%q baggage=%q traced=%v", name, r.Header["X-Msx-Env"], r.Header["Baggage"], r.Header.Get("Traceparent") != "")
		}
	}
	addr := proxytest.Addr(t)
	table := proxytest.Mirrored(addr, backend(t, who("base")), addr, "", blueprint.Shadow{})
	l := &table.Listeners[0]
	l.Default.Mirror = nil
	l.Keys = map[string]*route.Target{"blue": {Service: "svc", Addrs: []string{secondBackend(t, who("blue"))}, Key: "blue", HTTP2: true}}
	proxytest.Start(t, proxytest.NewCollector(), true, proxy.Limits{}, table)
	for _, second := range []bool{false, true} {
		client := webClient(t, second, nil)
		for header, want := range map[string]string{
			"":                          `base key=[] baggage=[] traced=true`,
			"X-Msx-Env: blue":           `blue key=["blue"] baggage=["msx-env=blue"] traced=true`,
			"Baggage: a=b,msx-env=blue": `blue key=["blue"] baggage=["a=b,msx-env=blue"] traced=true`,
			"X-Msx-Env: green":          `base key=[] baggage=[] traced=true`,
		} {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+"/", nil)
			if name, value, ok := strings.Cut(header, ": "); ok {
				req.Header.Set(name, value)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(got) != want {
				t.Errorf("HTTP/2 %v, %q: got %s, want %s", second, header, got, want)
			}
		}
	}
}

func TestTLSAtTheListener(t *testing.T) {
	t.Parallel()
	cert, err := proxy.SelfSigned([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	addr, c := proxytest.Addr(t), proxytest.NewCollector()
	up := backend(t, describe)
	table := proxytest.Mirrored(addr, up, up, up, blueprint.Shadow{})
	table.Listeners[0].TLS = cert
	p := proxytest.Start(t, c, false, proxy.Limits{}, table)
	for i, second := range []bool{false, true} {
		resp, got := get(t, webClient(t, second, cert), "POST", "https://"+addr+"/x", "hello")
		if resp.TLS == nil || (resp.ProtoMajor == 2) != second || !strings.Contains(got, `"hello"`) {
			t.Errorf("HTTP/2 %v: %s %q", second, resp.Proto, got)
		}
		c.WaitFor(t, i+1)
	}
	nc, err := net.Dial("tcp", addr) // one that does not speak TLS harms nobody
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	io.Copy(io.Discard, nc)
	nc.Close()
	if _, got := get(t, webClient(t, true, cert), "GET", "https://"+addr+"/y", ""); !strings.Contains(got, "/y") || p.Stats().Malformed != 1 {
		t.Errorf("answer %q, stats %+v", got, p.Stats())
	}
	table.Revision++
	table.Listeners[0].ID, table.Listeners[0].Addr = "other", proxytest.Addr(t)
	table.Listeners[0].TLS = &route.TLS{Certificate: []byte("nonsense"), Key: cert.Key}
	if err := p.Apply(t.Context(), table); err == nil || !strings.Contains(err.Error(), "read certificate") {
		t.Errorf("nonsense was taken for a certificate: %v", err)
	}
	files := &route.TLS{CertificateFile: filepath.Join(t.TempDir(), "cert.pem"), KeyFile: filepath.Join(t.TempDir(), "key.pem")}
	for name, text := range map[string][]byte{files.CertificateFile: cert.Certificate, files.KeyFile: cert.Key} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	table.Revision++
	table.Listeners[0].TLS = files
	if err := p.Apply(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	if _, got := get(t, webClient(t, true, cert), "GET", "https://"+table.Listeners[0].Addr+"/z", ""); !strings.Contains(got, "/z") {
		t.Errorf("with a certificate from files: answer %q", got)
	}
}

func TestSecureUpstreams(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s sni=%s %s", r.Proto, r.Host, r.TLS.ServerName, body)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // a refused certificate is part of the test
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	named := "localhost:" + port
	for _, second := range []bool{false, true} {
		t.Run(fmt.Sprint(second), func(t *testing.T) {
			t.Parallel()
			addr, c := proxytest.Addr(t), proxytest.NewCollector()
			up := route.Secure(named, true)
			table := proxytest.Mirrored(addr, up, up, up, blueprint.Shadow{})
			table.Listeners[0].Default.External = true
			table.Listeners[0].Default.HTTP2 = second
			proxytest.Start(t, c, false, proxy.Limits{}, table)
			proto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[second]
			want := proto + " " + named + " sni=localhost hi"
			for i, client := range []*http.Client{webClient(t, false, nil), webClient(t, true, nil)} {
				if _, got := get(t, client, "POST", "http://"+addr+"/", "hi"); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				o := c.WaitFor(t, i+1)[i]
				if got := string(o.Candidate.Response.Body.Data); !o.Alike && got != want {
					t.Errorf("candidate answered %q %s, want %q", got, o.Candidate.Error, want)
				}
			}
		})
	}
	t.Run("unknown certificate", func(t *testing.T) {
		t.Parallel()
		addr := proxytest.Addr(t)
		up := route.Secure(named, false)
		proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, proxytest.Mirrored(addr, up, up, up, blueprint.Shadow{}))
		resp, got := get(t, webClient(t, false, nil), "GET", "http://"+addr+"/", "")
		if resp.StatusCode != 502 || !strings.Contains(got, "certificate") {
			t.Errorf("%d %q", resp.StatusCode, got)
		}
	})
}

func TestMalformedFramesHarmNobodyElse(t *testing.T) {
	t.Parallel()
	addr, up := proxytest.Addr(t), backend(t, describe)
	proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, proxytest.Mirrored(addr, up, up, "", blueprint.Shadow{}))
	const hello = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for name, bytes := range map[string]string{
		"half a preface":       "PRI * HTTP/2.0\r\n\r\nSM",
		"another preface":      "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings,
		"no settings":          hello + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
		"frame too large":      hello + settings + "\xff\xff\xff\x00\x00\x00\x00\x00\x01",
		"data on no stream":    hello + settings + "\x00\x00\x01\x00\x00\x00\x00\x00\x07x",
		"even stream":          hello + settings + "\x00\x00\x01\x01\x05\x00\x00\x00\x02\x82",
		"bad compression":      hello + settings + "\x00\x00\x04\x01\x05\x00\x00\x00\x01\xff\xff\xff\xff",
		"settings of odd size": hello + "\x00\x00\x05\x04\x00\x00\x00\x00\x00abcde",
		"window of zero":       hello + settings + "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"lone continuation":    hello + settings + "\x00\x00\x01\x09\x04\x00\x00\x00\x01\x82",
		"noise":                hello + strings.Repeat("\xde\xad\xbe\xef", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(nc, bytes)
			nc.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, nc) // ends, by a close or a reset
			for _, second := range []bool{false, true} {
				if resp, _ := get(t, webClient(t, second, nil), "GET", "http://"+addr+"/", ""); resp.StatusCode != 200 {
					t.Errorf("status %d after it", resp.StatusCode)
				}
			}
		})
	}
}

func TestOfferOfHTTP2IsNotPassedOn(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 1)
	up := backend(t, func(w http.ResponseWriter, r *http.Request) { seen <- r.Header.Clone(); io.WriteString(w, "plain") })
	addr := proxytest.Addr(t)
	proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, proxytest.Mirrored(addr, up, up, "", blueprint.Shadow{Exclude: []blueprint.Match{{Path: "/**"}}}))
	got := talk(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nX-Kept: 1\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
	h := <-seen
	if !strings.Contains(got, "plain") || h["Upgrade"] != nil || h["Http2-Settings"] != nil || h["Connection"] != nil || h.Get("X-Kept") != "1" {
		t.Errorf("answer %q, provider saw %v", got, h)
	}
	unasked := rawBackend(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
	other := proxytest.Addr(t)
	proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, proxytest.Mirrored(other, unasked, unasked, "", blueprint.Shadow{}))
	if got := talk(t, other, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("answer %q to a change of protocol that nobody asked for", got)
	}
}

func TestWebSocketPassesUntouched(t *testing.T) {
	t.Parallel()
	up := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		io.Copy(nc, rw) // echoes every frame as it came
	})
	cert, err := proxy.SelfSigned(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint(secure), func(t *testing.T) {
			t.Parallel()
			addr, c := proxytest.Addr(t), proxytest.NewCollector()
			table := proxytest.Mirrored(addr, up, up, "", blueprint.Shadow{})
			if secure {
				table.Listeners[0].TLS = cert
			}
			proxytest.Start(t, c, false, proxy.Limits{}, table)
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(20 * time.Second))
			if secure {
				nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
			}
			io.WriteString(nc, "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
			br := bufio.NewReader(nc)
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-Websocket-Accept") == "" {
				t.Fatalf("%+v %v", resp, err)
			}
			for i := range 5 {
				frame := append([]byte{0x81, 0x85, 1, 2, 3, 4}, fmt.Sprintf("msg%d!", i)...)
				nc.Write(frame)
				got := make([]byte, len(frame))
				if _, err := io.ReadFull(br, got); err != nil || !bytes.Equal(got, frame) {
					t.Fatalf("frame %q, %v", got, err)
				}
			}
			nc.(interface{ CloseWrite() error }).CloseWrite()
			if rest, err := io.ReadAll(br); err != nil || len(rest) != 0 {
				t.Fatalf("%q %v behind the last frame", rest, err)
			}
			o := c.WaitFor(t, 1)[0]
			if got := o.Candidate.Response.Body; got.Messages != 5 || string(got.Data) != string(o.Baseline.Response.Body.Data) {
				t.Errorf("the shadow said %s, the baseline %s", got.Data, o.Baseline.Response.Body.Data)
			}
		})
	}
}

func TestServerSentEventsPassOneByOne(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	emit := func(wait bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(200)
			for i := range 4 {
				fmt.Fprintf(w, "id: %d\ndata: event\n\n", i)
				w.(http.Flusher).Flush()
				if wait {
					<-next
				}
			}
		}
	}
	addr, c := proxytest.Addr(t), proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr, backend(t, emit(true)), backend(t, emit(false)), "", blueprint.Shadow{MaxBody: 40}))
	for n, second := range []bool{false, true} {
		resp, err := webClient(t, second, nil).Get("http://" + addr + "/events")
		if err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(resp.Body)
		for i := range 4 { // the provider sends the next one only when this one has arrived
			line, err := br.ReadString('\n')
			if err != nil || line != fmt.Sprintf("id: %d\n", i) {
				t.Fatalf("line %q, %v", line, err)
			}
			br.ReadString('\n')
			br.ReadString('\n')
			next <- struct{}{}
		}
		if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
			t.Fatalf("%q, %v behind the last event", rest, err)
		}
		resp.Body.Close()
		o := c.WaitFor(t, n+1)[n]
		if o.Alike {
			continue
		}
		b := o.Baseline.Response.Body
		if !b.Truncated || len(b.Data) > 40 || b.Length != 76 || b.Hash != o.Candidate.Response.Body.Hash {
			t.Errorf("captured %+v, candidate %+v", b, o.Candidate.Response.Body)
		}
	}
}

func TestBrokenAnswersStayBroken(t *testing.T) {
	t.Parallel()
	breaks := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			io.WriteString(w, "half of ")
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler)
	}
	addr, c := proxytest.Addr(t), proxytest.NewCollector()
	fine := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") }
	up, shadow := secondBackend(t, breaks), secondBackend(t, fine)
	table := proxytest.Mirrored(addr, up, shadow, "", blueprint.Shadow{})
	table.Listeners[0].Default.HTTP2 = true
	p := proxytest.Start(t, c, false, proxy.Limits{}, table)
	client := webClient(t, true, nil)
	if resp, got := get(t, client, "GET", "http://"+addr+"/early", ""); resp.StatusCode != 502 || !strings.Contains(got, "without an answer") {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
	resp, err := client.Get("http://" + addr + "/late")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err == nil || string(got) != "half of " {
		t.Errorf("%q, %v: looks whole", got, err)
	}
	c.Until(t, func() bool { return c.Dropped()[observation.NoBaseline] == 2 })
	if p.Stats().UpstreamErrors != 2 {
		t.Errorf("%+v", p.Stats())
	}
	// The other way round: what breaks in a shadow harms nobody, and is told without a stream's number.
	table.Revision++
	table.Listeners[0].Default.Addrs, table.Listeners[0].Default.Mirror[0].Candidate = []string{shadow}, []string{up}
	if err := p.Apply(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{"/early", "/late"} {
		if _, got := get(t, client, "GET", "http://"+addr+path, ""); got != "fine" {
			t.Errorf("answer %q", got)
		}
		if o := c.WaitFor(t, i+1)[i]; o.Candidate.Outcome != exchange.Reset || o.Candidate.Error != "connection reset" {
			t.Errorf("candidate's outcome %s, %q", o.Candidate.Outcome, o.Candidate.Error)
		}
	}
}

func TestDrainingFinishesStreams(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	up := secondBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(entered)
		<-release
		io.WriteString(w, "done")
	})
	addr := proxytest.Addr(t)
	table := proxytest.Mirrored(addr, up, up, "", blueprint.Shadow{})
	table.Listeners[0].Default.Mirror, table.Listeners[0].Default.HTTP2 = nil, true
	p := proxytest.Start(t, proxytest.NewCollector(), false, proxy.Limits{}, table)
	resp, err := webClient(t, true, nil).Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-entered
	var closing sync.WaitGroup
	closing.Go(func() { p.Close() })
	for { // until no new connection is taken
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		nc.Close()
	}
	close(release)
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "done" {
		t.Errorf("got %q, %v", got, err)
	}
	closing.Wait()
}

func TestSelfSignedNamesItsHosts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	made, err := proxy.SelfSigned([]string{"dev.example", "10.1.2.3", "localhost"}, now)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(made.Certificate)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"dev.example", "10.1.2.3", "localhost", "127.0.0.1", "::1"} {
		if err := cert.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if !slices.Contains(cert.DNSNames, "localhost") || cert.NotAfter.Sub(now) > 398*24*time.Hour || now.Before(cert.NotBefore) {
		t.Errorf("names %v, from %v to %v", cert.DNSNames, cert.NotBefore, cert.NotAfter)
	}
}
