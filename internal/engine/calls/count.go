// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"microstax/internal/engine/diff"
)

// counts compares how often each operation was called.
func (c *collector) counts(l, ref *list, candidate bool) {
	paths := slices.Collect(maps.Keys(l.byOp))
	for p := range ref.byOp {
		if l.count(p) == 0 {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	for _, p := range paths {
		was, is := ref.count(p), l.count(p)
		f := Flag{Path: p, Was: times(was), Is: times(is), At: p}
		switch {
		case is == was:
			continue
		case is < was:
			f.Kind, f.Class, f.Turn = diff.KindCallMissing, "missing", ref.byOp[p][is]
		case was == 0:
			f.Kind, f.Class = diff.KindCallExtra, "extra"
			f.Turn = l.byOp[p][0]
			f.At = l.place(f.Turn)
		default:
			f.Kind, f.Class = diff.KindCallRepeated, "repeated"
			f.Turn = l.byOp[p][was]
			f.At = l.place(f.Turn)
			if l.sweep(p) {
				f.Class = "n+1"
			}
		}
		c.put(f, diff.UpTo(diff.Presence), candidate)
	}
}

func times(n int) string {
	if n == 1 {
		return "1 call"
	}
	return fmt.Sprintf("%d calls", n)
}

// place names one concrete call: "payments POST /charge #2".
func (l *list) place(i int) string { return fmt.Sprintf("%s #%d", l.calls[i].path, l.calls[i].nth+1) }

// minSweep is how many calls make a loop over a list rather than a chance.
const minSweep = 3

// sweep says whether the calls of an operation are one per element of something: the same but for one segment of the
// path or one part of the query, and each with another value there.
func (l *list) sweep(path string) bool {
	at := l.byOp[path]
	if len(at) < minSweep {
		return false
	}
	first := &l.calls[at[0]]
	shape, varies := leaves(first.Exchange.Request.Target), -1
	seen := make(map[string]bool)
	for _, i := range at {
		if i != at[0] && fingerprint(&l.calls[i]) != fingerprint(first) {
			return false
		}
		parts := leaves(l.calls[i].Exchange.Request.Target)
		if len(parts) != len(shape) {
			return false
		}
		for k := range parts {
			if parts[k] == shape[k] {
				continue
			}
			if varies >= 0 && varies != k {
				return false
			}
			varies = k
		}
	}
	if varies < 0 {
		return false
	}
	for _, i := range at {
		seen[leaves(l.calls[i].Exchange.Request.Target)[varies]] = true
	}
	return len(seen) == len(at)
}

// leaves are a target's path segments and query pairs.
func leaves(target string) []string {
	path, query, _ := strings.Cut(target, "?")
	return append(strings.Split(path, "/"), strings.Split(query, "&")...)
}
