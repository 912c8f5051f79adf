// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "microstax/api/v1"
)

// orders is front → orders → payments, where payments run elsewhere and count what they are charged.
func orders(payments, forward string) string {
	return fmt.Sprintf(`
name: shop
services:
  front:
    command: [$service, -name, front, -forward, %[2]q, -call, "POST ${services.orders.url}"]
    expose: true
  orders: {command: [$service, -name, orders, -forward, %[2]q, -call, "POST ${services.payments.url}"]}
  payments: {address: %[1]q}
`, payments, forward)
}

// order places n orders from four clients, and looks whether each got the baseline's answer.
func order(t *testing.T, url, way string, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := c; i < n; i += 4 {
				a := ask(t, "POST", fmt.Sprintf("%s/order/%d", url, i), "Cookie", fmt.Sprintf("sid=s%d", i))
				if a.way() != way {
					t.Errorf("order %d: %s, want %s", i, a.way(), way)
				}
			}
		})
	}
	wg.Wait()
}

// charged looks whether every order was charged so often.
func charged(t *testing.T, payments string, orders, times int) {
	t.Helper()
	got := counts(t, payments)
	if len(got) != orders {
		t.Errorf("%d orders were charged, want %d", len(got), orders)
	}
	for path, n := range got {
		if n != times {
			t.Errorf("%s was charged %d times, want %d", path, n, times)
		}
	}
}

func kinds(r v1.Report) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.Kind)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestEffectsOfAShadow(t *testing.T) {
	t.Parallel()
	const n = 40
	for _, tt := range []struct {
		effects, forward string
		times            int // each order is charged
		finding          []string
	}{
		{"replay", "traceparent", 1, []string{"effect.fenced", "call.repeated"}},
		{"replay", "", 1, []string{"effect.fenced", "call.repeated"}},
		{"block", "traceparent", 1, []string{"effect.fenced", "call.repeated"}},
		{"passthrough", "traceparent", 4, []string{"call.repeated"}}, // baseline, control, and twice the candidate
	} {
		t.Run(strings.TrimSuffix(tt.effects+"-"+tt.forward, "-"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			payments := stub(t, "-name", "payments")
			shop := w.baseline(orders(payments, tt.forward))
			w.overlay("shop", fmt.Sprintf(`
name: twice
services:
  orders:
    command: [$service, -name, orders, -forward, %q, -repeat, "2", -call, "POST ${services.payments.url}"]
    shadow: {effects: %s}
`, tt.forward, tt.effects))
			w.run("env", "shadow", "twice", "--enable")
			order(t, endpoint(t, shop), "front v1 > orders v1 > payments v1", n)
			r := w.report("twice", n)
			if r.Traffic.Compared != n {
				t.Errorf("traffic %+v", r.Traffic)
			}
			charged(t, payments, n, tt.times)
			if got := kinds(r); !slices.ContainsFunc(got, func(k string) bool { return slices.Contains(tt.finding, k) }) {
				t.Errorf("findings %v, want one of %v", got, tt.finding)
			}
			for _, f := range r.Findings {
				t.Logf("%s %s %s %s %s: %s", f.Confidence, f.Severity, f.Kind, f.Endpoint, f.Path, f.Summary)
			}
			if stderr := w.refused(3, "env", "diffs", "twice", "--gate", "-o", "json"); stderr != "" {
				t.Logf("%s", stderr)
			}
		})
	}
}

func TestSameVersionHasTheSameEffects(t *testing.T) {
	t.Parallel()
	const n = 60
	for _, forward := range []string{"traceparent", ""} {
		t.Run("forwards-"+forward, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			payments := stub(t, "-name", "payments")
			shop := w.baseline(orders(payments, forward))
			w.overlay("shop", "{name: same, services: {orders: {env: {LABEL: same}}}}")
			w.run("env", "shadow", "same", "--enable")
			order(t, endpoint(t, shop), "front v1 > orders v1 > payments v1", n)
			r := w.report("same", n)
			for _, f := range r.Findings {
				t.Errorf("%s %s %s %s: %s", f.Confidence, f.Kind, f.Endpoint, f.Path, f.Summary)
			}
			charged(t, payments, n, 1)
		})
	}
}

func TestOverlayOfSeveralServices(t *testing.T) {
	t.Parallel()
	const n = 40
	w := newWorld(t)
	payments := stub(t, "-name", "payments")
	shop := w.baseline(fmt.Sprintf(`
name: shop
services:
  front: {command: [$service, -name, front, -call, "POST ${services.orders.url}"], expose: true}
  orders: {command: [$service, -name, orders, -call, "POST ${services.ledger.url}"]}
  ledger: {command: [$service, -name, ledger, -call, "POST ${services.payments.url}"]}
  payments: {address: %q}
`, payments))
	w.overlay("shop", `
name: both
services:
  orders: {command: [$service, -name, orders, -version, v2, -call, "POST ${services.ledger.url}"]}
  ledger: {command: [$service, -name, ledger, -version, v2, -call, "POST ${services.payments.url}"]}
`)
	w.run("env", "shadow", "both", "--enable")
	order(t, endpoint(t, shop), "front v1 > orders v1 > ledger v1 > payments v1", n)
	r := w.report("both", n) // the hop from orders to ledger is not mirrored again
	for _, e := range r.Traffic.Endpoints {
		if e.Service != "orders" {
			t.Errorf("mirrored at %s %s too: %+v", e.Service, e.Endpoint, e)
		}
	}
	charged(t, payments, n, 1)
	list := parse[[]v1.ObservationSummary](t, w.run("env", "observations", "both", "--limit", "5", "-o", "json"))
	if len(list) == 0 {
		t.Fatal("no observation was kept")
	}
	for _, s := range list {
		o := parse[v1.Observation](t, w.run("env", "observations", "both", s.ID, "-o", "json"))
		if o.Exchanges.Control == nil {
			t.Fatalf("%s has no control", o.ID)
		}
		for side, m := range map[string]v1.Message{
			"orders v1 > ledger v1 > payments v1": *o.Exchanges.Control,
			"orders v2 > ledger v2 > payments v1": o.Exchanges.Candidate,
		} {
			if way := parse[answer](t, m.Body).way(); way != side {
				t.Errorf("%s: %s, want %s", o.ID, way, side)
			}
		}
	}
}
