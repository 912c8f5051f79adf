// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"slices"
	"strings"
	"time"

	"microstax/internal/fault"
)

// Change is one way in which a new version of orders behaves differently.
type Change string

// The changes, as CHANGES names them.
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

// Changes are all of them.
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
		if !slices.Contains(Changes(), c) {
			known := make([]string, 0, len(Changes()))
			for _, k := range Changes() {
				known = append(known, string(k))
			}
			return nil, fault.Errorf("read CHANGES", fault.Invalid, "there is no change %q", c).
				WithHint("there are %s", strings.Join(known, ", "))
		}
		set[c] = true
	}
	return set, nil
}
