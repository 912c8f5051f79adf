// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"strconv"
	"strings"
)

// path is a JSON path as Blueprints have it: names, indexes and stars. The empty path is the whole document.
type path []step

// step is one step of a path. A number in brackets is an index of an array, or a member of that name.
type step struct {
	any  bool
	name string
}

// parsePath reads $, $.a.b, $.items[*].secret, $['odd name'][0]; false when s is none of that.
func parsePath(s string) (path, bool) {
	rest, ok := strings.CutPrefix(s, "$")
	if !ok {
		return nil, false
	}
	p := path{}
	for rest != "" {
		var name string
		var star bool
		switch {
		case strings.HasPrefix(rest, "['") || strings.HasPrefix(rest, `["`):
			end := strings.Index(rest[2:], rest[1:2]+"]")
			if end < 0 {
				return nil, false
			}
			name, rest = rest[2:2+end], rest[2+end+2:]
		case strings.HasPrefix(rest, "["):
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, false
			}
			name, rest = rest[1:end], rest[end+1:]
			if _, err := strconv.ParseUint(name, 10, 31); err != nil && name != "*" {
				return nil, false
			}
			star = name == "*"
		case strings.HasPrefix(rest, "."):
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			name, rest = rest[1:1+end], rest[1+end:]
			if star = name == "*"; strings.ContainsAny(name, "]'\" \t\r\n") {
				return nil, false
			}
		default:
			return nil, false
		}
		if name == "" {
			return nil, false
		}
		p = append(p, step{any: star, name: name})
	}
	return p, true
}

// matches says whether the step leads to a member. Names are compared without regard to case, as many readers of JSON
// do: redacting too much is harmless.
func (s step) matches(name string) bool { return s.any || strings.EqualFold(s.name, name) }
