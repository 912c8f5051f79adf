// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"microstax/internal/fault"
)

// Change is one way in which a new version of orders behaves differently, or is built differently and behaves the same.
type Change string

// The changes that the demo plants, as CHANGES names them.
const (
	// TotalAsString: an order's total is a JSON string where it was a number, on POST /orders and GET /orders/{id}.
	TotalAsString Change = "total-as-string"
	// JPYNoTax: an order in JPY has no field tax, on the same two.
	JPYNoTax Change = "jpy-no-tax"
	// StockPerItem: POST /orders asks inventory once for all items, as it did, and then once more for each.
	StockPerItem Change = "stock-per-item"
	// DoubleCharge: POST /orders answers a pending charge by charging again, under a new idempotency key.
	DoubleCharge Change = "double-charge"
	// SlowQuotes: GET /quotes takes SlowBy longer.
	SlowQuotes Change = "slow-quotes"
)

// SlowBy is how much longer SlowQuotes makes a quote take.
const SlowBy = 25 * time.Millisecond

// Changes are those that the demo plants. Behaviours has them and all others.
func Changes() []Change {
	return []Change{TotalAsString, JPYNoTax, StockPerItem, DoubleCharge, SlowQuotes}
}

// changeSet are the changes that a version has.
type changeSet map[Change]bool

// parseChanges reads a comma-separated list; empty is no change.
func parseChanges(list string) (changeSet, error) {
	set := changeSet{}
	for name := range strings.SplitSeq(list, ",") {
		c := Change(strings.TrimSpace(name))
		if c == "" {
			continue
		}
		if !slices.ContainsFunc(Behaviours(), func(b Behaviour) bool { return b.Name == c }) {
			known := make([]string, 0, len(Behaviours()))
			for _, b := range Behaviours() {
				known = append(known, string(b.Name))
			}
			return nil, fault.Errorf("read CHANGES", fault.Invalid, "there is no change %q", c).
				WithHint("there are %s", strings.Join(known, ", "))
		}
		set[c] = true
	}
	return set, nil
}

// serve serves a request as a version with these changes does. Changes of what orders asks and remembers are where it
// asks and remembers; those of how an answer looks are made here, to the answer that is ready.
func (s changeSet) serve(w http.ResponseWriter, r *http.Request, h http.Handler) {
	var edits []func(x *reply)
	for _, b := range Behaviours() {
		if s[b.Name] && b.answer != nil {
			edits = append(edits, b.answer)
		}
	}
	if len(edits) == 0 {
		h.ServeHTTP(w, r)
		return
	}
	x := &reply{r: r, head: w.Header(), status: http.StatusOK}
	h.ServeHTTP(x, r)
	for _, edit := range edits {
		edit(x)
	}
	x.send(w)
}
