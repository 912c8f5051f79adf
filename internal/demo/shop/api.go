// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"net/http"
	"time"
)

// SessionCookie names the cookie by which api knows a visitor.
const SessionCookie = "sid"

// api is the front: what visitors reach.
type api struct {
	service
	peers peers
}

func (a api) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /products", a.products)
	relay := func(w http.ResponseWriter, r *http.Request) { a.peers.relay(w, r, Orders) }
	mux.HandleFunc("GET /quotes", relay)
	mux.HandleFunc("GET /orders", relay)
	mux.HandleFunc("POST /orders", relay)
	mux.HandleFunc("GET /orders/{id}", relay)
}

// product is one article as visitors see it.
type product struct {
	SKU       string `json:"sku"`
	Title     string `json:"title"`
	Price     int64  `json:"price"`
	Available bool   `json:"available"`
}

// products lists what there is, and gives a new visitor a session.
func (a api) products(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie(SessionCookie); err != nil {
		http.SetCookie(w, &http.Cookie{Name: SessionCookie, Value: a.noise.token(16, r.URL.RawQuery), Path: "/", HttpOnly: true})
	}
	var list []string
	for sku := range catalogue() {
		list = append(list, sku)
	}
	var prices priceList
	var there stock
	money := r.URL.Query().Get("currency")
	p := a.peers.get(r, Pricing, query("/prices", list, "currency", money), &prices)
	if p == nil {
		p = a.peers.get(r, Inventory, query("/stock", list), &there)
	}
	if p != nil {
		answer(w, 0, nil, p)
		return
	}
	products := make([]product, 0, len(list))
	for _, sku := range list {
		products = append(products, product{sku, catalogue()[sku].title, prices.Prices[sku], there.Available[sku] > 0})
	}
	answer(w, http.StatusOK, struct {
		Currency string    `json:"currency"`
		Products []product `json:"products"`
		At       time.Time `json:"at"`
	}{prices.Currency, products, a.now()}, nil)
}
