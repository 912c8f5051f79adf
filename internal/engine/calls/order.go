// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"microstax/internal/engine/diff"
)

// maxOrdered is up to how many calls the order is compared; it costs the square.
const maxOrdered = 64

// order compares the sequence of the calls, of those operations which both sides called equally often. Only calls that did
// not overlap in time have an order, on either side. A pair that is the other way round is one flag; of several with
// the same first call only the nearest.
func (c *collector) order(l, base *list, candidate bool) {
	var was, is []*made // the same call at the same index of both
	for i := range base.calls {
		b := &base.calls[i]
		at := l.byOp[b.path]
		if len(at) == base.count(b.path) {
			was, is = append(was, b), append(is, &l.calls[at[b.nth]])
		}
	}
	if len(was) > maxOrdered {
		return
	}
	for i := range was {
		for j := i + 1; j < len(was); j++ {
			if was[i].path == was[j].path || !before(was[i], was[j]) || !before(is[j], is[i]) {
				continue
			}
			c.put(Flag{Kind: diff.KindCallOrder, Path: was[i].path + " → " + was[j].path, Class: "order", Model: "order",
				Was: was[i].path + ", then " + was[j].path, Is: was[j].path + ", then " + was[i].path, Turn: is[j].turn, At: was[i].path},
				diff.UpTo(diff.Canonical), candidate)
			break
		}
	}
}

// before says whether one call was over when the other started.
func before(a, b *made) bool {
	return !a.Exchange.End().After(b.Exchange.Start) && a.Exchange.Start.Before(b.Exchange.Start)
}
