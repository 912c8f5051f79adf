// SPDX-License-Identifier: Apache-2.0

// Package client is the typed client of the HTTP API. It gives the documents of api/v1, and problems as *fault.Error with
// kind, hint and places, so that a caller need not know that there was a network between.
//
// A Client is safe for concurrent use. Every method takes a context and ends with it. Reads are tried again when the
// connection fails; writes are too, because each carries an idempotency key, and without one they are sent once.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/fault"
)

const (
	// maxAnswer bounds what is read of one JSON answer, in bytes.
	maxAnswer = 256 << 20
	// attempts is how often a request that may be repeated is sent at most.
	attempts = 3
	// pause is what lies between two attempts.
	pause = 100 * time.Millisecond
)

// Options are what a client needs.
type Options struct {
	URL    string        // of the server, without /v1
	Token  string        // bearer token; "" for none
	User   string        // who acts, for the audit; may be empty
	NewKey func() string // makes idempotency keys; nil: writes have none, and are sent once
	// Transport carries the requests; nil for one of the client's own, with a connect timeout of 5 s.
	Transport http.RoundTripper
}

// Client talks to one server.
type Client struct {
	base *url.URL
	o    Options
	http *http.Client
}

// New checks the URL and makes a client. It does no I/O.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fault.Errorf("read API URL", fault.Invalid, "%q is not an http or https URL", o.URL).
			WithHint("set MICROSTAX_API_URL to something like http://127.0.0.1:3000")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.RawQuery, u.Fragment = "", ""
	rt := o.Transport
	if rt == nil {
		rt = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			Proxy:               proxyFor(u),
			IdleConnTimeout:     30 * time.Second,
			MaxIdleConnsPerHost: 4,
		}
	}
	return &Client{base: u, o: o, http: &http.Client{Transport: rt}}, nil
}

// proxyFor goes around proxies for this machine, which is what curl and browsers do.
func proxyFor(u *url.URL) func(*http.Request) (*url.URL, error) {
	if Loopback(u.Host) {
		return nil
	}
	return http.ProxyFromEnvironment
}

// URL is the server's.
func (c *Client) URL() string { return c.base.String() }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Loopback says whether host, with or without a port, is this machine.
func Loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// call is one request.
type call struct {
	op     string // for errors: "create baseline"
	method string
	path   string // from /
	query  url.Values
	body   any
	header http.Header
}

// ErrAbsent is in the chain of the error when nothing answered at the server's address.
var ErrAbsent = errors.New("nobody answers")

// send sends a call and gives the answer when its status is one of success; the caller closes its body.
func (c *Client) send(ctx context.Context, k call) (*http.Response, error) {
	var body []byte
	if k.body != nil {
		var err error
		if body, err = json.Marshal(k.body); err != nil {
			return nil, fault.E(k.op, fault.Internal, err)
		}
	}
	key := ""
	if k.method != http.MethodGet && c.o.NewKey != nil {
		key = c.o.NewKey()
	}
	tries := attempts
	if k.method != http.MethodGet && key == "" {
		tries = 1
	}
	for try := 1; ; try++ {
		resp, err := c.once(ctx, k, body, key)
		if err == nil {
			return checked(k.op, resp)
		}
		if try >= tries || ctx.Err() != nil || refused(err) {
			return nil, c.unanswered(k.op, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, c.unanswered(k.op, ctx.Err())
		}
	}
}

// once sends a call once.
func (c *Client) once(ctx context.Context, k call, body []byte, key string) (*http.Response, error) {
	u := *c.base
	u.RawPath = ""
	target := u.String() + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, application/problem+json, text/event-stream")
	for name, values := range k.header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.o.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.o.Token)
	}
	if c.o.User != "" {
		req.Header.Set("X-Microstax-User", c.o.User)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	return c.http.Do(req)
}

// refused says whether the server was not there to begin with, so that repeating at once is of no use.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// unanswered is the error for a request that got no answer.
func (c *Client) unanswered(op string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.E(op, fault.Canceled, err)
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // without method and URL, which the message below has
	}
	if refused(err) {
		return fault.Errorf(op, fault.Unavailable, "%w at %s: %w", ErrAbsent, c.URL(), err).
			WithHint("start a server with: microstax server start; or set MICROSTAX_API_URL")
	}
	return fault.Errorf(op, fault.Unavailable, "ask %s: %w", c.URL(), err).
		WithHint("see whether the server is well with: microstax server status")
}

// checked passes a good answer on and turns another one into an error.
func checked(op string, resp *http.Response) (*http.Response, error) {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var p v1.Problem
	if json.Unmarshal(raw, &p) != nil || p.RequestID == "" {
		return nil, fault.Errorf(op, kindOf("", resp.StatusCode), "the server answered %s, which is not an answer of MicroStax", resp.Status).
			WithHint("look at what listens at MICROSTAX_API_URL")
	}
	return nil, fromProblem(op, p)
}

// fromProblem is the error that the server meant.
func fromProblem(op string, p v1.Problem) *fault.Error {
	detail := p.Detail
	if detail == "" {
		detail = p.Title
	}
	e := fault.E(op, kindOf(p.Kind, p.Status), errors.New(detail))
	if rest, said := strings.CutPrefix(detail, op+": "); said { // the server was doing the same thing
		e.Err = errors.New(rest)
	}
	e.Hint = p.Hint
	for _, place := range p.Errors {
		e.Places = append(e.Places, fault.Place(place))
	}
	if e.Kind == fault.Internal {
		e.Err = fmt.Errorf("%w (request %s)", e.Err, p.RequestID)
	}
	return e
}

// kindOf is the kind that the server named, or else what the status stands for.
func kindOf(kind string, status int) fault.Kind {
	switch k := fault.Kind(kind); k {
	case fault.Invalid, fault.NotFound, fault.Conflict, fault.Unavailable, fault.Canceled, fault.Internal:
		return k
	}
	switch {
	case status == http.StatusNotFound:
		return fault.NotFound
	case status == http.StatusConflict:
		return fault.Conflict
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return fault.Unavailable
	case status >= 500:
		return fault.Internal
	}
	return fault.Invalid
}

// get decodes the data of an answer.
func get[T any](ctx context.Context, c *Client, k call) (T, v1.Meta, error) {
	var env v1.Envelope[T]
	resp, err := c.send(ctx, k)
	if err != nil {
		return env.Data, env.Meta, err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if resp.StatusCode == http.StatusNoContent {
		return env.Data, env.Meta, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&env); err != nil {
		if ctx.Err() != nil {
			return env.Data, env.Meta, fault.E(k.op, fault.Canceled, ctx.Err())
		}
		return env.Data, env.Meta, fault.Errorf(k.op, fault.Unavailable, "read the server's answer: %w", err)
	}
	return env.Data, env.Meta, nil
}
