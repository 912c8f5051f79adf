// SPDX-License-Identifier: Apache-2.0

package pairing_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/engine/pairing"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/":                        "/",
		"":                         "/",
		"*":                        "*",
		"/orders":                  "/orders",
		"/orders/":                 "/orders/",
		"/orders//x":               "/orders//x",
		"/orders/17":               "/orders/{id}",
		"/orders/17/lines/3?x=1#y": "/orders/{id}/lines/{id}",
		"/orders/17.json":          "/orders/{id}.json",
		"/v1/orders":               "/v1/orders",
		"/api/v2/users/me":         "/api/v2/users/me",
		"/17":                      "/17",
		"/404":                     "/404",
		"/12345":                   "/{id}",
		"http://h:1/orders/17?x":   "/orders/{id}",
		"http://h":                 "/",
		"/redirect?to=http://x/1":  "/redirect",
		"/u/f81d4fae-7dec-11d0-a765-00a0c91e6bf6":      "/u/{id}",
		"/f81d4fae-7dec-11d0-a765-00a0c91e6bf6":        "/{id}",
		"/u/01ARZ3NDEKTSV4RRFFQ69G5FAV":                "/u/{id}",
		"/u/0ujtsYcgvSTl8PAuAdqWYSMnLOv":               "/u/{id}",
		"/u/507f1f77bcf86cd799439011":                  "/u/{id}",
		"/u/a1b2c3d4e5f6":                              "/u/{id}",
		"/u/deadbeef":                                  "/u/deadbeef",
		"/u/decade":                                    "/u/decade",
		"/day/2026-11-22":                              "/day/{id}",
		"/base64/SFRUUEJJTiBpcyBhd2Vzb21l":             "/base64/{id}",
		"/rpc/getUserByIdV2Internal":                   "/rpc/getUserByIdV2Internal",
		"/m/a@b.example":                               "/m/{id}",
		"/m/a%40b.example":                             "/m/{id}",
		"/pkg/1.2.3":                                   "/pkg/{id}",
		"/pkg/1.2.3.tar":                               "/pkg/{id}.tar",
		"/t/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln": "/t/{id}",
		"/orders/ord-1001":                             "/orders/{id}",
		"/orders/cus_9s6XKzkNRiz8i3":                   "/orders/{id}",
		"/charset/utf-8":                               "/charset/utf-8",
		"/orders;v=2/17;a":                             "/orders/{id}",
		"/caf%C3%A9/x%2Fy":                             "/café/x%2Fy",
		"/caf%c3%a9/x%2fy":                             "/café/x%2Fy",
		"/a%zz/%":                                      "/a%25zz/%25",
		"/a%ff":                                        "/a%FF",
		"/%7Bid%7D":                                    "/%7Bid%7D",
		"/x/" + strings.Repeat("w", 100):               "/x/{id}",
		strings.Repeat("/a", 40):                       strings.Repeat("/a", 32) + "/**",
		"/cookies/set":                                 "/cookies/set",
		"/digest-auth/auth/user/passwd/MD5":            "/digest-auth/auth/user/passwd/MD5",
		"/bytes/1024":                                  "/bytes/{id}",
		"/image/png":                                   "/image/png",
		"/static/app.css":                              "/static/app.css",
	} {
		if got := pairing.Template("GET", target); got != "GET "+want {
			t.Errorf("%q: got %q, want %q", target, got, "GET "+want)
		}
		l := pairing.NewLearner()
		if got := l.Endpoint("GET", target); got != "GET "+want {
			t.Errorf("%q: learner says %q, want %q", target, got, "GET "+want)
		}
	}
}

func TestLearnerMergesManyLightConstants(t *testing.T) {
	t.Parallel()
	l := pairing.NewLearner()
	counts := map[string]int{}
	ask := func(method, target string) {
		counts[l.Endpoint(method, target)]++
		for from, to := range l.Renames() {
			counts[to] += counts[from]
			delete(counts, from)
		}
	}
	slug := func(i int) string { return string(rune('a'+i/26)) + string(rune('a'+i%26)) + "-thing" }
	for i := range 100 {
		ask("GET", "/shop/products/"+slug(i))
		ask("GET", "/shop/products/"+slug(i)+"/reviews")
		ask("GET", "/shop/products/bestseller")
		ask("GET", "/shop/products/search?q=x")
	}
	ask("PUT", "/shop/products/"+slug(3))
	want := map[string]int{"GET /shop/products/{id}": 100, "GET /shop/products/{id}/reviews": 100,
		"GET /shop/products/bestseller": 100, "GET /shop/products/search": 100, "PUT /shop/products/{id}": 1}
	if d := cmp.Diff(want, counts); d != "" {
		t.Fatal(d)
	}
}

func TestLearnerKeepsResources(t *testing.T) {
	t.Parallel()
	l := pairing.NewLearner()
	for i := range 60 { // first place: never merged; collections with ids below: no data either
		for _, target := range []string{fmt.Sprintf("/%s", word(i)), fmt.Sprintf("/api/%s/17", word(i))} {
			l.Endpoint("GET", target)
		}
	}
	if got := l.Renames(); got != nil {
		t.Fatalf("renamed %v", got)
	}
	if got := l.Endpoint("GET", "/api/"+word(5)+"/99"); got != "GET /api/"+word(5)+"/{id}" {
		t.Fatalf("got %q", got)
	}
}

func word(i int) string { return string(rune('a'+i/26)) + string(rune('a'+i%26)) }

func TestLearnerSurvivesItsJSON(t *testing.T) {
	t.Parallel()
	one, two := pairing.NewLearner(), pairing.NewLearner()
	for i := range 200 {
		target := fmt.Sprintf("/p/%s/x/%s", word(i%30), word(i))
		a, b := one.Endpoint("GET", target), two.Endpoint("GET", target)
		if a != b {
			t.Fatalf("%d: %q and %q", i, a, b)
		}
		data, err := json.Marshal(two)
		if err != nil {
			t.Fatal(err)
		}
		two = new(pairing.Learner)
		if err := json.Unmarshal(data, two); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(one.Renames(), two.Renames()); d != "" {
			t.Fatalf("%d: %s", i, d)
		}
	}
	for _, bad := range []string{`{}`, `{"version":2,"root":{}}`, `{"version":1,"root":{"c":{"a":null}}}`, `[]`,
		`{"version":1,"root":` + strings.Repeat(`{"w":`, 60) + "{}" + strings.Repeat("}", 61)} {
		if err := json.Unmarshal([]byte(bad), new(pairing.Learner)); err == nil {
			t.Errorf("took %.40s", bad)
		}
	}
}

func TestLearnerIsBounded(t *testing.T) {
	t.Parallel()
	l := pairing.NewLearner()
	seen := map[string]bool{}
	for i := range 100_000 {
		seen[l.Endpoint("GET", fmt.Sprintf("/%s%s/%s/%s", word(i%600), word(i%599), word(i%577), word(i%571)))] = true
		for from := range l.Renames() {
			delete(seen, from)
		}
	}
	data, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 2<<20 {
		t.Fatalf("state is %d bytes", len(data))
	}
	if got := l.Endpoint("GET", "/a-new-one"); got != "GET /**" {
		t.Fatalf("no room, but got %q", got)
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("GET", "/orders/17/%zz;x?y")
	f.Add("", "http://a/b")
	f.Fuzz(func(t *testing.T, method, target string) {
		got := pairing.Template(method, target)
		if !utf8.ValidString(got) || strings.Contains(got, "?") && !strings.Contains(method, "?") && utf8.ValidString(method) {
			t.Fatalf("%q: %q", target, got)
		}
		if len(got) > 24*3+2+33*3*81 {
			t.Fatalf("%d bytes", len(got))
		}
		l := pairing.NewLearner()
		if again := l.Endpoint(method, target); again != got {
			t.Fatalf("learner says %q, template %q", again, got)
		}
	})
}
