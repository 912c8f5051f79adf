// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "microstax/api/v1"
)

const httpbin = "github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin"

// call is one request of the list.
type call struct {
	method, path, contentType, body string
	header                          []string
}

// httpbinCalls covers the endpoints that both versions have, and those that only one has.
func httpbinCalls() []call {
	var calls []call
	for _, path := range []string{
		"/", "/get?a=1&b=2", "/headers", "/ip", "/user-agent", "/cookies", "/cookies/set?k=v", "/cookies/delete?k=1",
		"/uuid", "/bytes/64", "/bytes/64?seed=7", "/base64/aGVsbG8=", "/json", "/html", "/xml", "/robots.txt", "/deny",
		"/encoding/utf8", "/gzip", "/deflate", "/cache", "/cache/60", "/etag/abc", "/image/png", "/image/jpeg",
		"/links/5/0", "/range/100", "/redirect/2", "/redirect-to?url=/get", "/relative-redirect/1",
		"/absolute-redirect/1", "/response-headers?x-a=b", "/status/404", "/status/503", "/stream/3", "/stream-bytes/100",
		"/unstable", "/unstable?failure_rate=0.2", "/delay/0.01", "/drip?duration=0.01&numbytes=3&delay=0", "/sse?count=2&duration=0.01",
		"/dump/request", "/forms/post", "/hostname", "/version", "/digest-auth/auth/user/pass", "/hidden-basic-auth/u/p",
		"/bearer", "/status/200", "/anything/x?y=z", "/image/webp", "/image/svg", "/no/such/page",
	} {
		calls = append(calls, call{method: "GET", path: path})
	}
	return append(calls,
		call{method: "GET", path: "/basic-auth/u/p", header: []string{"Authorization", "Basic dTpw"}},
		call{method: "GET", path: "/bearer", header: []string{"Authorization", "Bearer abc"}},
		call{method: "GET", path: "/cookies", header: []string{"Cookie", "a=b"}},
		call{method: "HEAD", path: "/get"},
		call{method: "POST", path: "/post", contentType: "application/json", body: `{"a":[1,2,{"b":null}]}`},
		call{method: "POST", path: "/post", contentType: "application/x-www-form-urlencoded", body: "a=1&b=2"},
		call{method: "PUT", path: "/put", contentType: "text/plain", body: "hello"},
		call{method: "PATCH", path: "/patch", contentType: "application/json", body: `[]`},
		call{method: "DELETE", path: "/delete"},
		call{method: "POST", path: "/anything", contentType: "application/octet-stream", body: "\x00\x01\x02"},
		call{method: "POST", path: "/upload", contentType: "text/plain", body: "some file"},
	)
}

// httpbins starts two instances of the old version and one of the new.
func httpbins(t *testing.T, candidate string) (primary, control, other string) {
	t.Helper()
	old := installed(t, httpbin, "v2.18.2")
	next := old
	if candidate != "v2.18.2" {
		next = installed(t, httpbin, candidate)
	}
	url := func(bin string) string {
		host, port := freeAddr(t)
		start(t, nil, bin, "-host", host, "-port", port)
		u := "http://" + net.JoinHostPort(host, port)
		waitHTTP(t, u+"/status/200")
		return u
	}
	return url(old), url(old), url(next)
}

// drive sends each call of the list rounds times, from several clients at once.
func drive(t *testing.T, base string, calls []call, rounds int) int {
	t.Helper()
	const clients = 4
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for round := c; round < rounds; round += clients {
				for _, x := range calls {
					send(t, x.method, base+x.path, x.contentType, x.body, x.header...)
				}
			}
		})
	}
	wg.Wait()
	return rounds * len(calls)
}

func shadowed(t *testing.T, candidate string, rounds int) (v1.Report, int, int) {
	t.Helper()
	primary, control, other := httpbins(t, candidate)
	host, port := freeAddr(t)
	listen := net.JoinHostPort(host, port)
	p := start(t, nil, binary, "shadow", "--primary", primary, "--control", control, "--candidate", other,
		"--listen", listen, "-o", "json")
	waitHTTP(t, "http://"+listen+"/status/200")
	sent := drive(t, "http://"+listen, httpbinCalls(), rounds) + 1
	code := p.interrupt(t)
	r := parse[v1.Report](t, p.out.String())
	t.Logf("exit code %d, verdict %s: %s", code, r.Verdict.Decision, strings.Join(r.Verdict.Reasons, "; "))
	for _, f := range r.Findings {
		t.Logf("%s %s %s %s: %s (%d of %d, E %.3g)", f.Confidence, f.Kind, f.Endpoint, f.Path, f.Summary, f.Count, f.Compared, f.Evidence)
	}
	t.Logf("traffic %+v", r.Traffic)
	sumsHold(t, r)
	return r, code, sent
}

func TestShadowFindsWhatPeopleChangedInHTTPBin(t *testing.T) {
	t.Parallel()
	r, code, sent := shadowed(t, "v2.26.0", 16)
	if code != 3 || r.Verdict.Decision != "hold" {
		t.Errorf("exit code %d, verdict %+v", code, r.Verdict)
	}
	if r.Traffic.Received != int64(sent) {
		t.Errorf("received %d of %d", r.Traffic.Received, sent)
	}
	changedByPeople(t, r)
}

// changedByPeople looks whether a report has what people changed between the two versions, and nothing that nobody did.
func changedByPeople(t *testing.T, r v1.Report) {
	t.Helper()
	known := []struct{ endpoint, kind, path string }{ // what people changed
		{"GET /cookies", "body.extra", "$.cookies"},
		{"GET /basic-auth/u/p", "body.extra", "$.authenticated"},
		{"GET /cookies/set", "header", "set-cookie[k].path"},
		{"GET /version", "status", "status"},
		{"POST /upload", "status", "status"},
	}
	consequences := map[string]bool{
		"GET /":               true, // the index page lists what is new
		"GET /cookies":        true, // its old shape is gone
		"GET /cookies/delete": true, // sets cookies as /cookies/set does
	}
	for _, k := range known {
		if !slices.ContainsFunc(r.Findings, func(f v1.Finding) bool {
			return f.Endpoint == k.endpoint && f.Kind == k.kind && f.Path == k.path
		}) {
			t.Errorf("not found: %+v", k)
		}
	}
	for _, f := range r.Findings {
		explained := consequences[f.Endpoint]
		for _, k := range known {
			explained = explained || f.Endpoint == k.endpoint && f.Kind == k.kind && f.Path == k.path
		}
		if !explained {
			t.Errorf("found, and nobody can explain it: %s %s %s: %s", f.Endpoint, f.Kind, f.Path, f.Summary)
		}
	}
}

func TestSameVersionShowsNothing(t *testing.T) {
	t.Parallel()
	r, code, sent := shadowed(t, "v2.18.2", 80)
	if sent < 5000 {
		t.Fatalf("only %d requests", sent)
	}
	if len(r.Findings) > 0 {
		t.Errorf("%d findings between a version and itself", len(r.Findings))
	}
	if code == 3 || r.Verdict.Decision == "hold" {
		t.Errorf("exit code %d, verdict %+v", code, r.Verdict)
	}
}
