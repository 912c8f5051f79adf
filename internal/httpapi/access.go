// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"microstax/internal/fault"
)

// guardOrigin protects a server that asks for no token because only this machine can reach it. A page in a browser on this
// machine can reach it too: by a name that resolves to 127.0.0.1 (so the Host must be a loopback one), or by a cross-site
// request (so the Origin must be the server's own).
func (a *API) guardOrigin(next http.Handler) http.Handler {
	if !a.o.Loopback || a.o.Token != "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host) {
			refuse(w, problem(r.Context(), http.StatusForbidden, fault.Invalid, "the Host header does not name this machine's loopback address",
				"use http://127.0.0.1 or http://localhost, or start the server with a token"))
			return
		}
		if foreign(r) {
			refuse(w, problem(r.Context(), http.StatusForbidden, fault.Invalid, "the request comes from a web page of another origin",
				"start the server with a token to use it from elsewhere"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopbackHost says whether a Host header names this machine by a loopback address or as localhost.
func loopbackHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") { // RFC 6761, 6.3: always loopback
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback()
}

// foreign says whether a browser sent the request for a page of another origin.
func foreign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		return err != nil || !strings.EqualFold(u.Host, r.Host) // "null" has no host
	}
	return r.Header.Get("Sec-Fetch-Site") == "cross-site"
}

// authenticate asks for the token, where there is one, on everything but the health of the server.
func (a *API) authenticate(next http.Handler) http.Handler {
	if a.o.Token == "" {
		return next
	}
	want := sha256.Sum256([]byte(a.o.Token)) // of equal length, so that the comparison takes the same time for all tokens
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="microstax"`)
			refuse(w, problem(r.Context(), http.StatusUnauthorized, fault.Invalid, "the token is missing or wrong",
				"set MICROSTAX_API_KEY to the token that the server was started with"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// maxUser bounds who a client says that it acts for, in bytes. It is a claim for the audit and not a proof.
const maxUser = 128

// actor is who the request says it is, made harmless for logs.
func actor(claim string) string {
	claim = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, claim)
	if len(claim) > maxUser {
		claim = strings.ToValidUTF8(claim[:maxUser], "")
	}
	if claim == "" {
		return "api"
	}
	return claim
}
