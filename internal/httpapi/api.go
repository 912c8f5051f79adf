// SPDX-License-Identifier: Apache-2.0

// Package httpapi serves the HTTP API of the contract: it maps documents of api/v1 to use cases and back, and is the only
// place that knows HTTP statuses.
//
// The use cases come in as the interfaces that this package declares. Handlers return errors; one translator turns their
// kinds into problem documents. Everything is safe for concurrent use. Memory is bounded: bodies by Options.MaxBody, the
// results kept for idempotency keys by count and size, streams by one small buffer each.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
)

// DefaultMaxBody is the largest request body read when Options.MaxBody is zero: 4 MiB.
const DefaultMaxBody = 4 << 20

// Options are what the API needs. The use cases, Registry and Logger are required.
type Options struct {
	Environments Environments
	Lifecycle    Lifecycle
	Streams      Streams
	Shadows      Shadows
	Reports      Reports
	Ignores      Ignores
	Gateways     Gateways // optional: nil where the server runs the data plane itself
	Changes      Changes  // optional: without it reports of watched environments are looked at once a second

	Ready    func(context.Context) error // optional: nil error when /readyz shall say so
	Registry *prometheus.Registry        // served at /metrics; the API's own metrics are added to it
	Logger   *slog.Logger
	Version  string // of the program, shown in the OpenAPI document

	Token string // bearer token that /v1 and /metrics ask for; "" for none
	// GatewaySecret is what gateways have to show where there is no token; without either they are refused.
	GatewaySecret string
	// Loopback says that the server listens on a loopback address only. Without a token it then refuses what a browser might
	// send on behalf of a foreign page.
	Loopback bool
	MaxBody  int64 // bytes; 0 for DefaultMaxBody

	NewRequestID func() string    // req_…; required
	Now          func() time.Time // required
}

// API is the handler for everything the server answers.
type API struct {
	o       Options
	mux     *http.ServeMux
	huma    huma.API
	handler http.Handler
	results *results
	metrics *metrics
	spec    []byte

	drainOnce sync.Once
	draining  chan struct{} // closes when streams shall end
}

// New builds the handler. It fails only when the registry already holds the API's metrics.
func New(o Options) (*API, error) {
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	a := &API{o: o, mux: http.NewServeMux(), results: newResults(maxResults), draining: make(chan struct{})}
	m, err := newMetrics(o.Registry)
	if err != nil {
		return nil, err
	}
	a.metrics = m
	a.huma = humago.NewWithPrefix(a.mux, prefix, a.config())
	a.allowFrom()
	a.environments()
	a.baselines()
	a.overlays()
	a.lifecycle()
	a.logs()
	a.events()
	a.shadows()
	a.reports()
	a.ignores()
	a.observations()
	a.gateways()
	a.absent()
	a.operations()
	if err := a.publishSpec(); err != nil {
		return nil, err
	}
	a.handler = a.around(noteRoute(a.mux))
	return a, nil
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// Drain ends all streams, so that http.Server.Shutdown need not wait for them. It may be called more than once.
func (a *API) Drain() { a.drainOnce.Do(func() { close(a.draining) }) }

// around puts the layers that every request passes about the routes, outermost first.
func (a *API) around(routes http.Handler) http.Handler {
	h := a.idempotent(routes)
	h = a.readBody(h)
	h = a.authenticate(h)
	h = a.guardOrigin(h)
	return a.observe(h)
}
