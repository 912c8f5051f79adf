// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"net/http"
	"time"
)

// pricing knows what things cost.
type pricing struct{ service }

// priceList are prices in the smallest unit of a currency.
type priceList struct {
	Currency string           `json:"currency"`
	Prices   map[string]int64 `json:"prices"`
	TaxRate  float64          `json:"taxRate"`
	AsOf     time.Time        `json:"asOf"`
}

func (p pricing) routes(mux *http.ServeMux) { mux.HandleFunc("GET /prices", p.prices) }

func (p pricing) prices(w http.ResponseWriter, r *http.Request) {
	list, pr := skus(r)
	if pr != nil {
		answer(w, 0, nil, pr)
		return
	}
	code := r.URL.Query().Get("currency")
	c, ok := currencies()[code]
	if !ok {
		answer(w, 0, nil, refuse(http.StatusNotFound, "no such currency: %q", code))
		return
	}
	doc := priceList{Currency: code, Prices: make(map[string]int64, len(list)), TaxRate: c.tax, AsOf: p.now()}
	for _, sku := range list {
		doc.Prices[sku] = c.price(catalogue()[sku])
	}
	answer(w, http.StatusOK, doc, nil)
}
