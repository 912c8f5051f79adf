// SPDX-License-Identifier: Apache-2.0

package blueprint

import "slices"

// Cycle is a shortest circle of services that wait for each other by dependsOn, its first name repeated at the end, or nil
// when there is none. Names that no service has are passed over.
func Cycle(services []Service) []string {
	edges := make(map[string][]string, len(services))
	for _, s := range services {
		edges[s.Name] = append(edges[s.Name], s.DependsOn...)
	}
	for name, to := range edges {
		slices.Sort(to)
		edges[name] = slices.DeleteFunc(slices.Compact(to), func(d string) bool {
			_, there := edges[d]
			return !there
		})
	}
	var best []string
	for _, name := range sortedKeys(edges) {
		if c := circle(edges, name); c != nil && (best == nil || len(c) < len(best)) {
			best = c
		}
	}
	return best
}

// circle is a shortest way from start back to start, found breadth first.
func circle(edges map[string][]string, start string) []string {
	from := map[string]string{}
	queue := []string{start}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, next := range edges[at] {
			if next == start {
				way := []string{start}
				for ; at != start; at = from[at] {
					way = append(way, at)
				}
				way = append(way, start)
				slices.Reverse(way)
				return way
			}
			if _, seen := from[next]; !seen {
				from[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}
