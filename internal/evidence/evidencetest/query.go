// SPDX-License-Identifier: Apache-2.0

package evidencetest

import (
	"slices"
	"strconv"
	"testing"

	"microstax/internal/evidence"
	"microstax/internal/fault"
)

func ordering(t *testing.T, s evidence.Store) {
	want := []string{"A", "a", "obs_1", "obs_10", "obs_2", "é"} // by bytes, whatever the locale
	for _, id := range []string{"obs_2", "é", "obs_10", "A", "obs_1", "a"} {
		apply(t, s, put(bare(id, "", map[string]string{"k": "v"}), 0))
	}
	for _, q := range []evidence.Query{{Kind: evidence.Observation}, {Kind: evidence.Observation, Labels: map[string]string{"k": "v"}}} {
		if got := ids(list(t, s, q)); !slices.Equal(got, want) {
			t.Errorf("list %+v: got %q, want %q", q, got, want)
		}
		q.Descending = true
		got := ids(list(t, s, q))
		slices.Reverse(got)
		if !slices.Equal(got, want) {
			t.Errorf("descending list %+v: got %q reversed, want %q", q, got, want)
		}
	}
}

// fill puts n records: parent even or odd, label third for every third one, label all for all.
func fill(t *testing.T, s evidence.Store, n int) {
	t.Helper()
	var b evidence.Batch
	for i := range n {
		labels := map[string]string{"all": "yes"}
		if i%3 == 0 {
			labels["third"] = strconv.Itoa(i % 2)
		}
		b.Puts = append(b.Puts, put(bare(number(i), []string{"even", "odd"}[i%2], labels), 0))
	}
	mustApply(t, s, b)
}

func paging(t *testing.T, s evidence.Store) {
	const n = 47
	fill(t, s, n)
	all := make([]string, n)
	for i := range all {
		all[i] = number(i)
	}
	for name, q := range map[string]evidence.Query{
		"by kind":   {Kind: evidence.Observation, Limit: 10},
		"by label":  {Kind: evidence.Observation, Limit: 10, Labels: map[string]string{"all": "yes"}},
		"backwards": {Kind: evidence.Observation, Limit: 10, Descending: true},
		"both":      {Kind: evidence.Observation, Limit: 10, Descending: true, Labels: map[string]string{"all": "yes"}},
	} {
		var got []string
		for {
			page := ids(list(t, s, q))
			got = append(got, page...)
			if len(page) < q.Limit {
				break
			}
			q.After = page[len(page)-1]
		}
		if q.Descending {
			slices.Reverse(got)
		}
		if !slices.Equal(got, all) {
			t.Errorf("%s: pages give %d records %v, want %d", name, len(got), got, n)
		}
	}
	if got := ids(list(t, s, evidence.Query{Kind: evidence.Observation, After: "obs_00002x", Limit: 1})); !slices.Equal(got, []string{number(3)}) {
		t.Errorf("after an id that is not there: got %v, want the next one", got)
	}
	if got := list(t, s, evidence.Query{Kind: evidence.Observation, After: number(n)}); len(got) != 0 {
		t.Errorf("after the last: got %v", ids(got))
	}
}

func limits(t *testing.T, s evidence.Store) {
	const n = 1003
	fill(t, s, n)
	if got := len(list(t, s, evidence.Query{Kind: evidence.Observation})); got != 1000 {
		t.Errorf("limit 0: got %d records, want the default of 1,000", got)
	}
	if got := len(list(t, s, evidence.Query{Kind: evidence.Observation, Limit: 10_000})); got != n {
		t.Errorf("limit 10,000: got %d records, want %d", got, n)
	}
	for _, limit := range []int{-1, 10_001} {
		if _, err := s.List(t.Context(), evidence.Query{Kind: evidence.Observation, Limit: limit}); !fault.Is(err, fault.Invalid) {
			t.Errorf("limit %d: got %v, want an error of kind invalid", limit, err)
		}
	}
}

func queries(t *testing.T, s evidence.Store) {
	fill(t, s, 30)
	tests := []struct {
		name string
		q    evidence.Query
		want []string
	}{
		{"parent", evidence.Query{Parent: "odd", Limit: 3}, []string{number(1), number(3), number(5)}},
		{"label", evidence.Query{Labels: map[string]string{"third": "1"}}, []string{number(3), number(9), number(15), number(21), number(27)}},
		{"two labels", evidence.Query{Labels: map[string]string{"third": "0", "all": "yes"}, Limit: 2}, []string{number(0), number(6)}},
		{"two labels, one wrong", evidence.Query{Labels: map[string]string{"third": "0", "all": "no"}}, []string{}},
		{"labels and parent", evidence.Query{Parent: "odd", Labels: map[string]string{"third": "1", "all": "yes"}, After: number(9), Limit: 2}, []string{number(15), number(21)}},
		{"labels and another parent", evidence.Query{Parent: "even", Labels: map[string]string{"third": "1"}}, []string{}},
		{"backwards from the middle", evidence.Query{Parent: "even", Descending: true, After: number(6)}, []string{number(4), number(2), number(0)}},
		{"unknown label", evidence.Query{Labels: map[string]string{"nobody": "knows"}}, []string{}},
		{"empty value of a label that is not there", evidence.Query{Labels: map[string]string{"third": ""}}, []string{}},
	}
	for _, tt := range tests {
		tt.q.Kind = evidence.Observation
		if got := ids(list(t, s, tt.q)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := list(t, s, evidence.Query{Kind: evidence.Audit, Labels: map[string]string{"all": "yes"}}); len(got) != 0 {
		t.Errorf("another kind: got %v", ids(got))
	}
}

func relabelled(t *testing.T, s evidence.Store) {
	apply(t, s, put(bare("obs_1", "", map[string]string{"state": "open", "gone": "soon"}), 0))
	for i, state := range []string{"accepted", "ignored"} {
		expect := []int64{1, evidence.AnyVersion}[i]
		apply(t, s, put(bare("obs_1", "", map[string]string{"state": state}), expect))
		for label, want := range map[string]int{"open": 0, state: 1} {
			if got := len(list(t, s, evidence.Query{Kind: evidence.Observation, Labels: map[string]string{"state": label}})); got != want {
				t.Errorf("state %s after change to %s: got %d records, want %d", label, state, got, want)
			}
		}
	}
	if got := list(t, s, evidence.Query{Kind: evidence.Observation, Labels: map[string]string{"gone": "soon"}}); len(got) != 0 {
		t.Errorf("a label that was dropped still finds %v", ids(got))
	}
}

func counting(t *testing.T, s evidence.Store) {
	fill(t, s, 30)
	for name, tt := range map[string]struct {
		q    evidence.Query
		want int64
	}{
		"all":              {evidence.Query{Kind: evidence.Observation, Limit: 2, After: number(20), Descending: true}, 30},
		"parent":           {evidence.Query{Kind: evidence.Observation, Parent: "odd"}, 15},
		"label":            {evidence.Query{Kind: evidence.Observation, Labels: map[string]string{"third": "0"}}, 5},
		"label and parent": {evidence.Query{Kind: evidence.Observation, Parent: "odd", Labels: map[string]string{"third": "0", "all": "yes"}}, 0},
		"another kind":     {evidence.Query{Kind: evidence.Audit}, 0},
	} {
		got, err := s.Count(t.Context(), tt.q)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %d, %v, want %d", name, got, err, tt.want)
		}
	}
}
