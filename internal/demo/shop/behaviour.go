// SPDX-License-Identifier: Apache-2.0

package shop

import "slices"

// The endpoints of orders.
const (
	postOrder  = "POST /orders"
	getOrder   = "GET /orders/{id}"
	getQuotes  = "GET /quotes"
	getArticle = "GET /articles/{sku}"
	getAccount = "GET /account"
	getHistory = "GET /history"
	getReceipt = "GET /receipts/{id}"
)

// Everywhere is every endpoint.
const Everywhere = "*"

// Showing says how traffic can show a behaviour.
type Showing string

// How traffic shows a behaviour.
const (
	Often  Showing = "often"  // in most requests of the endpoint, or in all of a kind that is common
	Seldom Showing = "seldom" // in 1 to 5 % of the requests of the endpoint
	Never  Showing = "never"  // it is another way to do the same
)

// Place is where a difference shows, as reports name it.
type Place struct {
	Endpoint string // Everywhere for any
	Kind     string // of a finding
	Path     string // … stands for any text
}

// Behaviour is one way in which a version of orders differs from the one before: the truth that a report about it is
// measured by. An entry says what a person who knows the change would call right. Most were written before any report was
// seen. A first measurement made some differ from that: where TaxFloored, QtyZeroTaken and KeyIgnored show first, by which
// kind cut and doubled lists are named, what is Partly or Spelling, and a few consequences. So how often the place and the
// condition are right is flattered by as much.
type Behaviour struct {
	Name     Change
	What     string
	Place    Place   // where the change itself shows; zero when Shows is Never
	Or       []Place // as good: the same change under another name
	Also     []Place // what follows from it elsewhere, or beside it: explained, but not enough to have found it
	When     string  // member of the request that it depends on, and its value: "currency = JPY"; "" for always or by chance
	Partly   bool    // it depends on the request, or on those before, in a way that no single member says: on whether an order is placed, for one
	Severity string
	Shows    Showing
	// Spelling says that documents or headers are spelled another way, and mean the same: that bytes differ may be said, as
	// a finding of severity info, and nothing else.
	Spelling bool

	answer func(x *reply) // changes the answer that is ready; nil for what is done elsewhere
}

// Explains says whether a finding at a place is this behaviour's, or follows from it.
func (b Behaviour) Explains(p Place) bool {
	if b.Found(p) || slices.ContainsFunc(b.Also, func(q Place) bool { return q.covers(p) }) {
		return true
	}
	// The ETag of an article is worked out before its document is changed: it stays the same for another body.
	return (b.Spelling || b.Place.Endpoint == getArticle) && Place{getArticle, kindHeader, "etag…"}.covers(p)
}

// Found says whether a finding at a place is this behaviour itself.
func (b Behaviour) Found(p Place) bool {
	return b.Shows != Never && (b.Place.covers(p) || slices.ContainsFunc(b.Or, func(q Place) bool { return q.covers(p) }))
}

// Behaviours are all of them: what changes documents, what changes the rest of an answer, what changes calls, state and
// time, and what changes nothing.
func Behaviours() []Behaviour {
	return slices.Concat(documentBehaviours(), valueBehaviours(), answerBehaviours(), callBehaviours(), stateBehaviours(), equivalents())
}

// covers says whether q is at this place. A path parameter fits any other; … fits any text.
func (p Place) covers(q Place) bool {
	return (p.Endpoint == Everywhere || q.Endpoint == Everywhere || sameEndpoint(p.Endpoint, q.Endpoint)) &&
		wild(p.Kind, q.Kind) && wild(p.Path, q.Path)
}
