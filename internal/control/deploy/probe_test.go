// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"microstax/internal/control/deploy"
)

func TestProbes(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/well":
		case "/moved":
			http.Redirect(w, r, "/sick", http.StatusFound)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	up := server.Listener.Addr().String()
	modern := httptest.NewUnstartedServer(server.Config.Handler)
	modern.Config.Protocols = &http.Protocols{}
	modern.Config.Protocols.SetUnencryptedHTTP2(true)
	modern.Start()
	defer modern.Close()
	second := modern.Listener.Addr().String()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name  string
		check deploy.Check
		ctx   context.Context
		want  string // part of the error; "" for none
	}{
		{"nothing to look at", deploy.Check{}, t.Context(), ""},
		{"a good answer", deploy.Check{HTTP: "/well", Addr: up}, t.Context(), ""},
		{"a good answer in HTTP/2", deploy.Check{HTTP: "/well", HTTP2: true, Addr: second}, t.Context(), ""},
		{"an answer in the wrong version", deploy.Check{HTTP: "/well", HTTP2: true, Addr: up}, t.Context(), "probe"},
		{"a path without its slash", deploy.Check{HTTP: "well", Addr: up}, t.Context(), ""},
		{"a redirect is an answer", deploy.Check{HTTP: "/moved", Addr: up}, t.Context(), ""},
		{"a bad answer", deploy.Check{HTTP: "/sick", Addr: up}, t.Context(), "503"},
		{"nobody answers", deploy.Check{HTTP: "/well", Addr: down}, t.Context(), "nothing listens on"},
		{"a port that is open", deploy.Check{TCP: true, Addr: up}, t.Context(), ""},
		{"a port that is closed", deploy.Check{TCP: true, Addr: down}, t.Context(), "nothing listens on"},
		{"a command that succeeds", deploy.Check{Exec: []string{"sh", "-c", `test "$A" = b`}, Env: map[string]string{"A": "b"}}, t.Context(), ""},
		{"a command that fails", deploy.Check{Exec: []string{"sh", "-c", "echo no table >&2; exit 3"}}, t.Context(), "exit status 3: no table"},
		{"a command that is not there", deploy.Check{Exec: []string{"/no/such/command"}}, t.Context(), "no such file"},
		{"no time left", deploy.Check{HTTP: "/well", Addr: up}, ended, "canceled"},
		{"no time left for a command", deploy.Check{Exec: []string{"true"}}, ended, "canceled"},
	} {
		err := deploy.NewProber().Probe(tc.ctx, tc.check)
		if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}
