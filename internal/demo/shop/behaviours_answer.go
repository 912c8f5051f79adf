// SPDX-License-Identifier: Apache-2.0

package shop

import (
	mathrand "math/rand/v2"
	"net/http"
	"strings"
)

// The changes that are made where the answer is.
const (
	// NeverNotModified: a page that the client has already is sent again.
	NeverNotModified Change = "never-not-modified"
	// ReceiptEnglishNumbers: receipts write 1,234.50 whatever the customer's language.
	ReceiptEnglishNumbers Change = "receipt-english-numbers"
	// ReceiptPlain: receipts are never compressed.
	ReceiptPlain Change = "receipt-plain"
	// DeclineSwallowed: an order is confirmed although its card was declined.
	DeclineSwallowed Change = "decline-swallowed"
	// QtyZeroTaken and QtyLimited: an order line of none is taken; one of more than two is refused.
	QtyZeroTaken Change = "qty-zero-taken"
	QtyLimited   Change = "qty-limited"
)

// header is an edit of the header of one endpoint's good answers.
func header(endpoint string, change func(h http.Header)) func(x *reply) {
	return func(x *reply) {
		if x.r.Pattern == endpoint && x.status < 400 {
			change(x.head)
		}
	}
}

// status is an edit of a status.
func status(endpoint string, was, is int) func(x *reply) {
	return func(x *reply) {
		if x.at(endpoint, was) {
			x.status = is
		}
	}
}

// afterRefusal is what follows when a write is taken that was refused, or refused that was taken: another charge or none.
func afterRefusal() []Place {
	return []Place{
		{postOrder, "call.…", "…"}, {postOrder, kindFenced, "payments POST /charges"}, {postOrder, kindLatency, "duration"},
		{getAccount, "body.…", "…"}, {getHistory, "body.…", "…"},
	}
}

// answerBehaviours change what is around documents: status, header, media type, failures.
func answerBehaviours() []Behaviour {
	return append(headerBehaviours(), []Behaviour{
		{
			Name: "created-as-ok", What: "a new order is answered with 200 instead of 201",
			Place: Place{postOrder, kindStatus, "status"}, Partly: true, Severity: major, Shows: Often,
			answer: status(postOrder, http.StatusCreated, http.StatusOK),
		}, {
			Name: "unknown-as-ok", What: "an order that is not there is answered with 200 and an empty document",
			Place: Place{getOrder, kindStatus, "status"}, Partly: true, Severity: major, Shows: Often,
			answer: func(x *reply) {
				if x.at(getOrder, http.StatusNotFound) {
					x.status = http.StatusOK
					x.write(&object{})
				}
			},
		}, {
			Name: "unprocessable-as-bad", What: "an order of an unknown article is answered with 400 instead of 422",
			Place: Place{postOrder, kindStatus, "status"}, Partly: true, Severity: major, Shows: Often,
			answer: status(postOrder, http.StatusUnprocessableEntity, http.StatusBadRequest),
		}, {
			Name: NeverNotModified, What: "an article that the client has already is sent again, with 200 instead of 304",
			Place: Place{getArticle, kindStatus, "status"}, Partly: true, Severity: major, Shows: Often,
		}, {
			Name: DeclineSwallowed, What: "an order is confirmed although its card was declined", When: "card = declined",
			Place: Place{postOrder, kindStatus, "status"}, Also: afterRefusal(), Severity: major, Shows: Often,
		}, {
			Name: QtyZeroTaken, What: "an order line of none is taken, where it was refused with 400",
			// What inventory would say is not known, for nobody asked: that it is asked is what can be known.
			Place: Place{postOrder, kindCallNew, callStock}, Or: []Place{{postOrder, kindStatus, "status"}}, Also: afterRefusal(), Partly: true, Severity: major, Shows: Often,
		}, {
			Name: QtyLimited, What: "an order line of more than two is refused with 400",
			Place: Place{postOrder, kindStatus, "status"},
			Also:  append(afterRefusal(), Place{getOrder, kindStatus, "status"}, Place{getReceipt, kindStatus, "status"}), Partly: true, Severity: breaking, Shows: Often,
		}, {
			Name: ReceiptEnglishNumbers, What: "receipts in German write 1,234.50 where they wrote 1.234,50", When: "accept-language = de",
			Place: Place{getReceipt, kindText, "…"}, Severity: minor, Shows: Often,
		}, {
			Name: "articles-fail", What: "one article page in twenty is answered with 500",
			Place: Place{getArticle, kindStatus, "status"}, Severity: breaking, Shows: Seldom,
			answer: func(x *reply) {
				if x.r.Pattern == getArticle && mathrand.N(20) == 0 { //nolint:gosec // not secret
					x.status = http.StatusInternalServerError
					x.write(refuse(0, "something went wrong"))
				}
			},
		}, {
			Name: "articles-break", What: "two connections in a hundred break while an article page is sent",
			Place: Place{getArticle, kindError, "answer"}, Severity: breaking, Shows: Seldom,
			answer: func(x *reply) {
				if x.r.Pattern == getArticle && mathrand.N(50) == 0 { //nolint:gosec // not secret
					x.broken = true
				}
			},
		},
	}...)
}

// headerBehaviours change headers and the media type.
func headerBehaviours() []Behaviour {
	return []Behaviour{
		{
			Name: "cache-control-missing", What: "receipts have no Cache-Control",
			Place: Place{getReceipt, kindHeader, "cache-control"}, Severity: minor, Shows: Often,
			answer: header(getReceipt, func(h http.Header) { h.Del("Cache-Control") }),
		}, {
			Name: "cache-control-no-store", What: "articles may not be cached any more",
			Place: Place{getArticle, kindHeader, "cache-control"}, Severity: minor, Shows: Often,
			answer: header(getArticle, func(h http.Header) { h.Set("Cache-Control", "no-store") }),
		}, {
			Name: "etag-per-answer", What: "an article's ETag is new in every answer",
			Place: Place{getArticle, kindHeader, "etag"}, Severity: minor, Shows: Often,
			answer: header(getArticle, func(h http.Header) { h.Set("Etag", `"`+randomHex(8)+`"`) }),
		}, {
			Name: "cookie-for-scripts", What: "the cookie of an account is no longer HttpOnly",
			Place: Place{getAccount, kindHeader, "set-cookie[seen].httponly"}, Severity: minor, Shows: Often,
			answer: header(getAccount, func(h http.Header) {
				h.Set("Set-Cookie", strings.ReplaceAll(h.Get("Set-Cookie"), "; HttpOnly", ""))
			}),
		}, {
			Name: "cookie-gone", What: "an account sets no cookie",
			Place: Place{getAccount, kindHeader, "set-cookie[seen]"}, Severity: minor, Shows: Often,
			answer: header(getAccount, func(h http.Header) { h.Del("Set-Cookie") }),
		}, {
			Name: "header-added", What: "every answer has a header X-Powered-By",
			Place: Place{Everywhere, kindHeader, "x-powered-by"}, Severity: minor, Shows: Often,
			answer: func(x *reply) { x.head.Set("X-Powered-By", "shop/2") },
		}, {
			Name: "json-as-text", What: "articles are text/plain instead of application/json",
			Place: Place{getArticle, kindMedia, "content-type"}, Partly: true, Severity: breaking, Shows: Often,
			answer: header(getArticle, func(h http.Header) {
				if h.Get("Content-Type") != "" {
					h.Set("Content-Type", "text/plain; charset=utf-8")
				}
			}),
		}, {
			Name: "charset-latin1", What: "receipts say that they are in ISO 8859-1",
			Place: Place{getReceipt, kindMedia, "content-type"}, Severity: breaking, Shows: Often,
			answer: header(getReceipt, func(h http.Header) { h.Set("Content-Type", "text/plain; charset=iso-8859-1") }),
		}, {
			Name: ReceiptPlain, What: "receipts are not compressed for clients that take gzip", When: "accept-encoding = gzip",
			Place: Place{getReceipt, kindHeader, "content-encoding"}, Severity: minor, Shows: Often,
		},
	}
}
