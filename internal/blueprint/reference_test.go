// SPDX-License-Identifier: Apache-2.0

package blueprint_test

import (
	"errors"
	"strings"
	"testing"

	"microstax/internal/blueprint"
)

func TestInterpolate(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"${services.db.url}/x", "<services.db.url>/x"},
		{"a${self.port}b${self.host}c", "a<self.port>b<self.host>c"},
		{"$${self.port}", "${self.port}"},
		{"$$$${self.port}", "$${self.port}"},
		{"$$${self.port}", "$<self.port>"},
		{"$HOME costs 5$", "$HOME costs 5$"},
		{"${ self.port }", "<self.port>"},
		{"ü${self.port}ü", "ü<self.port>ü"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, err := blueprint.Interpolate(tt.in, func(ref string) (string, error) { return "<" + ref + ">", nil })
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	for _, in := range []string{"${", "a ${self.port", "${}", "${  }"} {
		if got, err := blueprint.Interpolate(in, func(string) (string, error) { return "", nil }); err == nil {
			t.Errorf("%q gives %q, want an error", in, got)
		}
	}
	cause := errors.New("no port yet")
	if _, err := blueprint.Interpolate("${self.port}", func(string) (string, error) { return "", cause }); !errors.Is(err, cause) || !strings.Contains(err.Error(), "${self.port}") {
		t.Errorf("got %v, want one that names the reference and wraps its cause", err)
	}
}

func TestInterpolateDoesNotReadWhatItWrote(t *testing.T) {
	t.Parallel()
	got, err := blueprint.Interpolate("${secrets.a}", func(string) (string, error) { return "${secrets.b}$$", nil })
	if err != nil || got != "${secrets.b}$$" {
		t.Errorf("got %q, %v; a value was read as a text with references", got, err)
	}
}

func TestParseReference(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"services.db.url", "services.db.host", "services.db.port", "services.db.address", "self.port", "self.host", "secrets.pw"} {
		if r, err := blueprint.ParseReference(good); err != nil || r.String() != good {
			t.Errorf("%s gives %+v, %v", good, r, err)
		}
	}
	for _, bad := range []string{"", "services", "services.db", "services..url", "services.db.url.x", "self", "self.url", "secrets", "secrets.", "secrets.a.b", "env.HOME"} {
		if r, err := blueprint.ParseReference(bad); err == nil {
			t.Errorf("%q gives %+v, want an error", bad, r)
		}
	}
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	s := blueprint.Service{
		Name: "api", DependsOn: []string{"z", "db"}, Command: []string{"x", "${services.cache.address}", "$${services.not.url}"},
		Env:    map[string]string{"A": "${services.db.url} ${services.api.url} ${self.port}", "B": "${services.a.url} ${broken"},
		Probes: &blueprint.Probes{Readiness: &blueprint.Probe{Exec: []string{"${services.p.host}"}}},
	}
	if got, want := strings.Join(blueprint.References(s), " "), "a cache db p"; got != want {
		t.Errorf("references are %q, want %q", got, want)
	}
	if got, want := strings.Join(blueprint.Dependencies(s), " "), "a cache db p z"; got != want {
		t.Errorf("dependencies are %q, want %q", got, want)
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]blueprint.Size{"4096": 4096, "64KB": 64000, "1MiB": 1 << 20, "5Gi": 5 << 30, "1.5 KiB": 1536, "0": 0, "10b": 10} {
		if got, err := blueprint.ParseSize(in); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "MiB", "-1", "1e3", "1 TB2", "1XB", "0x10", "9999999999GiB", "1.2.3", "."} {
		if got, err := blueprint.ParseSize(in); err == nil {
			t.Errorf("%q is read as %d, want an error", in, got)
		}
	}
	for in, want := range map[blueprint.Size]string{0: "0", 1 << 20: "1MiB", 3 << 30: "3GiB", 1536: "1536", 2048: "2KiB"} {
		if got := in.String(); got != want {
			t.Errorf("%d is written %q, want %q", int64(in), got, want)
		}
		if back, err := blueprint.ParseSize(in.String()); err != nil || back != in {
			t.Errorf("%s is read back as %d, %v", in, back, err)
		}
	}
	for in, want := range map[string]float64{"25%": 0.25, "0.25": 0.25, "100 %": 1, "1": 1, "0": 0, "0.1%": 0.001} {
		if got, err := blueprint.ParseShare(in); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "%", "x", "101%", "-1%", "25", "NaN", "inf"} {
		if got, err := blueprint.ParseShare(in); err == nil {
			t.Errorf("%q is read as %v, want an error", in, got)
		}
	}
	if _, err := blueprint.ParseShare("25"); err == nil || !strings.Contains(err.Error(), "write 25%") {
		t.Errorf("25 gives %v, want one that says to write 25%%", err)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"command", "containerPort", "dependsOn", "env", "image", "name", "ports"}
	for in, want := range map[string]string{
		"comand": "command", "Command": "command", "container_port": "containerPort", "depends_on": "dependsOn", "prots": "ports", "port": "ports", "nmae": "name",
		"xyz": "", "": "", "q": "", "secretly": "",
	} {
		if got, _ := blueprint.Nearest(in, known); got != want {
			t.Errorf("%q is taken for %q, want %q", in, got, want)
		}
	}
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"abc", "acb", 1}, {"orders", "oders", 1}, {"kitten", "sitting", 3}} {
		if got := blueprint.Distance(tt.a, tt.b); got != tt.want || blueprint.Distance(tt.b, tt.a) != got {
			t.Errorf("from %q to %q is %d, want %d both ways", tt.a, tt.b, got, tt.want)
		}
	}
}
