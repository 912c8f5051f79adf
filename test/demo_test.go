// SPDX-License-Identifier: Apache-2.0

package test

import (
	"slices"
	"strings"
	"testing"

	v1 "microstax/api/v1"
)

// TestDemoFindsWhatIsPlanted: exit code 0 says that all that is planted was found, nothing else was, no user got an answer
// of the new version, and no order was charged twice.
func TestDemoFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stdout, stderr, code := microstax(t, w.vars, w.dir, "demo", "--duration", "8s", "-o", "json")
	if code != 0 || !strings.Contains(stderr, "exactly one each") {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	r := parse[v1.Report](t, stdout)
	sumsHold(t, r)
	if r.Verdict.Decision != "hold" {
		t.Errorf("verdict %+v", r.Verdict)
	}
	for _, k := range []struct{ kind, endpoint, path string }{
		{"body.type", "POST /orders", "$.total"},
		{"body.missing", "POST /orders", "$.tax"},
		{"call.extra", "POST /orders", "inventory GET /stock/{id}"},
		{"call.repeated", "POST /orders", "payments POST /charges"},
		{"latency", "GET /quotes", "duration"},
	} {
		if !slices.ContainsFunc(r.Findings, func(f v1.Finding) bool {
			return f.Kind == k.kind && f.Endpoint == k.endpoint && f.Path == k.path
		}) {
			t.Errorf("not found: %+v", k)
		}
	}
	if left := w.processes("demo-service"); len(left) > 0 {
		t.Errorf("left after the demo: %v", left)
	}
}

func TestDemoOfTheSameVersionFindsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stdout, stderr, code := microstax(t, w.vars, w.dir, "demo", "--candidate", "same", "--duration", "8s", "-o", "json")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	r := parse[v1.Report](t, stdout)
	sumsHold(t, r)
	if len(r.Findings) > 0 || r.Verdict.Decision == "hold" {
		t.Errorf("verdict %+v, findings %+v", r.Verdict, r.Findings)
	}
}
