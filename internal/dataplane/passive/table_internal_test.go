// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestEveryExchangeOnce lets conversations pass whole, but in every disorder that a network allows.
func TestEveryExchangeOnce(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]noise{
		"in order":   {},
		"pipelined":  {depth: 6},
		"disordered": {late: 0.2},
		"twice":      {twice: 0.3, again: 0.3},
		"everything": {late: 0.1, twice: 0.2, again: 0.2, depth: 4},
	} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprint(name, seed), func(t *testing.T) {
				t.Parallel()
				r := talker{rand.New(rand.NewPCG(seed, 1))}
				a := newAudience(t)
				c, total := r.play(a, 8, 20, n, Limits{})
				if c.Seen != int64(total) || c.Missed != 0 || len(a.whole) != total {
					t.Errorf("%d exchanges: %d seen, %d whole, %d missed, %v", total, c.Seen, len(a.whole), c.Missed, a.ended)
				}
				for id, n := range a.whole {
					if n != 1 {
						t.Errorf("exchange %d was seen %d times", id, n)
					}
				}
			})
		}
	}
}

// TestExactOrCounted loses packets and beginnings: what is handed on is exact, and the rest is counted.
func TestExactOrCounted(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]noise{
		"few lost":    {lost: 0.002, counted: 0.95},
		"some lost":   {lost: 0.02, counted: 0.95},
		"many lost":   {lost: 0.2, counted: 0.8},
		"lost, mixed": {lost: 0.02, late: 0.1, twice: 0.1, again: 0.1},
		"pipelined":   {lost: 0.01, depth: 4},
		"began late":  {skip: 1},
		"late, lost":  {skip: 0.5, lost: 0.01},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all, whole, counted int64
			ended := map[string]int{}
			for seed := range uint64(20) {
				r := talker{rand.New(rand.NewPCG(seed, 2))}
				a := newAudience(t)
				c, total := r.play(a, 6, 30, n, Limits{})
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
				for id, n := range a.whole {
					if n != 1 || a.missed[id] > 0 {
						t.Errorf("exchange %d was seen %d times, and missed %d", id, n, a.missed[id])
					}
				}
				all, whole, counted = all+int64(total), whole+int64(len(a.whole)), counted+c.Missed
				for why, n := range a.ended {
					ended[string(why)] += n
				}
				if n.skip == 0 && len(a.whole) < total && c.Missed == 0 {
					t.Errorf("seed %d: %d of %d whole, and none counted as missed: %v, %+v", seed, len(a.whole), total, a.ended, c)
				}
			}
			if lost := float64(all - whole); n.counted > 0 && (float64(counted) < n.counted*lost || float64(counted) > 1.1*lost) {
				t.Errorf("%d of %d not whole, %d counted as missed", all-whole, all, counted)
			}
			t.Logf("%d exchanges, %d whole, %d counted as missed; %v", all, whole, counted, ended)
		})
	}
}
