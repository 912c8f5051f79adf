// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/blueprint"
	"microstax/internal/blueprintfile"
	"microstax/internal/dataplane/route"
	"microstax/internal/environment"
)

var update = flag.Bool("update", false, "write testdata/routes anew")

// Blueprints of the cases. front calls orders; orders calls payments and mail, which is elsewhere; stock is called by both.
const (
	root = `
name: shop
services:
  front: {command: [f], expose: true, dependsOn: [orders, stock]}
  orders: {command: [o], dependsOn: [payments, stock, mail], expose: true}
  payments: {command: [p]}
  stock: {command: [s]}
  mail: {address: mail.example:25, ports: [{containerPort: 25, protocol: tcp}]}
`
	// modern calls over gRPC, HTTP/2 and TLS.
	modern = `
name: shop
services:
  front: {command: [f], expose: true, dependsOn: [orders]}
  orders: {command: [o], dependsOn: [stock, bank, db], expose: true, ports: [{protocol: grpc}]}
  stock: {command: [s], ports: [{protocol: http2}]}
  bank: {address: 'https://bank.example'}
  db: {address: 'db.example:5432', ports: [{protocol: postgres}]}
`
	// tapped has a service that already runs, and whose requests are taken from packets.
	tapped = `
name: shop
services:
  front: {command: [f], expose: true, dependsOn: [orders]}
  orders: {address: '10.0.0.4:8080', tap: 'eth0:10.0.0.4:8080', expose: true}
`
	onTapped   = "name: pr-1\nservices: {orders: {command: [o]}}\n"
	onOrders   = "name: pr-1\nservices: {orders: {env: {V: '1'}}}\n"
	onTwo      = "name: pr-2\nservices: {orders: {env: {V: '2'}}, stock: {env: {V: '2'}}}\n"
	onStock    = "name: pr-3\nservices: {stock: {env: {V: '3'}}}\n"
	withNew    = "name: pr-4\nservices: {orders: {dependsOn: [payments, stock, mail, fraud]}, fraud: {command: [x], dependsOn: [payments]}}\n"
	elsewhere  = "name: pr-5\nservices: {orders: {address: 'orders.example:80'}}\n"
	onPayments = "name: pr-6\nservices: {payments: {env: {V: '6'}}}\n"
)

// family builds the states of environments as actors would show them: everything runs, and has addresses in order.
type family struct {
	t    *testing.T
	envs []environment.Environment
	port int
	mod  map[string]func(*state)
}

// env adds an environment; shadow is the session it has, or "".
func (f *family) env(id, parent, file, shadow string, change ...func(*environment.Environment)) {
	f.t.Helper()
	mode := blueprint.Baseline
	if parent != "" {
		mode = blueprint.Overlay
	}
	b, places := blueprintfile.Check([]byte(file), "f.yaml", "/srv", mode, nil)
	if !blueprintfile.OK(places) {
		f.t.Fatalf("Blueprint of %s: %v", id, places)
	}
	b, err := blueprint.ApplyPlan(b, "")
	if err != nil {
		f.t.Fatal(err)
	}
	e := environment.Environment{
		ID: id, Name: b.Name, Mode: mode, Blueprint: b, Desired: environment.Running, Status: environment.Ready,
		Addresses: map[string]string{}, Ports: map[string]int{}, Inherits: environment.Ref{ID: parent},
	}
	if parent != "" {
		e.OverlayID = b.RoutingKey()
	}
	if shadow != "" {
		e.Shadow = environment.Shadow{Enabled: true, Session: shadow, Services: map[string]blueprint.Shadow{}}
		for _, name := range b.ServiceNames() {
			e.Shadow.Services[name] = blueprint.DefaultShadow()
		}
	}
	for _, c := range change {
		c(&e)
	}
	f.envs = append(f.envs, e)
}

func (f *family) states() []state {
	f.port = 1000
	var out []state
	for n := range f.envs {
		lineage := []environment.Environment{f.envs[n]}
		for at := f.envs[n]; at.Inherits.ID != ""; {
			i := slices.IndexFunc(f.envs, func(e environment.Environment) bool { return e.ID == at.Inherits.ID })
			if i < 0 {
				break
			}
			at = f.envs[i]
			lineage = append(lineage, at)
		}
		plan := wanted(lineage)
		s := state{Env: f.envs[n], Mirroring: f.envs[n].Shadow.Enabled, Shadow: f.envs[n].Shadow}
		for _, id := range listeners(lineage, plan) {
			s.Env.Addresses[id] = address(f.next())
		}
		for _, key := range sortedKeys(plan) {
			s.Instances = append(s.Instances, instanceState{ID: plan[key].id, State: environment.InstanceUp, Port: f.next()})
		}
		if mod := f.mod[s.Env.ID]; mod != nil {
			mod(&s)
		}
		out = append(out, s)
	}
	return out
}

func (f *family) next() int { f.port++; return f.port }

// cases are families and what is special about them; their tables stand in testdata/routes.
func cases() map[string]func(*family) {
	return map[string]func(*family){
		"baseline": func(f *family) { f.env("base", "", root, "") },
		"overlay":  func(f *family) { f.env("base", "", root, ""); f.env("one", "base", onOrders, "") },
		"overlay-on-overlay": func(f *family) {
			f.env("base", "", root, "")
			f.env("one", "base", onOrders, "")
			f.env("two", "one", onStock, "")
		},
		"overlay-external":    func(f *family) { f.env("base", "", root, ""); f.env("one", "base", elsewhere, "") },
		"shadow":              func(f *family) { f.env("base", "", root, ""); f.env("one", "base", onOrders, "ses_1") },
		"shadow-two-services": func(f *family) { f.env("base", "", root, ""); f.env("one", "base", onTwo, "ses_1") },
		"shadow-new-service":  func(f *family) { f.env("base", "", root, ""); f.env("one", "base", withNew, "ses_1") },
		"shadow-external":     func(f *family) { f.env("base", "", root, ""); f.env("one", "base", elsewhere, "ses_1") },
		"shadow-leaf":         func(f *family) { f.env("base", "", root, ""); f.env("one", "base", onPayments, "ses_1") },
		"shadow-of-overlay": func(f *family) {
			f.env("base", "", root, "")
			f.env("one", "base", onOrders, "")
			f.env("two", "one", onTwo, "ses_1")
		},
		"shadow-twice": func(f *family) {
			f.env("base", "", root, "")
			f.env("one", "base", onOrders, "ses_1")
			f.env("two", "base", onStock, "ses_2")
		},
		"shadow-control-off": func(f *family) {
			f.env("base", "", root, "")
			f.env("one", "base", onTwo, "ses_1", func(e *environment.Environment) {
				for name, s := range e.Shadow.Services {
					s.Control, s.Effects = blueprint.ControlOff, blueprint.EffectsBlock
					e.Shadow.Services[name] = s
				}
			})
		},
		"shadow-control-url": func(f *family) {
			f.env("base", "", root, "")
			f.env("one", "base", onOrders, "ses_1", func(e *environment.Environment) {
				s := e.Shadow.Services["orders"]
				s.Control = "https://control.example"
				e.Shadow.Services["orders"] = s
			})
		},
		"http2-and-tls": func(f *family) {
			f.env("base", "", modern, "")
			f.env("one", "base", "name: pr-1\nservices: {orders: {env: {V: '1'}}}\n", "ses_1")
		},
		"shadow-tapped": func(f *family) {
			f.env("base", "", tapped, "")
			f.env("one", "base", onTapped, "ses_1")
			f.env("two", "base", onTapped, "ses_2", func(e *environment.Environment) { e.OverlayID = "pr-2" })
		},
		"shadow-starting": func(f *family) {
			f.env("base", "", root, "")
			f.env("one", "base", onOrders, "ses_1")
			f.mod["one"] = func(s *state) { s.Mirroring = false }
		},
		"shadow-ending": func(f *family) {
			f.env("base", "", root, "")
			f.env("one", "base", onOrders, "ses_1")
			f.mod["one"] = func(s *state) { s.Mirroring, s.Env.Shadow = false, environment.Shadow{} }
		},
		"stopped-overlay": func(f *family) {
			f.env("base", "", root, "")
			f.env("one", "base", onOrders, "ses_1", func(e *environment.Environment) {
				e.Desired, e.Status = environment.Halted, environment.Stopped
			})
		},
		"failed-baseline": func(f *family) {
			f.env("base", "", root, "", func(e *environment.Environment) {
				e.Status, e.Reason = environment.Failed, "payments exited with code 1\nstack"
			})
			f.env("one", "base", onOrders, "")
		},
		"sick-instances": func(f *family) {
			f.env("base", "", root, "")
			f.mod["base"] = func(s *state) {
				for i := range s.Instances {
					switch s.Instances[i].ID.Service {
					case "orders":
						s.Instances[i].State, s.Instances[i].Reason = environment.Exited, "exited with code 2"
					case "stock":
						s.Instances[i].State = environment.Unhealthy
					case "payments":
						s.Instances[i].State = environment.Starting
					}
				}
			}
		},
		"deleted-overlay": func(f *family) {
			f.env("base", "", root, "")
			f.env("one", "base", onOrders, "", func(e *environment.Environment) { e.Desired = environment.Gone })
		},
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	for name, build := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &family{t: t, mod: map[string]func(*state){}}
			build(f)
			got := write(buildTable(f.states(), 7))
			file := filepath.Join("testdata", "routes", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v (go test -run TestTables -update writes it)", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("table (-want +got; -update writes it anew):\n%s", diff)
			}
		})
	}
}

func TestTheSameStatesGiveTheSameTableInAnyOrder(t *testing.T) {
	t.Parallel()
	for name, build := range cases() {
		f := &family{t: t, mod: map[string]func(*state){}}
		build(f)
		states := f.states()
		want := buildTable(states, 7)
		slices.Reverse(states)
		if got := buildTable(states, 7); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the order of the states shows in the table", name)
		}
	}
}

// TestLaws checks what holds of every table.
func TestLaws(t *testing.T) {
	t.Parallel()
	for name, build := range cases() {
		f := &family{t: t, mod: map[string]func(*state){}}
		build(f)
		table := buildTable(f.states(), 7)
		seen := map[string]bool{}
		for _, l := range table.Listeners {
			if seen[l.ID] || seen[l.Addr] {
				t.Errorf("%s: listener %s or its address is there twice", name, l.ID)
			}
			seen[l.ID], seen[l.Addr] = true, true
			targets := append(slices.Collect(maps.Values(l.Keys)), l.Default)
			for _, target := range targets {
				lawful(t, name+" "+l.ID, l, target, table)
			}
		}
	}
}

func lawful(t *testing.T, at string, l route.Listener, target *route.Target, table *route.Table) {
	t.Helper()
	shadow := l.Origin.Role == "candidate" || l.Origin.Role == "control"
	if l.Kind == route.Tapped && len(target.Addrs) > 0 {
		t.Errorf("%s: a tap would send requests to %v", at, target.Addrs)
	}
	if l.Kind != route.Tapped && (len(target.Addrs) == 0) != (target.Refusal != "") {
		t.Errorf("%s: addresses %v and refusal %q", at, target.Addrs, target.Refusal)
	}
	if target.External && target.Key != "" {
		t.Errorf("%s: the key %s would leave the Blueprint", at, target.Key)
	}
	if shadow && (len(target.Mirror) > 0 || len(target.Record) > 0 || len(l.Keys) > 0) {
		t.Errorf("%s: a shadow's call is mirrored, recorded or routed by key", at)
	}
	if !shadow && target.Effect != nil {
		t.Errorf("%s: a live call has an effect", at)
	}
	if shadow && target.Effect == nil && target.Refusal == "" {
		t.Errorf("%s: a shadow's call would really be made", at)
	}
	for _, e := range target.Mirror {
		if table.Shadows[e.Shadow.Session] != e.Shadow {
			t.Errorf("%s: session %s is not the table's", at, e.Shadow.Session)
		}
		if slices.Contains(e.Shadow.Services, l.Origin.Service) {
			t.Errorf("%s: a trace that has entered %s before is mirrored again", at, l.Origin.Service)
		}
	}
}

// write is a table for people.
func write(t *route.Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "revision %d\n", t.Revision)
	for _, id := range sortedKeys(t.Shadows) {
		s := t.Shadows[id]
		fmt.Fprintf(&b, "session %s: %s against %s, services %v, control %v\n", id, s.Overlay, s.Baseline, s.Services, s.Control)
	}
	for _, l := range t.Listeners {
		fmt.Fprintf(&b, "\n%s %s %s for %s by %s\n", l.Kind, l.ID, l.Protocol, l.Service, l.Header)
		writeTarget(&b, "default", l.Default)
		for _, key := range sortedKeys(l.Keys) {
			writeTarget(&b, key, l.Keys[key])
		}
	}
	return b.String()
}

func writeTarget(b *strings.Builder, key string, t *route.Target) {
	fmt.Fprintf(b, "  %s → %s of %q %v", key, t.Service, t.Environment, t.Addrs)
	if t.Refusal != "" {
		fmt.Fprintf(b, " refused: %s", t.Refusal)
	}
	if t.External {
		b.WriteString(" external")
	}
	if t.HTTP2 {
		b.WriteString(" in HTTP/2")
	}
	if t.Key != "" {
		fmt.Fprintf(b, " stamped %s", t.Key)
	}
	b.WriteString("\n")
	for _, e := range t.Mirror {
		fmt.Fprintf(b, "    mirrored by %s as %s to %v and %v, calls out %v, effects %s\n", e.Shadow.Session, e.Service, e.Candidate, e.Control, e.CallsOut, e.Settings.Effects)
	}
	for _, s := range t.Record {
		fmt.Fprintf(b, "    recorded by %s\n", s.Session)
	}
	if e := t.Effect; e != nil {
		fmt.Fprintf(b, "    effect for %s of %s: owned %v, policy %s\n", e.Side, e.Caller, e.Owned, e.Policy)
	}
}
