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
)

// Origin is who makes the calls that arrive at a listener. At a gateway Service is empty.
type Origin struct {
	Environment string
	Service     string
	Role        string // primary | candidate | control
	Replica     int
}

// Table is everything the data plane does, at one revision.
type Table struct {
	Revision  uint64
	Listeners []Listener
	Shadows   map[string]*Shadow // by session id
}

// Listener is one address and what happens to requests that arrive there.
type Listener struct {
	ID       string // stable: e.g. env_…/gateway/api
	Addr     string // host:port
	Kind     Kind
	Origin   Origin
	Service  string // the service that is called
	Header   string // name of the routing header, lower case
	Protocol string // http | http2 | grpc | tcp; the three of HTTP take HTTP/1.1 and HTTP/2 alike
	TLS      *TLS   // what clients are served with; nil: nothing is encrypted
	// Default answers requests that carry no routing key that Keys knows.
	Default *Target
	// Keys answers requests by the overlay id they carry: x-msx-env, or the baggage member msx-env.
	Keys map[string]*Target
}

// Target is who answers a request, and what else happens to it.
type Target struct {
	Environment string // the provider
	Service     string
	Addrs       []string // of its instances, see ParseEndpoint; empty: nobody can answer, see Refusal
	HTTP2       bool     // its instances are spoken to in HTTP/2, without TLS by prior knowledge
	Refusal     string   // why nobody can answer, for the 502's body
	External    bool     // outside the Blueprint (address:): the routing key is stripped and Host is rewritten
	Key         string   // routing key to stamp on the request; "" strips it
	// Mirror is set where a trace enters what overlays run: a copy goes to each.
	Mirror []*Entry
	// Record is set where the caller is a service that shadows compare: its calls are kept to answer theirs.
	Record []*Shadow
	// Effect is set where the caller is a shadow.
	Effect *Effect
}

// Entry is one place where a shadow session takes copies.
type Entry struct {
	Shadow    *Shadow
	Service   string
	Candidate []string // the candidate's instances of the service, see ParseEndpoint
	Control   []string // likewise of the control's; empty without a control
	Settings  blueprint.Shadow
	CallsOut  bool // the shadow's services have dependencies, so copies wait for the baseline's calls and run in lanes
}

// Shadow is one shadow session.
type Shadow struct {
	Session   string
	Overlay   string   // environment id
	Baseline  string   // environment it is compared to
	Services  []string // services that the overlay runs, sorted
	Control   bool
	Redact    []blueprint.Redact
	QueueSize int // entries in the ring; 0 for the default
}

// Effect says what a shadow's outgoing call gets.
type Effect struct {
	Shadow *Shadow
	Side   string // candidate | control
	Caller string // service
	Owned  bool   // the same side runs the callee: pass to Target.Addrs
	Policy string // replay | passthrough | block
}

// Serving is what one listener of the plane really does at the moment.
type Serving struct {
	Listener string
	Addr     string
	Revision uint64 // the table's revision that it serves; 0 when it is not open
	Err      string // why it is not open
}
