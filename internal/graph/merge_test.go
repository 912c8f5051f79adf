// SPDX-License-Identifier: Apache-2.0

package graph_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"microstax/internal/blueprint"
	"microstax/internal/environment"
	"microstax/internal/graph"
)

// text is a short value, or the zero value that inherits.
func text(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"", "", "p", "q", "r"}).Draw(t, label)
}

func maybe[T any](t *rapid.T, label string, value func(*rapid.T) T) *T {
	if !rapid.Bool().Draw(t, label) {
		return nil
	}
	v := value(t)
	return &v
}

func words(t *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"p", "q", "r"}), 0, 2).Draw(t, label)
}

// drawService draws any field that merging treats in a way of its own, and one of each that it treats alike.
func drawService(t *rapid.T, name string) blueprint.Service {
	s := blueprint.Service{Name: name}
	switch rapid.SampledFrom([]string{"nothing", "command", "image", "address", "folder"}).Draw(t, "source") {
	case "command":
		s.Command = append([]string{"run"}, words(t, "command")...)
		s.Workdir, s.WorkdirImplied = "/"+text(t, "implied workdir"), true
	case "image":
		s.Image = "image:" + text(t, "image")
	case "address":
		s.Address = "h:1" + text(t, "address")
	case "folder":
		s.Workdir = "/" + text(t, "workdir")
	}
	s.Env = rapid.MapOfN(rapid.SampledFrom([]string{"A", "B", "C"}), rapid.SampledFrom([]string{"1", "2", ""}), 0, 3).Draw(t, "env")
	for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y"}), 0, 2, rapid.ID[string]).Draw(t, "secrets") {
		s.Secrets = append(s.Secrets, blueprint.Secret{Name: n, EnvKey: text(t, "envKey"), Value: text(t, "value")})
	}
	for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y"}), 0, 2, rapid.ID[string]).Draw(t, "volumes") {
		s.Volumes = append(s.Volumes, blueprint.Volume{Name: n, MountPath: text(t, "mountPath"), Size: text(t, "size")})
	}
	s.DependsOn = words(t, "dependsOn")
	s.Expose = maybe(t, "expose", func(t *rapid.T) bool { return rapid.Bool().Draw(t, "exposed") })
	s.Replicas = maybe(t, "replicas", func(t *rapid.T) int { return rapid.IntRange(1, 3).Draw(t, "copies") })
	s.Resources = maybe(t, "resources", func(t *rapid.T) blueprint.Resources {
		return blueprint.Resources{CPU: text(t, "cpu"), Memory: text(t, "memory")}
	})
	s.Probes = maybe(t, "probes", func(t *rapid.T) blueprint.Probes {
		return blueprint.Probes{Readiness: maybe(t, "readiness", drawProbe), Liveness: maybe(t, "liveness", drawProbe)}
	})
	s.Shadow = maybe(t, "shadow", drawShadow)
	return s
}

func drawProbe(t *rapid.T) blueprint.Probe {
	p := blueprint.Probe{Period: blueprint.Duration(time.Duration(rapid.IntRange(0, 2).Draw(t, "period")) * time.Second)}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 1:
		p.HTTP = "/" + text(t, "http")
	case 2:
		p.TCP = true
	case 3:
		p.Exec = []string{"check", text(t, "exec")}
	}
	return p
}

func drawShadow(t *rapid.T) blueprint.Shadow {
	s := blueprint.Shadow{
		Sample:      maybe(t, "sample", func(t *rapid.T) float64 { return rapid.Float64Range(0, 1).Draw(t, "share") }),
		Session:     words(t, "session"),
		Effects:     text(t, "effects"),
		Concurrency: rapid.IntRange(0, 2).Draw(t, "concurrency"),
		Gate: maybe(t, "gate", func(t *rapid.T) blueprint.Gate {
			return blueprint.Gate{Confidence: rapid.Float64Range(0, 1).Draw(t, "confidence")}
		}),
	}
	for _, p := range words(t, "ignore") {
		s.Ignore = append(s.Ignore, blueprint.Ignore{Path: p, Tolerance: maybe(t, "tolerance", func(t *rapid.T) float64 { return float64(rapid.IntRange(0, 1).Draw(t, "by")) })})
	}
	for _, p := range words(t, "redact") {
		s.Redact = append(s.Redact, blueprint.Redact{Header: p})
	}
	return s
}

func drawBlueprint(t *rapid.T, label string) blueprint.Blueprint {
	b := blueprint.Blueprint{Name: rapid.SampledFrom([]string{"", "shop", "feat"}).Draw(t, label)}
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"api", "db", "orders"}), 0, 3, rapid.ID[string]).Draw(t, label+" services")
	for _, n := range names {
		b.Services = append(b.Services, drawService(t, n))
	}
	return b
}

// same compares as JSON does: an empty list is no list.
func same(t *rapid.T, what string, got, want any) {
	t.Helper()
	a, errA := json.Marshal(got)
	b, errB := json.Marshal(want)
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Fatalf("%s (-want +got):\n%s", what, cmp.Diff(string(b), string(a)))
	}
}

func TestMergeOfNothingIsIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawService(t, "api")
		once := blueprint.Merge(s, s) // lists without repeated entries, as a merge leaves them
		empty := blueprint.Service{Name: "api"}
		same(t, "an overlay that only names it", blueprint.Merge(once, empty), once)
		same(t, "over nothing", blueprint.Merge(empty, once), once)
		b := drawBlueprint(t, "blueprint")
		same(t, "an empty overlay", blueprint.MergeBlueprints(b, blueprint.Blueprint{}), blueprint.MergeBlueprints(b))
	})
}

func TestMergeIsAssociative(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawService(t, "api"), drawService(t, "api"), drawService(t, "api")
		left := blueprint.Merge(blueprint.Merge(a, b), c)
		right := blueprint.Merge(a, blueprint.Merge(b, c))
		same(t, "(a·b)·c is not a·(b·c)", left, right)
	})
}

func TestMergeChangesNeitherSide(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawBlueprint(t, "root"), drawBlueprint(t, "overlay")
		before, _ := json.Marshal([]any{a, b})
		m := blueprint.Normalize(blueprint.MergeBlueprints(a, b))
		for i := range m.Services {
			for k := range m.Services[i].Env {
				m.Services[i].Env[k] = "changed afterwards"
			}
			for j := range m.Services[i].Command {
				m.Services[i].Command[j] = "changed afterwards"
			}
		}
		after, _ := json.Marshal([]any{a, b})
		same(t, "merging, or changing the result, changed what was merged", string(after), string(before))
	})
}

// An overlay of an overlay sees what it would see if the lower two had been merged first, wherever no address comes or goes.
func TestEffectiveAlongAChain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var chain []environment.Environment
		for range rapid.IntRange(1, 4).Draw(t, "depth") {
			chain = append(chain, environment.Environment{ID: "env", Blueprint: drawBlueprint(t, "link")})
		}
		effective := graph.Effective(chain)
		for _, s := range effective.Services {
			step := blueprint.Service{}
			for i := len(chain) - 1; i >= 0; i-- {
				if listed, ok := chain[i].Blueprint.Service(s.Name); ok {
					step = blueprint.Merge(step, listed)
				}
			}
			step = blueprint.MergeBlueprints(blueprint.Blueprint{Services: []blueprint.Service{step}}).Services[0]
			same(t, "service "+s.Name+" along the chain", s, blueprint.Normalize(blueprint.Blueprint{Services: []blueprint.Service{step}}).Services[0])
		}
		seen := map[string]bool{}
		for _, p := range graph.Providers(chain) {
			seen[p.Service] = true
		}
		for _, s := range effective.Services {
			if !seen[s.Name] {
				t.Fatalf("nobody provides %s", s.Name)
			}
		}
	})
}
