// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"strings"

	"microstax/internal/exchange"
)

// headers is a redacted copy.
func (p *pass) headers(hs []exchange.Header) []exchange.Header {
	if hs == nil {
		return nil
	}
	out := make([]exchange.Header, len(hs))
	for i, h := range hs {
		out[i] = exchange.Header{Name: h.Name, Value: p.header(strings.ToLower(h.Name), h.Value)}
	}
	return out
}

func (p *pass) header(name, value string) string {
	switch name {
	case "authorization", "proxy-authorization":
		return p.credentials(value)
	case "cookie":
		return p.cookies(value)
	case "set-cookie":
		pair, attributes, some := strings.Cut(value, ";")
		pair = p.cookie(pair)
		if some {
			pair += ";" + attributes
		}
		return pair
	}
	switch {
	case p.r.headers[name]:
		return p.secret(value)
	case secretHeader(name):
		return p.usual(value)
	case urlHeader(name):
		return p.url(value)
	}
	return value
}

// credentials keeps the scheme (RFC 9110, 11.4), when it is one: with anything else the first word may be a secret too.
func (p *pass) credentials(value string) string {
	scheme, rest, ok := strings.Cut(value, " ")
	if !ok || !authScheme(strings.ToLower(scheme)) {
		return p.secret(value)
	}
	trimmed := strings.TrimLeft(rest, " \t")
	return scheme + " " + rest[:len(rest)-len(trimmed)] + p.secret(trimmed)
}

// cookies redacts a Cookie header (RFC 6265, 4.2.1).
func (p *pass) cookies(value string) string {
	parts := strings.Split(value, ";")
	for i := range parts {
		parts[i] = p.cookie(parts[i])
	}
	return strings.Join(parts, ";")
}

// cookie redacts NAME=VALUE; what has no name is all value.
func (p *pass) cookie(pair string) string {
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		name, value = "", pair
	} else {
		name += "="
	}
	trimmed := strings.Trim(value, " \t")
	at := strings.Index(value, trimmed)
	return name + value[:at] + p.usual(trimmed) + value[at+len(trimmed):]
}

// authScheme knows the registered schemes, and some in wide use.
func authScheme(s string) bool {
	switch s {
	case "basic", "bearer", "digest", "dpop", "gnap", "hoba", "mutual", "negotiate", "oauth", "privatetoken",
		"scram-sha-1", "scram-sha-256", "vapid", "concealed", "ntlm", "hawk", "token", "apikey", "aws4-hmac-sha256":
		return true
	}
	return false
}

// secretHeader knows headers whose whole value is a credential.
func secretHeader(name string) bool {
	switch name {
	case "x-api-key", "api-key", "apikey", "x-apikey", "x-auth-token", "x-access-token", "x-refresh-token", "x-id-token",
		"x-csrf-token", "x-xsrf-token", "csrf-token", "x-amz-security-token", "x-goog-api-key", "x-goog-iam-authorization-token",
		"x-vault-token", "private-token", "x-gitlab-token", "x-hub-signature", "x-hub-signature-256", "x-amzn-oidc-data",
		"x-amzn-oidc-accesstoken", "x-forwarded-access-token", "x-secret", "x-password", "authentication-info",
		"x-forwarded-client-cert", "dpop":
		return true
	}
	return false
}

// urlHeader knows headers that carry a URL, whose parameters may be secret.
func urlHeader(name string) bool {
	switch name {
	case "location", "content-location", "referer", "link", "refresh", "origin", "x-original-url", "x-original-uri",
		"x-forwarded-uri", "x-forwarded-url", "x-rewrite-url", "hx-redirect", "hx-location", "hx-current-url", "hx-push-url":
		return true
	}
	return false
}
