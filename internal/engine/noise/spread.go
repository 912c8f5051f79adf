// SPDX-License-Identifier: Apache-2.0

package noise

import (
	"maps"
	"math"
	"slices"
)

// Spread is how far values at one place were from one another in pairs that differ by nature, by powers of growth. Merging
// is adding.
type Spread map[int16]int64

const (
	// growth is the width of a step: a bound is at most a tenth too wide.
	growth = 1.1
	// maxSteps bounds how many steps are told apart; beyond it the smallest are counted as larger ones.
	maxSteps = 128
)

// Add counts one pair whose values were that far apart; nothing when that cannot be said.
func (s *Spread) Add(distance float64) {
	distance = math.Abs(distance)
	if distance == 0 || math.IsNaN(distance) || math.IsInf(distance, 0) {
		return
	}
	if *s == nil {
		*s = Spread{}
	}
	(*s)[int16(math.Ceil(math.Log(distance)/math.Log(growth)))]++
	s.fold()
}

// Merge adds what another one has counted.
func (s *Spread) Merge(o Spread) {
	if *s == nil && len(o) > 0 {
		*s = Spread{}
	}
	for step, n := range o {
		(*s)[step] += n
	}
	s.fold()
}

func (s *Spread) fold() {
	for len(*s) > maxSteps {
		steps := slices.Sorted(maps.Keys(*s))
		(*s)[steps[1]] += (*s)[steps[0]]
		delete(*s, steps[0])
	}
}

// Bound is how far apart values may be so that the next pair goes beyond it with a probability of at most miss, if pairs
// are exchangeable: the conformal quantile of the distances of all pairs, those that did not differ included. It is 0, which is strict,
// while there are too few pairs, and where fewer than that share differ at all.
func (s Spread) Bound(pairs int64, miss float64) float64 {
	index := int64(math.Ceil(float64(pairs+1) * (1 - miss)))
	if index > pairs {
		return 0
	}
	above, last := pairs-index, math.MaxInt16+1
	for range s { // from the widest step down; it mostly is one of the first
		widest := math.MinInt16 - 1
		for step := range s {
			if int(step) < last {
				widest = max(widest, int(step))
			}
		}
		if last = widest; last < math.MinInt16 {
			break
		}
		if above -= s[int16(last)]; above < 0 {
			return math.Pow(growth, float64(last))
		}
	}
	return 0
}
