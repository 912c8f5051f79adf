// SPDX-License-Identifier: Apache-2.0

// Package route is the routing table of the data plane: an immutable value with a revision, in which every listener
// knows who calls through it, whom they call, and for each routing context which upstream answers, what is mirrored, what
// is recorded, and what a shadow's call gets. Matching is pure and does not allocate.
//
// The control plane builds tables, the proxy swaps them atomically. A table is never changed after it was applied.
package route

import "microstax/internal/blueprint"

// Kind is what a listener is for.
type Kind string

// The kinds of listener.
const (
	Gateway  Kind = "gateway"  // traffic from outside enters an environment here
	Outgoing Kind = "outgoing" // the calls of one instance to one dependency leave here
	Tapped   Kind = "tap"      // nothing listens: copies are taken from packets that pass, see passive
)

// Origin is who makes the calls that arrive at a listener. At a gateway Service is empty.
type Origin struct {
	Environment string `json:"environment,omitempty"`
	Service     string `json:"service,omitempty"`
	Role        string `json:"role,omitempty"` // primary | candidate | control
	Replica     int    `json:"replica,omitempty"`
}

// Table is everything the data plane does, at one revision.
type Table struct {
	Revision  uint64
	Listeners []Listener
	Shadows   map[string]*Shadow // by session id
}

// Listener is one address and what happens to requests that arrive there.
type Listener struct {
	ID       string `json:"id"`   // stable: e.g. env_…/gateway/api
	Addr     string `json:"addr"` // host:port; of a tap IFACE:PORT or IFACE:HOST:PORT
	Kind     Kind   `json:"kind"`
	Origin   Origin `json:"origin,omitzero"`
	Service  string `json:"service,omitempty"`  // the service that is called
	Header   string `json:"header,omitempty"`   // name of the routing header, lower case
	Protocol string `json:"protocol,omitempty"` // http | http2 | grpc | tcp; the three of HTTP take HTTP/1.1 and HTTP/2 alike
	TLS      *TLS   `json:"tls,omitempty"`      // what clients are served with; nil: nothing is encrypted
	// Default answers requests that carry no routing key that Keys knows.
	Default *Target `json:"default,omitempty"`
	// Keys answers requests by the overlay id they carry: x-msx-env, or the baggage member msx-env.
	Keys map[string]*Target `json:"keys,omitempty"`
}

// Target is who answers a request, and what else happens to it.
type Target struct {
	Environment string   `json:"environment,omitempty"` // the provider
	Service     string   `json:"service,omitempty"`
	Addrs       []string `json:"addrs,omitempty"`    // of its instances, see ParseEndpoint; empty: nobody can answer, see Refusal
	HTTP2       bool     `json:"http2,omitempty"`    // its instances are spoken to in HTTP/2, without TLS by prior knowledge
	Refusal     string   `json:"refusal,omitempty"`  // why nobody can answer, for the 502's body
	External    bool     `json:"external,omitempty"` // outside the Blueprint (address:): the routing key is stripped and Host is rewritten
	Key         string   `json:"key,omitempty"`      // routing key to stamp on the request; "" strips it
	// Mirror is set where a trace enters what overlays run: a copy goes to each.
	Mirror []*Entry `json:"mirror,omitempty"`
	// Record is set where the caller is a service that shadows compare: its calls are kept to answer theirs.
	Record []*Shadow `json:"record,omitempty"`
	// Effect is set where the caller is a shadow.
	Effect *Effect `json:"effect,omitempty"`
}

// Entry is one place where a shadow session takes copies.
type Entry struct {
	Shadow    *Shadow          `json:"shadow"`
	Service   string           `json:"service,omitempty"`
	Candidate []string         `json:"candidate,omitempty"` // the candidate's instances of the service, see ParseEndpoint
	Control   []string         `json:"control,omitempty"`   // likewise of the control's; empty without a control
	Settings  blueprint.Shadow `json:"settings,omitzero"`
	CallsOut  bool             `json:"callsOut,omitempty"` // the shadow's services have dependencies, so copies wait for the baseline's calls and run in lanes
}

// Shadow is one shadow session.
type Shadow struct {
	Session   string             `json:"session"`
	Overlay   string             `json:"overlay,omitempty"`  // environment id
	Baseline  string             `json:"baseline,omitempty"` // environment it is compared to
	Services  []string           `json:"services,omitempty"` // services that the overlay runs, sorted
	Control   bool               `json:"control,omitempty"`
	Redact    []blueprint.Redact `json:"redact,omitempty"`
	QueueSize int                `json:"queueSize,omitempty"` // entries in the ring; 0 for the default
}

// Effect says what a shadow's outgoing call gets.
type Effect struct {
	Shadow *Shadow `json:"shadow"`
	Side   string  `json:"side,omitempty"`   // candidate | control
	Caller string  `json:"caller,omitempty"` // service
	Owned  bool    `json:"owned,omitempty"`  // the same side runs the callee: pass to Target.Addrs
	Policy string  `json:"policy,omitempty"` // replay | passthrough | block
}

// Serving is what one listener of the plane really does at the moment.
type Serving struct {
	Listener string `json:"listener"`
	Addr     string `json:"addr"`
	Revision uint64 `json:"revision"`        // the table's revision that it serves; 0 when it is not open
	Err      string `json:"error,omitempty"` // why it is not open
}
