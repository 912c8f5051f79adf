// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"slices"
	"testing"

	v1 "microstax/api/v1"
)

// TestUnrulyCandidate has candidates that answer nothing: users must not notice, and the report must say so.
func TestUnrulyCandidate(t *testing.T) {
	t.Parallel()
	const n = 40
	for _, tt := range []struct{ name, flag string }{
		{"hangs", "-hang"}, {"crashes", "-crash"}, {"refuses", "-deaf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			shop := w.baseline(`
name: shop
services:
  front: {command: [$service, -name, front, -forward, traceparent, -call, "GET ${services.back.url}"], expose: true}
  back: {command: [$service, -name, back]}
`)
			w.overlay("shop", fmt.Sprintf(`
name: unruly
shadow: {timeout: 200ms}
services:
  back: {command: [$service, -name, back, %s, /item]}
`, tt.flag))
			w.run("env", "shadow", "unruly", "--enable")
			for i := range n {
				a := ask(t, "GET", fmt.Sprintf("%s/item/%d", endpoint(t, shop), i), "Cookie", fmt.Sprintf("sid=s%d", i))
				if a.way() != "front v1 > back v1" {
					t.Fatalf("a user got %s", a.way())
				}
			}
			r := w.report("unruly", n)
			if !slices.ContainsFunc(r.Findings, func(f v1.Finding) bool { return f.Kind == "error" }) {
				t.Errorf("no finding of an error: %+v, traffic %+v", r.Findings, r.Traffic)
			}
			if r.Verdict.Decision != "hold" {
				t.Errorf("verdict %+v", r.Verdict)
			}
			for _, f := range r.Findings {
				t.Logf("%s %s %s %s %s: %s", f.Confidence, f.Severity, f.Kind, f.Endpoint, f.Path, f.Summary)
			}
		})
	}
}
