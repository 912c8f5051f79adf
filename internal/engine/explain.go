// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	api "microstax/api/v1"
	"microstax/internal/engine/condition"
	"microstax/internal/engine/diff"
	"microstax/internal/observation"
)

// The bounds of what is kept to explain findings.
const (
	maxProfiled = 500 // endpoints that have a profile
	sweepAt     = 768 // requests held for one endpoint before those nobody refers to are forgotten
	maxEarlier  = 8   // hypotheses remembered as having come before another
	causeShare  = 0.5 // of the requests of either in which one came before the other, for that to be told
)

// explainable notes what kind of request an observation's is, and in which hypotheses' cases it belongs.
func (a *Analysis) explainable(i int, o *observation.Observation, context uint64, touched []touch) {
	ep := a.endpoints[i]
	if ep.Profile == nil {
		if a.profiled >= maxProfiled {
			return
		}
		a.profiled++
		ep.Profile = condition.NewProfile()
	}
	key := xxhash.Sum64String(o.Unit)
	if o.OwnUnit || o.Unit == "" {
		key = xxhash.Sum64(strconv.AppendInt(nil, o.At.UnixNano(), 10))
	}
	half := condition.HalfOf(key)
	var known []condition.Fact
	facts := func() []condition.Fact {
		if known == nil {
			known = condition.Facts(o, ep.Name)
		}
		return known
	}
	if ep.Profile.Wants(context, half) && !o.Alike { // of a request that is told as alike hardly anything is known
		ep.Profile.Add(context, half, facts())
	}
	for _, t := range touched {
		a.places[t.place].Cases.Add(ep.Profile, context, half, uint8(t.only), facts)
	}
	if ep.Profile.Held() > sweepAt {
		a.sweep(i)
	}
}

// sweep forgets the requests of an endpoint that neither its sample nor a hypothesis refers to.
func (a *Analysis) sweep(i int) {
	var cases []*condition.Cases
	for _, h := range a.places {
		if h.Endpoint == i && h.Into == 0 {
			cases = append(cases, &h.Cases)
		}
	}
	a.endpoints[i].Profile.Sweep(cases)
}

// trace notes which deviation of one request came first: calls in the order in which the candidate made them, the answer
// last. What comes later may follow from it.
func (a *Analysis) trace(touched []touch) {
	first := touch{turn: math.MaxInt}
	for _, t := range touched {
		if t.turn < first.turn {
			first = t
		}
	}
	for _, t := range touched {
		h := a.places[t.place]
		h.Shown++
		if t.turn == first.turn {
			continue
		}
		if _, known := h.Earlier[first.place]; !known && len(h.Earlier) >= maxEarlier {
			continue
		}
		if h.Earlier == nil {
			h.Earlier = map[int]int64{}
		}
		h.Earlier[first.place]++
	}
}

// addExplained takes what another hypothesis that turned out to be the same knows.
func (h *hypothesis) addExplained(o *hypothesis) {
	h.Cases.Merge(&o.Cases)
	h.Shown += o.Shown
	for _, i := range slices.Sorted(maps.Keys(o.Earlier)) {
		if _, known := h.Earlier[i]; !known && len(h.Earlier) >= maxEarlier {
			continue
		}
		if h.Earlier == nil {
			h.Earlier = map[int]int64{}
		}
		h.Earlier[i] += o.Earlier[i]
	}
}

// addProfile takes the profile of an endpoint that turned out to be the same.
func (ep *endpoint) addProfile(o *endpoint) {
	switch {
	case o.Profile == nil:
	case ep.Profile == nil:
		ep.Profile = o.Profile
	default:
		ep.Profile.Merge(o.Profile)
	}
}

// explain says when a finding shows, and what came before it.
func (a *Analysis) explain(f *api.Finding, h *hypothesis, strictest diff.Level) {
	ep := a.endpoints[h.Endpoint]
	if ep.Profile != nil {
		if c, found := ep.Profile.Explain(&h.Cases, uint8(diff.Set(1)<<strictest)); found {
			f.Condition, f.ConditionCheck = c.Text, c.Check()
		}
	}
	origin, n := -1, int64(0)
	for _, i := range slices.Sorted(maps.Keys(h.Earlier)) {
		if h.Earlier[i] > n {
			origin, n = i, h.Earlier[i]
		}
	}
	for range len(a.places) {
		if origin < 0 || a.places[origin].Into == 0 {
			break
		}
		origin = a.places[origin].Into - 1
	}
	if origin < 0 || float64(n) < causeShare*float64(max(h.Shown, a.places[origin].Shown)) {
		return
	}
	f.Cause = &api.Cause{FindingID: a.places[origin].id, Summary: a.places[origin].summary(), Share: mean(n, h.Shown)}
	f.Cause.Detail = fmt.Sprintf("in %d of %d requests it comes first", n, h.Shown)
}

// keptProfiles are the endpoints whose profile is worth storing: those with a hypothesis at which the candidate alone
// differed. The others' is gathered again.
func (a *Analysis) keptProfiles() map[int]bool {
	keep := map[int]bool{}
	for _, h := range a.places {
		if h.Into == 0 && h.Shown > 0 {
			keep[h.Endpoint] = true
		}
	}
	return keep
}
