// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// fenced tells of every write that was kept from leaving, and whether it would have done something twice.
func (c *collector) fenced(l *list, candidate bool) {
	for i := range l.calls {
		call := &l.calls[i]
		if call.Effect != observation.Fenced {
			continue
		}
		f := Flag{Kind: diff.KindFenced, Path: call.path, Class: "fenced", Turn: i, At: l.place(i),
			Is: "a write that the baseline did not make"}
		if l.madeBefore(i) {
			f.Class, f.Is = "duplicate", "the same write was made before for this request: it would happen twice"
		}
		c.put(f, diff.UpTo(diff.Presence), candidate)
	}
}

// madeBefore says whether an equal write went before call i: the same operation with the same idempotency key, or with the
// same target and canonical body.
func (l *list) madeBefore(i int) bool {
	call := &l.calls[i]
	key, keyed := exchange.Get(call.Exchange.Request.Headers, "idempotency-key")
	var own uint64
	hashed := false
	for _, j := range l.byOp[call.path] {
		if j >= i {
			break
		}
		other := &l.calls[j]
		otherKey, otherKeyed := exchange.Get(other.Exchange.Request.Headers, "idempotency-key")
		if keyed && otherKeyed && key == otherKey {
			return true
		}
		if other.Exchange.Request.Target != call.Exchange.Request.Target {
			continue
		}
		if !hashed {
			own, hashed = fingerprint(call), true
		}
		if fingerprint(other) == own {
			return true
		}
	}
	return false
}
