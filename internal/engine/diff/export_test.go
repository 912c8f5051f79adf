// SPDX-License-Identifier: Apache-2.0

package diff

import "microstax/internal/engine/canon"

// ByTrees compares two JSON documents without reading them in lock-step first; false when one is none.
func ByTrees(a, b []byte) ([]Difference, bool) {
	x, errA := canon.Parse(a, canon.Limits{})
	y, errB := canon.Parse(b, canon.Limits{})
	if errA != nil || errB != nil {
		return nil, false
	}
	c := newCollector(nil)
	c.trees(x, y)
	c.layout(0, a, b)
	return c.done(), true
}
