// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"maps"
	"slices"
	"strings"

	"microstax/internal/blueprint"
	"microstax/internal/fault"
)

// StartOrder puts services into waves: each wave may start together once all before it are ready. A service comes after
// what it depends on, and after what it refers to by ${services.…}, except where references would close a circle: then they
// say who is called, and not who starts first. Within a wave names are sorted. A circle of dependsOn alone is
// fault.Invalid. Names that are not among services are passed over: something else provides them.
func StartOrder(services []blueprint.Service) ([][]string, error) {
	if circle := blueprint.Cycle(services); circle != nil {
		return nil, fault.Errorf("order services", fault.Invalid, "services wait for each other: %s", strings.Join(circle, " → ")).
			WithHint("take one of them out of dependsOn; a ${services.…} reference may stay")
	}
	waits := waiting(services)
	var waves [][]string
	for len(waits) > 0 {
		var wave []string
		for name, on := range waits {
			if len(on) == 0 {
				wave = append(wave, name)
			}
		}
		slices.Sort(wave)
		for _, name := range wave {
			delete(waits, name)
		}
		for _, on := range waits {
			for _, name := range wave {
				delete(on, name)
			}
		}
		waves = append(waves, wave)
	}
	return waves, nil
}

// waiting gives for every service the services it starts after. The relation has no circles, given that dependsOn has none:
// a reference counts only between services that do not reach each other both ways.
func waiting(services []blueprint.Service) map[string]map[string]bool {
	calls, waits := map[string][]string{}, map[string]map[string]bool{}
	for _, s := range services {
		waits[s.Name] = map[string]bool{}
	}
	for _, s := range services {
		for _, d := range Dependencies(s) {
			if _, there := waits[d]; there {
				calls[s.Name] = append(calls[s.Name], d)
			}
		}
	}
	reached := make(map[string]map[string]bool, len(waits))
	for name := range waits {
		reached[name] = reach(calls, name)
	}
	for _, s := range services {
		for _, d := range calls[s.Name] {
			if !reached[d][s.Name] || slices.Contains(s.DependsOn, d) {
				waits[s.Name][d] = true
			}
		}
	}
	return waits
}

// reach is everything that can be reached along edges, from itself included.
func reach(edges map[string][]string, from string) map[string]bool {
	seen := map[string]bool{from: true}
	queue := []string{from}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, next := range edges[at] {
			if !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return seen
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
