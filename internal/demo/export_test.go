// SPDX-License-Identifier: Apache-2.0

package demo

// The Blueprints of the demo.
var (
	BaselineFile = baselineFile
	OverlayFile  = overlayFile
)

// CountCurrency counts the planned orders in one currency.
func CountCurrency(seed uint64, sessions int, currency string) int {
	n := 0
	for i := range sessions {
		for _, o := range planOf(seed, i).orders {
			if o.order.Currency == currency {
				n++
			}
		}
	}
	return n
}
