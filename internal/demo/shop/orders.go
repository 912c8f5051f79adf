// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxItems and maxQty bound an order.
	maxItems, maxQty = 20, 100
	// chargePolls is how often a pending charge is looked at before the order is left pending too.
	chargePolls = 3
	// The work that orders does itself, beside its calls.
	orderWork, quoteWork, readWork = 6 * time.Millisecond, 4 * time.Millisecond, time.Millisecond
	// pollPause lies between two looks at a charge.
	pollPause = 2 * time.Millisecond
)

// orders takes orders.
type orders struct {
	service
	peers peers

	mu     sync.Mutex // guards what follows
	byID   map[string]*placed
	byWhom map[string][]string // order ids by customer, oldest first
	asked  map[string]int      // requests without a key, by customer
	viewed map[string]account  // accounts as they were first shown, with AccountStale
}

// placed is an order, or the attempt to make one.
type placed struct {
	done    chan struct{} // closes when the attempt is over
	order   order         // valid then
	problem *problem
}

// item is one line of a request.
type item struct {
	SKU string `json:"sku"`
	Qty int    `json:"qty"`
}

// orderRequest asks for an order.
type orderRequest struct {
	Customer string `json:"customer"`
	Currency string `json:"currency"`
	Tier     string `json:"tier,omitempty"` // gold and silver customers collect points faster
	Card     string `json:"card,omitempty"` // payments declines DeclinedCard
	Items    []item `json:"items"`
}

// line is one line of an order.
type line struct {
	SKU    string `json:"sku"`
	Qty    int    `json:"qty"`
	Unit   int64  `json:"unitPrice"`
	Amount int64  `json:"amount"`
}

// order is an order as it is kept and shown. Amounts are in the currency's smallest unit.
type order struct {
	ID        string    `json:"id"`
	Customer  string    `json:"customer"`
	Currency  string    `json:"currency"`
	Items     []line    `json:"items"`
	Subtotal  int64     `json:"subtotal"`
	Tax       *int64    `json:"tax,omitempty"`
	Total     any       `json:"total"` // a number; a string with TotalAsString
	Status    string    `json:"status"`
	Payment   string    `json:"payment"`   // the charge's id
	Tags      []string  `json:"tags"`      // in no order
	CreatedAt time.Time `json:"createdAt"` // this instance's clock
	RequestID string    `json:"requestId"` // random for every answer

	tags map[string]bool
	tier string
}

func newOrders(s service, p peers, c changeSet) *orders {
	s.changes = c
	return &orders{
		service: s, peers: p, viewed: make(map[string]account),
		byID: make(map[string]*placed), byWhom: make(map[string][]string), asked: make(map[string]int),
	}
}

func (o *orders) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /orders", o.post)
	mux.HandleFunc("GET /orders/{id}", o.get)
	mux.HandleFunc("GET /orders", o.list)
	mux.HandleFunc("GET /quotes", o.quotes)
	mux.HandleFunc("GET /articles/{sku}", o.article)
	mux.HandleFunc("GET /account", o.account)
	mux.HandleFunc("GET /history", o.history)
	mux.HandleFunc("GET /receipts/{id}", o.receipt)
}

// post places an order. The same Idempotency-Key of the same customer places it once.
func (o *orders) post(w http.ResponseWriter, r *http.Request) {
	var req orderRequest
	p := read(r, &req)
	if p == nil {
		p = req.check(o.changes)
	}
	if p != nil {
		answer(w, 0, nil, p)
		return
	}
	a, id, first, p := o.begin(req.Customer, r.Header.Get("Idempotency-Key"))
	if p != nil {
		answer(w, 0, nil, p)
		return
	}
	status := http.StatusCreated
	switch {
	case first:
		whole, cancel := detached(r)
		a.order, a.problem = o.place(whole, id, req)
		cancel()
		o.end(id, req.Customer, a)
	default:
		<-a.done // bounded: the attempt is
		if status = http.StatusOK; o.changes[KeyIgnored] && a.problem == nil {
			status = http.StatusCreated
			o.again(r, a.order)
		}
	}
	answer(w, status, o.shown(r, a.order), a.problem)
}

// check says what is wrong with a request.
func (q orderRequest) check(c changeSet) *problem {
	if q.Customer == "" || len(q.Items) == 0 || len(q.Items) > maxItems {
		return refuse(http.StatusBadRequest, "an order needs a customer and 1 to %d items", maxItems)
	}
	if _, ok := currencies()[q.Currency]; !ok {
		return refuse(http.StatusBadRequest, "no such currency: %q", q.Currency)
	}
	for _, it := range q.Items {
		if _, ok := catalogue()[it.SKU]; !ok {
			return &problem{status: http.StatusUnprocessableEntity, Error: "no such article", SKU: it.SKU}
		}
		least, most := 1, maxQty
		if c[QtyZeroTaken] {
			least = 0
		}
		if c[QtyLimited] {
			most = 2
		}
		if it.Qty < least || it.Qty > most {
			return &problem{status: http.StatusBadRequest, Error: "a quantity is 1 to " + strconv.Itoa(maxQty), SKU: it.SKU}
		}
	}
	return nil
}

// begin finds the attempt for a key, or starts one. Without a key every request is an order of its own, whose id comes
// from the customer and how many such requests there were before.
func (o *orders) begin(customer, key string) (a *placed, id string, first bool, p *problem) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if key == "" {
		key = "#" + strconv.Itoa(o.asked[customer])
		o.asked[customer]++
	}
	id = OrderID(customer, key)
	if a = o.byID[id]; a != nil {
		return a, id, false, nil
	}
	if len(o.byID) >= maxKept || len(o.asked) >= maxKept {
		return nil, id, false, refuse(http.StatusInsufficientStorage, "the demo keeps %d orders at most", maxKept)
	}
	a = &placed{done: make(chan struct{})}
	o.byID[id] = a
	return a, id, true, nil
}

// end makes an order known, or forgets the attempt so that it can be made again.
func (o *orders) end(id, customer string, a *placed) {
	o.mu.Lock()
	if a.problem == nil && o.changes[OrderLost] && len(a.order.Items) > 1 {
		delete(o.byID, id)
	} else if a.problem == nil {
		o.byWhom[customer] = append(o.byWhom[customer], id)
	} else {
		delete(o.byID, id)
	}
	o.mu.Unlock()
	close(a.done)
	if a.problem == nil {
		o.log.Info("order placed", "order", id, "currency", a.order.Currency, "subtotal", a.order.Subtotal, "status", a.order.Status)
	}
}

// OrderID is what every instance calls a customer's order.
func OrderID(customer, key string) string {
	sum := sha256.Sum256([]byte(customer + "\x1f" + key))
	return "ord_" + hex.EncodeToString(sum[:10])
}

// place makes an order: is it there, what does it cost, charge.
func (o *orders) place(r *http.Request, id string, req orderRequest) (order, *problem) {
	if !o.changes[SameFaster] {
		o.noise.work(r.Context(), orderWork)
	}
	list := make([]string, 0, len(req.Items))
	for _, it := range req.Items {
		list = append(list, it.SKU)
	}
	prices, p := o.consult(r, req, list)
	if p != nil {
		return order{}, p
	}
	doc := order{
		ID: id, Customer: req.Customer, Currency: req.Currency, CreatedAt: o.now(), tier: req.Tier,
		tags: map[string]bool{"web": true, strings.ToLower(req.Currency): true, "customer": true},
	}
	for _, it := range req.Items {
		unit := prices.Prices[it.SKU]
		doc.Items = append(doc.Items, line{it.SKU, it.Qty, unit, unit * int64(it.Qty)})
		doc.Subtotal += unit * int64(it.Qty)
	}
	if len(req.Items) > 1 {
		doc.tags["several"] = true
	}
	tax := currencies()[req.Currency].taxOn(doc.Subtotal)
	if o.changes[TaxFloored] {
		tax = int64(float64(doc.Subtotal) * currencies()[req.Currency].tax)
	}
	total := doc.Subtotal + tax
	doc.Tax, doc.Total = &tax, total
	due := chargeRequest{OrderID: id, Amount: total, Currency: req.Currency, Card: req.Card}
	if o.changes[YenInSen] && req.Currency == "JPY" {
		due.Amount *= 100
	}
	c, p := o.charge(r, due)
	if p != nil {
		return order{}, p
	}
	doc.Payment, doc.Status = c.ID, "confirmed"
	if c.Status != chargeCaptured {
		doc.Status = "awaiting payment"
	}
	return doc, nil
}

// consult asks whether everything is there and what it costs.
func (o *orders) consult(r *http.Request, req orderRequest, list []string) (prices priceList, p *problem) {
	ask := func() *problem {
		return o.peers.get(r, Pricing, query("/prices", list, "currency", req.Currency), &prices)
	}
	if o.changes[PricesFirst] {
		if p = ask(); p == nil {
			p = o.available(r, req.Items, list)
		}
		return prices, p
	}
	if !o.changes[StockUnchecked] {
		if p = o.available(r, req.Items, list); p != nil {
			return prices, p
		}
	}
	return prices, ask()
}

// available asks inventory about all items at once.
func (o *orders) available(r *http.Request, items []item, list []string) *problem {
	var there stock
	if p := o.peers.get(r, Inventory, query("/stock", list), &there); p != nil {
		return p
	}
	if o.changes[StockPerItem] {
		for _, it := range items {
			var one shelf
			if p := o.peers.get(r, Inventory, "/stock/"+it.SKU, &one); p != nil {
				return p
			}
			there.Available[it.SKU] = min(there.Available[it.SKU], one.Available)
		}
	}
	for _, it := range items {
		if there.Available[it.SKU] < it.Qty {
			return &problem{status: http.StatusConflict, Error: "not enough in stock", SKU: it.SKU}
		}
	}
	return nil
}

// charge charges once, and waits a little for a bank that is slow.
func (o *orders) charge(r *http.Request, req chargeRequest) (Charge, *problem) {
	var c Charge
	status, p := o.peers.call(r, ask{http.MethodPost, Payments, "/charges", "order-" + req.OrderID, req}, &c)
	switch {
	case p != nil:
		return c, p
	case status == http.StatusPaymentRequired && o.changes[DeclineSwallowed]:
		return Charge{ID: "ch_none", Status: chargeCaptured}, nil
	case status == http.StatusPaymentRequired:
		return c, refuse(status, "the card was declined")
	case status >= 300:
		return c, refuse(http.StatusBadGateway, "payments answers %d", status)
	}
	if c.Status == chargePending && o.changes[DoubleCharge] {
		var again Charge // whatever comes of it: the first charge is the one that counts
		_, _ = o.peers.call(r, ask{http.MethodPost, Payments, "/charges", "retry-" + uuid(), req}, &again)
	}
	if c.Status == chargeCaptured && o.changes[ChargeRetried] {
		var again Charge
		_, _ = o.peers.call(r, ask{http.MethodPost, Payments, "/charges", "order-" + req.OrderID, req}, &again)
	}
	for range chargePolls {
		if c.Status == chargeCaptured {
			break
		}
		o.noise.work(r.Context(), pollPause)
		if p := o.peers.get(r, Payments, "/charges/"+c.ID, &c); p != nil {
			return c, p
		}
	}
	return c, nil
}

// again charges for an order that was placed already, as KeyIgnored does.
func (o *orders) again(r *http.Request, doc order) {
	total, _ := doc.Total.(int64)
	due := chargeRequest{OrderID: doc.ID, Amount: total, Currency: doc.Currency}
	var c Charge
	_, _ = o.peers.call(r, ask{http.MethodPost, Payments, "/charges", "again-" + uuid(), due}, &c)
}

// shown is an order as this version shows it.
func (o *orders) shown(r *http.Request, doc order) order {
	doc.RequestID = o.noise.requestID(r)
	doc.Tags = o.noise.mixed(doc.tags)
	if total, ok := doc.Total.(int64); ok && o.changes[TotalAsString] {
		doc.Total = strconv.FormatInt(total, 10)
	}
	if o.changes[JPYNoTax] && doc.Currency == "JPY" {
		doc.Tax = nil
	}
	return doc
}
