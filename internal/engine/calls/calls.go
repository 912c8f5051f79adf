// SPDX-License-Identifier: Apache-2.0

// Package calls compares the outgoing calls behind one request: which operations the control and the candidate called
// less often or more often than the baseline, in another order or with other arguments, and which of their writes were
// kept from leaving. It is pure.
//
// Every finding is told for both shadows, so that what the control does too can be told from what the change did.
package calls

import (
	"cmp"
	"slices"

	"microstax/internal/engine/diff"
	"microstax/internal/engine/pairing"
	"microstax/internal/observation"
)

// Flag is one way in which a shadow's calls disagree with the baseline's.
type Flag struct {
	Kind      diff.Kind
	Path      string // the operation, "payments POST /charge", with a path into the arguments where the kind is arguments
	Candidate bool   // the candidate shows it
	Control   bool   // the control shows it

	// CandidateLevels and ControlLevels are the levels at which arguments differ; for other kinds all levels, or none
	// where the side does not show it.
	CandidateLevels, ControlLevels diff.Set

	Class   string // missing, extra, repeated, n+1, order, fenced, duplicate; for arguments as in diff
	Model   string // for arguments as in diff
	Was, Is string // for people; Is is the candidate's where it shows the flag
	Turn    int    // when it happened: the place of the call in the order in which the side's calls started
	At      string // the concrete call, "payments POST /charge #2", with the place in its arguments
}

// maxCalls is how many calls of one side are looked at.
const maxCalls = 256

// maxFlags is how many flags one observation gives.
const maxFlags = 200

// Operation is what was called, without its dependency: "POST /charge".
func Operation(c *observation.Call) string {
	return pairing.Template(c.Exchange.Request.Method, c.Exchange.Request.Target)
}

// Path is the operation with its dependency: "payments POST /charge".
func Path(c *observation.Call) string { return c.Dependency + " " + Operation(c) }

// made is one call with its operation.
type made struct {
	*observation.Call
	path  string
	index int // among all calls of the side
	nth   int // among the side's calls of this operation, from 0
	turn  int // among all calls of the side in the order in which they started
}

// list is one side's calls in the order in which they started.
type list struct {
	calls []made
	byOp  map[string][]int // indices into calls
}

func listed(cs []observation.Call) *list {
	l := &list{byOp: make(map[string][]int)}
	for i := range cs[:min(len(cs), maxCalls)] {
		l.calls = append(l.calls, made{Call: &cs[i], path: Path(&cs[i]), index: i})
	}
	slices.SortStableFunc(l.calls, func(a, b made) int { return a.Exchange.Start.Compare(b.Exchange.Start) })
	for i := range l.calls {
		c := &l.calls[i]
		c.nth, c.turn = len(l.byOp[c.path]), i
		l.byOp[c.path] = append(l.byOp[c.path], i)
	}
	return l
}

// count is how often the side called an operation; a side that is not there called nothing.
func (l *list) count(path string) int {
	if l == nil {
		return 0
	}
	return len(l.byOp[path])
}

// Compare compares the calls of one observation. baseExact says that the baseline's calls are attributed exactly; where
// they are not, each shadow's counts are held against the other's. Without a control (hasControl false) control is not
// looked at.
func Compare(base []observation.Call, baseExact bool, control, candidate []observation.Call, hasControl bool) []Flag {
	if len(base)+len(control)+len(candidate) == 0 {
		return nil
	}
	s := &sides{base: listed(base), candidate: listed(candidate)}
	if hasControl {
		s.control = listed(control)
	}
	c := &collector{index: make(map[flagKey]int)}
	refCandidate, refControl := s.base, s.base
	if !baseExact && hasControl {
		refCandidate, refControl = s.control, s.candidate
	}
	c.side(s.candidate, s.base, refCandidate, true)
	if hasControl {
		c.side(s.control, s.base, refControl, false)
	}
	slices.SortStableFunc(c.out, func(a, b Flag) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Class, b.Class))
	})
	return c.out
}

type sides struct{ base, control, candidate *list }

type flagKey struct {
	kind  diff.Kind
	path  string
	class string
}

// collector unites what both sides show.
type collector struct {
	out   []Flag
	index map[flagKey]int
}

// put records a flag of one side.
func (c *collector) put(f Flag, levels diff.Set, candidate bool) {
	k := flagKey{f.Kind, f.Path, f.Class}
	i, ok := c.index[k]
	if !ok {
		if len(c.out) == maxFlags {
			return
		}
		i = len(c.out)
		c.index[k] = i
		c.out = append(c.out, f)
	}
	if candidate {
		c.out[i].Candidate = true
		c.out[i].CandidateLevels |= levels
		return
	}
	c.out[i].Control = true
	c.out[i].ControlLevels |= levels
}

// side finds everything about one shadow: against base for order and arguments, against ref for counts.
func (c *collector) side(l, base, ref *list, candidate bool) {
	c.counts(l, ref, candidate)
	c.order(l, base, candidate)
	c.arguments(l, base, candidate)
	c.fenced(l, candidate)
}

// Rate is how often one side called one operation in one observation.
type Rate struct {
	Dependency string
	Operation  string // "POST /charge"
	Calls      int
}

// Rates are the counts of one side's calls by operation, ordered by dependency and operation.
func Rates(cs []observation.Call) []Rate {
	var out []Rate
	at := make(map[string]int)
	for i := range cs {
		op := Operation(&cs[i])
		key := cs[i].Dependency + " " + op
		j, ok := at[key]
		if !ok {
			j = len(out)
			at[key] = j
			out = append(out, Rate{Dependency: cs[i].Dependency, Operation: op})
		}
		out[j].Calls++
	}
	slices.SortFunc(out, func(a, b Rate) int {
		return cmp.Or(cmp.Compare(a.Dependency, b.Dependency), cmp.Compare(a.Operation, b.Operation))
	})
	return out
}
