// SPDX-License-Identifier: Apache-2.0

package shop

import "slices"

// The severities, as reports name them.
const (
	breaking = "breaking"
	major    = "major"
	minor    = "minor"
)

// The kinds of finding that behaviours have.
const (
	kindStatus    = "status"
	kindHeader    = "header"
	kindMedia     = "mediaType"
	kindMissing   = "body.missing"
	kindExtra     = "body.extra"
	kindType      = "body.type"
	kindValue     = "body.value"
	kindOrder     = "body.order"
	kindLength    = "body.length"
	kindText      = "body.text"
	kindError     = "error"
	kindLatency   = "latency"
	kindCallGone  = "call.missing"
	kindCallNew   = "call.extra"
	kindCallMore  = "call.repeated"
	kindCallOrder = "call.order"
	kindCallArgs  = "call.arguments"
	kindFenced    = "effect.fenced"
)

// on is an edit of the document of one endpoint's good answers.
func on(endpoint string, change func(doc *object)) func(x *reply) {
	return func(x *reply) {
		if x.r.Pattern == endpoint && x.status >= 200 && x.status < 300 {
			x.edit(change)
		}
	}
}

// onOrder is an edit of the documents that show an order.
func onOrder(change func(doc *object)) func(x *reply) {
	return func(x *reply) {
		if x.order() {
			x.edit(change)
		}
	}
}

// readBack is where an order that was placed shows again.
func readBack(kind, path string) []Place { return []Place{{getOrder, kind, path}} }

// documentBehaviours change the shape of JSON documents: members, types, lists.
func documentBehaviours() []Behaviour {
	return append(listBehaviours(), []Behaviour{
		{
			Name: TotalAsString, What: "an order's total is a string where it was a number",
			Place: Place{postOrder, kindType, "$.total"}, Also: readBack(kindType, "$.total"), Partly: true, Severity: breaking, Shows: Often,
		}, {
			Name: JPYNoTax, What: "the tax is missing, only in JPY", When: "currency = JPY",
			Place: Place{postOrder, kindMissing, "$.tax"}, Also: readBack(kindMissing, "$.tax"), Severity: breaking, Shows: Often,
		}, {
			Name: "weight-missing", What: "an article has no weightGrams",
			Place: Place{getArticle, kindMissing, "$.weightGrams"}, Severity: breaking, Shows: Often,
			answer: on(getArticle, func(doc *object) { doc.drop("weightGrams") }),
		}, {
			Name: "note-added", What: "an order has a member internalNote",
			Place: Place{postOrder, kindExtra, "$.internalNote"}, Also: readBack(kindExtra, "$.internalNote"), Partly: true, Severity: minor, Shows: Often,
			answer: onOrder(func(doc *object) { doc.set("internalNote", "checked") }),
		}, {
			Name: "points-renamed", What: "loyaltyPoints of an account is called points",
			Place: Place{getAccount, kindMissing, "$.loyaltyPoints"}, Also: []Place{{getAccount, kindExtra, "$.points"}},
			Severity: breaking, Shows: Often,
			answer: on(getAccount, func(doc *object) { doc.rename("loyaltyPoints", "points") }),
		}, {
			Name: "stock-as-text", What: "inStock of an article is yes or no where it was true or false",
			Place: Place{getArticle, kindType, "$.inStock"}, Severity: breaking, Shows: Often,
			answer: on(getArticle, func(doc *object) {
				doc.set("inStock", map[bool]string{true: "yes", false: "no"}[doc.get("inStock") == true])
			}),
		}, {
			Name: "discount-null", What: "discount is null where it was absent",
			Place: Place{getArticle, kindExtra, "$.discount"}, Partly: true, Severity: minor, Shows: Often,
			answer: on(getArticle, func(doc *object) {
				if !doc.has("discount") {
					doc.set("discount", nil)
				}
			}),
		}, {
			Name: "successor-absent", What: "successor is absent where it was null",
			Place: Place{getArticle, kindMissing, "$.successor"}, Partly: true, Severity: breaking, Shows: Often,
			answer: on(getArticle, func(doc *object) {
				if doc.get("successor") == nil {
					doc.drop("successor")
				}
			}),
		}, {
			Name: "related-null", What: "an empty list of related articles is null",
			Place: Place{getArticle, kindType, "$.related"}, Partly: true, Severity: breaking, Shows: Often,
			answer: on(getArticle, func(doc *object) {
				if len(doc.list("related")) == 0 {
					doc.set("related", nil)
				}
			}),
		}, {
			Name: "silver-tier-null", What: "an account's tier is null for silver customers", When: "tier = silver",
			Place: Place{getAccount, kindType, "$.tier"}, Severity: breaking, Shows: Often,
			answer: on(getAccount, func(doc *object) {
				if doc.text("tier") == Silver {
					doc.set("tier", nil)
				}
			}),
		}, {
			Name: "error-renamed", What: "the message of an order that is not there is called message instead of error",
			Place: Place{getOrder, kindMissing, "$.error"}, Also: []Place{{getOrder, kindExtra, "$.message"}}, Partly: true, Severity: breaking, Shows: Often,
			answer: func(x *reply) {
				if x.at(getOrder, 404) {
					x.edit(func(doc *object) { doc.rename("error", "message") })
				}
			},
		},
	}...)
}

// listBehaviours change lists.
func listBehaviours() []Behaviour {
	return []Behaviour{
		{
			Name: "history-reversed", What: "a page of the history is newest first",
			Place: Place{getHistory, kindOrder, "$.orders"}, Partly: true, Severity: minor, Shows: Often,
			answer: on(getHistory, func(doc *object) { slices.Reverse(doc.list("orders")) }),
		}, {
			Name: "tags-reversed", What: "the tags of an article are sorted the other way",
			Place: Place{getArticle, kindOrder, "$.tags"}, Severity: minor, Shows: Often,
			answer: on(getArticle, func(doc *object) { slices.Reverse(doc.list("tags")) }),
		}, {
			Name: "history-duplicate", What: "the last order of a page of the history is listed twice",
			Place:  Place{getHistory, kindExtra, "$.orders[*]"},
			Or:     []Place{{getHistory, kindLength, "$.orders"}},
			Partly: true, Severity: major, Shows: Often,
			answer: on(getHistory, func(doc *object) {
				if l := doc.list("orders"); len(l) > 0 {
					doc.set("orders", append(l, l[len(l)-1]))
				}
			}),
		}, {
			Name: "history-cut", What: "a page of the history has one order at most",
			Place:  Place{getHistory, kindMissing, "$.orders[*]"},
			Or:     []Place{{getHistory, kindLength, "$.orders"}},
			Partly: true, Severity: breaking, Shows: Often,
			answer: on(getHistory, func(doc *object) {
				if l := doc.list("orders"); len(l) > 1 {
					doc.set("orders", l[:1])
				}
			}),
		}, {
			Name: "next-lost", What: "the history has no next page where there is one",
			Place: Place{getHistory, kindType, "$.next"}, Or: []Place{{getHistory, kindValue, "$.next"}}, Partly: true, Severity: breaking, Shows: Often,
			answer: on(getHistory, func(doc *object) { doc.set("next", nil) }),
		}, {
			Name: "lines-cut", What: "an order shows two lines at most",
			Place: Place{postOrder, kindMissing, "$.items[*]"}, Or: []Place{{postOrder, kindLength, "$.items"}},
			Also:   append(readBack(kindLength, "$.items"), readBack(kindMissing, "$.items[*]")...),
			Partly: true, Severity: breaking, Shows: Often,
			answer: onOrder(func(doc *object) {
				if l := doc.list("items"); len(l) > 2 {
					doc.set("items", l[:2])
				}
			}),
		},
	}
}
