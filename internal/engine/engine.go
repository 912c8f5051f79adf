// SPDX-License-Identifier: Apache-2.0

// Package engine composes the judgement: observations in, differences told from noise, findings and a verdict out. It is
// pure: times come with the observations, nothing is read or written, and the same observations give the same report.
//
// Each observation is compared twice, candidate against baseline and control against baseline. Every place where either
// differed is a hypothesis, "the candidate differs here no more than the control", with counters at every level of
// strictness. What is counted is user sessions, not requests: one session has one say for each place.
package engine

import (
	"strings"
	"time"

	api "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/engine/canon"
	"microstax/internal/engine/condition"
	"microstax/internal/engine/noise"
	"microstax/internal/engine/openapi"
	"microstax/internal/engine/pairing"
	"microstax/internal/engine/stats"
	"microstax/internal/observation"
)

// Rules is the version of the rules of comparison; evidence gathered under other rules is not comparable.
const Rules = "2"

// Bounds of what an Analysis keeps in memory. What does not fit is counted, never silently lost.
const (
	maxSessions         = 50_000
	maxVisits           = 256 // endpoints remembered for one session
	maxMarks            = 512 // places remembered for one session
	maxEndpoints        = 2_000
	maxOperations       = 200 // at one endpoint
	maxPlaces           = 16_384
	maxPlacesAtEndpoint = 256
	maxShown            = 100 // differences listed for one observation
	maxCallRows         = 4_096
)

// Config is what an analysis is made with.
type Config struct {
	Services map[string]blueprint.Shadow // effective settings by service; may be empty
	Control  bool                        // whether a control runs
	OpenAPI  map[string]string           // documents that describe services, by service; may be empty
	// Protobuf are serialised descriptor sets by service; messages of services without are compared as they are on the wire.
	Protobuf map[string][]byte
}

// Analysis is the judgement of one shadow session as far as it has got. One goroutine owns it. Make it with New or
// Restore.
type Analysis struct {
	cfg       Config
	learners  map[string]*pairing.Learner // by service
	endpoints []*endpoint
	byName    map[endpointName]int
	places    []*hypothesis
	byPlace   map[place]int
	users     *users
	before    *baselines
	gates     map[string]*gate
	headers   map[headerName]*noise.Counts
	calls     map[callName]*callCount
	traffic   traffic
	unseen    unseen
	ranks     ranks
	shards    int                             // parts that it was merged from, which share the stake; 0: none
	profiled  int                             // endpoints with a profile
	ignored   func(Place) bool                // the rules of the report that is being made
	described map[string]*openapi.Description // by service; nil where there is none
	messages  map[string]*canon.Descriptors   // by service; nil where there are none
	breaches  map[breachName]*breachCount     // of descriptions
	start     time.Time
	end       time.Time
}

// endpointName identifies an endpoint; the name is "METHOD /template".
type endpointName struct{ Service, Name string }

// endpoint is what is counted for one endpoint.
type endpoint struct {
	Service   string             `json:"s"`
	Name      string             `json:"e"`
	Received  int64              `json:"r,omitempty"`  // dropped ones
	Dropped   map[string]int64   `json:"dr,omitempty"` // why
	Compared  int64              `json:"c,omitempty"`
	Different int64              `json:"d,omitempty"`
	Clean     int64              `json:"cl,omitempty"` // compared before the user's session had gone its own way
	Pairs     int64              `json:"p,omitempty"`  // of the baseline with its control, or with its own past
	Visits    int64              `json:"v,omitempty"`  // user sessions
	Gate      visits             `json:"g,omitzero"`   // their say in the gate
	Places    int                `json:"n,omitempty"`
	CallBase  int64              `json:"cb,omitempty"` // requests whose baseline calls are known exactly
	CallPairs int64              `json:"cp,omitempty"` // requests with a control whose calls are known
	Latency   latency            `json:"l"`
	Contexts  stats.Distinct     `json:"x"`
	Slow      example            `json:"sl,omitzero"`
	Slot      stats.Slot         `json:"la,omitzero"`  // of its latency
	Into      int                `json:"in,omitempty"` // the endpoint that it became part of, plus 1
	SlowAt    [2]time.Time       `json:"sa,omitzero"`  // first and last slow request
	Checked   int64              `json:"ch,omitempty"` // against the service's description
	Profile   *condition.Profile `json:"pr,omitempty"` // which requests there are
}

// Judged is what one observation came to.
type Judged struct {
	Endpoint    string
	Identical   bool // the candidate's answer and calls are the baseline's
	Differences []api.Difference
	Findings    []string // stable ids of the hypotheses that this observation is evidence for
	Keep        bool
	Why         string // different | sample
}

// New starts an analysis.
func New(cfg Config) *Analysis {
	return &Analysis{
		cfg: cfg, learners: map[string]*pairing.Learner{}, byName: map[endpointName]int{}, byPlace: map[place]int{},
		users: newUsers(maxSessions), before: newBaselines(), gates: map[string]*gate{},
		messages: map[string]*canon.Descriptors{}, described: map[string]*openapi.Description{}, breaches: map[breachName]*breachCount{},
		headers: map[headerName]*noise.Counts{}, calls: map[callName]*callCount{}, traffic: newTraffic(), unseen: unseen{cells: map[cell]bool{}},
	}
}

// endpoint finds or makes the endpoint that a request belongs to, of which the operation is part where it names one.
func (a *Analysis) endpoint(service, method, target, operation string) (int, *endpoint) {
	l := a.learners[service]
	if l == nil {
		l = pairing.NewLearner()
		a.learners[service] = l
	}
	template, described := "", false
	if d := a.description(service); d != nil {
		template, described = d.Endpoint(method, target)
	}
	if !described {
		template = l.Endpoint(method, target)
	}
	if renames := l.Renames(); renames != nil {
		a.rename(service, renames)
	}
	name := endpointName{service, a.withOperation(service, template, operation)}
	i, known := a.byName[name]
	if !known && len(a.endpoints) >= maxEndpoints {
		name = endpointName{service, method + " …"}
		i, known = a.byName[name]
	}
	if !known {
		i = len(a.endpoints)
		a.endpoints = append(a.endpoints, newEndpoint(name))
		a.byName[name] = i
	}
	return i, a.endpoints[i]
}

// withOperation is an endpoint's name with an operation. Beyond the bound one stands for all the rest.
func (a *Analysis) withOperation(service, template, operation string) string {
	if operation == "" {
		return template
	}
	template += pairing.OperationMark
	if _, known := a.byName[endpointName{service, template + operation}]; known {
		return template + operation
	}
	n := 0
	for _, ep := range a.endpoints {
		if ep.Service == service && strings.HasPrefix(ep.Name, template) {
			n++
		}
	}
	if n >= maxOperations {
		operation = "…"
	}
	return template + operation
}

func newEndpoint(n endpointName) *endpoint {
	return &endpoint{Service: n.Service, Name: n.Name, Contexts: stats.NewDistinct(sketchSize)}
}

// gate finds or makes the counters of a service.
func (a *Analysis) gate(service string) *gate {
	g := a.gates[service]
	if g == nil {
		g = &gate{}
		a.gates[service] = g
	}
	return g
}

// Tally adds counts of what reached the mirrored hops and what became of it. A tally comes no later than the
// observations it counts.
func (a *Analysis) Tally(t observation.Tally) {
	a.traffic.Received += t.Received
	a.traffic.Mirrored += t.Mirrored
	a.traffic.Load.tally(&t)
	a.seen(t.At)
	if t.Capture != nil {
		if a.traffic.Capture == nil {
			a.traffic.Capture = &observation.Capture{}
		}
		a.traffic.Capture.Add(*t.Capture)
	}
	for _, g := range t.Dropped {
		a.traffic.Dropped[string(g.Reason)] += g.Count
		if g.Method == "" && g.Path == "" {
			continue // all that is known is that it happened
		}
		_, ep := a.endpoint(g.Service, g.Method, g.Path, "")
		ep.drop(string(g.Reason), g.Count)
	}
}

// Settle gives up on everything that is in flight, after a crash or a stop: nobody will compare it any more.
func (a *Analysis) Settle(reason observation.DropReason) { a.Lose(reason, a.InFlight()) }

// InFlight is how many requests were received of which nobody has said yet what became of them.
func (a *Analysis) InFlight() int64 { return a.traffic.inFlight() }

// Lose gives up on so many of those that are in flight, at most all.
func (a *Analysis) Lose(reason observation.DropReason, n int64) {
	if n = min(n, a.traffic.inFlight()); n > 0 {
		a.traffic.Dropped[string(reason)] += n
	}
}

// drop counts requests of an endpoint that were not compared.
func (ep *endpoint) drop(reason string, n int64) {
	ep.Received += n
	if ep.Dropped == nil {
		ep.Dropped = map[string]int64{}
	}
	ep.Dropped[reason] += n
}

// seen widens the window.
func (a *Analysis) seen(at time.Time) {
	if at.IsZero() {
		return
	}
	if a.start.IsZero() || at.Before(a.start) {
		a.start = at
	}
	if at.After(a.end) {
		a.end = at
	}
}
