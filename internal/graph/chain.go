// SPDX-License-Identifier: Apache-2.0

// Package graph answers what follows from Blueprints and from who derives from whom: the chain of an environment, its
// effective services, which environment provides each of them and why, what starts before what, what two Blueprints differ
// in, and which environments stand in each other's way.
//
// It is pure: environments in, answers out. Nothing given to it is changed.
package graph

import (
	"strconv"
	"strings"

	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/fault"
)

// RevisionKey is the key under which Chain looks for an older revision of an environment, beside the newest under its id.
func RevisionKey(id, revision string) string { return id + "@" + revision }

// Chain is the environment with the given id and everything it derives from, nearest first. An environment that is pinned to
// a revision finds that one, under RevisionKey where it is not the newest. A name in the chain that is not in envs is
// fault.NotFound; a circle is fault.Conflict.
func Chain(envs map[string]environment.Environment, id string) ([]environment.Environment, error) {
	const op = "resolve lineage"
	e, ok := envs[id]
	if !ok {
		return nil, fault.Errorf(op, fault.NotFound, "there is no environment %s", id)
	}
	chain := []environment.Environment{e}
	seen := map[string]bool{id: true}
	for e.Inherits.ID != "" {
		next := e.Inherits.ID
		if seen[next] {
			return nil, fault.Errorf(op, fault.Conflict, "environments derive from each other: %s", way(chain, next)).
				WithHint("delete one of them, and create it again over another baseline")
		}
		parent, err := find(envs, e.Inherits)
		if err != nil {
			return nil, fault.Errorf(op, fault.NotFound, "%s derives from %w", label(e), err).
				WithHint("delete %s, and create it again over a baseline that exists", label(e))
		}
		seen[next] = true
		chain = append(chain, parent)
		e = parent
	}
	return chain, nil
}

func find(envs map[string]environment.Environment, ref environment.Ref) (environment.Environment, error) {
	e, ok := envs[ref.ID]
	if !ok || e.Desired == environment.Gone {
		return e, fault.Errorf("", fault.NotFound, "%s, which is not there any more", ref.ID)
	}
	if ref.Revision == "" || ref.Revision == environment.Following || ref.Revision == strconv.Itoa(e.Revision) {
		return e, nil
	}
	if old, ok := envs[RevisionKey(ref.ID, ref.Revision)]; ok {
		return old, nil
	}
	return e, fault.Errorf("", fault.NotFound, "revision %s of %s, which is not kept", ref.Revision, label(e))
}

// way writes a chain that ends where it was before.
func way(chain []environment.Environment, end string) string {
	var names []string
	for _, e := range chain {
		names = append(names, label(e))
	}
	for _, e := range chain {
		if e.ID == end {
			names = append(names, label(e))
		}
	}
	return strings.Join(names, " → ")
}

// label is what a message calls an environment.
func label(e environment.Environment) string {
	if e.Name == "" {
		return e.ID
	}
	return e.Name + " (" + e.ID + ")"
}

// Effective is the Blueprint that a chain, nearest first, comes down to: every service of the chain, each merged field by
// field from the root to the nearest, sorted by name. An empty chain gives an empty Blueprint.
func Effective(chain []environment.Environment) blueprint.Blueprint {
	if len(chain) == 0 {
		return blueprint.Blueprint{}
	}
	last := len(chain) - 1
	overlays := make([]blueprint.Blueprint, 0, last)
	for i := last - 1; i >= 0; i-- {
		overlays = append(overlays, chain[i].Blueprint)
	}
	return blueprint.Normalize(blueprint.MergeBlueprints(chain[last].Blueprint, overlays...))
}

// Dependencies are the services that a service in its effective form may call: those it depends on and those it refers to,
// sorted. Each of them needs a route.
func Dependencies(s blueprint.Service) []string { return blueprint.Dependencies(s) }
