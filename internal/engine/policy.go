// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"maps"
	"slices"

	"microstax/internal/blueprint"
	"microstax/internal/engine/stats"
	"microstax/internal/engine/verdict"
)

// gateOf is the gate configured for a service.
func (a *Analysis) gateOf(service string) (g blueprint.Gate) {
	if s := a.cfg.Services[service]; s.Gate != nil {
		g = *s.Gate
	}
	return g
}

// own is the gate that an endpoint has to itself, laid over its service's; false where it has none.
func own(g blueprint.Gate, endpoint string) (blueprint.Gate, bool) {
	for _, e := range g.Endpoints {
		if e.Endpoint == endpoint {
			return blueprint.Gate{
				Confidence: g.Confidence, MaxDifferenceRate: cmp.Or(e.MaxDifferenceRate, g.MaxDifferenceRate),
				MinRequests: cmp.Or(e.MinRequests, g.MinRequests), MaxLatencyRatio: cmp.Or(e.MaxLatencyRatio, g.MaxLatencyRatio),
			}, true
		}
	}
	return g, false
}

// pool is what an endpoint's visits are counted with: the service, or the endpoint by itself where it has a gate of its own.
func (a *Analysis) pool(ep *endpoint) string {
	if _, alone := own(a.gateOf(ep.Service), ep.Name); alone {
		return poolName(ep.Service, ep.Name)
	}
	return ep.Service
}

func poolName(service, endpoint string) string { return service + " " + endpoint }

// policy is the gate that an endpoint's visits have to pass.
func (a *Analysis) policy(ep *endpoint) blueprint.Gate {
	g, _ := own(a.gateOf(ep.Service), ep.Name)
	return verdict.Effective(g)
}

// pooled is the evidence of each pool: of a service's endpoints together, or of one that has a gate of its own.
func (a *Analysis) pooled(excused func(place int) bool) map[string]stats.Tri {
	out := map[string]stats.Tri{}
	for _, ep := range a.endpoints {
		if ep.Into == 0 && ep.Compared > 0 {
			pool := a.pool(ep)
			out[pool] = out[pool].Add(ep.Gate.tri(excused))
		}
	}
	return out
}

// policies are the gates of all pools that there are or have to be.
func (a *Analysis) policies() map[string]blueprint.Gate {
	out := map[string]blueprint.Gate{}
	for _, ep := range a.endpoints {
		if ep.Into == 0 && ep.Compared > 0 {
			out[a.pool(ep)] = a.policy(ep)
		}
	}
	for _, service := range slices.Sorted(maps.Keys(a.cfg.Services)) {
		for _, e := range a.gateOf(service).Endpoints {
			g, _ := own(a.gateOf(service), e.Endpoint)
			out[poolName(service, e.Endpoint)] = verdict.Effective(g)
		}
	}
	return out
}

// listed are the endpoints with a gate of their own, which have to be seen: by name of their pool.
func (a *Analysis) listed() map[string]bool {
	out := map[string]bool{}
	for service := range a.cfg.Services {
		for _, e := range a.gateOf(service).Endpoints {
			out[poolName(service, e.Endpoint)] = true
		}
	}
	return out
}
