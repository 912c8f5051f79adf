// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"testing"

	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
)

func TestEqual(t *testing.T) {
	t.Parallel()
	base := answer(200, "text/plain", "a", "Date: Sun, 22 Nov 2026 10:00:00 GMT", "X-A: 1", "X-A: 2", "X-B: 3")
	for _, tc := range []struct {
		name  string
		other *exchange.Exchange
		want  bool
	}{
		{"other date", answer(200, "text/plain", "a", "Date: Sun, 22 Nov 2026 10:00:05 GMT", "X-A: 1", "X-A: 2", "X-B: 3"), true},
		{"other order", answer(200, "text/plain", "a", "x-b: 3", "X-A: 1", "X-A: 2", "Date: Sun, 22 Nov 2026 10:00:05 GMT"), true},
		{"framing", answer(200, "text/plain", "a", "Content-Length: 1", "x-b: 3", "Connection: close", "X-A: 1", "X-A: 2", "Date: Sun, 22 Nov 2026 10:00:05 GMT"), true},
		{"lines of a name in other order", answer(200, "text/plain", "a", "Date: Sun, 22 Nov 2026 10:00:00 GMT", "X-A: 2", "X-A: 1", "X-B: 3"), false},
		{"one more", answer(200, "text/plain", "a", "Date: Sun, 22 Nov 2026 10:00:00 GMT", "X-A: 1", "X-A: 2", "X-B: 3", "X-C: 4"), false},
		{"one less", answer(200, "text/plain", "a", "Date: Sun, 22 Nov 2026 10:00:00 GMT", "X-A: 1", "X-A: 2"), false},
		{"no date", answer(200, "text/plain", "a", "Date: now", "X-A: 1", "X-A: 2", "X-B: 3"), false},
		{"body", answer(200, "text/plain", "b", "Date: Sun, 22 Nov 2026 10:00:00 GMT", "X-A: 1", "X-A: 2", "X-B: 3"), false},
		{"status", answer(201, "text/plain", "a", "Date: Sun, 22 Nov 2026 10:00:00 GMT", "X-A: 1", "X-A: 2", "X-B: 3"), false},
		{"failure", &exchange.Exchange{Outcome: exchange.Timeout}, false},
	} {
		if got := diff.Equal(base, tc.other); got != tc.want {
			t.Errorf("%s: got %v", tc.name, got)
		}
		if got := diff.Equal(tc.other, base); got != tc.want {
			t.Errorf("%s, the other way: got %v", tc.name, got)
		}
	}
}

func TestEqualDoesNotAllocate(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts the whole process's
	a := answer(200, "application/json", `{"a":1}`, "X-A: 1", "X-B: 2", "Date: Sun, 22 Nov 2026 10:00:00 GMT")
	b := answer(200, "application/json", `{"a":1}`, "X-B: 2", "X-A: 1", "Date: Sun, 22 Nov 2026 10:00:07 GMT")
	if n := testing.AllocsPerRun(100, func() {
		if !diff.Equal(a, b) {
			t.Fatal("not equal")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
