// SPDX-License-Identifier: Apache-2.0

package httpapi_test

import (
	"testing"

	v1 "microstax/api/v1"
	"microstax/internal/httpapi"
)

func TestLoopbackWithoutTokenRefusesWhatABrowserMaySendForOthers(t *testing.T) {
	t.Parallel()
	u := &use{get: func(string) (v1.Environment, error) { return v1.Environment{}, nil }}
	for _, c := range []struct {
		name   string
		header []string
		status int
	}{
		{"plain client", nil, 200},
		{"localhost", []string{"Host", "localhost:3000"}, 200},
		{"ipv6", []string{"Host", "[::1]:3000"}, 200},
		{"no port", []string{"Host", "127.0.0.1"}, 200},
		{"other loopback address", []string{"Host", "127.8.8.8:1"}, 200},
		{"own page", []string{"Origin", "http://127.0.0.1:3000"}, 200},
		{"rebound name", []string{"Host", "evil.example:3000"}, 403},
		{"name that begins like localhost", []string{"Host", "localhost.evil.example"}, 403},
		{"address of the network", []string{"Host", "192.168.1.4:3000"}, 403},
		{"foreign page", []string{"Origin", "https://evil.example"}, 403},
		{"page on another local port", []string{"Origin", "http://127.0.0.1:8080"}, 403},
		{"opaque origin", []string{"Origin", "null"}, 403},
		{"cross-site without origin", []string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if w, body := ask(t, build(t, u, nil), "GET", "/v1/environments/x", "", c.header...); w.Code != c.status {
				t.Errorf("got %d: %s", w.Code, body)
			}
		})
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	u := &use{get: func(string) (v1.Environment, error) { return v1.Environment{}, nil }}
	api := build(t, u, func(o *httpapi.Options) { o.Token = "s3cret" })
	for _, c := range []struct {
		name, path string
		header     []string
		status     int
	}{
		{"none", "/v1/environments/x", nil, 401},
		{"wrong", "/v1/environments/x", []string{"Authorization", "Bearer s3cre"}, 401},
		{"longer", "/v1/environments/x", []string{"Authorization", "Bearer s3crets"}, 401},
		{"other scheme", "/v1/environments/x", []string{"Authorization", "Basic s3cret"}, 401},
		{"right", "/v1/environments/x", []string{"Authorization", "Bearer s3cret"}, 200},
		{"scheme in lower case", "/v1/environments/x", []string{"Authorization", "bearer s3cret"}, 200},
		{"from elsewhere", "/v1/environments/x", []string{"Authorization", "Bearer s3cret", "Host", "stax.example"}, 200},
		{"health", "/healthz", nil, 200},
		{"metrics", "/metrics", nil, 401},
		{"unknown route", "/v1/x", nil, 401},
	} {
		if w, body := ask(t, api, "GET", c.path, "", c.header...); w.Code != c.status {
			t.Errorf("%s: got %d: %s", c.name, w.Code, body)
		}
	}
}
