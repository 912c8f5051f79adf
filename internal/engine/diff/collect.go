// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"math"
	"time"

	"microstax/internal/blueprint"
)

// MaxDifferences is how many differences of one pair are kept apart.
const MaxDifferences = 200

// maxEmitted bounds the work on bodies that differ in the same few paths over and over.
const maxEmitted = 5000

// found is what is known of one difference besides its place.
type found struct {
	class, model string
	was, is      []byte
	delta        float64
}

type key struct {
	kind  Kind
	path  string
	class string
}

// collector gathers differences, applies the rules, merges what has one path, kind and class, and keeps the caps.
type collector struct {
	rules   []rule
	masked  []int
	out     []Difference
	index   map[key]int
	emitted int // before the rules
	full    bool
	segs    []seg        // where the walk of the trees is
	came    [2]time.Time // when each answer was there; zero when nobody knows
	learned func(path string) float64
}

func newCollector(ignore []blueprint.Ignore) *collector {
	c := &collector{}
	if len(ignore) > 0 {
		c.rules = compile(ignore)
		c.masked = make([]int, len(ignore))
	}
	return c
}

// atNode records a difference at the present place in the trees.
func (c *collector) atNode(kind Kind, levels Set, f found) {
	if c.stop() {
		return
	}
	if levels = c.weaken(kind, levels, func(r *rule) reach { return r.node(c.segs) }); levels != 0 {
		c.add(kind, general(c.segs), func() string { return concrete(c.segs) }, levels, f)
	}
}

// atBody records a difference of the body as a whole.
func (c *collector) atBody(kind Kind, levels Set, f found) {
	c.text(kind, "body", levels, f)
}

// text records a difference of the whole body, shown at a place of it.
func (c *collector) text(kind Kind, at string, levels Set, f found) {
	if c.stop() {
		return
	}
	if levels = c.weaken(kind, levels, func(r *rule) reach { return r.node(nil) }); levels != 0 {
		c.add(kind, "body", func() string { return at }, levels, f)
	}
}

// plain records a difference outside the body.
func (c *collector) plain(kind Kind, path, at string, levels Set, f found) {
	if c.stop() {
		return
	}
	if levels = c.weaken(kind, levels, func(r *rule) reach { return r.header(path) }); levels != 0 {
		c.add(kind, path, func() string { return at }, levels, f)
	}
}

func (c *collector) stop() bool {
	if c.emitted++; c.emitted > maxEmitted {
		c.full = true
	}
	return c.full
}

// weaken takes from levels what the first rule that reaches the place allows to vary.
func (c *collector) weaken(kind Kind, levels Set, reaches func(*rule) reach) Set {
	for i := range c.rules {
		r := &c.rules[i]
		how := reaches(r)
		if how == none {
			continue
		}
		left := r.leave(kind, levels, how)
		if left == 0 {
			c.masked[i]++
		}
		if left != levels {
			return left
		}
	}
	return levels
}

func (c *collector) add(kind Kind, path string, at func() string, levels Set, f found) {
	k := key{kind, path, f.class}
	if i, ok := c.index[k]; ok {
		d := &c.out[i]
		d.Count++
		if d.Model != f.model {
			d.Model = ""
		}
		if levels > d.Levels {
			d.At, d.Was, d.Is = at(), shorten(f.was), shorten(f.is)
		}
		d.Levels |= levels
		if math.Abs(f.delta) > math.Abs(d.Delta) {
			d.Delta = f.delta
		}
		return
	}
	if len(c.out) == MaxDifferences {
		c.full = true
		return
	}
	if c.index == nil {
		c.index = make(map[key]int)
	}
	c.index[k] = len(c.out)
	c.out = append(c.out, Difference{Kind: kind, Path: path, At: at(), Levels: levels, Class: f.class, Model: f.model,
		Was: shorten(f.was), Is: shorten(f.is), Count: 1, Delta: f.delta})
}

// done is the outcome, with the mark that says that there would be more.
func (c *collector) done() []Difference {
	if c.full {
		c.out = append(c.out, Difference{Kind: KindValue, Path: "body", At: "body", Levels: UpTo(Bytes), Class: "truncated",
			Is: fmt.Sprintf("more differences than are kept apart (%d)", MaxDifferences), Count: 1})
	}
	return c.out
}

// hidden is how much each rule hid, nil when none hid anything.
func (c *collector) hidden() []int {
	for _, n := range c.masked {
		if n > 0 {
			return c.masked
		}
	}
	return nil
}
