// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"net/http"
	"time"
)

// inventory knows what is there. Nothing is reserved: the shelves are filled as fast as they are emptied.
type inventory struct{ service }

// stock is how much there is of each article asked for.
type stock struct {
	Available map[string]int `json:"available"`
	CheckedAt time.Time      `json:"checkedAt"`
}

// shelf is how much there is of one article.
type shelf struct {
	SKU       string    `json:"sku"`
	Available int       `json:"available"`
	CheckedAt time.Time `json:"checkedAt"`
}

func (i inventory) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /stock", i.many)
	mux.HandleFunc("GET /stock/{sku}", i.one)
}

func (i inventory) many(w http.ResponseWriter, r *http.Request) {
	list, p := skus(r)
	s := stock{Available: make(map[string]int, len(list)), CheckedAt: i.now()}
	for _, sku := range list {
		s.Available[sku] = catalogue()[sku].stock
	}
	answer(w, http.StatusOK, s, p)
}

func (i inventory) one(w http.ResponseWriter, r *http.Request) {
	sku := r.PathValue("sku")
	a, ok := catalogue()[sku]
	if !ok {
		answer(w, 0, nil, &problem{status: http.StatusNotFound, Error: "no such article", SKU: sku})
		return
	}
	answer(w, http.StatusOK, shelf{sku, a.stock, i.now()}, nil)
}
