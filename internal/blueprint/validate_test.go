// SPDX-License-Identifier: Apache-2.0

package blueprint_test

import (
	"fmt"
	"strings"
	"testing"

	"microstax/internal/blueprint"
	"microstax/internal/fault"
)

func api() blueprint.Service {
	return blueprint.Service{Name: "api", Command: []string{"./api"}}
}

func with(change func(*blueprint.Service)) blueprint.Blueprint {
	s := api()
	change(&s)
	db := blueprint.Service{Name: "db", Command: []string{"./db"}}
	return blueprint.Blueprint{Name: "shop", Services: []blueprint.Service{s, db}}
}

func shadowed(s blueprint.Shadow) blueprint.Blueprint {
	return with(func(api *blueprint.Service) { api.Shadow = &s })
}

// brief is how the tables below write complaints: "rule path", and a star behind warnings.
func brief(places []fault.Place) string {
	var out []string
	for _, p := range places {
		s := p.Rule + " " + p.Path
		if p.Warning {
			s += "*"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func number[T any](v T) *T { return &v }

func TestValidateServices(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		b    blueprint.Blueprint
		want string
		says string // part of the first message
	}{
		{"nothing wrong", with(func(s *blueprint.Service) { s.DependsOn = []string{"db"} }), "", ""},
		{"nothing at all", blueprint.Blueprint{}, "required name; required services", "add name:"},
		{"a name that is none", blueprint.Blueprint{Name: "My Shop!", Services: []blueprint.Service{api()}}, "bad-name name", "like my-shop"},
		{"twice the same service", blueprint.Blueprint{Name: "shop", Services: []blueprint.Service{api(), api()}}, "duplicate-service services[1].name", "services[0]"},
		{"nothing to run", with(func(s *blueprint.Service) { s.Command = nil }), "nothing-to-run services[0]", "add command:"},
		{"an image only", with(func(s *blueprint.Service) { s.Command, s.Image = nil, "api:1" }), "nothing-to-run services[0].image", "runs no images"},
		{"here and elsewhere", with(func(s *blueprint.Service) { s.Address = "h:80" }), "image-and-address services[0].address", "keep one"},
		{"no port", with(func(s *blueprint.Service) { s.Command, s.Address = nil, "h" }), "bad-address services[0].address", "like h:8080"},
		{"a URL", with(func(s *blueprint.Service) { s.Command, s.Address = nil, "http://h:80/" }), "bad-address services[0].address", "write h:80"},
		{"a tap", with(func(s *blueprint.Service) { s.Command, s.Address, s.Tap = nil, "h:80", "eth0:80" }), "", ""},
		{"no tap", with(func(s *blueprint.Service) { s.Tap = "80" }), "bad-tap services[0].tap", "write IFACE:PORT"},
		{"a tap on TLS", with(func(s *blueprint.Service) { s.Command, s.Address, s.Tap = nil, "https://h", "eth0:443" }), "bad-tap services[0].tap", "encrypted"},
		{"a tap on gRPC", with(func(s *blueprint.Service) { s.Ports, s.Tap = []blueprint.Port{{Protocol: blueprint.GRPC}}, "eth0:80" }), "bad-tap services[0].tap", "HTTP/1.1 only"},
		{"a URL of https", with(func(s *blueprint.Service) { s.Command, s.Address = nil, "https://api.example.com" }), "", ""},
		{"a URL of https with a port", with(func(s *blueprint.Service) { s.Command, s.Address = nil, "https://api.example.com:8443/" }), "", ""},
		{"a URL of https with a path", with(func(s *blueprint.Service) { s.Command, s.Address = nil, "https://h/v1" }), "bad-address services[0].address", "without one"},
		{"a protocol of HTTP", with(func(s *blueprint.Service) { s.Ports = []blueprint.Port{{ContainerPort: 1, Protocol: "grpc"}} }), "", ""},
		{"IPv6", with(func(s *blueprint.Service) { s.Command, s.Address = nil, "[::1]:80" }), "", ""},
		{"what is idle elsewhere", with(func(s *blueprint.Service) { s.Command, s.Address, s.Replicas = nil, "h:80", number(2) }), "no-effect services[0].replicas*", "runs elsewhere"},
		{"a port out of range", with(func(s *blueprint.Service) { s.Ports = []blueprint.Port{{ContainerPort: 70000}} }), "bad-port services[0].ports[0].containerPort", "1 to 65535"},
		{"an unknown protocol", with(func(s *blueprint.Service) { s.Ports = []blueprint.Port{{ContainerPort: 1, Protocol: "htpp"}} }), "bad-protocol services[0].ports[0].protocol", "did you mean http?"},
		{"a protocol that is only carried", with(func(s *blueprint.Service) { s.Ports = []blueprint.Port{{ContainerPort: 1, Protocol: "redis"}} }), "not-supported services[0].ports[0].protocol*", "neither mirrored nor compared"},
		{
			"two ports of a name", with(func(s *blueprint.Service) { s.Ports = []blueprint.Port{{Name: "a"}, {Name: "a"}} }),
			"duplicate-name services[0].ports[1].name; not-supported services[0].ports[1]*", "already has a port",
		},
		{"a fixed port", with(func(s *blueprint.Service) { s.Env = map[string]string{"PORT": "8080"} }), "fixed-port services[0].env.PORT", "${self.port}"},
		{"the given port", with(func(s *blueprint.Service) { s.Env = map[string]string{"PORT": "${self.port}"} }), "", ""},
		{"a variable that is none", with(func(s *blueprint.Service) { s.Env = map[string]string{"A B": "1"} }), "bad-name services[0].env.A B", "variable's name"},
		{"an unknown dependency", with(func(s *blueprint.Service) { s.DependsOn = []string{"bd"} }), "unknown-dependency services[0].dependsOn[0]", "did you mean db?"},
		{"itself", with(func(s *blueprint.Service) { s.DependsOn = []string{"api"} }), "dependency-cycle services[0].dependsOn[0]", "waits for itself"},
		{"an unknown reference", with(func(s *blueprint.Service) { s.Env = map[string]string{"DB": "${services.dbx.url}"} }), "bad-reference services[0].env.DB", "did you mean db?"},
		{"an unknown part", with(func(s *blueprint.Service) { s.Env = map[string]string{"DB": "${services.db.prot}"} }), "bad-reference services[0].env.DB", "did you mean port?"},
		{"an unknown kind", with(func(s *blueprint.Service) { s.Env = map[string]string{"DB": "${service.db.url}"} }), "bad-reference services[0].env.DB", "did you mean ${services.db.url}?"},
		{"a shell's variable", with(func(s *blueprint.Service) { s.Command = []string{"sh", "-c", "echo ${HOME}"} }), "bad-reference services[0].command[2]", "$${HOME}"},
		{"a shell's variable, escaped", with(func(s *blueprint.Service) { s.Command = []string{"sh", "-c", "echo $${HOME} $HOME"} }), "", ""},
		{"a reference to itself", with(func(s *blueprint.Service) { s.Env = map[string]string{"ME": "${services.api.url}"} }), "bad-reference services[0].env.ME", "${self.host}"},
		{"all that is wrong in one text", with(func(s *blueprint.Service) { s.Command = []string{"${a} ${self.x} ${"} }), "bad-reference services[0].command[0]; bad-reference services[0].command[0]; bad-reference services[0].command[0]", "names nothing"},
		{"an unknown secret", with(func(s *blueprint.Service) { s.Env = map[string]string{"P": "${secrets.pw}"} }), "bad-reference services[0].env.P", `no secret "pw"`},
		{
			"a secret without value, and set twice",
			with(func(s *blueprint.Service) {
				s.Env, s.Secrets = map[string]string{"P": "${secrets.pw}"}, []blueprint.Secret{{Name: "pw", EnvKey: "P"}}
			}),
			"duplicate-name services[0].secrets[0].envKey; required services[0].secrets[0]", "set by env and by secret",
		},
		{"no replicas", with(func(s *blueprint.Service) { s.Replicas = number(0) }), "bad-value services[0].replicas", "1 to 64"},
		{"a probe of nothing", with(func(s *blueprint.Service) { s.Probes = &blueprint.Probes{Readiness: &blueprint.Probe{}} }), "bad-probe services[0].probes.readiness", "checks nothing"},
		{"a probe of two kinds", with(func(s *blueprint.Service) {
			s.Probes = &blueprint.Probes{Liveness: &blueprint.Probe{TCP: true, HTTP: "/x"}}
		}), "bad-probe services[0].probes.liveness", "2 of them"},
		{"a probe of no path", with(func(s *blueprint.Service) {
			s.Probes = &blueprint.Probes{Readiness: &blueprint.Probe{HTTP: "x"}}
		}), "bad-probe services[0].probes.readiness.http", "begins with a slash"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			places := blueprint.Validate(tt.b, "", nil)
			if got := brief(places); got != tt.want {
				t.Fatalf("got  %s\nwant %s\n%v", got, tt.want, places)
			}
			if len(places) > 0 && !strings.Contains(places[0].Message, tt.says) {
				t.Errorf("message %q does not say %q", places[0].Message, tt.says)
			}
		})
	}
}

func TestValidateParts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		b    blueprint.Blueprint
		want string
	}{
		{"another runtime", blueprint.Blueprint{Name: "s", Runtime: blueprint.Docker, Services: []blueprint.Service{{Name: "a", Image: "a"}}}, "not-supported runtime"},
		{"no runtime", blueprint.Blueprint{Name: "s", Runtime: "proces", Services: []blueprint.Service{api()}}, "unknown-runtime runtime"},
		{"a header with a meaning", blueprint.Blueprint{Name: "s", Routing: blueprint.Routing{HeaderName: "Cookie"}, Services: []blueprint.Service{api()}}, "bad-name routing.headerName"},
		{"no header", blueprint.Blueprint{Name: "s", Routing: blueprint.Routing{HeaderName: "a b"}, Services: []blueprint.Service{api()}}, "bad-name routing.headerName"},
		{"no mode", blueprint.Blueprint{Name: "s", Routing: blueprint.Routing{Mode: "baselin"}, Services: []blueprint.Service{api()}}, "bad-value routing.mode"},
		{"volumes", with(func(s *blueprint.Service) { s.Volumes = []blueprint.Volume{{Name: "d", MountPath: "x", Size: "5Gi"}} }), "bad-path services[0].volumes[0].mountPath; not-supported services[0].volumes[0]*"},
		{"resources", with(func(s *blueprint.Service) { s.Resources = &blueprint.Resources{CPU: "1x", Memory: "lots"} }), "bad-value services[0].resources.cpu; bad-size services[0].resources.memory; not-supported services[0].resources*"},
		{"init", with(func(s *blueprint.Service) { s.Init = &blueprint.Init{Type: "sql"} }), "not-supported services[0].init"},
		{"snapshot", with(func(s *blueprint.Service) { s.Snapshot = &blueprint.Snapshot{From: "snap_1"} }), "not-supported services[0].snapshot"},
		{"isolation", with(func(s *blueprint.Service) { s.Isolation = "strict" }), "not-supported services[0].isolation"},
		{"a mock", with(func(s *blueprint.Service) { s.Mock = &blueprint.Mock{Mode: "replace", From: "rules"} }), "not-supported services[0].mock"},
		{"a plan for nobody", blueprint.Blueprint{
			Name: "s", Services: []blueprint.Service{api()},
			Plans: map[string]blueprint.Plan{"big": {Services: []blueprint.Service{{Name: "app", Replicas: number(3)}}}},
		}, "unknown-service plans.big.services[0].name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := brief(blueprint.Validate(tt.b, "", nil)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestValidateShadow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		shadow blueprint.Shadow
		want   string
	}{
		{"the defaults", blueprint.DefaultShadow(), ""},
		{"sample", blueprint.Shadow{Sample: number(1.5)}, "bad-rate sample"},
		{"match", blueprint.Shadow{Match: []blueprint.Match{{}, {Path: "x"}, {Path: "/a*"}, {Path: "/a?b=1"}, {Path: "/a/**"}, {Method: []string{"GET "}}}}, "required match[0]; bad-path match[1].path; bad-path match[2].path; bad-path match[3].path; bad-value match[5].method[0]"},
		{"session", blueprint.Shadow{Session: []string{"cookie:sid", "cookie", "headers:x", "client-ip"}}, "bad-value session[1]; bad-value session[2]"},
		{"control", blueprint.Shadow{Control: "on"}, "bad-value control"},
		{"control by URL", blueprint.Shadow{Control: "http://h:1"}, ""},
		{"effects", blueprint.Shadow{Effects: "isolated"}, "not-supported effects"},
		{"effects that are none", blueprint.Shadow{Effects: "replays"}, "bad-value effects"},
		{"limits", blueprint.Shadow{Concurrency: 5000, MaxBody: 2 << 30}, "bad-value concurrency; bad-size maxBody"},
		{
			"ignore", blueprint.Shadow{Ignore: []blueprint.Ignore{{}, {Path: "a"}, {Path: "$.a[*].b", Order: "all"}, {Header: "x y"}, {Path: "$.a", Endpoint: "GET"}, {Header: "x", Order: "any"}}},
			"required ignore[0]; bad-path ignore[1].path; bad-value ignore[2].order; bad-name ignore[3].header; bad-path ignore[4].endpoint; bad-value ignore[5]",
		},
		{"redact", blueprint.Shadow{Redact: []blueprint.Redact{{Path: "$.a", Header: "b"}}}, "bad-value redact[0]"},
		{"gates of endpoints", blueprint.Shadow{Gate: &blueprint.Gate{Endpoints: []blueprint.EndpointGate{
			{}, {Endpoint: "orders"}, {Endpoint: "GET /a", MaxDifferenceRate: 1}, {Endpoint: "GET /a", MinRequests: -1, MaxLatencyRatio: .1},
		}}}, "required gate.endpoints[0].endpoint; bad-path gate.endpoints[1].endpoint; bad-rate gate.endpoints[2].maxDifferenceRate; " +
			"duplicate-name gate.endpoints[3].endpoint; bad-value gate.endpoints[3].minRequests; bad-rate gate.endpoints[3].maxLatencyRatio"},
		{"gate", blueprint.Shadow{Gate: &blueprint.Gate{Confidence: 1, MaxDifferenceRate: 2, MinRequests: -1, MaxLatencyRatio: 0.5}}, "bad-rate gate.confidence; bad-rate gate.maxDifferenceRate; bad-value gate.minRequests; bad-rate gate.maxLatencyRatio"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := strings.ReplaceAll(brief(blueprint.Validate(shadowed(tt.shadow), "", nil)), "services[0].shadow.", "")
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestValidateOverlay(t *testing.T) {
	t.Parallel()
	sparse := func(name string) blueprint.Blueprint {
		return blueprint.Blueprint{Name: "feat", Services: []blueprint.Service{{
			Name: name, DependsOn: []string{"db"}, Env: map[string]string{"P": "${secrets.pw} ${services.db.url}"},
			Probes: &blueprint.Probes{Readiness: &blueprint.Probe{Period: blueprint.DefaultPeriod}},
		}}}
	}
	chain := []string{"api", "db", "orders"}
	tests := []struct {
		name  string
		b     blueprint.Blueprint
		mode  blueprint.Mode
		known []string
		want  string
	}{
		{"of a service that is there", sparse("orders"), blueprint.Overlay, chain, ""},
		{"over something unknown", sparse("orders"), blueprint.Overlay, nil, ""},
		{
			"with a typo", sparse("oders"), blueprint.Overlay, chain,
			"nothing-to-run services[0]; bad-reference services[0].env.P; bad-probe services[0].probes.readiness; overlay-typo services[0].name*",
		},
		{"new, and complete", blueprint.Blueprint{Name: "feat", Services: []blueprint.Service{{Name: "audit", Command: []string{"x"}}}}, blueprint.Overlay, chain, ""},
		{"over a baseline without services", sparse("orders"), blueprint.Overlay, []string{}, "nothing-to-run services[0]; unknown-dependency services[0].dependsOn[0]; bad-reference services[0].env.P; bad-reference services[0].env.P; bad-probe services[0].probes.readiness"},
		{"used as a baseline", blueprint.Blueprint{Name: "feat", Routing: blueprint.Routing{Mode: blueprint.Overlay}, Services: []blueprint.Service{api()}}, blueprint.Baseline, nil, "mode-conflict routing.mode"},
		{"by its own word", blueprint.Blueprint{Name: "feat", Routing: blueprint.Routing{Mode: blueprint.Overlay, BaselineID: "env_1"}, Services: []blueprint.Service{{Name: "api"}}}, "", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := brief(blueprint.Validate(tt.b, tt.mode, tt.known)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestValidateEffectiveLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	base := blueprint.Blueprint{Name: "shop", Services: []blueprint.Service{api()}}
	over := blueprint.Blueprint{Name: "feat", Routing: blueprint.Routing{Mode: blueprint.Overlay}, Services: []blueprint.Service{{Name: "api", DependsOn: []string{"gone"}}}}
	if got, want := brief(blueprint.ValidateEffective(blueprint.MergeBlueprints(base, over))), "unknown-dependency services[0].dependsOn[0]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := brief(blueprint.ValidateEffective(blueprint.MergeBlueprints(base))); got != "" {
		t.Errorf("got %s, want nothing", got)
	}
}

func TestValidateIsBounded(t *testing.T) {
	t.Parallel()
	b := blueprint.Blueprint{Name: "shop"}
	for i := range blueprint.MaxServices + 1 {
		b.Services = append(b.Services, blueprint.Service{Name: fmt.Sprintf("s%d", i), Command: []string{"x"}})
	}
	if got, want := brief(blueprint.Validate(b, "", nil)), "too-large services"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s := api()
	for range 100_000 {
		s.DependsOn = append(s.DependsOn, "nobody-knows-this-service")
	}
	if n := len(blueprint.Validate(blueprint.Blueprint{Name: "shop", Services: []blueprint.Service{s}}, "", nil)); n != 1000 {
		t.Errorf("%d complaints, want 1000", n)
	}
}
