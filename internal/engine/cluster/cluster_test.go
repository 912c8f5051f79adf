// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"testing"

	"microstax/internal/engine/cluster"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/stats"
)

func requests(from, to uint64) stats.Distinct {
	d := stats.NewDistinct(64)
	for i := from; i < to; i++ {
		d.Add(i * 0x9e3779b97f4a7c15)
	}
	return d
}

func signature(i int, kind diff.Kind, endpoint, path, class string, r stats.Distinct) cluster.Signature {
	return cluster.Signature{Index: i, Kind: kind, Service: "api", Endpoint: endpoint, Path: path, Class: class, Requests: r}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	all, others := requests(1, 30), requests(100, 130)
	for _, c := range []struct {
		name string
		sigs []cluster.Signature
		want []int // members of each cluster
	}{
		{"one header on three endpoints is one finding", []cluster.Signature{
			signature(0, diff.KindHeader, "GET /a", "server", "other", all),
			signature(1, diff.KindHeader, "GET /b", "server", "other", others),
			signature(2, diff.KindHeader, "GET /c", "server", "other", all)}, []int{3}},
		{"on two endpoints it stays apart", []cluster.Signature{
			signature(0, diff.KindHeader, "GET /a", "server", "other", all),
			signature(1, diff.KindHeader, "GET /b", "server", "other", all)}, []int{1, 1}},
		{"a changed and a missing header stay apart", []cluster.Signature{
			signature(0, diff.KindHeader, "GET /a", "server", "other", all),
			signature(1, diff.KindHeader, "GET /b", "server", "missing", all),
			signature(2, diff.KindHeader, "GET /c", "server", "missing", all)}, []int{1, 1, 1}},
		{"siblings in the same requests are one finding", []cluster.Signature{
			signature(0, diff.KindMissing, "GET /a", "$.p.x", "missing", all),
			signature(1, diff.KindMissing, "GET /a", "$.p.y", "missing", all),
			signature(2, diff.KindMissing, "GET /a", "$.p.z", "missing", all)}, []int{3}},
		{"siblings in other requests stay apart", []cluster.Signature{
			signature(0, diff.KindMissing, "GET /a", "$.p.x", "missing", all),
			signature(1, diff.KindMissing, "GET /a", "$.p.y", "missing", all),
			signature(2, diff.KindMissing, "GET /a", "$.p.z", "missing", others)}, []int{1, 1, 1}},
		{"a missing field and a type change stay apart", []cluster.Signature{
			signature(0, diff.KindMissing, "GET /a", "$.p.x", "missing", all),
			signature(1, diff.KindType, "GET /a", "$.p.y", "type", all),
			signature(2, diff.KindMissing, "GET /b", "$.p.x", "missing", all)}, []int{1, 1, 1}},
		{"body fields of several endpoints stay apart", []cluster.Signature{
			signature(0, diff.KindType, "GET /a", "$.x", "type", all),
			signature(1, diff.KindType, "GET /b", "$.x", "type", all),
			signature(2, diff.KindType, "GET /c", "$.x", "type", all)}, []int{1, 1, 1}},
		{"an outage is one finding", []cluster.Signature{
			signature(0, diff.KindError, "GET /a", "error", "refused", all),
			signature(1, diff.KindError, "GET /b", "error", "refused", all),
			signature(2, diff.KindError, "GET /c", "error", "refused", all)}, []int{3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := cluster.Merge(c.sigs)
			if len(got) != len(c.want) {
				t.Fatalf("%d clusters, want %d: %+v", len(got), len(c.want), got)
			}
			for i := range got {
				if len(got[i].Members) != c.want[i] {
					t.Errorf("cluster %d has %d members, want %d", i, len(got[i].Members), c.want[i])
				}
			}
		})
	}
}

func TestMergedFindingsAreNamedByTheirPattern(t *testing.T) {
	t.Parallel()
	all := requests(1, 9)
	got := cluster.Merge([]cluster.Signature{
		signature(4, diff.KindMissing, "GET /a", "$.items[*].z", "missing", all),
		signature(2, diff.KindMissing, "GET /a", "$.items[*].x", "missing", all),
		signature(3, diff.KindMissing, "GET /a", "$.items[*].y", "missing", all),
	})
	if len(got) != 1 || got[0].Path != "$.items[*].*" || got[0].Endpoint != "GET /a" || got[0].Members[0].Index != 2 {
		t.Errorf("got %+v", got)
	}
}
