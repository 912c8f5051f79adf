// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"fmt"
	"strings"

	"microstax/internal/blueprint"
)

// Difference is what has to be done to get from one Blueprint's services to another's.
type Difference struct {
	Added   []string // services, sorted
	Removed []string
	Changed []Change // sorted by service
}

// Change names the fields in which a service differs, sorted.
type Change struct {
	Service string
	Fields  []string
}

// Compare gives the difference between two Blueprints. Both are whole: effective ones, or two revisions of one; a sparse
// overlay would seem to remove what it inherits.
func Compare(before, after blueprint.Blueprint) Difference {
	var d Difference
	old := map[string]blueprint.Service{}
	for _, s := range before.Services {
		old[s.Name] = s
	}
	now := map[string]blueprint.Service{}
	for _, s := range after.Services {
		now[s.Name] = s
	}
	for _, name := range keys(now) {
		was, there := old[name]
		if !there {
			d.Added = append(d.Added, name)
			continue
		}
		if fields := blueprint.Changes(was, now[name]); len(fields) > 0 {
			d.Changed = append(d.Changed, Change{Service: name, Fields: fields})
		}
	}
	for _, name := range keys(old) {
		if _, there := now[name]; !there {
			d.Removed = append(d.Removed, name)
		}
	}
	return d
}

// Empty is true when there is nothing to do.
func (d Difference) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// String is the difference for people: + for added, - for removed, ~ for changed services; "no difference" when empty.
func (d Difference) String() string {
	var parts []string
	for _, s := range d.Added {
		parts = append(parts, "+ "+s)
	}
	for _, s := range d.Removed {
		parts = append(parts, "- "+s)
	}
	for _, c := range d.Changed {
		parts = append(parts, fmt.Sprintf("~ %s (%s)", c.Service, strings.Join(c.Fields, ", ")))
	}
	if len(parts) == 0 {
		return "no difference"
	}
	return strings.Join(parts, "; ")
}
