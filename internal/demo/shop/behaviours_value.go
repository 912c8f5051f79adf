// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"encoding/json"
	"math"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// number is a number as JSON has it.
func number(f float64) json.Number { return json.Number(strconv.FormatFloat(f, 'f', -1, 64)) }

// whole is an integer as JSON has it.
func whole(i int64) json.Number { return json.Number(strconv.FormatInt(i, 10)) }

// float is a member that is a number, else 0.
func (o *object) float(name string) float64 {
	n, _ := o.get(name).(json.Number)
	f, _ := n.Float64() //nolint:errcheck // 0 then
	return f
}

// The changes of values that are made where they are worked out.
const (
	// GoldFullPrice: gold customers are quoted what everybody is.
	GoldFullPrice Change = "gold-full-price"
	// TaxFloored: tax is rounded down instead of to the nearest.
	TaxFloored Change = "tax-floored"
)

// valueBehaviours change values of JSON documents, and leave their shape.
func valueBehaviours() []Behaviour {
	return append(dateBehaviours(), []Behaviour{
		{
			Name: "orders-off-by-one", What: "an account counts one order too many",
			Place: Place{getAccount, kindValue, "$.orders"}, Severity: major, Shows: Often,
			answer: on(getAccount, func(doc *object) { doc.set("orders", whole(doc.whole("orders")+1)) }),
		}, {
			Name: TaxFloored, What: "tax is rounded down, so that some totals and charges are one smaller",
			// The charge is made before the answer: it is where the change shows first.
			Place:  Place{postOrder, kindCallArgs, callCharge + " $.amount"},
			Or:     append(readBack(kindValue, "$.tax"), Place{postOrder, kindValue, "$.tax"}),
			Also:   append(readBack(kindValue, "$.total"), Place{postOrder, kindValue, "$.total"}),
			Partly: true, Severity: major, Shows: Often,
		}, {
			Name: "weight-in-kg", What: "weightGrams of an article is in kilograms",
			Place: Place{getArticle, kindValue, "$.weightGrams"}, Severity: major, Shows: Often,
			answer: on(getArticle, func(doc *object) { doc.set("weightGrams", number(doc.float("weightGrams")/1000)) }),
		}, {
			Name: "description-mojibake", What: "a description's letters beyond ASCII are encoded twice",
			Place: Place{getArticle, kindValue, "$.description"}, Partly: true, Severity: major, Shows: Often,
			answer: on(getArticle, func(doc *object) {
				var twice strings.Builder
				for _, b := range []byte(doc.text("description")) {
					twice.WriteRune(rune(b))
				}
				doc.set("description", twice.String())
			}),
		}, {
			Name: "description-escaped", What: "a description's & is &amp;",
			Place: Place{getArticle, kindValue, "$.description"}, Partly: true, Severity: major, Shows: Often,
			answer: on(getArticle, func(doc *object) {
				doc.set("description", strings.ReplaceAll(doc.text("description"), "&", "&amp;"))
			}),
		}, {
			Name: "status-upper", What: "an order's status is in capitals",
			Place: Place{postOrder, kindValue, "$.status"}, Also: readBack(kindValue, "$.status"), Partly: true, Severity: major, Shows: Often,
			answer: onOrder(func(doc *object) { doc.set("status", strings.ToUpper(doc.text("status"))) }),
		}, {
			Name: GoldFullPrice, What: "gold customers are quoted the full price", When: "tier = gold",
			Place: Place{getQuotes, kindValue, "$.quotes[*].price"}, Also: []Place{{getQuotes, kindValue, "$.quotes[*].tax"}},
			Severity: major, Shows: Often,
		}, {
			Name: "barcode-rounded", What: "barcode has gone through a float64, and lost its last digit",
			Place: Place{getArticle, kindValue, "$.barcode"}, Severity: major, Shows: Often,
			answer: on(getArticle, func(doc *object) { doc.set("barcode", number(doc.float("barcode"))) }),
		}, {
			Name: "rating-noise", What: "rating is 4.300000000000001 where it was 4.3",
			Place: Place{getArticle, kindValue, "$.rating"}, Severity: major, Shows: Often,
			answer: on(getArticle, func(doc *object) {
				doc.set("rating", number(math.Nextafter(doc.float("rating"), 10)))
			}),
		}, {
			Name: "yen-cheaper", What: "an article is 1 % cheaper, only in JPY", When: "currency = JPY",
			Place: Place{getArticle, kindValue, "$.price"}, Severity: major, Shows: Often,
			answer: on(getArticle, func(doc *object) {
				if doc.text("currency") == "JPY" {
					doc.set("price", whole(doc.whole("price")*99/100))
				}
			}),
		}, {
			Name: "price-zero-seldom", What: "one article page in a hundred has the price 0",
			Place: Place{getArticle, kindValue, "$.price"}, Severity: major, Shows: Seldom,
			answer: on(getArticle, func(doc *object) {
				if mathrand.N(100) == 0 { //nolint:gosec // not secret
					doc.set("price", whole(0))
				}
			}),
		},
	}...)
}

// dateBehaviours change how times are written.
func dateBehaviours() []Behaviour {
	return []Behaviour{
		{
			Name: "time-zone-lost", What: "availableFrom is local time, one hour late, and still says Z",
			Place: Place{getArticle, kindValue, "$.availableFrom"}, Severity: major, Shows: Often,
			answer: on(getArticle, func(doc *object) {
				if at, err := time.Parse(time.RFC3339, doc.text("availableFrom")); err == nil {
					doc.set("availableFrom", at.Add(time.Hour).Format(time.RFC3339))
				}
			}),
		}, {
			Name: "date-as-dmy", What: "restockDate is 12.04.2026 where it was 2026-04-12",
			Place: Place{getArticle, kindValue, "$.restockDate"}, Severity: major, Shows: Often,
			answer: on(getArticle, func(doc *object) {
				if at, err := time.Parse(time.DateOnly, doc.text("restockDate")); err == nil {
					doc.set("restockDate", at.Format("02.01.2006"))
				}
			}),
		}, {
			Name: "epoch-in-ms", What: "restockedAt is in milliseconds",
			Place: Place{getArticle, kindValue, "$.restockedAt"}, Severity: major, Shows: Often,
			answer: on(getArticle, func(doc *object) { doc.set("restockedAt", whole(doc.whole("restockedAt")*1000)) }),
		},
	}
}
