// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/engine/diff"
)

// related are the relations among the differences between two documents.
func related(a, b string, o diff.Options) []string {
	out := []string{}
	for _, d := range diff.Exchanges(json(a), json(b), o) {
		if d.Class == "relation" {
			out = append(out, d.Path)
		}
	}
	slices.Sort(out)
	return out
}

func TestRelations(t *testing.T) {
	t.Parallel()
	order := `{"order":{"total":61.50,"lines":[{"price":10.25,"qty":2,"sum":20.50},{"price":20.50,"qty":2,"sum":41.00}]}}`
	for _, tc := range []struct {
		name, a, b string
		want       []string
	}{
		{"all other values, all holds", order, `{"order":{"total":55.00,"lines":[{"price":11,"qty":3,"sum":33.00},{"price":5.5,"qty":4,"sum":22.00}]}}`, nil},
		{"the total leaves one out", order, `{"order":{"total":33.00,"lines":[{"price":11,"qty":3,"sum":33.00},{"price":5.5,"qty":4,"sum":22.00}]}}`,
			[]string{"$.order: total = Σ lines[*].price × qty", "$.order: total = Σ lines[*].sum"}},
		{"a line is wrong", order, `{"order":{"total":56.00,"lines":[{"price":11,"qty":3,"sum":34.00},{"price":5.5,"qty":4,"sum":22.00}]}}`,
			[]string{"$.order.lines[*]: sum = price × qty", "$.order: total = Σ lines[*].price × qty"}},
		{"tax", `{"net":100,"tax":19,"gross":119}`, `{"net":200,"tax":38,"gross":219}`, []string{"$: gross = net + tax"}},
		{"only one differs, which says it all", `{"net":100,"tax":19,"gross":119}`, `{"net":100,"tax":19,"gross":120}`, nil},
		{"count", `{"count":12,"items":[1,2,3,4,5,6,7,8,9,10,11,12]}`, `{"count":12,"items":[1,2,3,4,5,6,7,8,9,10,11]}`, nil},
		{"count, when it differs too", `{"count":12,"items":[1,2,3,4,5,6,7,8,9,10,11,12]}`, `{"count":14,"items":[1,2,3,4,5,6,7,8,9,10,11]}`, []string{"$: count = number of items"}},
		{"times", `{"c":"2026-11-22T10:00:00Z","u":"2026-11-22T10:00:05Z"}`, `{"c":"2026-11-23T10:00:06Z","u":"2026-11-23T10:00:00Z"}`, []string{"$: c ≤ u"}},
		{"rounding", `{"total":10.01,"l":[{"a":5.004},{"a":5.004}]}`, `{"total":20.02,"l":[{"a":10.008},{"a":10.008}]}`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			want := append([]string{}, tc.want...)
			if d := cmp.Diff(want, related(tc.a, tc.b, diff.Options{})); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if d := cmp.Diff(paths(json(tc.a), json(tc.b)), paths(json(tc.b), json(tc.a))); d != "" {
				t.Errorf("not symmetric (-there +back)\n%s", d)
			}
		})
	}
	if got := related(`{"net":100,"tax":19,"gross":119}`, `{"net":200,"tax":38,"gross":219}`, diff.Options{Ignore: ignore("$.gross")}); len(got) > 0 {
		t.Errorf("in spite of a rule: %v", got)
	}
}

func TestEntityTag(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, bodyA, bodyB, tagA, tagB string
		want                           bool
	}{
		{"same tag, same body", `{"a":1}`, `{"a":1}`, `"1"`, `"1"`, false},
		{"other tag, other body", `{"a":1}`, `{"a":2}`, `"1"`, `"2"`, false},
		{"same tag, other body", `{"a":1}`, `{"a":2}`, `"1"`, `"1"`, true},
		{"same weak tag, other body", `{"a":1}`, `{"a":2}`, `W/"1"`, `W/"1"`, false},
	} {
		got := show(diff.Exchanges(answer(200, "application/json", tc.bodyA, "ETag: "+tc.tagA), answer(200, "application/json", tc.bodyB, "ETag: "+tc.tagB), diff.Options{}))
		has := slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "etag: same body") })
		if has != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
