// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"microstax/internal/engine"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// TestAFindingSaysWhen plants a change in yen alone, among noise, and reads the condition off the report, also after the
// state was stored and read back.
func TestAFindingSaysWhen(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	w, cfg := newWorld(), engine.Config{Control: true}
	a := engine.New(cfg)
	for i := range 800 {
		if i == 400 {
			b, err := a.State()
			if err != nil {
				t.Fatal(err)
			}
			if a, err = engine.Restore(cfg, b); err != nil {
				t.Fatal(err)
			}
		}
		currency := []string{"EUR", "USD", "JPY", "GBP"}[rng.IntN(4)]
		answer := func(total string) reply {
			return ok(fmt.Sprintf(`{"id":"%016x","total":%s,"currency":%q}`, rng.Uint64(), total, currency))
		}
		candidate := answer("61")
		if currency == "JPY" {
			candidate = answer("6100")
		}
		o := w.see(fmt.Sprint("user", rng.IntN(120)), "POST", "/orders", answer("61"), answer("61"), candidate)
		body := fmt.Sprintf(`{"currency":%q,"items":[{"sku":"s%d"}]}`, currency, rng.IntN(5))
		o.Baseline.Request.Headers = []exchange.Header{{Name: "Content-Type", Value: "application/json"}}
		o.Baseline.Request.Body = exchange.Body{Data: []byte(body), Length: int64(len(body))}
		feed(a, o)
	}
	f := finding(t, a.Report(engine.Meta{}), "body.value", "$.total")
	if f.Condition != `request.body.$.currency = "JPY"` || !strings.Contains(f.ConditionCheck, "for 0 of") {
		t.Errorf("when %q: %s", f.Condition, f.ConditionCheck)
	}
}

// TestAFindingSaysWhatCameFirst lets a wrong argument of a call lead to a wrong answer.
func TestAFindingSaysWhatCameFirst(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), engine.New(engine.Config{Control: true})
	for i := range 60 {
		o := w.see(fmt.Sprint("user", i), "POST", "/quotes", ok(`{"tax":1}`), ok(`{"tax":1}`), ok(`{"tax":100}`))
		call := func(body string, tier observation.Tier, matched int) []observation.Call {
			x := reply{status: 200, body: "{}"}.exchange(o.At, "POST", "/rates")
			x.Request.Body = exchange.Body{Data: []byte(body), Length: int64(len(body))}
			x.Request.Headers = []exchange.Header{{Name: "Content-Type", Value: "application/json"}}
			return []observation.Call{{Caller: "orders", Dependency: "pricing", Exchange: x, Tier: tier, Matched: matched, Effect: observation.Replayed}}
		}
		o.BaselineCalls, o.ControlCalls = call(`{"scale":2}`, "", -1), call(`{"scale":2}`, observation.Exact, 0)
		o.CandidateCalls = call(`{"scale":0}`, observation.Near, 0)
		feed(a, o)
	}
	r := a.Report(engine.Meta{})
	first := finding(t, r, "call.arguments", "pricing POST /rates $.scale")
	if first.Cause != nil {
		t.Errorf("the first deviation follows %+v", first.Cause)
	}
	f := finding(t, r, "body.value", "$.tax")
	if f.Cause == nil || f.Cause.FindingID != first.ID || f.Cause.Share != 1 {
		t.Errorf("the answer follows %+v, want %s", f.Cause, first.ID)
	}
}
