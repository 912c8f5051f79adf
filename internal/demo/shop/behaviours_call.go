// SPDX-License-Identifier: Apache-2.0

package shop

import (
	mathrand "math/rand/v2"
	"time"
)

// The changes that are made where orders asks and remembers.
const (
	// HistoryAsksPrices: the history asks pricing for something that it does not need.
	HistoryAsksPrices Change = "history-asks-prices"
	// StockUnchecked: an order is placed without asking inventory.
	StockUnchecked Change = "stock-unchecked"
	// PricesFirst: an order asks pricing before inventory.
	PricesFirst Change = "prices-first"
	// YenInSen: a charge in JPY is a hundred times as high, as if the yen had cents.
	YenInSen Change = "yen-in-sen"
	// ChargeRetried: a charge that was captured is asked for again, under the same idempotency key.
	ChargeRetried Change = "charge-retried"
	// OrderLost: an order of several lines is charged and answered, and then forgotten.
	OrderLost Change = "order-lost"
	// KeyIgnored: a request with an idempotency key that was used charges again.
	KeyIgnored Change = "key-ignored"
	// SecondOrderPointless: from the second order on there are no points.
	SecondOrderPointless Change = "second-order-pointless"
	// AccountStale: an account is shown as it was when it was first looked at.
	AccountStale Change = "account-stale"
)

const (
	callStock   = "inventory GET /stock"
	callPrices  = "pricing GET /prices"
	callCharge  = "payments POST /charges"
	perItem     = "inventory GET /stock/{id}"
	durationHas = "duration"
)

// slower is what follows where more is asked.
func slower(endpoint string) Place { return Place{endpoint, kindLatency, durationHas} }

// callBehaviours change what orders asks of other services, and how long it takes.
func callBehaviours() []Behaviour {
	return []Behaviour{
		{
			Name: StockPerItem, What: "one more call to inventory for each line of an order",
			Place: Place{postOrder, kindCallNew, perItem}, Or: []Place{{postOrder, kindCallMore, perItem}}, Also: []Place{slower(postOrder)},
			Partly: true, Severity: major, Shows: Often,
		}, {
			Name: DoubleCharge, What: "a second charge when the first is pending",
			Place: Place{postOrder, kindCallMore, callCharge}, Or: []Place{{postOrder, kindFenced, callCharge}}, Also: []Place{slower(postOrder)},
			Partly: true, Severity: breaking, Shows: Often,
		}, {
			Name: SlowQuotes, What: "quotes take 25 ms longer",
			Place: slower(getQuotes), Severity: major, Shows: Often,
		}, {
			Name: "slow-tail", What: "one article page in twenty takes 60 ms longer",
			Place: slower(getArticle), Severity: major, Shows: Seldom,
			answer: func(x *reply) {
				if x.r.Pattern == getArticle && mathrand.N(20) == 0 { //nolint:gosec // not secret
					pause(x.r.Context(), 60*time.Millisecond)
				}
			},
		}, {
			Name: HistoryAsksPrices, What: "the history asks pricing",
			Place: Place{getHistory, kindCallNew, callPrices}, Also: []Place{slower(getHistory)}, Severity: major, Shows: Often,
		}, {
			Name: StockUnchecked, What: "orders are placed without asking inventory",
			Place: Place{postOrder, kindCallGone, callStock},
			Also:  append(afterRefusal(), Place{postOrder, kindStatus, "status"}), Partly: true, Severity: major, Shows: Often,
		}, {
			Name: PricesFirst, What: "pricing is asked before inventory",
			Place:  Place{postOrder, kindCallOrder, callStock + " → " + callPrices},
			Also:   []Place{{postOrder, kindCallNew, callPrices}}, // for what is sold out, prices were never asked
			Partly: true, Severity: minor, Shows: Often,
		}, {
			Name: YenInSen, What: "a charge in JPY is a hundred times as high", When: "currency = JPY",
			Place: Place{postOrder, kindCallArgs, callCharge + " $.amount"}, Severity: major, Shows: Often,
		}, {
			Name: ChargeRetried, What: "a charge that was captured is asked for again",
			Place: Place{postOrder, kindCallMore, callCharge}, Or: []Place{{postOrder, kindFenced, callCharge}}, Also: []Place{slower(postOrder)},
			Partly: true, Severity: breaking, Shows: Often,
		},
	}
}

// stateBehaviours change what orders remembers, so that they show in later requests alone.
func stateBehaviours() []Behaviour {
	return []Behaviour{
		{
			Name: OrderLost, What: "an order of several lines is answered and then forgotten",
			Place: Place{getOrder, kindStatus, "status"},
			Also: append([]Place{{getAccount, kindHeader, "set-cookie[seen]"}, {getReceipt, kindStatus, "status"}, {getAccount, "body.…", "…"}, {getHistory, "body.…", "…"}},
				append(afterRefusal(), Place{postOrder, kindStatus, "status"})...), // asked for again, it is placed again
			Partly: true, Severity: breaking, Shows: Often,
		}, {
			Name: KeyIgnored, What: "an order that is asked for again with the same key is charged again, and answered with 201",
			// The charge comes before the answer.
			Place: Place{postOrder, kindFenced, callCharge}, Or: []Place{{postOrder, kindStatus, "status"}, {postOrder, kindCallNew, callCharge}},
			Also: afterRefusal(), Partly: true, Severity: breaking, Shows: Often,
		}, {
			Name: SecondOrderPointless, What: "from the second order on there are no points",
			Place: Place{getAccount, kindValue, "$.loyaltyPoints"}, Partly: true, Severity: major, Shows: Often,
		}, {
			Name: AccountStale, What: "an account is shown as it was when it was first looked at",
			Place:  Place{getAccount, kindValue, "$.orders"},
			Or:     []Place{{getAccount, kindValue, "$.loyaltyPoints"}, {getAccount, kindType, "$.lastOrder"}, {getAccount, kindValue, "$.lastOrder"}},
			Also:   []Place{{getAccount, kindHeader, "set-cookie[seen]"}},
			Partly: true, Severity: major, Shows: Often,
		},
	}
}
