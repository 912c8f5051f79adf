// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"

	"microstax/internal/engine/canon"
)

// lockstep compares two JSON documents by reading them side by side, and builds trees only of what differs. It gives false,
// and has noted nothing, where the documents have to be compared as a whole.
func (c *collector) lockstep(x, y *canon.Body, l canon.Limits) bool {
	pairs, ok := canon.Lockstep(x.Data, y.Data, l)
	if !ok {
		return false
	}
	trees := make([][2]*canon.Tree, len(pairs))
	for i, p := range pairs {
		var errA, errB error
		trees[i][0], errA = canon.Parse(p.A, l)
		trees[i][1], errB = canon.Parse(p.B, l)
		if errA != nil || errB != nil {
			return false
		}
	}
	before := c.emitted
	for i, p := range pairs {
		c.segs = c.segs[:0]
		for _, s := range p.Path {
			if s.Array {
				c.segs = append(c.segs, element(s.Index, false))
			} else {
				c.segs = append(c.segs, member(s.Name))
			}
		}
		c.trees(trees[i][0], trees[i][1])
	}
	c.segs = c.segs[:0]
	if !bytes.Equal(x.Data, y.Data) {
		c.layout(before, x.Data, y.Data)
	}
	return true
}
