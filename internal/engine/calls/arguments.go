// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"strings"

	"microstax/internal/engine/canon"
	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// arguments compares what was sent with the calls that resemble a recorded one without being equal to it.
func (c *collector) arguments(l, base *list, candidate bool) {
	recorded := make(map[int]*made, len(base.calls)) // by index in the observation
	for i := range base.calls {
		recorded[base.calls[i].index] = &base.calls[i]
	}
	used := make(map[int]bool)
	for i := range l.calls {
		if m := l.calls[i].Matched; m >= 0 && l.calls[i].Tier != observation.None {
			used[m] = true
		}
	}
	for i := range l.calls {
		call := &l.calls[i]
		var b *made
		switch call.Tier {
		case observation.Near, observation.Similar:
			b = recorded[call.Matched]
		case observation.None:
			b = counterpart(call, base, used)
		default: // matched with its arguments
		}
		if b == nil || b.path != call.path {
			continue
		}
		for _, d := range argumentDifferences(&b.Exchange.Request, &call.Exchange.Request) {
			f := Flag{Kind: diff.KindCallArguments, Path: call.path + " " + d.Path, Class: d.Class, Model: d.Model, Was: d.Was, Is: d.Is,
				Turn: i, At: l.place(i) + " " + d.At}
			c.put(f, d.Levels, candidate)
		}
	}
}

// counterpart is the recorded call of the same operation that no other call of the side was matched with: what an unmatched
// call was meant to be. A call beyond the recorded number has none: it is a repetition, not a change.
func counterpart(call *made, base *list, used map[int]bool) *made {
	for _, i := range base.byOp[call.path] {
		if b := &base.calls[i]; !used[b.index] {
			used[b.index] = true
			return b
		}
	}
	return nil
}

// argumentDifferences compares two requests of one operation: media type, body, query, and the data in the path. Headers
// otherwise are left out: traces, dates and credentials are no arguments.
func argumentDifferences(a, b *exchange.Request) []diff.Difference {
	pathA, queryA, _ := strings.Cut(a.Target, "?")
	pathB, queryB, _ := strings.Cut(b.Target, "?")
	var out []diff.Difference
	if pathA != pathB {
		out = append(out, segmentDifferences(pathA, pathB)...)
	}
	for _, d := range diff.Queries(queryA, queryB, diff.Options{}) {
		d.Path, d.At = "?"+strings.TrimPrefix(strings.TrimPrefix(d.Path, "$"), "."), "?"+strings.TrimPrefix(strings.TrimPrefix(d.At, "$"), ".")
		out = append(out, d)
	}
	return append(out, diff.Bodies(a.Body, b.Body, a.Headers, b.Headers, diff.Options{})...)
}

// segmentDifferences compares the values in a path by comparing them as a list in a fixed order; the path of a difference is
// "path", since a template has no names for them.
func segmentDifferences(a, b string) []diff.Difference {
	model := ""
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range min(len(x), len(y)) {
		if m := canon.Model(canon.Class(x[i])); x[i] != y[i] && m == canon.Model(canon.Class(y[i])) {
			model = m
		}
	}
	return []diff.Difference{{Kind: diff.KindValue, Path: "path", At: "path", Levels: diff.UpTo(diff.Tolerant), Class: "other",
		Model: model, Was: clip(a), Is: clip(b), Count: 1}}
}

// maxShown is how much of a path is shown.
const maxShown = 160

func clip(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// fingerprint is a hash of a call's body by canonical value.
func fingerprint(c *made) uint64 {
	r := &c.Exchange.Request
	b := canon.Decode(r.Body, r.Headers, canon.Limits{})
	if r.Body.Truncated {
		return r.Body.Hash
	}
	return b.Fingerprint()
}
