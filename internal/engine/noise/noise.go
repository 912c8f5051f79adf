// SPDX-License-Identifier: Apache-2.0

// Package noise says which places vary without the change. It learns from pairs of the baseline with its own twin (or,
// where no twin runs, with its own earlier answers); the candidate is never looked at, so a change cannot pass as noise.
//
// A noisy place is not ignored: it is compared at the strictest level at which it is quiet.
package noise

import (
	"cmp"
	"maps"
	"slices"

	api "microstax/api/v1"
	"microstax/internal/engine/diff"
)

// Where the pairs came from.
const (
	FromControl = "control"
	FromHistory = "history"
)

// Tolerated is the share of pairs in which a quiet level may differ.
const Tolerated = 0.01

// maxModels bounds how many models are told apart at one place.
const maxModels = 16

// Counts is what the pairs showed at one place. Merging is adding.
type Counts struct {
	Differ [diff.Levels]int64 `json:"d"`           // pairs that differed at the level
	Models map[string]int64   `json:"m,omitempty"` // what the varying values looked like
	Spread Spread             `json:"s,omitempty"` // how far apart they were
}

// Add counts one pair that differed.
func (c *Counts) Add(levels diff.Set, model string) {
	for l := range diff.Levels {
		if levels.Has(l) {
			c.Differ[l]++
		}
	}
	if _, known := c.Models[model]; !known && len(c.Models) >= maxModels {
		model = ""
	}
	if c.Models == nil {
		c.Models = map[string]int64{}
	}
	c.Models[model]++
}

// Noisy says whether the level varies by itself: in more than the given share of the pairs; while there are too few for
// that, once is enough.
func (c *Counts) Noisy(l diff.Level, pairs int64, share float64) bool {
	return c != nil && c.Differ[l] > 0 && float64(c.Differ[l]) > share*float64(pairs)
}

// Strictest is the strictest level from l on that is not noisy, and false when all are.
func (c *Counts) Strictest(l diff.Level, pairs int64, share float64) (diff.Level, bool) {
	for ; l < diff.Levels; l++ {
		if !c.Noisy(l, pairs, share) {
			return l, true
		}
	}
	return diff.Levels, false
}

// Model is the commonest model, "other" where none fits; ties go by name.
func (c *Counts) Model() string {
	best, n := "", int64(0)
	for _, m := range slices.Sorted(maps.Keys(c.Models)) {
		if c.Models[m] > n {
			best, n = m, c.Models[m]
		}
	}
	if best == "" {
		return "other"
	}
	return best
}

// Merge takes the larger count at each level: kinds of difference at one place overlap in the same pairs.
func (c *Counts) Merge(o Counts) {
	for l := range c.Differ {
		c.Differ[l] = max(c.Differ[l], o.Differ[l])
	}
	if c.Models == nil {
		c.Models = map[string]int64{}
	}
	for m, n := range o.Models {
		c.Models[m] += n
	}
	c.Spread.Merge(o.Spread)
}

// Sum adds the counts of other pairs.
func (c *Counts) Sum(o Counts) {
	for l, n := range o.Differ {
		c.Differ[l] += n
	}
	if c.Models == nil && len(o.Models) > 0 {
		c.Models = map[string]int64{}
	}
	for m, n := range o.Models {
		c.Models[m] += n
	}
	c.Spread.Merge(o.Spread)
}

// Place names what Counts are about.
type Place struct{ Service, Endpoint, Path string }

// Row is the report's row for a place, and false when the place is quiet at every level.
func Row(p Place, c Counts, pairs int64, from string) (api.Noise, bool) {
	for l := range diff.Levels {
		if !c.Noisy(l, pairs, Tolerated) {
			continue
		}
		still := "none"
		if s, ok := c.Strictest(l, pairs, Tolerated); ok {
			still = s.Name()
		}
		return api.Noise{
			Service: p.Service, Endpoint: p.Endpoint, Path: p.Path, Model: c.Model(), LearnedFrom: from,
			Pairs: pairs, Rate: float64(c.Differ[l]) / float64(max(pairs, 1)), StillSeen: still,
		}, true
	}
	return api.Noise{}, false
}

// Sort orders rows by service, endpoint and path.
func Sort(rows []api.Noise) {
	slices.SortFunc(rows, func(a, b api.Noise) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Path, b.Path))
	})
}
