// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"strings"

	"microstax/internal/dataplane/mirror"
	"microstax/internal/observation"
)

// chancy says whether not all sessions are mirrored.
func (e *entry) chancy() bool { return e.sample < mirror.Whole || e.runner.Shedding() }

// leavesOut is why a session's request is not mirrored, "" when it is: all of a session's requests are, or none, after a
// restart too, and from some point on none when the shadows cannot take it.
func (e *entry) leavesOut(session string, own bool) observation.DropReason {
	if !e.chancy() {
		return ""
	}
	switch e.runner.Choose(session, own, e.sample) {
	case mirror.SampleOut:
		return observation.SampledOut
	case mirror.ShedSession:
		return observation.Shed
	case mirror.Mirror:
	}
	return ""
}

// mayBegin says whether the answer may begin the user's session: then that is what decides, so that the login is mirrored
// with what follows it, or neither. Until then the request is known by its address at best.
func mayBegin(plan *plan, x *belonging) bool {
	return plan.begins && (x.own || strings.HasPrefix(x.session, "client-ip="))
}

// atLast is leavesOut where the answer had to be waited for.
func (e *entry) atLast(plan *plan, x *belonging, key, begun string) observation.DropReason {
	switch {
	case !mayBegin(plan, x):
		return ""
	case begun != "":
		return e.leavesOut(begun, false)
	}
	return e.leavesOut(key, x.own)
}
