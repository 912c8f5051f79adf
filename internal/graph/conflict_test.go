// SPDX-License-Identifier: Apache-2.0

package graph_test

import (
	"strings"
	"testing"

	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/fault"
	"microstax/internal/graph"
)

func changed(e environment.Environment, change func(*environment.Environment)) environment.Environment {
	change(&e)
	return e
}

func TestConflict(t *testing.T) {
	t.Parallel()
	envs := shop()
	other := env("env_other", "other", blueprint.Baseline, "", service("api"))
	alone := env("env_alone", "alone", blueprint.Isolated, "", service("api"))
	gone := changed(env("env_gone", "late", blueprint.Overlay, "env_base"), func(e *environment.Environment) { e.Desired = environment.Gone })
	envs[other.ID], envs[alone.ID], envs[gone.ID] = other, alone, gone

	fresh := func(name, parent string) environment.Environment {
		return env("env_new", name, blueprint.Overlay, parent, blueprint.Service{Name: "orders"})
	}
	tests := []struct {
		name string
		env  environment.Environment
		kind fault.Kind // "" for no conflict
		says string
	}{
		{"a free name", fresh("new", "env_base"), "", ""},
		{"itself, again", envs["env_feat"], "", ""},
		{"a name of another mode", fresh("shop", "env_base"), "", ""},
		{"the name of one that is being deleted", fresh("late", "env_base"), "", ""},
		{"a name that is taken", fresh("feat", "env_base"), fault.Conflict, "taken by overlay env_feat"},
		{"a baseline's name that is taken", env("env_new", "shop", blueprint.Baseline, ""), fault.Conflict, "taken by baseline env_base"},
		{
			"an overlay id that is taken further down the same tree",
			changed(fresh("new", "env_feat"), func(e *environment.Environment) { e.OverlayID = "top" }), fault.Conflict, `overlay id "top" is taken by top (env_top)`,
		},
		{"the same overlay id under another baseline", changed(fresh("new", "env_other"), func(e *environment.Environment) { e.OverlayID = "top" }), "", ""},
		{"no baseline", fresh("new", ""), fault.Invalid, "names no baseline"},
		{"an unknown baseline", fresh("new", "env_nope"), fault.NotFound, "no baseline env_nope"},
		{"a baseline that is being deleted", fresh("new", "env_gone"), fault.NotFound, "no baseline env_gone"},
		{"an isolated baseline", fresh("new", "env_alone"), fault.Conflict, "is isolated"},
		{"itself", fresh("new", "env_new"), fault.Conflict, "overlay of itself"},
		{
			"a circle", changed(envs["env_feat"], func(e *environment.Environment) { e.Inherits.ID = "env_top" }), fault.Conflict, "derive from each other",
		},
		{
			"another routing header", changed(fresh("new", "env_base"), func(e *environment.Environment) { e.Blueprint.Routing.HeaderName = "x-mine" }),
			fault.Conflict, "asks for header x-mine, and what it derives from routes by x-msx-env",
		},
		{"the same routing header", changed(fresh("new", "env_base"), func(e *environment.Environment) { e.Blueprint.Routing.HeaderName = "X-MSX-Env" }), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := graph.Conflict(envs, tt.env)
			if tt.kind == "" {
				if err != nil {
					t.Fatalf("got %v, want none", err)
				}
				return
			}
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got %v, want a %s error that says %q", err, tt.kind, tt.says)
			}
			if fault.HintOf(err) == "" {
				t.Errorf("%v comes without a hint", err)
			}
		})
	}
}

func TestDeletable(t *testing.T) {
	t.Parallel()
	envs := shop()
	if err := graph.Deletable(envs, "env_top"); err != nil {
		t.Errorf("nothing derives from env_top: %v", err)
	}
	err := graph.Deletable(envs, "env_base")
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "shop (env_base) is what feat (env_feat) derives from") {
		t.Errorf("got %v, want a conflict that names feat", err)
	}
	envs["env_feat"] = changed(envs["env_feat"], func(e *environment.Environment) { e.Desired = environment.Gone })
	if err := graph.Deletable(envs, "env_base"); err != nil {
		t.Errorf("an overlay that is being deleted stands in the way: %v", err)
	}
}
