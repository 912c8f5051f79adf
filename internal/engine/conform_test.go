// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"testing"

	"microstax/internal/engine"
)

const described = `
openapi: 3.0.3
paths:
  /orders/{orderNumber}:
    get:
      responses:
        "200":
          description: an order
          content: {application/json: {schema: {type: object, required: [total], properties: {total: {type: number}}}}}
`

// TestADescriptionNamesEndpointsAndChecksAnswers counts breaches of each side, across a stored state.
func TestADescriptionNamesEndpointsAndChecksAnswers(t *testing.T) {
	t.Parallel()
	w, cfg := newWorld(), engine.Config{Control: true, OpenAPI: map[string]string{"orders": described}}
	a := engine.New(cfg)
	for i := range 40 {
		candidate := ok(`{"total":12}`)
		if i%2 == 0 {
			candidate = ok(`{"total":"12"}`)
		}
		feed(a, w.see("", "GET", "/orders/blue", ok(`{"total":12}`), ok(`{"total":12}`), candidate))
		if i == 20 {
			b, err := a.State()
			if err != nil {
				t.Fatal(err)
			}
			if a, err = engine.Restore(cfg, b); err != nil {
				t.Fatal(err)
			}
		}
	}
	feed(a, w.see("", "GET", "/secret", ok(`{}`), ok(`{}`), ok(`{}`)))
	r := a.Report(engine.Meta{})
	if f := finding(t, r, "body.type", "$.total"); f.Endpoint != "GET /orders/{orderNumber}" {
		t.Errorf("the endpoint is %s", f.Endpoint)
	}
	if len(r.Breaches) != 2 {
		t.Fatalf("breaches %+v", r.Breaches)
	}
	b := r.Breaches[0]
	if b.Rule != "type" || b.Path != "$.total" || b.Candidate != 20 || b.Baseline != 0 || b.Control != 0 || b.Checked != 40 {
		t.Errorf("the candidate's breach is %+v", b)
	}
	if b := r.Breaches[1]; b.Rule != "operation" || b.Endpoint != "GET /secret" || b.Baseline != 1 || b.Candidate != 1 {
		t.Errorf("what is not described is %+v", b)
	}
}
