// SPDX-License-Identifier: Apache-2.0

// Package shop is the shop that comes with MicroStax to show what it does: small services as people write them, with an
// in-memory state, calls to each other over HTTP, and the usual noise: random request ids, timestamps, lists in no order.
//
//	api ─► orders ─► inventory   is there enough of everything?
//	  │        ├───► pricing     what does it cost?
//	  │        └───► payments    charge the customer; counts every real charge
//	  └─────► inventory, pricing
//
// The state of orders depends on the requests of one customer alone, never on what others do meanwhile, so that copies
// of the service that get the same requests know the same orders. Package demo drives it; it is no part of the product.
package shop

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"microstax/internal/fault"
)

// The services.
const (
	API       = "api"
	Orders    = "orders"
	Inventory = "inventory"
	Pricing   = "pricing"
	Payments  = "payments"
)

// Services are all of them, sorted.
func Services() []string { return []string{API, Inventory, Orders, Payments, Pricing} }

const (
	// maxBody bounds a request body, in bytes.
	maxBody = 64 << 10
	// maxKept bounds how many orders, charges or customers a service remembers.
	maxKept = 200_000
	// shutdownGrace is how long requests in flight have when a service ends.
	shutdownGrace = 2 * time.Second
)

// Options are what a service gets from whoever runs it.
type Options struct {
	// Lookup reads a variable of the environment: HOST and PORT where the fields below are empty; ORDERS_URL,
	// INVENTORY_URL, PRICING_URL and PAYMENTS_URL of the services that this one calls; FORWARD=off to forward no
	// tracing context (traceparent, tracestate, baggage); NOISE, one of the constants of Noise; CHANGES, a comma-separated
	// list of the names of Behaviours, for orders.
	Lookup func(name string) (string, bool)
	Host   string
	Port   string    // "0" for any
	Out    io.Writer // the service's log
}

// Run serves one service until ctx ends. It says where it listens in its log.
func Run(ctx context.Context, name string, o Options) error {
	o = o.complete()
	h, err := Handler(name, o)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(o.Host, o.Port))
	if err != nil {
		return fault.E("serve "+name, fault.Unavailable, err).WithHint("choose another PORT")
	}
	logger(o, name).Info("listening", "address", l.Addr().String())
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", name, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	err = srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve %s: %w", name, ended))
	}
	return err
}

func (o Options) complete() Options {
	if o.Lookup == nil {
		o.Lookup = func(string) (string, bool) { return "", false }
	}
	if o.Host == "" {
		o.Host = o.value("HOST", "127.0.0.1")
	}
	if o.Port == "" {
		o.Port = o.value("PORT", "0")
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	return o
}

func (o Options) value(name, otherwise string) string {
	if v, ok := o.Lookup(name); ok && v != "" {
		return v
	}
	return otherwise
}

func logger(o Options, name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(o.Out, nil)).With("service", name)
}

// Handler makes one service. An unknown name, a missing address of another service and an unknown change are
// fault.Invalid.
func Handler(name string, o Options) (http.Handler, error) {
	o = o.complete()
	mux := http.NewServeMux()
	noise, err := parseNoise(o.value("NOISE", ""))
	if err != nil {
		return nil, err
	}
	s := service{name: name, instance: name, log: logger(o, name), now: noise.clock(), noise: noise, drift: newDrift()}
	if noise.random() {
		s.instance += "-" + randomHex(4)
	}
	peers, err := connect(name, o)
	if err != nil {
		return nil, err
	}
	switch name {
	case API:
		api{s, peers}.routes(mux)
	case Orders:
		changes, err := parseChanges(o.value("CHANGES", ""))
		if err != nil {
			return nil, err
		}
		newOrders(s, peers, changes).routes(mux)
		s.changes = changes
	case Inventory:
		inventory{s}.routes(mux)
	case Pricing:
		pricing{s}.routes(mux)
	case Payments:
		newPayments(s).routes(mux)
	default:
		return nil, fault.Errorf("serve "+name, fault.Invalid, "the shop has no service %q", name).
			WithHint("it has %s", strings.Join(Services(), ", "))
	}
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return s.wrap(mux), nil
}

// service is what all have in common.
type service struct {
	name     string
	instance string // differs with every start
	log      *slog.Logger
	now      func() time.Time
	noise    Noise
	drift    *drift    // used by Drifting alone
	changes  changeSet // used by orders alone
}

// healthPath is where a service says that it is there.
const healthPath = "/healthz"

// wrap adds what every answer has, and bounds requests.
func (s service) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Served-By", s.instance)
		w.Header().Set("X-Request-Id", s.noise.requestID(r))
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if s.noise.fail(w, r) {
			return
		}
		s.changes.serve(w, r, h)
	})
}

// problem is what a service answers when it cannot do what it was asked.
type problem struct {
	status int
	Error  string `json:"error"`
	SKU    string `json:"sku,omitempty"`
}

func refuse(status int, format string, args ...any) *problem {
	return &problem{status: status, Error: fmt.Sprintf(format, args...)}
}

// answer writes a document, or the problem when there is one.
func answer(w http.ResponseWriter, status int, doc any, p *problem) {
	if p != nil {
		status, doc = p.status, p
	}
	b, err := plainJSON(doc)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the caller has gone
}

// read reads a JSON document.
func read(r *http.Request, into any) *problem {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return cause(err, refuse(http.StatusBadRequest, "read request: %v", err))
	}
	return nil
}

// cause is p unless the request was simply too long.
func cause(err error, p *problem) *problem {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return refuse(http.StatusRequestEntityTooLarge, "a request has %d bytes at most", long.Limit)
	}
	return p
}

// skus reads ?sku=a,b,c.
func skus(r *http.Request) ([]string, *problem) {
	v := r.URL.Query().Get("sku")
	if v == "" {
		return nil, refuse(http.StatusBadRequest, "say which articles: ?sku=tea-100,mug-210")
	}
	list := strings.Split(v, ",")
	for _, sku := range list {
		if _, ok := catalogue()[sku]; !ok {
			return nil, &problem{status: http.StatusNotFound, Error: "no such article", SKU: sku}
		}
	}
	return list, nil
}

// work takes as long as real work would: base, and up to as much again.
func work(ctx context.Context, base time.Duration) {
	t := time.NewTimer(base + mathrand.N(base)) //nolint:gosec // not secret
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// randomHex is n random bytes in hex.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// uuid is a random one (RFC 9562, 5.4).
func uuid() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// shuffled is a set as a list, in the order in which a map happens to give it.
func shuffled(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for v := range set {
		list = append(list, v)
	}
	return slices.Clip(list)
}
