// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "microstax/api/v1"
)

// chain is front → mid → back → ext, where ext runs elsewhere. Each hands on what forward says.
func chain(ext, forward string) string {
	return fmt.Sprintf(`
name: shop
services:
  - name: front
    command: [$service, -name, front, -forward, %[2]q, -call, "GET ${services.mid.url}"]
    expose: true
  - name: mid
    command: [$service, -name, mid, -forward, %[2]q, -call, "GET ${services.back.url}"]
  - name: back
    command: [$service, -name, back, -forward, %[2]q, -call, "GET ${services.ext.url}"]
  - name: ext
    address: %[1]s
`, ext, forward)
}

// over is an overlay with other versions of some services of the chain.
func over(name, forward string, version string, services ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nservices:\n", name)
	next := map[string]string{"front": "mid", "mid": "back", "back": "ext"}
	for _, s := range services {
		fmt.Fprintf(&b, "  %[1]s: {command: [$service, -name, %[1]s, -version, %[2]s, -forward, %[3]q, -call, \"GET ${services.%[4]s.url}\"]}\n",
			s, version, forward, next[s])
	}
	return b.String()
}

func endpoint(t *testing.T, e v1.Environment) string {
	t.Helper()
	if len(e.Endpoints) != 1 {
		t.Fatalf("%s has endpoints %v", e.Name, e.Endpoints)
	}
	return e.Endpoints[0].URL
}

// leaks fails the test when the outermost service was told of our routing.
func leaks(t *testing.T, a answer) {
	t.Helper()
	for len(a.Calls) > 0 {
		a = a.Calls[0]
	}
	if a.Service != "ext" {
		t.Fatalf("the call did not get out: %+v", a)
	}
	own := slices.ContainsFunc(strings.Split(a.Baggage, ","), func(member string) bool {
		key, _, _ := strings.Cut(member, "=")
		return strings.TrimSpace(key) == "msx-env"
	})
	if a.Key != "" || own {
		t.Errorf("the key left the Blueprint: x-msx-env %q, baggage %q", a.Key, a.Baggage)
	}
}

func TestRoutingAtDepth(t *testing.T) {
	t.Parallel()
	const base, there = "front v1 > mid v1 > back v1 > ext v1", "front v1 > mid v1 > back v2 > ext v1"
	for _, tt := range []struct{ name, forward, keyed string }{
		{"x-msx-env", "x-msx-env", there},
		{"baggage", "baggage", there},
		{"traceparent", "traceparent", there},
		{"nothing", "", base}, // nobody can know, and the baseline answers
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			shop := w.baseline(chain(stub(t, "-name", "ext"), tt.forward))
			pr1 := w.overlay("shop", over("pr-1", tt.forward, "v2", "back"))
			url := endpoint(t, shop) + "/a"
			for _, r := range []struct {
				what, want string
				url        string
				header     []string
			}{
				{"no key", base, url, nil},
				{"the header", tt.keyed, url, []string{"X-Msx-Env", "pr-1"}},
				{"baggage", tt.keyed, url, []string{"Baggage", "a=1, msx-env=pr-1;p=2 ,b=2"}},
				{"a longer key", base, url, []string{"X-Msx-Env", "pr-12"}},
				{"a longer key in baggage", base, url, []string{"Baggage", "msx-env=pr-12"}},
				{"another name in baggage", base, url, []string{"Baggage", "not-msx-env=pr-1"}},
				{"the overlay's gateway", tt.keyed, endpoint(t, pr1) + "/a", nil},
			} {
				a := ask(t, "GET", r.url, r.header...)
				if a.way() != r.want {
					t.Errorf("%s: %s, want %s", r.what, a.way(), r.want)
				}
				leaks(t, a)
			}
		})
	}
}

func TestForeignBaggageGoesThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop := w.baseline(chain(stub(t, "-name", "ext"), "baggage"))
	w.overlay("shop", over("pr-1", "baggage", "v2", "back"))
	a := ask(t, "GET", endpoint(t, shop)+"/a", "Baggage", "user=7,msx-env=pr-1,lang=de")
	leaks(t, a)
	if got := a.Calls[0].Calls[0].Calls[0].Baggage; got != "user=7,lang=de" {
		t.Errorf("the outermost service got baggage %q", got)
	}
}

func TestAnOverlaysOwnCallsAreStamped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop := w.baseline(chain(stub(t, "-name", "ext"), "traceparent"))
	w.overlay("shop", over("pr-2", "", "v2", "mid", "back")) // hands on nothing
	w.overlay("pr-2", over("pr-3", "", "v3", "mid"))         // over an overlay
	url := endpoint(t, shop) + "/a"
	for key, want := range map[string]string{
		"":     "front v1 > mid v1 > back v1 > ext v1",
		"pr-2": "front v1 > mid v2 > back v2 > ext v1",
		"pr-3": "front v1 > mid v3 > back v2 > ext v1",
	} {
		a := ask(t, "GET", url, "X-Msx-Env", key)
		if a.way() != want {
			t.Errorf("key %q: %s, want %s", key, a.way(), want)
		}
		leaks(t, a)
	}
	lineage := parse[v1.Lineage](t, w.run("env", "lineage", "pr-3", "-o", "json"))
	got := map[string]string{}
	for _, s := range lineage.Services {
		got[s.Name] = s.ProviderName + " " + s.Because
	}
	want := map[string]string{"front": "shop inherited", "mid": "pr-3 listed", "back": "pr-2 inherited", "ext": "shop external"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("lineage %v, want %v", got, want)
	}
	status := w.status("pr-3")
	for _, l := range status.Listeners {
		if l.RouteRevision != status.RouteRevision || l.Error != "" {
			t.Errorf("ready, and listener %s serves revision %d of %d: %s", l.ID, l.RouteRevision, status.RouteRevision, l.Error)
		}
	}
	if n := len(w.pids("pr-3")); n != 1 {
		t.Errorf("the overlay of one service runs %d processes", n)
	}
}
