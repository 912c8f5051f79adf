// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	api "microstax/api/v1"
	"microstax/internal/engine"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// reply is one side's answer.
type reply struct {
	status  int
	body    string
	headers []exchange.Header
	took    time.Duration
	outcome exchange.Outcome
}

func ok(body string) reply { return reply{status: 200, body: body, took: 5 * time.Millisecond} }

// world makes observations with ids and times in order.
type world struct {
	n     int
	start time.Time
}

func newWorld() *world { return &world{start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

// see is one observation; without a unit the request is its own.
func (w *world) see(unit, method, target string, base, control, candidate reply) *observation.Observation {
	w.n++
	at := w.start.Add(time.Duration(w.n) * 100 * time.Millisecond)
	o := &observation.Observation{
		ID: fmt.Sprintf("obs_%06d", w.n), Session: "ses_1", Service: "orders", At: at, Unit: unit, OwnUnit: unit == "",
		Lane: true, CallsTraced: true,
		Baseline: base.exchange(at, method, target), Candidate: candidate.exchange(at, method, target),
	}
	n := control.exchange(at, method, target)
	o.Control = &n
	return o
}

func (r reply) exchange(at time.Time, method, target string) exchange.Exchange {
	x := exchange.Exchange{
		Start: at, FirstByte: r.took / 2, Duration: r.took, Outcome: r.outcome,
		Request: exchange.Request{Method: method, Target: target, Proto: "HTTP/1.1"},
	}
	if x.Outcome == "" {
		x.Outcome = exchange.OK
	}
	if x.Outcome == exchange.OK {
		x.Response = exchange.Response{
			Status: r.status, Proto: "HTTP/1.1",
			Headers: append([]exchange.Header{{Name: "Content-Type", Value: "application/json"}}, r.headers...),
			Body:    exchange.Body{Data: []byte(r.body), Length: int64(len(r.body))},
		}
	}
	return x
}

// feed observes with the tally that goes before.
func feed(a *engine.Analysis, os ...*observation.Observation) engine.Judged {
	var j engine.Judged
	for _, o := range os {
		a.Tally(observation.Tally{Session: o.Session, At: o.At, Received: 1, Mirrored: 1})
		j = a.Observe(o)
	}
	return j
}

// noisy is an answer with values that vary by nature: always, often, sometimes and rarely.
func noisy(r *rand.Rand, endpoint int) reply {
	body := fmt.Sprintf(`{"id":%d,"name":"thing","at":%q,"token":"%016x","load":%d,"tags":["a","b"]`,
		endpoint, time.Unix(1_700_000_000+r.Int64N(1e6), 0).UTC().Format(time.RFC3339), r.Uint64(), r.IntN(4))
	if r.Float64() < .3 {
		body += `,"cached":true`
	}
	if r.Float64() < .02 {
		body += `,"warning":"slow"`
	}
	took := time.Duration(float64(5*time.Millisecond) * (1 + .5*r.ExpFloat64()))
	out := reply{status: 200, body: body + "}", took: took}
	if r.Float64() < .005 {
		out = reply{status: 503, body: `{"error":"busy"}`, took: took}
	}
	return out
}

func finding(t *testing.T, r api.Report, kind, path string) api.Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Kind == kind && f.Path == path {
			return f
		}
	}
	t.Fatalf("no finding %s at %s among %s", kind, path, names(r))
	return api.Finding{}
}

func names(r api.Report) (out []string) {
	for _, f := range r.Findings {
		out = append(out, f.Confidence+" "+f.Kind+" "+f.Endpoint+" "+f.Path+" E="+strconv.FormatFloat(f.Evidence, 'g', 3, 64))
	}
	return out
}
