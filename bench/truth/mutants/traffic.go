// SPDX-License-Identifier: Apache-2.0

package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"microstax/internal/demo/shop"
)

const (
	// inside is how many visitors are in the shop at once.
	inside = 12
	// patience is how long a visitor waits for one answer.
	patience = 10 * time.Second
	// pageSize is how much of the history visitors ask for at once.
	pageSize = 2
)

// traffic are the visitors of one run.
type traffic struct {
	url      string
	seed     uint64
	sessions int
	label    string // in the names of customers and sessions, so that runs on one baseline do not meet
}

// seen is what visitors saw.
type seen struct {
	requests int
	placed   int // orders answered with 201
}

// run sends all visitors, and returns when the last has left.
func (t traffic) run(ctx context.Context) seen {
	rt := &http.Transport{MaxIdleConnsPerHost: inside, DisableCompression: true}
	defer rt.CloseIdleConnections()
	var mu sync.Mutex // guards sum
	var sum seen
	var wg sync.WaitGroup
	room := make(chan struct{}, inside) // one place for each visitor inside
	for i := range t.sessions {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			v := newVisitor(ctx, t, i, rt)
			v.visit()
			mu.Lock()
			defer mu.Unlock()
			sum.requests += v.seen.requests
			sum.placed += v.seen.placed
		})
	}
	wg.Wait()
	return sum
}

// visitor is one user. What she does depends on the seed and her number alone; of the answers she uses an ETag and the
// next page.
type visitor struct {
	ctx      context.Context //nolint:containedctx // a visitor lives no longer than the call that made it
	t        traffic
	rt       http.RoundTripper
	r        *rand.Rand
	customer string
	tier     string
	header   http.Header
	seen     seen
	orders   int
}

func newVisitor(ctx context.Context, t traffic, i int, rt http.RoundTripper) *visitor {
	v := &visitor{ctx: ctx, t: t, rt: rt, r: rand.New(rand.NewPCG(t.seed, uint64(i))), header: http.Header{}} //nolint:gosec // the same every time is the point
	v.customer = fmt.Sprintf("%s-customer-%05d", t.label, i)
	v.header.Set("Cookie", fmt.Sprintf("%s=%s-%05d", shop.SessionCookie, t.label, i))
	v.tier = v.oneOf("none", "none", shop.Silver, shop.Gold)
	v.header.Set("Accept-Language", v.oneOf("en", "en", "en", "de", "de"))
	v.header.Set("Accept-Encoding", v.oneOf("gzip", "identity"))
	return v
}

func (v *visitor) oneOf(list ...string) string { return list[v.r.IntN(len(list))] }

func (v *visitor) currency() string {
	return v.oneOf("EUR", "EUR", "EUR", "USD", "USD", "GBP", "JPY", "JPY")
}

func (v *visitor) in(percent int) bool { return v.r.IntN(100) < percent }

// some draws a few different articles.
func (v *visitor) some() []string {
	all := shop.Articles()
	v.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+v.r.IntN(4)]
}

// visit is one visitor's way through the shop.
func (v *visitor) visit() {
	v.account()
	for range 3 {
		v.article()
	}
	for range 2 {
		v.get("/quotes?currency=" + v.currency() + "&tier=" + v.tier + "&sku=" + strings.Join(v.some(), ","))
	}
	var first request
	for k := range []int{1, 1, 1, 2, 2, 3}[v.r.IntN(6)] {
		o := v.order()
		if k == 0 {
			first = o
		}
		v.place(o)
	}
	v.oddOrders(first)
	if v.in(25) {
		v.get("/orders/" + shop.OrderID(v.customer, "never placed"))
	}
	v.account()
	v.history()
}

func (v *visitor) account() {
	v.get("/account?customer=" + url.QueryEscape(v.customer) + "&tier=" + v.tier)
}

// article looks at an article, and now and then once more, when the page is known.
func (v *visitor) article() {
	path := "/articles/" + v.oneOf(shop.Articles()...) + "?currency=" + v.currency()
	h, _ := v.get(path)
	if tag := h.Get("Etag"); v.in(35) && tag != "" {
		v.send(request{method: http.MethodGet, path: path, tag: tag})
	}
}

// history reads the list of orders, page by page.
func (v *visitor) history() {
	path := fmt.Sprintf("/history?customer=%s&limit=%d", url.QueryEscape(v.customer), pageSize)
	_, doc := v.get(path)
	for range 2 {
		next, more := doc["next"].(string)
		if !more {
			return
		}
		_, doc = v.get(path + "&after=" + next)
	}
}

// line and order are the request as it is sent.
type line struct {
	SKU string `json:"sku"`
	Qty int    `json:"qty"`
}

type order struct {
	Customer string `json:"customer"`
	Currency string `json:"currency"`
	Tier     string `json:"tier,omitempty"`
	Card     string `json:"card,omitempty"`
	Items    []line `json:"items"`
}

// request is one to send.
type request struct {
	method, path string
	key          string // idempotency key, or ""
	tag          string // of the page that the client has, or ""
	body         *order
}

// order is the visitor's next.
func (v *visitor) order() request {
	o := order{Customer: v.customer, Currency: v.currency(), Tier: v.tier, Card: v.oneOf("visa", "mastercard")}
	for _, sku := range v.some() {
		o.Items = append(o.Items, line{sku, 1 + v.r.IntN(3)})
	}
	v.orders++
	return request{method: http.MethodPost, path: "/orders", key: fmt.Sprintf("%s-%d", v.customer, v.orders), body: &o}
}

// place places an order, and reads it back.
func (v *visitor) place(q request) {
	v.send(q)
	id := shop.OrderID(v.customer, q.key)
	v.get("/orders/" + id)
	v.get("/receipts/" + id)
}

// oddOrders are those that repeat the first, and those that are refused.
func (v *visitor) oddOrders(first request) {
	if v.in(25) {
		v.send(first)
	}
	for _, spoil := range []func(o *order){
		func(o *order) { o.Items[0].SKU = "unknown-1" },
		func(o *order) { o.Items[0].Qty = 0 },
		func(o *order) { o.Items[0].SKU = shop.SoldOut },
		func(o *order) { o.Card = shop.DeclinedCard },
	} {
		if v.in(18) {
			q := v.order()
			spoil(q.body)
			v.send(q)
		}
	}
}

func (v *visitor) get(path string) (http.Header, map[string]any) {
	return v.send(request{method: http.MethodGet, path: path})
}

// send sends a request; the document is nil unless the answer is one.
func (v *visitor) send(q request) (http.Header, map[string]any) {
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	var content io.Reader
	if q.body != nil {
		b, _ := json.Marshal(q.body) //nolint:errchkjson // strings and numbers
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, v.t.url+q.path, content)
	if err != nil || v.ctx.Err() != nil {
		return nil, nil
	}
	req.Header = v.header.Clone()
	for name, value := range map[string]string{"Idempotency-Key": q.key, "If-None-Match": q.tag} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if q.body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.GetBody = nil // a request is sent once
	}
	v.seen.requests++
	resp, err := v.rt.RoundTrip(req)
	if err != nil {
		return nil, nil
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode == http.StatusCreated {
		v.seen.placed++
	}
	var doc map[string]any
	b, err := io.ReadAll(resp.Body)
	if err == nil {
		_ = json.Unmarshal(b, &doc) //nolint:errcheck // nil then
	}
	return resp.Header, doc
}
