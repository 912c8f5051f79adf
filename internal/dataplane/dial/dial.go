// SPDX-License-Identifier: Apache-2.0

// Package dial opens the ways from the data plane to providers and shadows: connections for HTTP/1.1, plain or through
// TLS, and a client for what is spoken as HTTP/2. Addresses are those of a routing table. Values are safe for concurrent
// use; live traffic and each shadow session have their own, so that neither waits for the other.
package dial

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"microstax/internal/dataplane/route"
)

// Conn connects to an address to speak HTTP/1.1. ctx and the dialer's timeout bound connecting and the handshake.
func Conn(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
	e := route.ParseEndpoint(addr)
	if !e.TLS {
		nc, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return Quick(nc), nil
	}
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	nc, err := d.DialContext(ctx, "tcp", e.Addr)
	if err != nil {
		return nil, err
	}
	tc := tls.Client(Quick(nc), config(e.Name, e.Insecure, "http/1.1"))
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close() //nolint:errcheck,gosec // of no use
		return nil, err
	}
	return tc, nil
}

func config(name string, insecure bool, protocols ...string) *tls.Config {
	return &tls.Config{
		ServerName: name, InsecureSkipVerify: insecure, //nolint:gosec // only where the address says so
		NextProtos: protocols, MinVersion: tls.VersionTLS12,
	}
}

// Bounds of a client's kept connections.
const (
	maxIdle     = 256
	idleFor     = 55 * time.Second
	pingAfter   = 30 * time.Second // of silence on an HTTP/2 connection with requests under way
	pingTimeout = 15 * time.Second
	maxHead     = 256 << 10
)

// Client sends requests through net/http.
type Client struct {
	dialer net.Dialer
	answer time.Duration // from a whole request to the head of its answer; 0: no limit
	mu     sync.Mutex
	ways   map[way]*http.Transport
}

// way is how a request travels.
type way struct{ tls, insecure, http2 bool }

// NewClient is a client that connects within timeout, and waits for the head of an answer for as long as answer says; 0 is
// without end.
func NewClient(timeout, answer time.Duration) *Client {
	return &Client{dialer: net.Dialer{Timeout: timeout}, answer: answer, ways: map[way]*http.Transport{}}
}

// RoundTrip sends r to an address, as HTTP/2 if asked for, and returns when the answer's head is there. r.URL needs a path
// only; its scheme and host are set.
func (c *Client) RoundTrip(r *http.Request, addr string, http2 bool) (*http.Response, error) {
	e := route.ParseEndpoint(addr)
	r.URL.Scheme, r.URL.Host = "http", e.Addr
	if e.TLS {
		r.URL.Scheme = "https"
	}
	return c.transport(way{e.TLS, e.Insecure, http2}).RoundTrip(r)
}

func (c *Client) transport(w way) *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.ways[w]; t != nil {
		return t
	}
	p := &http.Protocols{}
	names := []string{"http/1.1"}
	switch {
	case w.http2 && w.tls:
		p.SetHTTP2(true)
		names = []string{"h2"}
	case w.http2:
		p.SetUnencryptedHTTP2(true)
	default:
		p.SetHTTP1(true)
	}
	t := &http.Transport{
		DialContext: c.dialer.DialContext, TLSClientConfig: config("", w.insecure, names...),
		TLSHandshakeTimeout: c.dialer.Timeout, DisableCompression: true, MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout: idleFor, MaxResponseHeaderBytes: maxHead, ExpectContinueTimeout: time.Second, Protocols: p,
		ResponseHeaderTimeout: c.answer,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	c.ways[w] = t
	return t
}

// Close closes connections that nothing uses.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.ways {
		t.CloseIdleConnections()
	}
}
