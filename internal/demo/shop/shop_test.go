// SPDX-License-Identifier: Apache-2.0

package shop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"microstax/internal/demo/shop"
	"microstax/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is one call between services.
type seen struct {
	what   string // "orders POST /charges"
	header http.Header
}

// town is a whole shop on loopback, every call of which is written down.
type town struct {
	t    *testing.T
	urls map[string]string

	mu    sync.Mutex
	calls []seen
}

// open starts all services; env is added to that of orders.
func open(t *testing.T, env map[string]string) *town {
	t.Helper()
	w := &town{t: t, urls: map[string]string{}}
	for _, name := range []string{shop.Inventory, shop.Pricing, shop.Payments, shop.Orders, shop.API} {
		h, err := shop.Handler(name, shop.Options{Lookup: func(key string) (string, bool) {
			if other, ok := strings.CutSuffix(key, "_URL"); ok {
				return w.urls[strings.ToLower(other)], true
			}
			v, ok := env[key]
			return v, ok
		}})
		if err != nil {
			t.Fatalf("Handler %s: %v", name, err)
		}
		srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.mu.Lock()
			w.calls = append(w.calls, seen{name + " " + r.Method + " " + r.URL.Path, r.Header.Clone()})
			w.mu.Unlock()
			h.ServeHTTP(rw, r)
		}))
		t.Cleanup(srv.Close)
		w.urls[name] = srv.URL
	}
	return w
}

// did are the calls to other services than the front since the last time, and their headers.
func (w *town) did() (what []string, headers []http.Header) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if !strings.HasPrefix(c.what, shop.API+" ") && !strings.HasPrefix(c.what, shop.Orders+" ") {
			what = append(what, c.what)
			headers = append(headers, c.header)
		}
	}
	w.calls = nil
	return what, headers
}

// ask sends a request to a service and reads the JSON answer.
func (w *town) ask(service, method, path, body string, header ...string) (int, map[string]any, http.Header) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.urls[service]+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var doc map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, doc, resp.Header
}

func (w *town) stats() shop.Stats {
	w.t.Helper()
	_, doc, _ := w.ask(shop.Payments, http.MethodGet, "/stats", "")
	b, err := json.Marshal(doc)
	if err != nil {
		w.t.Fatal(err)
	}
	var s shop.Stats
	if err := json.Unmarshal(b, &s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func body(customer, currency string, skus ...string) string {
	var items []string
	for _, s := range skus {
		items = append(items, fmt.Sprintf(`{"sku":%q,"qty":2}`, s))
	}
	return fmt.Sprintf(`{"customer":%q,"currency":%q,"items":[%s]}`, customer, currency, strings.Join(items, ","))
}

// keys finds idempotency keys whose orders are charged at once, and ones that are pending first.
func keys(pending bool, n int) []string {
	w := make([]string, 0, n)
	for i := 0; len(w) < n; i++ {
		key := fmt.Sprint("key-", i)
		if shop.Slow(shop.OrderID("ann", key)) == pending {
			w = append(w, key)
		}
	}
	return w
}

func TestAnOrderIsPlacedReadAndListed(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	key := keys(true, 1)[0]
	status, doc, _ := w.ask(shop.API, http.MethodPost, "/orders", body("ann", "EUR", "tea-100", "mug-210"), "Idempotency-Key", key)
	if status != http.StatusCreated {
		t.Fatalf("got %d %v", status, doc)
	}
	what, _ := w.did()
	want := []string{
		"inventory GET /stock", "pricing GET /prices", "payments POST /charges",
		"payments GET /charges/" + doc["payment"].(string), //nolint:forcetypeassert // a panic fails the test well enough
	}
	if !slices.Equal(what, want) {
		t.Errorf("got calls %q, want %q", what, want)
	}
	for field, want := range map[string]any{
		"id": shop.OrderID("ann", key), "subtotal": 4680.0, "tax": 936.0, "total": 5616.0, "status": "confirmed", "currency": "EUR",
	} {
		if doc[field] != want {
			t.Errorf("%s: got %v, want %v", field, doc[field], want)
		}
	}
	id, _ := doc["id"].(string)
	status, again, _ := w.ask(shop.API, http.MethodGet, "/orders/"+id, "")
	if status != http.StatusOK || again["total"] != doc["total"] || again["requestId"] == doc["requestId"] {
		t.Errorf("read back: got %d %v", status, again)
	}
	_, list, _ := w.ask(shop.API, http.MethodGet, "/orders?customer=ann", "")
	if orders, _ := list["orders"].([]any); len(orders) != 1 {
		t.Errorf("list: got %v", list)
	}
	if s := w.stats(); s.Charges != 1 || s.ByOrder[id] != 1 {
		t.Errorf("got charges %+v", s)
	}
}

func TestTheSameKeyOrdersAndChargesOnce(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	const tries = 8
	got := make(chan string, tries)
	var wg sync.WaitGroup
	for range tries {
		wg.Go(func() {
			_, doc, _ := w.ask(shop.API, http.MethodPost, "/orders", body("ann", "USD", "tea-100"), "Idempotency-Key", "k")
			got <- fmt.Sprint(doc["id"], doc["payment"])
		})
	}
	wg.Wait()
	first := <-got
	for range tries - 1 {
		if other := <-got; other != first {
			t.Errorf("got orders %s and %s", first, other)
		}
	}
	if s := w.stats(); s.Charges != 1 {
		t.Errorf("got %d charges", s.Charges)
	}
}

func TestCopiesOfOrdersAgreeOnIDs(t *testing.T) {
	t.Parallel()
	var ids [2][]string
	for i := range ids {
		w := open(t, nil)
		for _, who := range [][]string{{"ann", "bob", "ann"}, {"bob", "ann", "ann"}}[i] {
			_, doc, _ := w.ask(shop.Orders, http.MethodPost, "/orders", body(who, "GBP", "tea-100"))
			ids[i] = append(ids[i], fmt.Sprint(who, doc["id"]))
		}
		slices.Sort(ids[i])
	}
	if !slices.Equal(ids[0], ids[1]) || ids[0][0] == ids[0][1] {
		t.Errorf("got %q and %q", ids[0], ids[1])
	}
}

func TestRequestsThatCannotBeServedAreRefused(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	tests := []struct {
		name, service, method, path, body string
		want                              int
	}{
		{"sold out", shop.API, "POST", "/orders", body("ann", "EUR", "tea-100", shop.SoldOut), 409},
		{"unknown article", shop.API, "POST", "/orders", body("ann", "EUR", "rope"), 422},
		{"unknown currency", shop.API, "POST", "/orders", body("ann", "XXX", "tea-100"), 400},
		{"no customer", shop.API, "POST", "/orders", body("", "EUR", "tea-100"), 400},
		{"no items", shop.API, "POST", "/orders", body("ann", "EUR"), 400},
		{"no JSON", shop.API, "POST", "/orders", "{", 400},
		{"unknown field", shop.API, "POST", "/orders", `{"x":1}`, 400},
		{"no quantity", shop.API, "POST", "/orders", `{"customer":"a","currency":"EUR","items":[{"sku":"tea-100","qty":0}]}`, 400},
		{"too long", shop.API, "POST", "/orders", `{"customer":"` + strings.Repeat("a", 1<<17) + `"}`, 413},
		{"unknown order", shop.API, "GET", "/orders/ord_1", "", 404},
		{"list of nobody", shop.API, "GET", "/orders", "", 400},
		{"quote of nothing", shop.API, "GET", "/quotes?currency=EUR", "", 400},
		{"quote of unknown", shop.API, "GET", "/quotes?currency=EUR&sku=rope", "", 404},
		{"quote in unknown", shop.API, "GET", "/quotes?currency=XXX&sku=tea-100", "", 400},
		{"products in unknown", shop.API, "GET", "/products?currency=XXX", "", 404},
		{"stock of unknown", shop.Inventory, "GET", "/stock/rope", "", 404},
		{"charge without key", shop.Payments, "POST", "/charges", `{"orderId":"o","amount":1,"currency":"EUR"}`, 400},
		{"unknown charge", shop.Payments, "GET", "/charges/x", "", 404},
	}
	for _, tt := range tests {
		if got, doc, _ := w.ask(tt.service, tt.method, tt.path, tt.body); got != tt.want || doc["error"] == "" {
			t.Errorf("%s: got %d %v, want %d", tt.name, got, doc, tt.want)
		}
	}
	if s := w.stats(); s.Charges != 0 {
		t.Errorf("somebody was charged: %+v", s)
	}
}

func TestAFailedOrderCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	w.ask(shop.API, http.MethodPost, "/orders", body("ann", "EUR", shop.SoldOut), "Idempotency-Key", "k")
	status, doc, _ := w.ask(shop.API, http.MethodPost, "/orders", body("ann", "EUR", "tea-100"), "Idempotency-Key", "k")
	if status != http.StatusCreated {
		t.Errorf("got %d %v", status, doc)
	}
}

func TestThereIsNaturalNoise(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	_, doc, h := w.ask(shop.Orders, http.MethodPost, "/orders", body("ann", "EUR", "tea-100", "mug-210"), "Idempotency-Key", "k")
	id, _ := doc["id"].(string)
	orders, ids := map[string]bool{}, map[string]bool{}
	for len(orders) < 2 { // four tags in no order: a second order comes soon
		_, doc, head := w.ask(shop.Orders, http.MethodGet, "/orders/"+id, "")
		orders[fmt.Sprint(doc["tags"])] = true
		ids[fmt.Sprint(doc["requestId"], head.Get("X-Request-Id"))] = true
		if head.Get("X-Served-By") != h.Get("X-Served-By") {
			t.Fatalf("served by %s and %s", head.Get("X-Served-By"), h.Get("X-Served-By"))
		}
	}
	if len(ids) < 2 {
		t.Errorf("request ids repeat: %v", ids)
	}
	_, _, other := open(t, nil).ask(shop.Orders, http.MethodGet, "/orders?customer=ann", "")
	if other.Get("X-Served-By") == h.Get("X-Served-By") {
		t.Error("two instances have one name")
	}
}

func TestContextIsForwardedUnlessSwitchedOff(t *testing.T) {
	t.Parallel()
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for _, forward := range []string{"on", "off"} {
		t.Run(forward, func(t *testing.T) {
			t.Parallel()
			w := open(t, map[string]string{"FORWARD": forward})
			w.ask(shop.API, http.MethodPost, "/orders", body("ann", "EUR", "tea-100"),
				"Traceparent", "00-"+trace+"-"+parent+"-01", "Tracestate", "a=b", "Baggage", "msx-env=feat", "Cookie", "sid=1")
			what, headers := w.did()
			if len(what) < 3 {
				t.Fatalf("got calls %q", what)
			}
			for i, h := range headers {
				tp := h.Get("Traceparent")
				if forward == "on" && (!strings.HasPrefix(tp, "00-"+trace+"-") || strings.Contains(tp, parent) ||
					h.Get("Baggage") != "msx-env=feat" || h.Get("Tracestate") != "a=b") ||
					forward == "off" && tp+h.Get("Baggage")+h.Get("Tracestate") != "" || h.Get("Cookie") != "sid=1" {
					t.Errorf("%s: got headers %v", what[i], h)
				}
			}
		})
	}
}

func TestAVisitorGetsASession(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	status, doc, h := w.ask(shop.API, http.MethodGet, "/products?currency=JPY", "")
	products, _ := doc["products"].([]any)
	if status != http.StatusOK || len(products) != len(shop.Articles())+1 || !strings.HasPrefix(h.Get("Set-Cookie"), "sid=") {
		t.Errorf("got %d, %d products, cookie %q", status, len(products), h.Get("Set-Cookie"))
	}
	if _, _, h = w.ask(shop.API, http.MethodGet, "/products?currency=JPY", "", "Cookie", "sid=1"); h.Get("Set-Cookie") != "" {
		t.Errorf("got another session %q", h.Get("Set-Cookie"))
	}
}

func TestServicesThatCannotStartSaySo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		service string
		env     map[string]string
		hint    string
	}{
		"unknown service": {"cellar", nil, "payments"},
		"no address":      {shop.API, nil, "http://"},
		"bad address":     {shop.API, map[string]string{"ORDERS_URL": "orders:80"}, "http://"},
		"unknown change": {shop.Orders, map[string]string{
			"INVENTORY_URL": "http://a", "PRICING_URL": "http://a", "PAYMENTS_URL": "http://a", "CHANGES": "free-tea",
		}, "double-charge"},
	} {
		err := shop.Run(t.Context(), tt.service, shop.Options{Lookup: func(k string) (string, bool) { v, ok := tt.env[k]; return v, ok }})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), tt.hint) {
			t.Errorf("%s: got %v, hint %q", name, err, fault.HintOf(err))
		}
	}
}

func TestRunServesUntilItIsToldToEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	log, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := shop.Run(ctx, shop.Inventory, shop.Options{Out: out, Lookup: func(string) (string, bool) { return "", false }})
		_ = out.Close()
		ended <- err
	}()
	line, err := bufio.NewReader(log).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(strings.TrimSpace(line), "address=")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(b, []byte("ok\n")) {
		t.Errorf("got %q, %v", b, err)
	}
	_ = resp.Body.Close()
	_, port, _ := strings.Cut(address, ":")
	taken := shop.Run(ctx, shop.Inventory, shop.Options{Port: port})
	if !fault.Is(taken, fault.Unavailable) || fault.HintOf(taken) == "" {
		t.Errorf("port taken: got %v", taken)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// serve serves a handler until the test is over.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// now is for lower bounds only: nothing here fails because it took long.
func (w *town) now() time.Time { return time.Now() }
