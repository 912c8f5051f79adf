// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"microstax/internal/fault"
)

const (
	// peerTimeout bounds one call to another service.
	peerTimeout = 10 * time.Second
	// peerIdle is how many idle connections are kept to each service.
	peerIdle = 64
	// maxAnswer bounds what is read of another service's answer, in bytes.
	maxAnswer = 1 << 20
)

// peers are the services that a service calls.
type peers struct {
	urls    map[string]string
	client  *http.Client
	forward bool // tracing context goes along with calls
}

// needs says which services each calls.
func needs(name string) []string {
	switch name {
	case API:
		return []string{Orders, Inventory, Pricing}
	case Orders:
		return []string{Inventory, Pricing, Payments}
	}
	return nil
}

// connect finds the addresses of the services that one calls.
func connect(name string, o Options) (peers, error) {
	p := peers{
		urls: make(map[string]string), forward: o.value("FORWARD", "on") != "off",
		client: &http.Client{Timeout: peerTimeout, Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: peerTimeout}).DialContext,
			MaxIdleConnsPerHost: peerIdle, IdleConnTimeout: 30 * time.Second,
		}},
	}
	for _, other := range needs(name) {
		key := strings.ToUpper(other) + "_URL"
		v := o.value(key, "")
		u, err := url.Parse(v)
		if err != nil || u.Scheme != "http" || u.Host == "" {
			return p, fault.Errorf("serve "+name, fault.Invalid, "%s=%q is not an http URL", key, v).
				WithHint("set it to where %s is, e.g. http://127.0.0.1:8081", other)
		}
		p.urls[other] = strings.TrimSuffix(v, "/")
	}
	return p, nil
}

// pass copies what a call hands on of the request that caused it: the user's session always, and the tracing context
// unless the service forwards nothing. The caller's span becomes the parent (W3C Trace Context, 3.2).
func (p peers) pass(from *http.Request, to http.Header) {
	for _, c := range from.Header.Values("Cookie") {
		to.Add("Cookie", c)
	}
	if !p.forward {
		return
	}
	for _, name := range []string{"Tracestate", "Baggage"} {
		for _, v := range from.Header.Values(name) {
			to.Add(name, v)
		}
	}
	if parts := strings.Split(from.Header.Get("Traceparent"), "-"); len(parts) == 4 {
		parts[2] = randomHex(8)
		to.Set("Traceparent", strings.Join(parts, "-"))
	}
}

// ask is a request to another service.
type ask struct {
	method, to, path string
	key              string // idempotency key, or ""
	body             any    // document to send, or nil
}

// call sends a request to another service on behalf of one that is being served, and reads the answer into the document
// when its status is 2xx. It gives the status; a problem is that there was no answer that can be read.
func (p peers) call(from *http.Request, a ask, into any) (int, *problem) {
	b, err := json.Marshal(a.body)
	if err != nil {
		return 0, refuse(http.StatusInternalServerError, "ask %s: %v", a.to, err)
	}
	var content io.Reader
	if a.body != nil {
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(from.Context(), a.method, p.urls[a.to]+a.path, content)
	if err != nil {
		return 0, refuse(http.StatusInternalServerError, "ask %s: %v", a.to, err)
	}
	p.pass(from, req.Header)
	if a.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.key != "" {
		req.Header.Set("Idempotency-Key", a.key)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, refuse(http.StatusBadGateway, "%s does not answer", a.to)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	all, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode < 300 {
		err = json.Unmarshal(all, into)
	}
	if err != nil {
		return resp.StatusCode, refuse(http.StatusBadGateway, "%s answers what cannot be read", a.to)
	}
	return resp.StatusCode, nil
}

// get is a call that must be answered with 200; 404 is passed on.
func (p peers) get(from *http.Request, to, path string, into any) *problem {
	status, pr := p.call(from, ask{method: http.MethodGet, to: to, path: path}, into)
	switch {
	case pr != nil:
		return pr
	case status == http.StatusNotFound:
		return refuse(http.StatusNotFound, "%s knows no such thing", to)
	case status != http.StatusOK:
		return refuse(http.StatusBadGateway, "%s answers %d", to, status)
	}
	return nil
}

// relay hands a request on to another service and its answer back.
func (p peers) relay(w http.ResponseWriter, r *http.Request, to string) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, p.urls[to]+r.URL.RequestURI(), r.Body)
	if err != nil {
		answer(w, 0, nil, refuse(http.StatusBadRequest, "ask %s: %v", to, err))
		return
	}
	if req.ContentLength = r.ContentLength; r.ContentLength == 0 {
		req.Body = http.NoBody
	}
	p.pass(r, req.Header)
	for _, name := range []string{"Content-Type", "Idempotency-Key", "Accept"} {
		if v := r.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	resp, err := p.client.Do(req)
	if err != nil {
		answer(w, 0, nil, cause(err, refuse(http.StatusBadGateway, "%s does not answer", to)))
		return
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.Header().Set("X-Upstream", resp.Header.Get("X-Served-By"))
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // one of the two has gone; the other sees a short answer
}

// query is a path with ?sku=a,b and further parameters in order.
func query(path string, list []string, more ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(more); i += 2 {
		fmt.Fprintf(&b, "%s=%s&", more[i], url.QueryEscape(more[i+1]))
	}
	return path + "?" + b.String() + "sku=" + strings.Join(list, ",")
}

// detached is from with a context of its own: what was begun for a customer is finished when the customer goes away.
func detached(from *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(from.Context()), peerTimeout)
	return from.WithContext(ctx), cancel
}
