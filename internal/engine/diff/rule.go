// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"
	"strconv"
	"strings"

	"microstax/internal/blueprint"
)

// reach says how a rule concerns a place.
type reach uint8

const (
	none  reach = iota
	exact       // the rule names the place
	below       // the rule names something that the place is within
)

// step is one step of a rule's path.
type step struct {
	name  []byte
	class string // [{uuid}]
	index int32
	kind  stepKind
}

type stepKind uint8

const (
	stepName  stepKind = iota
	stepAny            // * or [*]
	stepIndex          // [3]
	stepClass          // [{uuid}]
	stepDeep           // .. : any number of steps
)

// rule is one compiled entry of the Blueprint's ignore list.
type rule struct {
	named     string // a header's name, or the path of a difference outside the body, lower case
	steps     []step
	inBody    bool
	tolerance *float64
	unordered bool
}

func compile(ignore []blueprint.Ignore) []rule {
	out := make([]rule, len(ignore))
	for i := range ignore {
		ig := &ignore[i]
		out[i] = rule{tolerance: ig.Tolerance, unordered: ig.Order == "any", named: strings.ToLower(ig.Header)}
		if ig.Header != "" {
			continue
		}
		switch path := strings.TrimSpace(ig.Path); {
		case path == "body":
			out[i].inBody = true
		case strings.HasPrefix(path, "$"):
			out[i].inBody, out[i].steps = true, compilePath(path[1:])
		default:
			out[i].named = strings.ToLower(path) // status, content-type, set-cookie[sid].path
		}
		if n := len(out[i].steps); out[i].unordered && n > 0 && out[i].steps[n-1].kind == stepAny {
			out[i].steps = out[i].steps[:n-1] // $.tags[*] as well as $.tags
		}
	}
	return out
}

// compilePath reads what follows the $: .name, ['na me'], [3], [*], .*, ..name, [{uuid}]. What makes no sense is taken as a
// name, which matches nothing; validation of the Blueprint is where it is refused.
func compilePath(p string) []step {
	var out []step
	for len(p) > 0 {
		switch {
		case strings.HasPrefix(p, ".."):
			out = append(out, step{kind: stepDeep})
			if p = p[1:]; p[1:] == "" || p[1] == '[' {
				p = p[1:]
			}
		case p[0] == '.' || p[0] != '[':
			p = strings.TrimPrefix(p, ".")
			name := p
			if i := strings.IndexAny(p, ".["); i >= 0 {
				name, p = p[:i], p[i:]
			} else {
				p = ""
			}
			if name == "*" {
				out = append(out, step{kind: stepAny})
			} else {
				out = append(out, step{name: []byte(name)})
			}
		default:
			var s step
			s, p = compileBracket(p[1:])
			out = append(out, s)
		}
	}
	return out
}

// compileBracket reads what follows a [, and gives the rest.
func compileBracket(p string) (step, string) {
	if p != "" && (p[0] == '\'' || p[0] == '"') {
		quote, name := p[0], []byte(nil)
		i := 1
		for ; i < len(p) && p[i] != quote; i++ {
			if p[i] == '\\' && i+1 < len(p) {
				i++
			}
			name = append(name, p[i])
		}
		return step{name: name}, strings.TrimPrefix(p[min(i+1, len(p)):], "]")
	}
	in, rest, _ := strings.Cut(p, "]")
	if in == "*" || in == "" {
		return step{kind: stepAny}, rest
	}
	if n, err := strconv.ParseInt(in, 10, 32); err == nil {
		return step{kind: stepIndex, index: int32(n), name: []byte(in)}, rest
	}
	if strings.HasPrefix(in, "{") && strings.HasSuffix(in, "}") {
		return step{kind: stepClass, class: in[1 : len(in)-1]}, rest
	}
	return step{name: []byte(in)}, rest
}

func (s *step) matches(at *seg) bool {
	switch s.kind {
	case stepAny:
		return !at.silent || at.array
	case stepIndex:
		return at.array && at.index == s.index || !at.array && bytes.Equal(at.name, s.name)
	case stepClass:
		return at.class != "" && (at.class == s.class || s.class == "id")
	case stepName:
		return !at.array && bytes.Equal(at.name, s.name)
	default: // stepDeep: match takes it
		return false
	}
}

// node says how the rule concerns a place in the body.
func (r *rule) node(at []seg) reach {
	if !r.inBody {
		return none
	}
	return match(r.steps, at)
}

func match(steps []step, at []seg) reach {
	for i := range steps {
		if steps[i].kind == stepDeep {
			best := none
			for skip := 0; skip <= len(at) && best != exact; skip++ {
				if got := match(steps[i+1:], at[skip:]); got != none && (best == none || got == exact) {
					best = got
				}
			}
			return best
		}
		for len(at) > 0 && at[0].silent && !steps[i].matches(&at[0]) {
			at = at[1:]
		}
		if len(at) == 0 || !steps[i].matches(&at[0]) {
			return none
		}
		at = at[1:]
	}
	for len(at) > 0 && at[0].silent {
		at = at[1:]
	}
	if len(at) == 0 {
		return exact
	}
	return below
}

// header says how the rule concerns a place outside the body.
func (r *rule) header(path string) reach {
	if r.named == "" || r.inBody {
		return none
	}
	if r.named == path || strings.HasPrefix(path, r.named) && (path[len(r.named)] == '[' || path[len(r.named)] == '.') {
		return exact
	}
	return none
}

// leave is what is left of a difference under the rule.
func (r *rule) leave(kind Kind, levels Set, how reach) Set {
	if r.unordered && (kind == KindOrder || kind == KindHeader && levels == UpTo(Bytes)) && how == exact {
		return 0
	}
	if r.tolerance != nil {
		// Numbers were measured where they were found; here only spelling and the exact value are taken away.
		if kind == KindValue || kind == KindHeader {
			return levels &^ UpTo(Canonical)
		}
		return levels
	}
	if r.unordered {
		return levels
	}
	if how == below {
		return 0
	}
	return levels &^ UpTo(Format) // only presence and type are still compared
}

// tolerance is the one that a rule gives for the place, and which rule.
func (c *collector) tolerance(reaches func(*rule) reach) (float64, int) {
	for i := range c.rules {
		if r := &c.rules[i]; r.tolerance != nil && reaches(r) != none {
			return *r.tolerance, i
		}
	}
	return 0, -1
}
