// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"cmp"
	"slices"
	"time"
)

// What a shadow's outgoing calls get.
const (
	EffectsReplay      = "replay"
	EffectsPassthrough = "passthrough"
	EffectsBlock       = "block"
	EffectsIsolated    = "isolated"
)

// Control settings beside a URL.
const (
	ControlAuto = "auto"
	ControlOff  = "off"
)

// DefaultShadow are the settings in force where nobody says anything.
func DefaultShadow() Shadow {
	all := 1.0
	return Shadow{
		Sample:      &all,
		Session:     []string{"cookie:sid", "header:authorization", "client-ip"},
		Control:     ControlAuto,
		Effects:     EffectsReplay,
		Concurrency: 64,
		Timeout:     Duration(10 * time.Second),
		MaxBody:     1 << 20,
		Gate:        &Gate{Confidence: 0.95, MaxDifferenceRate: 0.001, MinRequests: 200, MaxLatencyRatio: 1.2},
	}
}

// EffectiveShadow lays levels over the defaults, the weakest first: the Blueprint's shadow, the service's, then what a
// command's flags or an API call override. A nil level says nothing. No field of the result that has a default is empty.
func EffectiveShadow(levels ...*Shadow) Shadow {
	m := DefaultShadow()
	for _, l := range levels {
		if l != nil {
			m = MergeShadow(m, *l)
		}
	}
	return m
}

// MergeShadow lays over on base, field by field; both stay as they are. A zero field of over leaves base's. Ignore and
// Redact add up, so that no level takes away what another keeps secret; the other lists are replaced whole.
func MergeShadow(base, over Shadow) Shadow {
	m, o := base.Clone(), over.Clone()
	m.Sample = cmp.Or(o.Sample, m.Sample)
	m.Match = orList(o.Match, m.Match)
	m.Exclude = orList(o.Exclude, m.Exclude)
	m.Session = orList(o.Session, m.Session)
	m.Control = cmp.Or(o.Control, m.Control)
	m.Effects = cmp.Or(o.Effects, m.Effects)
	m.Concurrency = cmp.Or(o.Concurrency, m.Concurrency)
	m.Timeout = cmp.Or(o.Timeout, m.Timeout)
	m.MaxBody = cmp.Or(o.MaxBody, m.MaxBody)
	m.OpenAPI = cmp.Or(o.OpenAPI, m.OpenAPI)
	m.Protobuf = cmp.Or(o.Protobuf, m.Protobuf)
	m.Ignore = addUnseen(m.Ignore, o.Ignore, sameIgnore)
	m.Redact = addUnseen(m.Redact, o.Redact, func(a, b Redact) bool { return a == b })
	m.Gate = mergePointer(m.Gate, o.Gate, mergeGate)
	return m
}

func mergeGate(base, over Gate) Gate {
	return Gate{
		Confidence:        cmp.Or(over.Confidence, base.Confidence),
		MaxDifferenceRate: cmp.Or(over.MaxDifferenceRate, base.MaxDifferenceRate),
		MinRequests:       cmp.Or(over.MinRequests, base.MinRequests),
		MaxLatencyRatio:   cmp.Or(over.MaxLatencyRatio, base.MaxLatencyRatio),
		Endpoints:         orList(over.Endpoints, base.Endpoints),
	}
}

func sameIgnore(a, b Ignore) bool {
	if (a.Tolerance == nil) != (b.Tolerance == nil) || a.Tolerance != nil && *a.Tolerance != *b.Tolerance {
		return false
	}
	a.Tolerance, b.Tolerance = nil, nil
	return a == b
}

func addUnseen[T any](base, over []T, same func(a, b T) bool) []T {
	for _, v := range over {
		if !slices.ContainsFunc(base, func(b T) bool { return same(b, v) }) {
			base = append(base, v)
		}
	}
	return base
}
