// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"microstax/internal/blueprint"
	"microstax/internal/engine/calls"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/noise"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// merged is one place at which the candidate, the control or both differ from the baseline.
type merged struct {
	kind               diff.Kind
	path, variant      string
	candidate, control diff.Set
	shown              diff.Difference // the candidate's, or else the control's
	controlModel       string
	controlDelta       float64 // how far the control's value is from the baseline's
	turn               int     // for calls: which one in the course of the request; for answers after all of them
}

// comparison is what one observation showed.
type comparison struct {
	candidate []diff.Difference // of the candidate's answer, consequences left out
	control   []diff.Difference
	flags     []calls.Flag
	paired    bool // there was a control, or an earlier answer to the same request
	usable    bool // the answers follow from real ones: neither side was given made-up answers to its calls
	places    []merged
}

// compare finds what differs. Equal answers and no calls, the common case, cost no parsing.
func (a *Analysis) compare(o *observation.Observation, ep *endpoint) comparison {
	c := comparison{usable: !tainted(o.CandidateCalls) && !tainted(o.ControlCalls)}
	if o.Alike {
		c.paired = true
		return c
	}
	opts := diff.Options{Ignore: a.ignore(ep), Tolerance: a.tolerance(ep), Descriptors: a.descriptors(ep.Service)}
	c.candidate = differences(&o.Baseline, &o.Candidate, opts)
	switch {
	case o.Control != nil:
		c.paired = true
		c.control = differences(&o.Baseline, o.Control, opts)
	default:
		if past := a.before.swap(o.Service, &o.Baseline); past != nil {
			c.paired = true
			c.control = differences(&o.Baseline, past, opts)
		}
	}
	if o.Control != nil && o.Baseline.Outcome == exchange.OK &&
		(o.Candidate.Outcome != exchange.OK || o.Control.Outcome != exchange.OK) {
		// Where one side gave no answer the other's says nothing but that it gave one: all else is left out on both.
		c.candidate, c.control = failures(c.candidate), failures(c.control)
		c.places = c.merge()
		return c
	}
	if len(o.BaselineCalls)+len(o.CandidateCalls)+len(o.ControlCalls) > 0 {
		c.flags = calls.Compare(o.BaselineCalls, o.CallsTraced, o.ControlCalls, o.CandidateCalls, o.Control != nil)
	}
	c.places = c.merge()
	return c
}

// tolerance is how far values at a path of an endpoint vary by themselves, as the pairs before this one have shown.
func (a *Analysis) tolerance(ep *endpoint) func(path string) float64 {
	i, known := a.byName[endpointName{ep.Service, ep.Name}]
	if !known {
		return nil
	}
	bounds := map[string]float64{} // a path may differ many times over
	return func(path string) (bound float64) {
		if b, seen := bounds[path]; seen {
			return b
		}
		defer func() { bounds[path] = bound }()
		for _, kind := range [...]diff.Kind{diff.KindValue, diff.KindHeader} {
			if k, known := a.byPlace[place{i, kind, path, ""}]; known {
				return a.places[k].Noise.Spread.Bound(ep.Pairs, noise.Tolerated)
			}
		}
		return 0
	}
}

func differences(base, other *exchange.Exchange, opts diff.Options) []diff.Difference {
	if diff.Equal(base, other) {
		return nil
	}
	return withoutConsequences(diff.Exchanges(base, other, opts))
}

// failures are the differences that say that no answer came.
func failures(ds []diff.Difference) []diff.Difference {
	return slices.DeleteFunc(ds, func(d diff.Difference) bool { return d.Kind != diff.KindError })
}

func tainted(cs []observation.Call) bool {
	return slices.ContainsFunc(cs, func(c observation.Call) bool { return c.Tainted })
}

// ignore are the rules that apply to an endpoint.
func (a *Analysis) ignore(ep *endpoint) []blueprint.Ignore {
	all := a.cfg.Services[ep.Service].Ignore
	if !slices.ContainsFunc(all, func(i blueprint.Ignore) bool { return i.Endpoint != "" }) {
		return all
	}
	var out []blueprint.Ignore
	for _, i := range all {
		if i.Endpoint == "" || i.Endpoint == ep.Name {
			out = append(out, i)
		}
	}
	return out
}

// withoutConsequences leaves out differences that only say again what another one of the same answer says: an answer of
// another status class has another body and other headers, and another body has another length.
func withoutConsequences(ds []diff.Difference) []diff.Difference {
	cause := diff.Kind("")
	body := false
	for _, d := range ds {
		switch {
		case d.Kind == diff.KindError:
			cause = diff.KindError
		case d.Kind == diff.KindStatus && d.Levels.Has(diff.Type) && cause == "":
			cause = diff.KindStatus
		case d.Kind == diff.KindMediaType, isBody(d.Kind):
			body = true
		}
	}
	mediaType := slices.ContainsFunc(ds, func(d diff.Difference) bool { return d.Kind == diff.KindMediaType })
	return slices.DeleteFunc(ds, func(d diff.Difference) bool {
		switch {
		case cause != "":
			return d.Kind != cause
		case mediaType && isBody(d.Kind):
			return true
		}
		return body && d.Kind == diff.KindHeader && followsBody(d.Path)
	})
}

// followsBody are headers that are worked out from the body.
func followsBody(header string) bool {
	switch header {
	case "content-length", "etag", "content-md5", "digest", "content-digest", "repr-digest":
		return true
	}
	return false
}

// merge brings the differences of both sides, and the flags on calls, together by place. Differences of answers count
// only when both sides' answers are usable: leaving out one side alone would tilt the comparison.
func (c *comparison) merge() []merged {
	type key struct {
		kind          diff.Kind
		path, variant string
	}
	index := map[key]int{}
	var out []merged
	at := func(d diff.Difference) *merged {
		k := key{d.Kind, d.Path, variant(d)}
		i, known := index[k]
		if !known {
			i = len(out)
			index[k] = i
			out = append(out, merged{kind: d.Kind, path: d.Path, variant: k.variant, shown: d, turn: math.MaxInt})
		}
		return &out[i]
	}
	if c.usable {
		for _, d := range c.candidate {
			m := at(d)
			m.candidate |= d.Levels
			if !c.paired { // without anything to tell noise by, only what noise hardly does counts
				m.candidate &^= diff.UpTo(diff.Format)
			}
		}
		for _, d := range c.control {
			m := at(d)
			m.control |= d.Levels
			m.controlModel = cmp.Or(m.controlModel, d.Model)
			m.controlDelta = d.Delta
		}
	}
	for _, f := range c.flags {
		m := at(diff.Difference{Kind: f.Kind, Path: f.Path, At: f.At, Was: f.Was, Is: f.Is, Class: f.Class, Model: f.Model})
		m.candidate, m.turn = m.candidate|f.CandidateLevels, min(m.turn, f.Turn)
		m.control |= f.ControlLevels
		if f.Control {
			m.controlModel = cmp.Or(m.controlModel, f.Model)
		}
	}
	return slices.DeleteFunc(out, func(m merged) bool { return m.candidate|m.control == 0 })
}

// variant tells changes of status apart: by class, or exactly within one.
func variant(d diff.Difference) string {
	if d.Kind != diff.KindStatus {
		return ""
	}
	if d.Levels.Has(diff.Type) && statusClass(d.Was) != statusClass(d.Is) {
		return statusClass(d.Was) + "→" + statusClass(d.Is)
	}
	return d.Was + "→" + d.Is
}

// statusClass writes 404 as 4xx.
func statusClass(status string) string {
	if _, err := strconv.Atoi(status); err != nil || len(status) != 3 {
		return status
	}
	return status[:1] + "xx"
}

// diverged says whether the side's status class differs from the baseline's, or it gave no answer.
func diverged(ds []diff.Difference) bool {
	return slices.ContainsFunc(ds, func(d diff.Difference) bool {
		return d.Kind == diff.KindError || d.Kind == diff.KindStatus && d.Levels.Has(diff.Type)
	})
}

// isWrite says whether a request may change what later requests see.
func isWrite(method string) bool {
	switch strings.ToUpper(method) {
	case "POST", "PUT", "PATCH", "DELETE":
		return true
	}
	return false
}
