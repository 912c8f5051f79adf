// SPDX-License-Identifier: Apache-2.0

package shop_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"microstax/internal/demo/shop"
)

// both asks a shop without and one with a change the same, and gives the two answers to a new order.
func both(t *testing.T, c shop.Change, key, order string) (was, is map[string]any, old, changed *town) {
	t.Helper()
	old, changed = open(t, nil), open(t, map[string]string{"CHANGES": string(c)})
	_, was, _ = old.ask(shop.API, http.MethodPost, "/orders", order, "Idempotency-Key", key)
	_, is, _ = changed.ask(shop.API, http.MethodPost, "/orders", order, "Idempotency-Key", key)
	return was, is, old, changed
}

// differ lists the fields in which two orders differ but for what always does.
func differ(was, is map[string]any) []string {
	var fields []string
	for _, m := range []map[string]any{was, is} {
		for k := range m {
			if slices.Contains([]string{"requestId", "createdAt", "payment", "tags"}, k) || slices.Contains(fields, k) {
				continue
			}
			if fmt.Sprintf("%T%v", was[k], was[k]) != fmt.Sprintf("%T%v", is[k], is[k]) {
				fields = append(fields, k)
			}
		}
	}
	return fields
}

func TestChangesInTheAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		change   shop.Change
		currency string
		want     []string
	}{
		{shop.TotalAsString, "EUR", []string{"total"}},
		{shop.JPYNoTax, "JPY", []string{"tax"}},
		{shop.JPYNoTax, "EUR", nil},
		{shop.StockPerItem, "EUR", nil},
		{shop.DoubleCharge, "EUR", nil},
		{shop.SlowQuotes, "EUR", nil},
	} {
		t.Run(string(tt.change)+" "+tt.currency, func(t *testing.T) {
			t.Parallel()
			was, is, old, changed := both(t, tt.change, keys(true, 1)[0], body("ann", tt.currency, "tea-100", "mug-210"))
			if got := differ(was, is); !slices.Equal(got, tt.want) {
				t.Errorf("POST: got differences in %q, want %q", got, tt.want)
			}
			path := fmt.Sprint("/orders/", was["id"])
			_, was, _ = old.ask(shop.API, http.MethodGet, path, "")
			_, is, _ = changed.ask(shop.API, http.MethodGet, path, "")
			if got := differ(was, is); !slices.Equal(got, tt.want) {
				t.Errorf("GET: got differences in %q, want %q", got, tt.want)
			}
		})
	}
}

// calls are those for one order, without the ids in them.
func calls(w *town) []string {
	what, _ := w.did()
	for i := range what {
		if before, _, ok := strings.Cut(what[i], "/ch_"); ok {
			what[i] = before
		}
	}
	return what
}

func TestStockPerItemAsksOnceMoreForEachItem(t *testing.T) {
	t.Parallel()
	_, _, old, changed := both(t, shop.StockPerItem, keys(false, 1)[0], body("ann", "EUR", "tea-100", "mug-210", "kettle-120"))
	if got, want := calls(old), []string{"inventory GET /stock", "pricing GET /prices", "payments POST /charges"}; !slices.Equal(got, want) {
		t.Errorf("before: got %q, want %q", got, want)
	}
	want := []string{
		"inventory GET /stock", "inventory GET /stock/tea-100", "inventory GET /stock/mug-210", "inventory GET /stock/kettle-120",
		"pricing GET /prices", "payments POST /charges",
	}
	if got := calls(changed); !slices.Equal(got, want) {
		t.Errorf("after: got %q, want %q", got, want)
	}
}

func TestDoubleChargeChargesPendingOrdersTwice(t *testing.T) {
	t.Parallel()
	w := open(t, map[string]string{"CHANGES": string(shop.DoubleCharge)})
	want := map[string]int{}
	for _, pending := range []bool{true, false} {
		for _, key := range keys(pending, 4) {
			w.ask(shop.API, http.MethodPost, "/orders", body("ann", "EUR", "tea-100"), "Idempotency-Key", key)
			want[shop.OrderID("ann", key)] = 1
			if pending {
				want[shop.OrderID("ann", key)] = 2
			}
		}
	}
	s := w.stats()
	if s.Charges != 12 || fmt.Sprint(s.ByOrder) != fmt.Sprint(want) {
		t.Errorf("got %d charges, %v, want 12, %v", s.Charges, s.ByOrder, want)
	}
}

func TestASecondChargeThatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	w := open(t, map[string]string{"CHANGES": string(shop.DoubleCharge)})
	// What a shadow's second charge meets: somebody who does not let it pass.
	fence := http.NewServeMux()
	first := true
	fence.HandleFunc("POST /charges", func(rw http.ResponseWriter, r *http.Request) {
		if !first {
			http.Error(rw, "fenced", http.StatusServiceUnavailable)
			return
		}
		first = false
		rw.WriteHeader(http.StatusCreated)
		fmt.Fprint(rw, `{"id":"ch_1","status":"pending"}`)
	})
	fence.HandleFunc("GET /charges/ch_1", func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, `{"id":"ch_1","status":"captured"}`)
	})
	w.urls[shop.Payments] = serve(t, fence)
	h, err := shop.Handler(shop.Orders, shop.Options{Lookup: func(key string) (string, bool) {
		if key == "CHANGES" {
			return string(shop.DoubleCharge), true
		}
		other, ok := strings.CutSuffix(key, "_URL")
		return w.urls[strings.ToLower(other)], ok
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.urls[shop.Orders] = serve(t, h)
	status, doc, _ := w.ask(shop.Orders, http.MethodPost, "/orders", body("ann", "EUR", "tea-100"))
	if status != http.StatusCreated || doc["status"] != "confirmed" || doc["payment"] != "ch_1" {
		t.Errorf("got %d %v", status, doc)
	}
}

func TestSlowQuotesTakeLonger(t *testing.T) {
	t.Parallel()
	w := open(t, map[string]string{"CHANGES": string(shop.SlowQuotes)})
	begin := w.now()
	status, doc, _ := w.ask(shop.API, http.MethodGet, "/quotes?currency=JPY&sku=tea-100,mug-210", "")
	if took := w.now().Sub(begin); took < shop.SlowBy {
		t.Errorf("took %v, want at least %v", took, shop.SlowBy)
	}
	quotes, _ := doc["quotes"].([]any)
	if status != http.StatusOK || len(quotes) != 2 {
		t.Errorf("got %d %v", status, doc)
	}
}
