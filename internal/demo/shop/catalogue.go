// SPDX-License-Identifier: Apache-2.0

package shop

import "math"

// SoldOut is an article of which there is none.
const SoldOut = "globe-900"

// article is something that the shop sells.
type article struct {
	title string
	cents int64 // price in EUR cents
	stock int
}

// catalogue is all that the shop sells.
func catalogue() map[string]article {
	return map[string]article{
		"tea-100":     {"Green tea, 100 g", 890, 400},
		"mug-210":     {"Mug, stoneware", 1450, 120},
		"kettle-120":  {"Kettle, 1.2 l", 5900, 35},
		"scale-305":   {"Kitchen scale", 3200, 48},
		"towel-410":   {"Tea towel, linen", 1250, 210},
		"honey-250":   {"Honey, 250 g", 760, 90},
		"teapot-115":  {"Teapot, cast iron", 7400, 22},
		"timer-330":   {"Kitchen timer", 1990, 77},
		"biscuit-520": {"Almond biscuits", 540, 300},
		SoldOut:       {"Globe, illuminated", 9900, 0},
	}
}

// Articles are those that can be bought, in a fixed order.
func Articles() []string {
	return []string{
		"biscuit-520", "honey-250", "kettle-120", "mug-210", "scale-305", "tea-100", "teapot-115", "timer-330", "towel-410",
	}
}

// currency is one in which the shop sells: amounts are in its smallest unit.
type currency struct {
	perCent float64 // smallest units for one EUR cent
	tax     float64
}

// currencies are all of them.
func currencies() map[string]currency {
	return map[string]currency{"EUR": {1, 0.20}, "USD": {1.08, 0.08}, "GBP": {0.85, 0.20}, "JPY": {1.63, 0.10}}
}

// price is an article's in the smallest unit.
func (c currency) price(a article) int64 { return int64(math.Round(float64(a.cents) * c.perCent)) }

// taxOn is the tax on an amount.
func (c currency) taxOn(amount int64) int64 { return int64(math.Round(float64(amount) * c.tax)) }
