// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"math/rand/v2"

	"microstax/internal/demo/shop"
)

// How visitors are, in percent: which orders are in JPY (a quarter), how many order twice, and how many also try to buy
// what is sold out.
const (
	euros, dollars, pounds = 40, 20, 15 // the rest is yen
	orderTwice             = 30
	wantSoldOut            = 6
	maxLines, maxOfOne     = 4, 3
)

// plan is what one visitor does; it depends on the seed and the visitor's number alone.
type plan struct {
	customer string
	browse   string // currency of the list of products
	quotes   []quotePlan
	orders   []orderPlan
	soldOut  bool
}

type quotePlan struct {
	currency string
	skus     []string
}

type orderPlan struct {
	key   string
	order order
}

// order is the request as it is sent.
type order struct {
	Customer string `json:"customer"`
	Currency string `json:"currency"`
	Items    []line `json:"items"`
}

type line struct {
	SKU string `json:"sku"`
	Qty int    `json:"qty"`
}

// planOf plans visitor i.
func planOf(seed uint64, i int) plan {
	r := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // the same every time is the point
	p := plan{customer: fmt.Sprintf("customer-%05d", i), browse: currency(r), soldOut: r.IntN(100) < wantSoldOut}
	for range 1 + r.IntN(2) {
		p.quotes = append(p.quotes, quotePlan{currency(r), some(r)})
	}
	n := 1
	if r.IntN(100) < orderTwice {
		n = 2
	}
	for k := range n {
		o := order{Customer: p.customer, Currency: currency(r)}
		for _, sku := range some(r) {
			o.Items = append(o.Items, line{sku, 1 + r.IntN(maxOfOne)})
		}
		p.orders = append(p.orders, orderPlan{fmt.Sprintf("%s-%d", p.customer, k), o})
	}
	return p
}

// currency draws one.
func currency(r *rand.Rand) string {
	n := r.IntN(100)
	switch {
	case n < euros:
		return "EUR"
	case n < euros+dollars:
		return "USD"
	case n < euros+dollars+pounds:
		return "GBP"
	}
	return "JPY"
}

// some draws a few different articles.
func some(r *rand.Rand) []string {
	all := shop.Articles()
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+r.IntN(maxLines)]
}

// PlannedOrders is how many orders so many visitors place.
func PlannedOrders(seed uint64, sessions int) int {
	n := 0
	for i := range sessions {
		n += len(planOf(seed, i).orders)
	}
	return n
}
