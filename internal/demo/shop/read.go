// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"net/http"
	"time"
)

// known gives an order that was placed.
func (o *orders) known(id string) (order, bool) {
	o.mu.Lock()
	a := o.byID[id]
	o.mu.Unlock()
	if a == nil {
		return order{}, false
	}
	select {
	case <-a.done:
		return a.order, a.problem == nil
	default:
		return order{}, false // still being placed
	}
}

// get shows one order.
func (o *orders) get(w http.ResponseWriter, r *http.Request) {
	o.noise.work(r.Context(), readWork)
	doc, ok := o.known(r.PathValue("id"))
	if !ok {
		answer(w, 0, nil, refuse(http.StatusNotFound, "no such order"))
		return
	}
	answer(w, http.StatusOK, o.shown(r, doc), nil)
}

// summary is an order in a list.
type summary struct {
	ID       string `json:"id"`
	Currency string `json:"currency"`
	Items    int    `json:"items"`
	Status   string `json:"status"`
}

// list shows a customer's orders, in no order.
func (o *orders) list(w http.ResponseWriter, r *http.Request) {
	customer := r.URL.Query().Get("customer")
	if customer == "" {
		answer(w, 0, nil, refuse(http.StatusBadRequest, "say whose: ?customer=…"))
		return
	}
	o.noise.work(r.Context(), readWork)
	ids := map[string]bool{}
	o.mu.Lock()
	for _, id := range o.byWhom[customer] {
		ids[id] = true
	}
	o.mu.Unlock()
	list := make([]summary, 0, len(ids))
	for _, id := range o.noise.mixed(ids) {
		if doc, ok := o.known(id); ok {
			list = append(list, summary{doc.ID, doc.Currency, len(doc.Items), doc.Status})
		}
	}
	answer(w, http.StatusOK, struct {
		Orders    []summary `json:"orders"`
		RequestID string    `json:"requestId"`
	}{list, o.noise.requestID(r)}, nil)
}

// quote is what one article would cost.
type quote struct {
	SKU   string `json:"sku"`
	Price int64  `json:"price"`
	Tax   int64  `json:"tax"`
}

// quotes says what articles would cost.
func (o *orders) quotes(w http.ResponseWriter, r *http.Request) {
	list, p := skus(r)
	code := r.URL.Query().Get("currency")
	c, ok := currencies()[code]
	if p == nil && !ok {
		p = refuse(http.StatusBadRequest, "no such currency: %q", code)
	}
	var prices priceList
	if p == nil {
		p = o.peers.get(r, Pricing, query("/prices", list, "currency", code), &prices)
	}
	if p != nil {
		answer(w, 0, nil, p)
		return
	}
	o.noise.work(r.Context(), quoteWork)
	if o.changes[SlowQuotes] {
		pause(r.Context(), SlowBy)
	}
	doc := struct {
		QuoteID    string    `json:"quoteId"`
		Currency   string    `json:"currency"`
		Quotes     []quote   `json:"quotes"`
		ValidUntil time.Time `json:"validUntil"`
	}{o.noise.requestID(r), code, nil, o.now().Add(time.Hour)}
	for _, sku := range list {
		price := prices.Prices[sku]
		if r.URL.Query().Get("tier") == Gold && !o.changes[GoldFullPrice] {
			price -= price / goldDiscount
		}
		doc.Quotes = append(doc.Quotes, quote{sku, price, c.taxOn(price)})
	}
	answer(w, http.StatusOK, doc, nil)
}
