// SPDX-License-Identifier: Apache-2.0

package graph_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"microstax/internal/blueprint"
	"microstax/internal/fault"
	"microstax/internal/graph"
)

func service(name string, dependsOn ...string) blueprint.Service {
	return blueprint.Service{Name: name, Command: []string{"./" + name}, DependsOn: dependsOn}
}

func refers(s blueprint.Service, to ...string) blueprint.Service {
	s.Env = map[string]string{}
	for _, t := range to {
		s.Env[strings.ToUpper(t)] = "${services." + t + ".url}"
	}
	return s
}

func TestStartOrder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		services []blueprint.Service
		want     string
	}{
		{"nothing", nil, ""},
		{"one", []blueprint.Service{service("a")}, "a"},
		{"a diamond", []blueprint.Service{service("a", "b", "c"), service("b", "d"), service("c", "d"), service("d")}, "d | b c | a"},
		{"references count too", []blueprint.Service{refers(service("a"), "b"), service("b")}, "b | a"},
		{"what is elsewhere is passed over", []blueprint.Service{refers(service("a", "x"), "y"), service("b", "a")}, "a | b"},
		{"a circle of references decides nothing", []blueprint.Service{refers(service("a"), "b"), refers(service("b"), "a")}, "a b"},
		{"a reference back loses to dependsOn", []blueprint.Service{service("a", "b"), refers(service("b"), "a")}, "b | a"},
		{
			"only the references within the circle fall away",
			[]blueprint.Service{service("a", "b"), refers(service("b"), "a", "c"), service("c"), refers(service("d"), "a")}, "c | b | a | d",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			waves, err := graph.StartOrder(tt.services)
			if err != nil {
				t.Fatalf("StartOrder: %v", err)
			}
			var parts []string
			for _, w := range waves {
				parts = append(parts, strings.Join(w, " "))
			}
			if got := strings.Join(parts, " | "); got != tt.want {
				t.Errorf("waves are %q, want %q", got, tt.want)
			}
		})
	}
}

func TestStartOrderNamesTheCircle(t *testing.T) {
	t.Parallel()
	_, err := graph.StartOrder([]blueprint.Service{service("a", "b"), service("b", "c"), service("c", "a"), service("d", "a")})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "a → b → c → a") {
		t.Errorf("got %v, want an invalid error that names a → b → c → a", err)
	}
	if _, err := graph.StartOrder([]blueprint.Service{service("a", "a")}); err == nil || !strings.Contains(err.Error(), "a → a") {
		t.Errorf("got %v, want an error that names a → a", err)
	}
}

// Dependencies come first, every service comes once, and the order of the list does not matter.
func TestStartOrderProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f", "g"}[:rapid.IntRange(1, 7).Draw(t, "services")]
		var services []blueprint.Service
		for _, n := range names {
			s := service(n, rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "dependsOn "+n)...)
			services = append(services, refers(s, rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "refers "+n)...))
		}
		waves, err := graph.StartOrder(services)
		if (err != nil) != (blueprint.Cycle(services) != nil) {
			t.Fatalf("error %v, but circle %v", err, blueprint.Cycle(services))
		}
		if err != nil {
			return
		}
		when := map[string]int{}
		for i, w := range waves {
			for _, n := range w {
				if _, twice := when[n]; twice {
					t.Fatalf("%s starts twice in %v", n, waves)
				}
				when[n] = i
			}
		}
		if len(when) != len(names) {
			t.Fatalf("%d services start in %v, want %d", len(when), waves, len(names))
		}
		for _, s := range services {
			for _, d := range s.DependsOn {
				if when[d] >= when[s.Name] {
					t.Fatalf("%s depends on %s, but the order is %v", s.Name, d, waves)
				}
			}
		}
		again, _ := graph.StartOrder(rapid.Permutation(services).Draw(t, "other order"))
		if !slices.EqualFunc(waves, again, slices.Equal) {
			t.Fatalf("order of the list changes %v to %v", waves, again)
		}
	})
}
