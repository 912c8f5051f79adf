// SPDX-License-Identifier: Apache-2.0

package test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "microstax/api/v1"
)

// TestGatewaysShowACertificate: users speak TLS to gateways, in either version of HTTP; services call each other without.
func TestGatewaysShowACertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vars = append(w.vars, "MICROSTAX_TLS_CERTIFICATE=self-made")
	env := w.baseline(`
name: shop
services:
  - {name: front, command: [$service, -name, front, -call, "GET ${services.back.url}"], expose: true}
  - {name: back, command: [$service, -name, back]}
`)
	url := endpoint(t, env)
	if !strings.HasPrefix(url, "https://") {
		t.Fatalf("the endpoint is %s", url)
	}
	pem, err := os.ReadFile(filepath.Join(w.home, "data", "tls", "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	for _, second := range []bool{false, true} {
		p := &http.Protocols{}
		p.SetHTTP1(!second)
		p.SetHTTP2(second)
		tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}
		defer tr.CloseIdleConnections()
		client := &http.Client{Transport: tr, Timeout: time.Minute}
		var got answer
		w.await("front answers", func() bool {
			resp, err := client.Get(url) //nolint:noctx // bounded by the client's timeout
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close() //nolint:errcheck // read below
			got = answer{}
			return json.NewDecoder(resp.Body).Decode(&got) == nil && resp.StatusCode == http.StatusOK && (resp.ProtoMajor == 2) == second
		})
		if got.Service != "front" || len(got.Calls) != 1 || got.Calls[0].Service != "back" {
			t.Errorf("HTTP/2 %v: %+v", second, got)
		}
	}
	status := read[v1.Environment](w, "/v1/environments/"+env.ID)
	if endpoint(t, status) != url {
		t.Errorf("endpoint %v", status.Endpoints)
	}
}
