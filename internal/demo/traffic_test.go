// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"microstax/internal/demo"
	"microstax/internal/demo/shop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openShop serves a shop, and gives the addresses of its services.
func openShop(t *testing.T, changes string, wrap func(http.Handler) http.Handler) map[string]string {
	t.Helper()
	urls := map[string]string{}
	for _, name := range []string{shop.Inventory, shop.Pricing, shop.Payments, shop.Orders, shop.API} {
		h, err := shop.Handler(name, shop.Options{Lookup: func(key string) (string, bool) {
			if other, ok := strings.CutSuffix(key, "_URL"); ok {
				return urls[strings.ToLower(other)], true
			}
			return changes, key == "CHANGES"
		}})
		if err != nil {
			t.Fatalf("Handler %s: %v", name, err)
		}
		if name == shop.API && wrap != nil {
			h = wrap(h)
		}
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		urls[name] = srv.URL
	}
	return urls
}

func charges(t *testing.T, urls map[string]string) shop.Stats {
	t.Helper()
	srv, err := http.NewRequestWithContext(t.Context(), http.MethodGet, urls[shop.Payments]+"/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(srv)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var s shop.Stats
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func drive(ctx context.Context, url string, sessions int) demo.Seen {
	tr := demo.NewTraffic(demo.TrafficOptions{URL: url + "/", Seed: 7, Sessions: sessions})
	tr.Run(ctx)
	return tr.Seen()
}

func TestTrafficOrdersWhatWasPlannedAndIsChargedOnce(t *testing.T) {
	t.Parallel()
	const sessions = 40
	urls := openShop(t, "", nil)
	s := drive(t.Context(), urls[shop.API], sessions)
	if s.Errors != 0 || s.Wrong != 0 {
		t.Fatalf("got %d errors and %d wrong answers, first %s", s.Errors, s.Wrong, s.First)
	}
	c := charges(t, urls)
	if want := demo.PlannedOrders(7, sessions); len(s.Orders) != want || c.Charges != want || s.Statuses[201] != want {
		t.Errorf("got %d orders, %d charges and statuses %v, want %d orders", len(s.Orders), c.Charges, s.Statuses, want)
	}
	for id, n := range s.Orders {
		if n != 1 || c.ByOrder[id] != 1 {
			t.Errorf("order %s was told of %d times and charged %d times", id, n, c.ByOrder[id])
		}
	}
	if s.Sessions != sessions || s.Statuses[409] == 0 || s.Requests != s.ToOrders+sessions {
		t.Errorf("got %+v", s)
	}
	if again := drive(t.Context(), openShop(t, "", nil)[shop.API], sessions); !reflect.DeepEqual(again, s) {
		t.Errorf("the same seed gave %+v, then %+v", s, again)
	}
}

func TestTrafficNoticesTheNewVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []shop.Change{shop.TotalAsString, shop.JPYNoTax} {
		s := drive(t.Context(), openShop(t, string(c), nil)[shop.API], 30)
		if s.Errors != 0 || s.Wrong == 0 || s.First == "" {
			t.Errorf("%s: got %d errors and %d wrong answers, first %q", c, s.Errors, s.Wrong, s.First)
		}
	}
}

func TestTrafficCountsErrors(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	n := 0
	urls := openShop(t, "", func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			n++
			fail := n%10 == 0
			mu.Unlock()
			if fail {
				http.Error(w, "broken", http.StatusInternalServerError)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	s := drive(t.Context(), urls[shop.API], 10)
	if s.Errors == 0 || s.Errors != s.Requests/10 || s.First == "" {
		t.Errorf("got %d errors in %d requests, first %q", s.Errors, s.Requests, s.First)
	}
}

func TestTrafficEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	urls := openShop(t, "", func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			once.Do(cancel)
			h.ServeHTTP(w, r)
		})
	})
	if s := drive(ctx, urls[shop.API], 1<<30); s.Errors != 0 {
		t.Errorf("got %d errors, first %s", s.Errors, s.First)
	}
}

func TestAQuarterOfTheOrdersIsInYen(t *testing.T) {
	t.Parallel()
	const visitors = 4000
	yen, all := demo.CountCurrency(7, visitors, "JPY"), demo.PlannedOrders(7, visitors)
	if share := float64(yen) / float64(all); share < 0.22 || share > 0.28 {
		t.Errorf("got %d of %d", yen, all)
	}
}
