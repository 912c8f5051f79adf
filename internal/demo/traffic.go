// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"microstax/internal/demo/shop"
)

const (
	// defaultConcurrency is how many visitors are in the shop at once at most.
	defaultConcurrency = 32
	// userPatience is how long a visitor waits for one answer.
	userPatience = 10 * time.Second
	// maxAnswer bounds what a visitor reads of one answer, in bytes.
	maxAnswer = 1 << 20
)

// TrafficOptions say who visits the shop.
type TrafficOptions struct {
	URL         string  // of the shop's api
	Seed        uint64  // decides what visitors do
	Sessions    int     // how many visitors come
	Rate        float64 // visitors that come each second, whether or not those before are served; 0: no pause between them
	Concurrency int     // visitors in the shop at once at most; 0 for 32
}

// Seen is what users saw.
type Seen struct {
	Sessions int            // visitors who came
	Late     int            // of these, who came later than planned because the shop was full
	Requests int            // answered or not
	ToOrders int            // of these, which api hands on to orders
	Statuses map[int]int    // answers by status
	Errors   int            // requests without an answer, or with a status that no user should see
	Wrong    int            // answers that are not as the baseline gives them
	First    string         // the first of the two
	Orders   map[string]int // orders that users were told of, by id, and how often
}

// Traffic sends visitors. Each gets a session cookie, looks at products, asks for quotes, orders, and reads back.
type Traffic struct {
	o      TrafficOptions
	client *http.Client

	mu   sync.Mutex // guards seen
	seen Seen
}

// NewTraffic prepares traffic; Run sends it.
func NewTraffic(o TrafficOptions) *Traffic {
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	return &Traffic{
		o: o, seen: Seen{Statuses: make(map[int]int), Orders: make(map[string]int)},
		client: &http.Client{Timeout: userPatience, Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: userPatience}).DialContext,
			MaxIdleConnsPerHost: o.Concurrency, IdleConnTimeout: 30 * time.Second,
			// Its own gateway, on this machine, whose certificate may be self-made.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // nothing secret is sent
		}},
	}
}

// Seen is what users have seen so far.
func (t *Traffic) Seen() Seen {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.seen
	s.Statuses, s.Orders = maps.Clone(s.Statuses), maps.Clone(s.Orders)
	return s
}

// Run sends all visitors, and returns when the last has left. When ctx ends, they leave at once.
func (t *Traffic) Run(ctx context.Context) {
	defer t.client.CloseIdleConnections()
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, t.o.Concurrency) // one place for each visitor inside
	begin := time.Now()
	for i := range t.o.Sessions {
		if t.o.Rate > 0 {
			due := begin.Add(time.Duration(float64(i) / t.o.Rate * float64(time.Second)))
			if wait(ctx, time.Until(due)) != nil {
				return
			}
		}
		late := false
		select {
		case room <- struct{}{}:
		default:
			late = true
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
		wg.Go(func() {
			defer func() { <-room }()
			t.visit(ctx, planOf(t.o.Seed, i))
		})
		t.count(func(s *Seen) {
			s.Sessions++
			if late && t.o.Rate > 0 {
				s.Late++
			}
		})
	}
}

func (t *Traffic) count(add func(*Seen)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	add(&t.seen)
}

// visit is one visitor's way through the shop.
func (t *Traffic) visit(ctx context.Context, p plan) {
	v := visitor{t: t, ctx: ctx}
	v.ask(http.MethodGet, "/products?currency="+p.browse, "", nil, http.StatusOK)
	for _, q := range p.quotes {
		v.ask(http.MethodGet, "/quotes?currency="+q.currency+"&sku="+strings.Join(q.skus, ","), "", nil, http.StatusOK)
	}
	if p.soldOut {
		sold := order{p.customer, p.browse, []line{{shop.SoldOut, 1}}}
		v.ask(http.MethodPost, "/orders", p.customer+"-sold-out", sold, http.StatusConflict)
	}
	placed := 0
	for _, o := range p.orders {
		doc := v.ask(http.MethodPost, "/orders", o.key, o.order, http.StatusCreated)
		id, _ := doc["id"].(string)
		if id == "" {
			continue
		}
		placed++
		t.count(func(s *Seen) { s.Orders[id]++ })
		v.check("POST /orders", doc)
		v.check("GET /orders/{id}", v.ask(http.MethodGet, "/orders/"+id, "", nil, http.StatusOK))
	}
	list := v.ask(http.MethodGet, "/orders?customer="+url.QueryEscape(p.customer), "", nil, http.StatusOK)
	if got, ok := list["orders"].([]any); ok && len(got) != placed {
		v.wrong("GET /orders lists %d orders of %d", len(got), placed)
	}
}

// visitor is one user with a session.
type visitor struct {
	t      *Traffic
	ctx    context.Context //nolint:containedctx // a visitor lives no longer than the call that made it
	cookie string
}

// ask sends a request; the document is nil unless the answer is the one wanted.
func (v *visitor) ask(method, path, key string, body any, want int) map[string]any {
	status, doc, err := v.send(method, path, key, body)
	if v.ctx.Err() != nil {
		return nil // it is the demo that was broken off
	}
	v.t.count(func(s *Seen) {
		s.Requests++
		if !strings.HasPrefix(path, "/products") {
			s.ToOrders++
		}
		if status != 0 {
			s.Statuses[status]++
		}
		if err == nil && status != want {
			err = fmt.Errorf("status %d, want %d", status, want)
		}
		if err != nil {
			s.Errors++
			s.first("%s %s: %v", method, path, err)
			doc = nil
		}
	})
	return doc
}

func (v *visitor) send(method, path, key string, body any) (int, map[string]any, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, fmt.Errorf("write request: %w", err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(v.ctx, method, v.t.o.URL+path, content)
	if err != nil {
		return 0, nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	if v.cookie != "" {
		req.Header.Set("Cookie", v.cookie)
	}
	resp, err := v.t.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	for _, c := range resp.Cookies() {
		if c.Name == shop.SessionCookie {
			v.cookie = c.Name + "=" + c.Value
		}
	}
	var doc map[string]any
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(b, &doc)
	}
	return resp.StatusCode, doc, err
}

// check looks whether an order is as the baseline shows it, so that nobody got the new version's answer.
func (v *visitor) check(what string, doc map[string]any) {
	if doc == nil {
		return // counted as an error
	}
	if _, ok := doc["total"].(float64); !ok {
		v.wrong("%s: total is %v", what, doc["total"])
	}
	if _, ok := doc["tax"].(float64); !ok {
		v.wrong("%s: tax is %v", what, doc["tax"])
	}
}

func (v *visitor) wrong(format string, args ...any) {
	v.t.count(func(s *Seen) {
		s.Wrong++
		s.first(format, args...)
	})
}

// first remembers the first thing that was not as it should be.
func (s *Seen) first(format string, args ...any) {
	if s.First == "" {
		s.First = fmt.Sprintf(format, args...)
	}
}
