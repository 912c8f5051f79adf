// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	v1 "microstax/api/v1"
	"microstax/internal/app"
	"microstax/internal/config"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestShadowThroughTLS sends traffic in both versions of HTTP through a session whose address and providers speak TLS.
func TestShadowThroughTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Proto, r.URL.Path)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	cert, err := proxy.SelfSigned(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, data := range map[string][]byte{certFile: cert.Certificate, keyFile: cert.Key} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, o := range map[string]app.ShadowOptions{
		"HTTP/1.1": {SelfSigned: true},
		"HTTP/2.0": {CertFile: certFile, KeyFile: keyFile, HTTP2: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Primary, o.Candidate, o.Control, o.InsecureUpstream = s.URL, s.URL, s.URL, true
			rep := session(t, o, func(addr string) {
				for _, second := range []bool{false, true} {
					p := &http.Protocols{}
					p.SetHTTP1(!second)
					p.SetHTTP2(second)
					tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // self-made
					resp, err := (&http.Client{Transport: tr}).Get("https://" + addr + "/x")
					if err != nil {
						t.Error(err)
						continue
					}
					body, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					tr.CloseIdleConnections()
					if string(body) != name+" /x" || (resp.ProtoMajor == 2) != second {
						t.Errorf("%s %s %q", resp.Proto, resp.Status, body)
					}
				}
			})
			if rep.Traffic.Received != 2 || rep.Traffic.Compared != 2 {
				t.Errorf("traffic %+v", rep.Traffic)
			}
		})
	}
}

// session runs a session, and gives its report after use.
func session(t *testing.T, o app.ShadowOptions, use func(addr string)) v1.Report {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Listen, o.Logger = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	o.Ready = func(addr string) {
		go func() {
			defer cancel()
			use(addr)
		}()
	}
	rep, err := app.Shadow(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// TestShadowTap compares what passes the loopback interface, and says when it saw too little of it.
func TestShadowTap(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 300<<10)
	for name, c := range map[string]struct {
		ring     int64
		path     string
		requests int
		check    func(v1.Report) bool
	}{
		"all": {128 << 20, "/small", 40, func(r v1.Report) bool {
			return r.Traffic.Received == 40 && r.Traffic.Compared == 40 && r.Traffic.Capture.Rate == 1
		}},
		"too small a ring": {64 << 10, "/large", 200, func(r v1.Report) bool {
			reasons := strings.Join(r.Verdict.Reasons, " ")
			return r.Verdict.Decision == "hold" && r.Traffic.Capture.Missed > 0 && r.Traffic.Dropped["captureLost"] > 0 &&
				strings.Contains(reasons, "missed by the tap") && strings.Contains(reasons, "limits.tapRing")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/large" {
					io.WriteString(w, body)
				}
				fmt.Fprintf(w, "%s", r.URL.Path)
			})
			primary, other := httptest.NewServer(h), httptest.NewServer(h)
			t.Cleanup(primary.Close)
			t.Cleanup(other.Close)
			_, port, _ := strings.Cut(strings.TrimPrefix(primary.URL, "http://"), ":")
			o := app.ShadowOptions{Tap: "lo:" + port, Candidate: other.URL, Control: other.URL, Limits: config.Limits{TapRing: c.ring}}
			rep, err := tapped(t, o, func() {
				for range c.requests {
					resp, err := http.Get(primary.URL + c.path)
					if err != nil {
						t.Error(err)
						return
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
			if fault.KindOf(err) == fault.Unavailable {
				t.Skip(err)
			}
			if err != nil || rep.Traffic.Capture == nil || !c.check(rep) {
				t.Errorf("%v, traffic %+v, capture %+v, verdict %+v", err, rep.Traffic, rep.Traffic.Capture, rep.Verdict)
			}
		})
	}
}

// tapped runs a session on a tap, and gives its report after use.
func tapped(t *testing.T, o app.ShadowOptions, use func()) (v1.Report, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Logger = slog.New(slog.DiscardHandler)
	o.Ready = func(string) {
		go func() {
			defer cancel()
			use()
		}()
	}
	return app.Shadow(ctx, o)
}

func TestShadowRefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.pem")
	if err := os.WriteFile(bad, bytes.Repeat([]byte("x"), 10), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]app.ShadowOptions{
		"no such file": {Primary: "https://a", Candidate: "https://b", CertFile: "/no/such/file", KeyFile: bad},
		"PEM":          {Primary: "https://a", Candidate: "https://b", CertFile: bad, KeyFile: bad},
		"has a path":   {Primary: "https://a/v1", Candidate: "https://b"},
		"only http":    {Primary: "ftp://a", Candidate: "https://b"},
	} {
		o.Listen, o.Logger = "127.0.0.1:0", slog.New(slog.DiscardHandler)
		_, err := app.Shadow(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", want, err)
		}
	}
}
