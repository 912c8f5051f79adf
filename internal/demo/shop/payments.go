// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"hash/fnv"
	"maps"
	"net/http"
	"sync"
	"time"
)

// The states of a charge.
const (
	chargePending  = "pending"
	chargeCaptured = "captured"
)

// Charge is money taken from a customer.
type Charge struct {
	ID        string    `json:"id"`
	OrderID   string    `json:"orderId"`
	Amount    int64     `json:"amount"`
	Currency  string    `json:"currency"`
	Status    string    `json:"status"` // pending | captured
	CreatedAt time.Time `json:"createdAt"`
}

// Stats are what payments has really done: the proof that nobody was charged twice.
type Stats struct {
	Charges int            `json:"charges"`
	ByOrder map[string]int `json:"byOrder"`
}

// payments stands for a payment provider. As there, the same idempotency key charges once, and another key charges
// again, even for the same order.
type payments struct {
	service

	mu    sync.Mutex // guards what follows
	byKey map[string]*Charge
	byID  map[string]*Charge
	stats Stats
}

func newPayments(s service) *payments {
	return &payments{
		service: s, byKey: make(map[string]*Charge), byID: make(map[string]*Charge),
		stats: Stats{ByOrder: make(map[string]int)},
	}
}

func (p *payments) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /charges", p.charge)
	mux.HandleFunc("GET /charges/{id}", p.get)
	mux.HandleFunc("GET /stats", p.report)
}

// chargeRequest asks for a charge.
type chargeRequest struct {
	OrderID  string `json:"orderId"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Card     string `json:"card,omitempty"`
}

// DeclinedCard is a card that payments does not charge.
const DeclinedCard = "declined"

func (p *payments) charge(w http.ResponseWriter, r *http.Request) {
	var req chargeRequest
	key := r.Header.Get("Idempotency-Key")
	pr := read(r, &req)
	if pr == nil && (key == "" || req.OrderID == "" || req.Amount <= 0) {
		pr = refuse(http.StatusBadRequest, "a charge needs an Idempotency-Key, an orderId and an amount")
	}
	if pr == nil && req.Card == DeclinedCard {
		pr = refuse(http.StatusPaymentRequired, "declined")
	}
	if pr != nil {
		answer(w, 0, nil, pr)
		return
	}
	c, fresh, pr := p.once(key, req)
	status := http.StatusOK
	if fresh {
		status = http.StatusCreated
		p.log.Info("charged", "order", c.OrderID, "amount", c.Amount, "currency", c.Currency, "status", c.Status)
	}
	answer(w, status, c, pr)
}

// once charges, unless that key did before.
func (p *payments) once(key string, req chargeRequest) (c Charge, fresh bool, pr *problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.byKey[key]; old != nil {
		return *old, false, nil
	}
	if len(p.byKey) >= maxKept {
		return c, false, refuse(http.StatusInsufficientStorage, "the demo keeps %d charges at most", maxKept)
	}
	c = Charge{
		ID: "ch_" + p.noise.token(12, key), OrderID: req.OrderID, Amount: req.Amount, Currency: req.Currency,
		Status: chargeCaptured, CreatedAt: p.now(),
	}
	if slow(req.OrderID) {
		c.Status = chargePending
	}
	p.byKey[key], p.byID[c.ID] = &c, &c
	p.stats.Charges++
	p.stats.ByOrder[c.OrderID]++
	return c, true, nil
}

// slow says for which orders the bank takes a moment: one in three, always the same.
func slow(order string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(order)) // never fails
	return h.Sum32()%3 == 0
}

// get reads a charge. By the time somebody asks, the bank has answered.
func (p *payments) get(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	c, ok := p.byID[r.PathValue("id")]
	var doc Charge
	if ok {
		c.Status = chargeCaptured
		doc = *c
	}
	p.mu.Unlock()
	var pr *problem
	if !ok {
		pr = refuse(http.StatusNotFound, "no such charge")
	}
	answer(w, http.StatusOK, doc, pr)
}

func (p *payments) report(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	doc := Stats{Charges: p.stats.Charges, ByOrder: maps.Clone(p.stats.ByOrder)}
	p.mu.Unlock()
	answer(w, http.StatusOK, doc, nil)
}
