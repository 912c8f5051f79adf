// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"testing"

	"microstax/internal/engine"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

func TestOperationsAreEndpointsOfTheirOwn(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	ask := func(operation string, candidate reply) *observation.Observation {
		o := w.see("", "POST", "/graphql", ok(good), ok(good), candidate)
		body := fmt.Sprintf(`{"operationName":%q,"query":"query %s { a }"}`, operation, operation)
		o.Baseline.Request.Body = exchange.Body{Data: []byte(body), Length: int64(len(body))}
		o.Baseline.Request.Headers = []exchange.Header{{Name: "Content-Type", Value: "application/json"}}
		return o
	}
	for range 30 {
		feed(a, ask("GetOrder", ok(bad)), ask("GetUser", ok(good)))
		alike := w.see("", "POST", "/graphql#GetUser", ok(good), ok(good), ok(good))
		alike.Alike = true
		feed(a, alike)
	}
	rep := a.Report(engine.Meta{})
	if f := finding(t, rep, "body.type", "$.price"); f.Endpoint != "POST /graphql#GetOrder" {
		t.Errorf("found at %s", f.Endpoint)
	}
	seen := map[string]int64{}
	for _, e := range rep.Traffic.Endpoints {
		seen[e.Endpoint] = e.Compared
	}
	if seen["POST /graphql#GetUser"] != 60 || seen["POST /graphql#GetOrder"] != 30 {
		t.Errorf("compared %v", seen)
	}
	for i := range 500 {
		feed(a, ask(fmt.Sprint("Made", i), ok(good)))
	}
	if n := len(a.Report(engine.Meta{}).Traffic.Endpoints); n > 210 {
		t.Errorf("%d endpoints", n)
	}
}
