// SPDX-License-Identifier: Apache-2.0

package graph_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/fault"
	"microstax/internal/graph"
)

func env(id, name string, mode blueprint.Mode, parent string, services ...blueprint.Service) environment.Environment {
	e := environment.Environment{ID: id, Name: name, Mode: mode, Revision: 1, Desired: environment.Running}
	e.Blueprint = blueprint.Blueprint{Name: name, Services: services}
	if mode == blueprint.Overlay {
		e.OverlayID = name
		e.Inherits = environment.Ref{ID: parent, Revision: environment.Following}
	}
	return e
}

func byID(list ...environment.Environment) map[string]environment.Environment {
	out := map[string]environment.Environment{}
	for _, e := range list {
		out[e.ID] = e
	}
	return out
}

// shop is a baseline, an overlay of orders, and an overlay of that overlay.
func shop() map[string]environment.Environment {
	orders := service("orders", "payments")
	orders.Env = map[string]string{"LOG": "info", "PRICING": "old"}
	base := env("env_base", "shop", blueprint.Baseline, "", service("api", "orders"), orders, service("payments"),
		blueprint.Service{Name: "mail", Address: "10.0.0.4:25"})
	feat := env("env_feat", "feat", blueprint.Overlay, "env_base",
		blueprint.Service{Name: "orders", Env: map[string]string{"PRICING": "new"}}, service("audit", "nobody"))
	top := env("env_top", "top", blueprint.Overlay, "env_feat", blueprint.Service{Name: "payments"})
	return byID(base, feat, top)
}

func ids(chain []environment.Environment) string {
	var out []string
	for _, e := range chain {
		out = append(out, e.ID)
	}
	return strings.Join(out, " ")
}

func TestChain(t *testing.T) {
	t.Parallel()
	envs := shop()
	chain, err := graph.Chain(envs, "env_top")
	if err != nil || ids(chain) != "env_top env_feat env_base" {
		t.Fatalf("got %s, %v", ids(chain), err)
	}

	pinned := envs["env_feat"]
	pinned.Inherits.Revision = "1"
	newer, older := envs["env_base"], envs["env_base"]
	newer.Revision, older.Blueprint.Description = 2, "as it was"
	at := byID(pinned, newer)
	if _, err := graph.Chain(at, "env_feat"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "revision 1 of shop (env_base)") {
		t.Errorf("a revision that is not kept: got %v", err)
	}
	at[graph.RevisionKey("env_base", "1")] = older
	if chain, err := graph.Chain(at, "env_feat"); err != nil || chain[1].Blueprint.Description != "as it was" {
		t.Errorf("a pinned overlay does not find its revision: %v", err)
	}
}

func TestChainRefuses(t *testing.T) {
	t.Parallel()
	a, b := env("env_a", "a", blueprint.Overlay, "env_b"), env("env_b", "b", blueprint.Overlay, "env_a")
	gone := env("env_b", "b", blueprint.Baseline, "")
	gone.Desired = environment.Gone
	tests := []struct {
		name string
		envs map[string]environment.Environment
		kind fault.Kind
		says string
	}{
		{"an unknown environment", nil, fault.NotFound, "no environment env_a"},
		{"an unknown parent", byID(a), fault.NotFound, "a (env_a) derives from env_b"},
		{"a parent being deleted", byID(a, gone), fault.NotFound, "not there any more"},
		{"a circle", byID(a, b), fault.Conflict, "a (env_a) → b (env_b) → a (env_a)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := graph.Chain(tt.envs, "env_a")
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want a %s error that says %q", err, tt.kind, tt.says)
			}
		})
	}
}

func TestProviders(t *testing.T) {
	t.Parallel()
	chain, err := graph.Chain(shop(), "env_top")
	if err != nil {
		t.Fatal(err)
	}
	want := []graph.Provider{
		{"api", "env_base", "shop", graph.Inherited, nil, "top does not list api; baseline shop is the nearest it derives from that does."},
		{"audit", "env_feat", "feat", graph.Inherited, nil, "top does not list audit; overlay feat is the nearest it derives from that does, as a new service."},
		{"mail", "env_base", "shop", graph.External, nil, "baseline shop says that mail already runs elsewhere, at 10.0.0.4:25."},
		{"nobody", "", "", graph.Refused, nil, "nobody is called by audit, and no environment of the chain lists it: such calls are refused."},
		{"orders", "env_feat", "feat", graph.Inherited, []string{"env.PRICING"}, "top does not list orders; overlay feat is the nearest it derives from that does, with other env.PRICING than what it derives from."},
		{"payments", "env_top", "top", graph.Listed, nil, "overlay top lists payments and runs it itself, unchanged from what it derives from."},
	}
	if d := cmp.Diff(want, graph.Providers(chain)); d != "" {
		t.Errorf("providers (-want +got):\n%s", d)
	}
	orders, _ := graph.Effective(chain).Service("orders")
	if d := cmp.Diff(map[string]string{"LOG": "info", "PRICING": "new"}, orders.Env); d != "" {
		t.Errorf("effective env of orders (-want +got):\n%s", d)
	}
	if got := strings.Join(graph.Dependencies(refers(service("a", "b"), "c", "b")), " "); got != "b c" {
		t.Errorf("dependencies are %q, want %q", got, "b c")
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	chain, err := graph.Chain(shop(), "env_feat")
	if err != nil {
		t.Fatal(err)
	}
	before, after := graph.Effective(chain[1:]), graph.Effective(chain)
	if got, want := graph.Compare(before, after).String(), "+ audit; ~ orders (env.PRICING)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := graph.Compare(after, before).String(), "- audit; ~ orders (env.PRICING)"; got != want {
		t.Errorf("backwards: got %q, want %q", got, want)
	}
	if d := graph.Compare(after, after.Clone()); !d.Empty() || d.String() != "no difference" {
		t.Errorf("a Blueprint differs from itself: %s", d)
	}
}
