// SPDX-License-Identifier: Apache-2.0

package effects

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"sort"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"microstax/internal/engine/canon"
	"microstax/internal/exchange"
)

// maxLeaves bounds how much of a body takes part in matching; beyond it bodies are compared as bytes.
const maxLeaves = 2000

// maxLikenessBody is the largest body, in bytes, that is taken apart for matching.
const maxLikenessBody = 256 << 10

// leaf is one comparable part of a request: where it stands and what it says.
type leaf struct{ at, value string }

// likeness is a request prepared for matching.
type likeness struct {
	operation string // method and path with its id-like segments masked
	leaves    []leaf // sorted by place; path segments, query, body
	safe      bool
}

// safeMethod is RFC 9110, 9.2.1.
func safeMethod(m string) bool {
	switch m {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// look prepares a request for matching.
func look(r *exchange.Request) likeness {
	path, query, _ := strings.Cut(r.Target, "?")
	l := likeness{safe: safeMethod(r.Method)}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	masked := make([]string, len(segments))
	for i, s := range segments {
		masked[i] = s
		if volatile(s) != "" || allDigits(s) {
			masked[i] = "{id}"
			l.leaves = append(l.leaves, leaf{"/" + string(rune('a'+i%26)), s})
		}
	}
	l.operation = r.Method + " /" + strings.Join(masked, "/")
	if values, err := url.ParseQuery(query); err == nil {
		for k, vs := range values {
			for _, v := range vs {
				l.leaves = append(l.leaves, leaf{"?" + k, v})
			}
		}
	} else {
		l.leaves = append(l.leaves, leaf{"?", query})
	}
	l.leaves = append(l.leaves, bodyLeaves(r)...)
	sort.Slice(l.leaves, func(i, j int) bool {
		if l.leaves[i].at != l.leaves[j].at {
			return l.leaves[i].at < l.leaves[j].at
		}
		return l.leaves[i].value < l.leaves[j].value
	})
	return l
}

func bodyLeaves(r *exchange.Request) []leaf {
	body := r.Body.Data
	if len(body) == 0 {
		return nil
	}
	media, _ := exchange.Get(r.Headers, "content-type")
	if len(body) <= maxLikenessBody && !r.Body.Truncated {
		if strings.Contains(media, "x-www-form-urlencoded") {
			if values, err := url.ParseQuery(string(body)); err == nil {
				return formLeaves(values)
			}
		}
		if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
			if ls, ok := jsonLeaves(body); ok {
				return ls
			}
		}
	}
	return []leaf{{"$", string(body[:min(len(body), maxLikenessBody)])}}
}

func formLeaves(values url.Values) []leaf {
	var ls []leaf
	for k, vs := range values {
		for _, v := range vs {
			ls = append(ls, leaf{"$" + k, v})
		}
	}
	return ls
}

// jsonLeaves flattens a document; array positions do not count, so that order alone does not spoil a match.
func jsonLeaves(body []byte) ([]leaf, bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	var ls []leaf
	for {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return ls, true
		}
		if err != nil {
			return nil, false
		}
		switch tok.Kind() {
		case '{', '}', '[', ']':
			continue
		default: // a name or a scalar
		}
		if kind, n := dec.StackIndex(dec.StackDepth()); kind == '{' && n%2 == 1 {
			continue // a member's name
		}
		if len(ls) >= maxLeaves {
			return nil, false
		}
		ls = append(ls, leaf{place(dec.StackPointer()), tok.String()})
	}
}

// place is a JSON pointer whose array positions are masked.
func place(p jsontext.Pointer) string {
	parts := strings.Split(string(p), "/")
	for i, s := range parts {
		if allDigits(s) {
			parts[i] = "*"
		}
	}
	return "$" + strings.Join(parts, "/")
}

// sameVolatile is how much two different values count as equal when both are of the same class that changes by nature.
const sameVolatile = 0.95

// similarity is 0..1: the share of leaves that both requests have, values of the same volatile class counting almost in
// full. Requests of different operations have none.
func similarity(a, b *likeness) float64 {
	if a.operation != b.operation {
		return 0
	}
	if len(a.leaves) == 0 && len(b.leaves) == 0 {
		return 1
	}
	equal, i, j, union := 0.0, 0, 0, 0
	for i < len(a.leaves) || j < len(b.leaves) {
		union++
		switch {
		case j == len(b.leaves) || i < len(a.leaves) && a.leaves[i].at < b.leaves[j].at:
			i++
		case i == len(a.leaves) || b.leaves[j].at < a.leaves[i].at:
			j++
		default:
			equal += alike(a.leaves[i].value, b.leaves[j].value)
			i, j = i+1, j+1
		}
	}
	return equal / float64(union)
}

func alike(x, y string) float64 {
	if x == y {
		return 1
	}
	if c := volatile(x); c != "" && c == volatile(y) {
		return sameVolatile
	}
	return 0
}

// equalLikeness says whether two requests ask for the same in every leaf.
func equalLikeness(a, b *likeness) bool {
	if a.operation != b.operation || len(a.leaves) != len(b.leaves) {
		return false
	}
	for i := range a.leaves {
		if a.leaves[i] != b.leaves[i] {
			return false
		}
	}
	return true
}

// volatile is the class of a value that differs from run to run by nature, or "": a time, a uuid, or a token, which any
// other made-up id is. Days are arguments, not times.
func volatile(s string) string {
	switch c := canon.Class(s); c {
	case canon.ClassUUID:
		return c
	case canon.ClassULID, canon.ClassKSUID, canon.ClassObjectID, canon.ClassHex, canon.ClassBase64, canon.ClassJWT:
		return "token"
	case canon.ClassDate:
		return ""
	default:
		if canon.Model(c) == "timestamp" {
			return "timestamp"
		}
	}
	if len(s) >= 16 && len(s) <= 512 && (allDigits(s) || mixedToken(s)) {
		return "token" // a long number, or one with a prefix, as in ord_01J…
	}
	return ""
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// mixedToken says whether s is one word of letters and at least three digits.
func mixedToken(s string) bool {
	digits := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c|0x20 >= 'a' && c|0x20 <= 'z', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return digits >= 3
}
