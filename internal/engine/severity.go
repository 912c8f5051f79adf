// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strings"

	"microstax/internal/engine/diff"
)

// The severities, worst first.
const (
	breaking = "breaking"
	major    = "major"
	minor    = "minor"
	info     = "info"
)

// severity is how bad a change is: by its kind, and by the weakest level at which it surely shows. This is the whole
// table; a difference of bytes alone is info whatever its kind.
func severity(h *hypothesis, weakest diff.Level) string {
	if weakest == diff.Bytes {
		return info
	}
	if isOutcome(h) {
		return outcomeSeverity(h)
	}
	switch h.Kind {
	case diff.KindError:
		if h.class() == "answered" {
			return major
		}
		return breaking
	case diff.KindFenced, diff.KindMissing, diff.KindType, diff.KindMediaType:
		return breaking
	case diff.KindStatus:
		return statusSeverity(h.Variant)
	case diff.KindCallRepeated, diff.KindCallExtra:
		if callWrites(h.Path) {
			return breaking // a second charge
		}
		return major
	case diff.KindValue, diff.KindLength, diff.KindCallMissing, diff.KindCallArguments, diff.KindLatency:
		return major
	case diff.KindHeader, diff.KindTrailer, diff.KindExtra, diff.KindOrder, diff.KindText, diff.KindCallOrder:
		return minor
	}
	return minor
}

// statusSeverity: another class breaks callers, except that what failed and now works is only a major change, as is
// another status of the same class.
func statusSeverity(variant string) string {
	was, is, _ := strings.Cut(variant, "→")
	failed := strings.HasPrefix(was, "4") || strings.HasPrefix(was, "5")
	works := strings.HasPrefix(is, "2") || strings.HasPrefix(is, "3")
	if !strings.HasSuffix(is, "xx") || failed && works {
		return major
	}
	return breaking
}

// isOutcome says whether a place is where gRPC says how a call ended: the status of HTTP is 200 whatever happened. It
// stands in the trailer section, or in the head of an answer that has nothing else.
func isOutcome(h *hypothesis) bool {
	return h.Kind == diff.KindTrailer && h.Path == "trailer[grpc-status]" || h.Kind == diff.KindHeader && h.Path == "grpc-status"
}

// outcomeSeverity weighs another outcome of a call like another status: that what failed now works, or fails with another
// code, is a major change. Where the outcome moved between head and trailers, either place shows it as gone or new.
func outcomeSeverity(h *hypothesis) string {
	if was := h.Example.Was; was != "" && was != "0" {
		return major
	}
	if h.Example.Was == "" && h.Example.Is == "0" {
		return major
	}
	return breaking
}

// callWrites says whether a call's path, "payments POST /charge", names an operation that changes something.
func callWrites(path string) bool {
	for _, word := range strings.Fields(path) {
		if isWrite(word) {
			return true
		}
	}
	return false
}

// worse says whether severity x is worse than y.
func worse(x, y string) bool { return rank(x) < rank(y) }

func rank(s string) int {
	switch s {
	case breaking:
		return 0
	case major:
		return 1
	case minor:
		return 2
	}
	return 3
}
