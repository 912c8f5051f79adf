// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"compress/gzip"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// account is what a customer sees about herself.
type account struct {
	Customer      string      `json:"customer"`
	Tier          string      `json:"tier"`
	LoyaltyPoints int         `json:"loyaltyPoints"`
	Orders        int         `json:"orders"`
	LastOrder     *string     `json:"lastOrder"`
	Preferences   preferences `json:"preferences"`
	Session       *string     `json:"session,omitempty"`
}

type preferences struct {
	Newsletter bool    `json:"newsletter"`
	Channel    *string `json:"channel"`
}

// The points for an order: a base, and more for the better tiers.
const pointsPerOrder, silverPoints, goldPoints = 10, 15, 20

// account shows a customer's account, and remembers in a cookie that she saw it.
func (o *orders) account(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	customer := q.Get("customer")
	if customer == "" {
		answer(w, 0, nil, refuse(http.StatusBadRequest, "say whose: ?customer=…"))
		return
	}
	o.noise.work(r.Context(), readWork)
	placed := o.placedBy(customer)
	doc := account{Customer: customer, Tier: q.Get("tier"), Orders: len(placed)}
	for i, p := range placed {
		if i > 0 && o.changes[SecondOrderPointless] {
			break
		}
		doc.LoyaltyPoints += points(p.tier)
	}
	if n := len(placed); n > 0 {
		doc.LastOrder = &placed[n-1].ID
	}
	if o.noise == Volatile {
		token := randomHex(24)
		doc.Session = &token
	}
	if o.changes[AccountStale] {
		doc = o.firstView(doc)
	}
	http.SetCookie(w, &http.Cookie{
		Name: "seen", Value: strconv.Itoa(min(doc.Orders, 1)), Path: "/", MaxAge: 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	w.Header().Set("Cache-Control", "private, no-cache")
	answer(w, http.StatusOK, doc, nil)
}

func points(tier string) int {
	switch tier {
	case Gold:
		return goldPoints
	case Silver:
		return silverPoints
	}
	return pointsPerOrder
}

// firstView is the account as it was when it was first looked at: a cache that nobody invalidates.
func (o *orders) firstView(doc account) account {
	o.mu.Lock()
	defer o.mu.Unlock()
	old, known := o.viewed[doc.Customer]
	if !known {
		if len(o.viewed) < maxKept {
			o.viewed[doc.Customer] = doc
		}
		return doc
	}
	old.Session = doc.Session
	return old
}

// placedBy are a customer's orders, oldest first.
func (o *orders) placedBy(customer string) []order {
	o.mu.Lock()
	ids := append([]string(nil), o.byWhom[customer]...)
	o.mu.Unlock()
	list := make([]order, 0, len(ids))
	for _, id := range ids {
		if doc, ok := o.known(id); ok {
			list = append(list, doc)
		}
	}
	return list
}

// entry is an order in the history.
type entry struct {
	ID     string `json:"id"`
	Lines  int    `json:"lines"`
	Status string `json:"status"`
}

// maxPage bounds a page of the history.
const maxPage = 50

// history shows a customer's orders, oldest first, page by page: ?limit=, and ?after= with what the page before gave as next.
func (o *orders) history(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if q.Get("customer") == "" || err != nil || limit < 1 || limit > maxPage {
		answer(w, 0, nil, refuse(http.StatusBadRequest, "say whose, and how many: ?customer=…&limit=1 to %d", maxPage))
		return
	}
	o.noise.work(r.Context(), readWork)
	if o.changes[HistoryAsksPrices] {
		var prices priceList
		_ = o.peers.get(r, Pricing, query("/prices", []string{"tea-100"}, "currency", "EUR"), &prices)
	}
	placed := o.placedBy(q.Get("customer"))
	total := len(placed)
	for i, p := range placed {
		if p.ID == q.Get("after") {
			placed = placed[i+1:]
			break
		}
	}
	doc := struct {
		Orders []entry `json:"orders"`
		Total  int     `json:"total"`
		Next   *string `json:"next"`
		AsOf   int     `json:"asOf,omitempty"`
	}{Orders: []entry{}, Total: total}
	if o.noise == Drifting {
		doc.AsOf = o.drift.next()
	}
	for i, p := range placed {
		if i == limit {
			doc.Next = &placed[i-1].ID
			break
		}
		doc.Orders = append(doc.Orders, entry{p.ID, len(p.Items), p.Status})
	}
	answer(w, http.StatusOK, doc, nil)
}

// receipt is an order as text, in the customer's language, compressed when she takes that.
func (o *orders) receipt(w http.ResponseWriter, r *http.Request) {
	o.noise.work(r.Context(), readWork)
	doc, ok := o.known(r.PathValue("id"))
	if !ok {
		answer(w, 0, nil, refuse(http.StatusNotFound, "no such order"))
		return
	}
	german := strings.HasPrefix(r.Header.Get("Accept-Language"), "de") && !o.changes[ReceiptEnglishNumbers]
	var b strings.Builder
	fmt.Fprintf(&b, "Receipt %s\n", doc.ID)
	for _, l := range doc.Items {
		fmt.Fprintf(&b, "%3d x %-12s %12s\n", l.Qty, l.SKU, money(l.Amount, german))
	}
	fmt.Fprintf(&b, "Subtotal %24s %s\n", money(doc.Subtotal, german), doc.Currency)
	if o.noise == Volatile {
		fmt.Fprintf(&b, "Printed %s\n", o.now().Format(time.RFC3339Nano))
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "private, max-age=300")
	h.Set("Vary", "Accept-Encoding, Accept-Language")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") || o.changes[ReceiptPlain] {
		_, _ = w.Write([]byte(b.String())) // the caller has gone
		return
	}
	level := gzip.DefaultCompression
	if o.changes[SameGzipLevel] {
		level = gzip.BestSpeed
	}
	h.Set("Content-Encoding", "gzip")
	z, _ := gzip.NewWriterLevel(w, level) //nolint:errcheck // the level is a known one
	_, _ = z.Write([]byte(b.String()))
	_ = z.Close()
}

// money writes an amount of hundredths as people do: 1,234.50, or 1.234,50 in German.
func money(amount int64, german bool) string {
	whole, cents := strconv.FormatInt(amount/100, 10), amount%100
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	s := fmt.Sprintf("%s.%02d", whole, cents)
	if german {
		s = strings.NewReplacer(".", ",", ",", ".").Replace(s)
	}
	return s
}
