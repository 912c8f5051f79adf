// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"strings"

	"microstax/internal/engine/diff"
)

// Decision is what somebody said of a finding. It holds as long as the finding is what it was then: one that shows
// another class of change, or has become worse, was not meant.
type Decision struct {
	Status   string   // accepted | ignored
	Classes  []string // of change, as Finding.Classes was; none holds for any
	Severity string   // as it was; "" holds for any
}

// ignored is the status of what a rule or a person says does not matter.
const ignored = "ignored"

// Place is what a rule about findings can tell places by.
type Place struct {
	Service, Endpoint, Kind, Path string
}

// decision is what somebody said of a hypothesis, by its own id, by that of the finding it is merged into, or by a rule.
func (a *Analysis) decision(h *hypothesis, decisions map[string]Decision) (Decision, bool) {
	for _, id := range []string{h.id, a.aliasID(h, h.class())} {
		if d, ok := decisions[id]; ok {
			_, lapsed := a.outgrown(h, d)
			return d, !lapsed
		}
	}
	ep := a.endpoints[h.Endpoint]
	if a.ignored != nil && a.ignored(Place{ep.Service, ep.Name, string(h.Kind), h.Path}) {
		return Decision{Status: ignored}, true
	}
	return Decision{}, false
}

// outgrown says why a decision does not hold any more.
func (a *Analysis) outgrown(h *hypothesis, d Decision) (string, bool) {
	if now := h.class(); len(d.Classes) > 0 && !slices.Contains(d.Classes, now) {
		return fmt.Sprintf("it was %s as a change of class %s and is now one of class %s", d.Status, strings.Join(d.Classes, ", "), now), true
	}
	_, weakest := h.significant(a.endpoints[h.Endpoint].Visits)
	if now := severity(h, weakest); d.Severity != "" && worse(now, d.Severity) {
		return fmt.Sprintf("it was %s as %s and is now %s", d.Status, d.Severity, now), true
	}
	return "", false
}

// reopened is why a decision about a hypothesis does not hold any more, or "".
func (a *Analysis) reopened(h *hypothesis, decisions map[string]Decision) string {
	for _, id := range []string{h.id, a.aliasID(h, h.class())} {
		if d, ok := decisions[id]; ok {
			why, _ := a.outgrown(h, d)
			return why
		}
	}
	return ""
}

// slowDecision is what somebody said of an endpoint's latency.
func (a *Analysis) slowDecision(ep *endpoint, decisions map[string]Decision) (Decision, bool) {
	return a.pathDecision(ep, a.slowID(ep), pathDuration, decisions)
}

// pathDecision is what somebody said of one of an endpoint's findings about latency.
func (a *Analysis) pathDecision(ep *endpoint, finding, path string, decisions map[string]Decision) (Decision, bool) {
	if d, ok := decisions[finding]; ok {
		return d, true
	}
	if a.ignored != nil && a.ignored(Place{ep.Service, ep.Name, string(diff.KindLatency), path}) {
		return Decision{Status: ignored}, true
	}
	return Decision{}, false
}
