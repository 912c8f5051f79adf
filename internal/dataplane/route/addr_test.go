// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"testing"

	"microstax/internal/dataplane/route"
)

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, authority string
		want          route.Endpoint
	}{
		{"127.0.0.1:80", "127.0.0.1:80", route.Endpoint{Addr: "127.0.0.1:80", Name: "127.0.0.1"}},
		{"[::1]:80", "[::1]:80", route.Endpoint{Addr: "[::1]:80", Name: "::1"}},
		{"https://a.example", "a.example", route.Endpoint{Addr: "a.example:443", Name: "a.example", TLS: true}},
		{"https://a.example/", "a.example", route.Endpoint{Addr: "a.example:443", Name: "a.example", TLS: true}},
		{"https://a.example:8443", "a.example:8443", route.Endpoint{Addr: "a.example:8443", Name: "a.example", TLS: true}},
		{"https://[::1]", "[::1]", route.Endpoint{Addr: "[::1]:443", Name: "::1", TLS: true}},
		{route.Secure("a:1", true), "a:1", route.Endpoint{Addr: "a:1", Name: "a", TLS: true, Insecure: true}},
		{route.Secure("a:443", false), "a", route.Endpoint{Addr: "a:443", Name: "a", TLS: true}},
	} {
		if got := route.ParseEndpoint(c.in); got != c.want || route.Authority(c.in) != c.authority {
			t.Errorf("%s: %+v, %s", c.in, got, route.Authority(c.in))
		}
	}
}
