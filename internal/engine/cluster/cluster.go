// SPDX-License-Identifier: Apache-2.0

// Package cluster merges signatures of difference that have one cause into one finding. It is careful: only the same
// kind and the same class of change ever merge, and either the place is the same on several endpoints of one service
// (a header, a failure), or the places are siblings that changed in nearly the same requests.
package cluster

import (
	"cmp"
	"slices"
	"strings"

	"microstax/internal/engine/diff"
	"microstax/internal/engine/stats"
)

// The least that is merged, and how alike the sets of requests must be.
const (
	minEndpoints = 3
	minSiblings  = 3
	alike        = 0.9
)

// Everywhere stands for the endpoint of a finding that shows on several.
const Everywhere = "*"

// Signature is one refuted hypothesis.
type Signature struct {
	Index    int // the caller's own; also the order of creation
	Kind     diff.Kind
	Service  string
	Endpoint string
	Path     string
	Class    string
	Requests stats.Distinct // requests that show it
}

// Cluster is a set of signatures with one cause, in order of creation: the first represents it.
type Cluster struct {
	Members  []Signature
	Endpoint string // Everywhere when they are of several endpoints
	Path     string // parent.* when they are siblings
}

// Alias is the endpoint and path under which a signature would appear if it were merged with others, and false when it
// never is. It depends on the signature alone, so that a merged finding has the same id in the next session.
func Alias(kind diff.Kind, endpoint, path string) (string, string, bool) {
	switch {
	case acrossEndpoints(kind):
		return Everywhere, path, true
	case strings.HasPrefix(string(kind), "body."):
		parent, ok := parentOf(path)
		return endpoint, parent + ".*", ok
	}
	return "", "", false
}

// acrossEndpoints are the kinds whose cause lies outside a single handler.
func acrossEndpoints(k diff.Kind) bool {
	return k == diff.KindHeader || k == diff.KindTrailer || k == diff.KindError
}

// parentOf is the path without its last member; siblings are members of one object.
func parentOf(path string) (string, bool) {
	i := strings.LastIndexByte(path, '.')
	if i <= 0 || strings.HasSuffix(path, "]") {
		return "", false
	}
	return path[:i], true
}

// Merge groups the signatures. The result is ordered by the creation of each cluster's first member.
func Merge(sigs []Signature) []Cluster {
	sigs = slices.Clone(sigs)
	slices.SortFunc(sigs, func(a, b Signature) int { return cmp.Compare(a.Index, b.Index) })
	type key struct {
		kind                           diff.Kind
		service, endpoint, path, class string
	}
	groups := map[key][]int{}
	for i, s := range sigs {
		if e, p, ok := Alias(s.Kind, s.Endpoint, s.Path); ok {
			k := key{s.Kind, s.Service, e, p, s.Class}
			groups[k] = append(groups[k], i)
		}
	}
	var out []Cluster
	used := make([]bool, len(sigs))
	for i, s := range sigs {
		if used[i] {
			continue
		}
		c := Cluster{Members: []Signature{s}, Endpoint: s.Endpoint, Path: s.Path}
		if e, p, ok := Alias(s.Kind, s.Endpoint, s.Path); ok {
			if set := together(sigs, groups[key{s.Kind, s.Service, e, p, s.Class}], i, used); len(set) > 0 {
				c = Cluster{Members: set, Endpoint: e, Path: p}
			}
		}
		used[i] = true
		out = append(out, c)
	}
	return out
}

// together is the cluster that signature i starts within its group, or nothing when it is too small; what it takes is
// marked as used.
func together(sigs []Signature, group []int, i int, used []bool) []Signature {
	first, least := sigs[i], minEndpoints
	if !acrossEndpoints(first.Kind) {
		least = minSiblings
	}
	var taken []int
	for _, j := range group {
		if used[j] {
			continue
		}
		if acrossEndpoints(first.Kind) || j == i || first.Requests.Jaccard(sigs[j].Requests) >= alike {
			taken = append(taken, j)
		}
	}
	if len(taken) < least {
		return nil
	}
	out := make([]Signature, 0, len(taken))
	for _, j := range taken {
		used[j] = true
		out = append(out, sigs[j])
	}
	return out
}
