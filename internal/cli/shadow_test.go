// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/cli"
)

func TestShadowFlagsOfTLS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, flags, want string // want: part of what is said on a usage error, or of the URL that traffic is sent to
		code              int
		check             func(cli.ShadowOptions) bool
	}{
		{"plain", "", "http://127.0.0.1:1 ", 3, func(o cli.ShadowOptions) bool { return !o.SelfSigned && !o.HTTP2 && !o.InsecureUpstream }},
		{"self-made", "--tls-self-signed", "https://127.0.0.1:1 ", 3, func(o cli.ShadowOptions) bool { return o.SelfSigned }},
		{
			"from files", "--tls-cert c.pem --tls-key k.pem --http2 --insecure-upstream", "https://127.0.0.1:1 ", 3,
			func(o cli.ShadowOptions) bool {
				return o.CertFile == "c.pem" && o.KeyFile == "k.pem" && o.HTTP2 && o.InsecureUpstream
			},
		},
		{"no key", "--tls-cert c.pem", "belong together", 2, nil},
		{"no certificate", "--tls-key k.pem", "belong together", 2, nil},
		{"two certificates", "--tls-cert c.pem --tls-key k.pem --tls-self-signed", "keep one of them", 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, talk bytes.Buffer
			var got *cli.ShadowOptions
			run := func(ctx context.Context, o cli.ShadowOptions, live func(v1.Report)) (v1.Report, error) {
				got = &o
				o.Ready("127.0.0.1:1")
				o.Ready = func(string) {}
				return shadow(ctx, o, live)
			}
			args := append([]string{"shadow", "--primary", "https://a", "--candidate", "https://b"}, strings.Fields(c.flags)...)
			code := cli.Main(t.Context(), cli.Streams{Out: &out, Err: &talk, Getenv: env(t.TempDir()), Now: time.Now}, cli.Deps{Shadow: run}, args)
			if code != c.code || !strings.Contains(talk.String(), c.want) {
				t.Errorf("exit code %d: %s", code, talk.String())
			}
			if (c.check == nil) != (got == nil) || got != nil && !c.check(*got) {
				t.Errorf("options %+v", got)
			}
		})
	}
}

func TestShadowFlagsOfTap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, flags, want string
		code              int
	}{
		{"a tap", "--tap eth0:8080 --candidate http://b", "requests to eth0:8080 are compared with http://b", 3},
		{"no source", "--candidate http://b", "--tap IFACE:PORT", 2},
		{"no candidate", "--tap eth0:8080", "candidate", 2},
		{"both sources", "--tap eth0:8080 --primary http://a --candidate http://b", "--primary doesn't go with --tap", 2},
		{"a listener", "--tap eth0:8080 --listen :80 --candidate http://b", "--listen doesn't go with --tap", 2},
		{"a certificate", "--tap eth0:8080 --tls-cert a --candidate http://b", "--tls-cert doesn't go with --tap", 2},
		{"a self-made one", "--tap eth0:8080 --tls-self-signed --candidate http://b", "--tls-self-signed doesn't go with --tap", 2},
		{"HTTP/2", "--tap eth0:8080 --http2 --candidate http://b", "--http2 doesn't go with --tap", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, talk bytes.Buffer
			run := func(ctx context.Context, o cli.ShadowOptions, live func(v1.Report)) (v1.Report, error) {
				if o.Tap != "eth0:8080" || o.Listen != "" || o.Primary != "" {
					t.Errorf("options %+v", o)
				}
				o.Ready(o.Tap)
				o.Ready = func(string) {}
				return shadow(ctx, o, live)
			}
			args := append([]string{"shadow"}, strings.Fields(c.flags)...)
			code := cli.Main(t.Context(), cli.Streams{Out: &out, Err: &talk, Getenv: env(t.TempDir()), Now: time.Now}, cli.Deps{Shadow: run}, args)
			if code != c.code || !strings.Contains(talk.String(), c.want) {
				t.Errorf("exit code %d: %s", code, talk.String())
			}
		})
	}
}
