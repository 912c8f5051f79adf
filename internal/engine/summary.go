// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"strings"

	"microstax/internal/engine/diff"
)

// summary says in a few words what became of a place.
func (h *hypothesis) summary() string {
	name := h.Path
	switch h.Kind {
	case diff.KindStatus:
		return fmt.Sprintf("status is %s where it was %s", orNothing(h.Example.Is), orNothing(h.Example.Was))
	case diff.KindError:
		if h.class() == "answered" {
			return fmt.Sprintf("answers %s where the baseline gives no answer", orNothing(h.Example.Is))
		}
		return fmt.Sprintf("no whole answer (%s) where the baseline answers", orNothing(h.Example.Is))
	case diff.KindMediaType:
		return fmt.Sprintf("media type is %s where it was %s", orNothing(h.Example.Is), orNothing(h.Example.Was))
	case diff.KindHeader, diff.KindTrailer:
		return string(h.Kind) + " " + change3(name, h.class(), h.Example)
	case diff.KindMissing:
		return lastName(name) + " is missing"
	case diff.KindExtra:
		return lastName(name) + " is new"
	case diff.KindType:
		return fmt.Sprintf("%s is %s where it was %s", lastName(name), typeName(h.Example.Is), typeName(h.Example.Was))
	case diff.KindOrder:
		return "the elements of " + lastName(name) + " come in another order"
	case diff.KindLength:
		return fmt.Sprintf("%s has another length: %s where it was %s", lastName(name), orNothing(h.Example.Is), orNothing(h.Example.Was))
	case diff.KindText:
		return "the text of the body is another"
	default:
		return h.callSummary()
	}
}

func (h *hypothesis) callSummary() string {
	switch h.Kind {
	case diff.KindCallMissing:
		if h.Example.Is != "" && h.Example.Is != "0 calls" {
			return fmt.Sprintf("calls %s less often: %s where it was %s", h.Path, h.Example.Is, orNothing(h.Example.Was))
		}
		return "does not call " + h.Path + " any more"
	case diff.KindCallExtra:
		return "calls " + h.Path + ", which the baseline does not"
	case diff.KindCallRepeated:
		s := fmt.Sprintf("calls %s more often: %s where it was %s", h.Path, orNothing(h.Example.Is), orNothing(h.Example.Was))
		if h.class() == "n+1" {
			s += ", once per element (N+1)"
		}
		return s
	case diff.KindCallOrder:
		return "calls " + h.Path + " in another order"
	case diff.KindCallArguments:
		return "calls " + h.Path + " with other arguments"
	case diff.KindFenced:
		if h.class() == "duplicate" {
			return "repeats the write " + h.Path + ", which would happen twice; it was kept from leaving"
		}
		return "tried to write with " + h.Path + ", for which the baseline has no recorded answer; it was kept from leaving"
	default:
		return change3(lastName(h.Path), h.class(), h.Example)
	}
}

// change3 says what became of a value of one type.
func change3(name, class string, e example) string {
	switch class {
	case "relation":
		switch {
		case strings.HasPrefix(name, "etag"):
			return "etag is the same for another body"
		case strings.Contains(e.Was, "not hold"):
			return e.Is + " holds, and did not"
		}
		return e.Was + " does not hold any more"
	case "missing":
		return name + " is missing"
	case "extra":
		return name + " is new"
	case "order":
		return name + " comes in another order"
	case "case":
		return name + " differs in upper and lower case"
	case "precision":
		return name + " has another precision"
	case "sign":
		return name + " has the other sign"
	case "truncated":
		return name + " is cut short"
	case "null":
		return name + " is null where it had a value, or the other way round"
	}
	if e.Was == "" && e.Is == "" {
		return name + " is another"
	}
	return fmt.Sprintf("%s is %s where it was %s", name, brief(e.Is), brief(e.Was))
}

// lastName is the last member of a path: price for $.items[*].price.
func lastName(path string) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	if name == "" || name == "$" || strings.HasPrefix(name, "[") || strings.HasPrefix(name, "$[") {
		return "the body"
	}
	return strings.TrimSuffix(name, "[*]")
}

// typeName guesses a JSON type from a shortened value.
func typeName(v string) string {
	switch {
	case v == "":
		return "nothing"
	case v == "null":
		return "null"
	case v == "true", v == "false":
		return "a boolean"
	case v[0] == '{':
		return "an object"
	case v[0] == '[':
		return "an array"
	case v[0] == '-' && len(v) > 1, v[0] >= '0' && v[0] <= '9':
		return "a number"
	}
	return "a string"
}

const briefLength = 40

func brief(v string) string {
	if r := []rune(v); len(r) > briefLength {
		v = string(r[:briefLength]) + "…"
	}
	return orNothing(v)
}

func orNothing(v string) string {
	if v == "" {
		return "nothing"
	}
	return v
}
