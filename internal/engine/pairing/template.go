// SPDX-License-Identifier: Apache-2.0

// Package pairing says which requests are of one kind: it turns method and target into an endpoint such as
// "GET /orders/{id}", without an API description. Template does so by the look of each path segment alone; a Learner also
// by how many different segments it has seen at one place.
//
// The package is pure. A Learner belongs to one goroutine.
package pairing

import (
	"strings"
	"unicode/utf8"

	"microstax/internal/engine/canon"
)

const (
	// wild stands for a segment that is data.
	wild = "{id}"
	// rest stands for all segments beyond maxSegments.
	rest = "**"
	// maxSegments is how many segments of a path are told apart.
	maxSegments = 32
	// maxSegment is how long a constant segment may be; what is longer is data.
	maxSegment = 80
	// maxMethod bounds the method's name.
	maxMethod = 24
)

// Template is the endpoint of a request: its method, and its path with every segment that looks like an identifier
// replaced. Query and fragment are dropped; a known extension is kept: /reports/17.csv is /reports/{id}.csv.
func Template(method, target string) string {
	return clipMethod(method) + " " + join(segments(target))
}

func clipMethod(m string) string {
	if m == "" {
		return "GET" // as net/http means it
	}
	return strings.ToValidUTF8(m[:min(len(m), maxMethod)], "?")
}

func join(segs []string) string {
	if len(segs) == 1 && segs[0] == "*" {
		return "*"
	}
	return "/" + strings.Join(segs, "/")
}

// segments splits a target's path and templates each segment. The root has one empty segment.
func segments(target string) []string {
	path := pathOf(target)
	if path == "*" { // OPTIONS *, RFC 9112, 3.2.4
		return []string{"*"}
	}
	segs := strings.SplitN(strings.TrimPrefix(path, "/"), "/", maxSegments+1)
	if len(segs) > maxSegments {
		segs[maxSegments] = rest
	}
	for i, s := range segs {
		if i < maxSegments {
			segs[i] = segment(s, i == 0)
		}
	}
	return segs
}

// pathOf is the target's path: origin form or absolute form (RFC 9112, 3.2).
func pathOf(target string) string {
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	if i := strings.Index(target, "://"); i > 0 && !strings.Contains(target[:i], "/") {
		target = target[i+3:]
		if j := strings.IndexByte(target, '/'); j >= 0 {
			return target[j:]
		}
		return "/"
	}
	return target
}

// segment is what stands for one segment in the template.
func segment(s string, first bool) string {
	if i := strings.IndexByte(s, ';'); i >= 0 {
		s = s[:i] // matrix parameters, RFC 3986, 3.3
	}
	text := unescape(s)
	stem, ext := extension(text)
	if data(stem, first) {
		return wild + ext
	}
	if ext != "" && data(text, first) { // 1.2.3 has no extension, nor has a@b.example
		return wild
	}
	return constant(text)
}

// extension splits off an extension: a dot and two to five letters or digits that start with a letter.
func extension(s string) (stem, ext string) {
	i := strings.LastIndexByte(s, '.')
	if i <= 0 || len(s)-i < 3 || len(s)-i > 6 || strings.IndexByte(s[:i], '@') >= 0 {
		return s, ""
	}
	for j := i + 1; j < len(s); j++ {
		c := s[j] | 0x20
		if (c < 'a' || c > 'z') && (j == i+1 || s[j] < '0' || s[j] > '9') {
			return s, ""
		}
	}
	return s[:i], s[i:]
}

// data says whether a segment looks like data. The first one is the name of a resource unless it clearly is none.
func data(s string, first bool) bool {
	if len(s) > maxSegment {
		return true
	}
	switch canon.Class(s) {
	case canon.ClassUUID, canon.ClassULID, canon.ClassKSUID, canon.ClassObjectID, canon.ClassHex, canon.ClassJWT,
		canon.ClassEmail, canon.ClassRFC3339, canon.ClassDate:
		return true
	case canon.ClassInt, canon.ClassEpochS, canon.ClassEpochMS, canon.ClassEpochUS, canon.ClassEpochNS:
		return !first || len(s) >= 4
	case canon.ClassFloat, canon.ClassMoney, canon.ClassSemver:
		return !first
	}
	if len(s) >= 12 && hexToken(s) || len(s) >= 16 && token(s) {
		return true
	}
	return !first && prefixed(s)
}

// hexToken holds for hex digits with letters and digits among them.
func hexToken(s string) bool {
	digits := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c|0x20 >= 'a' && c|0x20 <= 'f':
		default:
			return false
		}
	}
	return digits > 0
}

// token holds for what base64, nanoid and the like make: letters with digits strewn among them. Words with a version in
// them, as getUserByIdV2, have their digits in one place.
func token(s string) bool {
	letters, runs := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			if i == 0 || s[i-1] < '0' || s[i-1] > '9' {
				runs++
			}
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			letters++
		case c == '-' || c == '_' || c == '=' || c == '+' || c == '~':
		default:
			return false
		}
	}
	return letters > 0 && runs >= 2
}

// prefixed holds for an identifier with the name of its kind before it: ord-1001, sku_77f3, cus_9s6XKzkNRiz8i3.
func prefixed(s string) bool {
	i := strings.LastIndexAny(s, "-_")
	if i <= 0 || len(s)-i-1 < 3 {
		return false
	}
	for j := range i {
		if c := s[j] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	digits := 0
	for _, c := range []byte(s[i+1:]) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c|0x20 < 'a' || c|0x20 > 'z':
			return false
		}
	}
	return digits == len(s)-i-1 || digits >= 2 && len(s)-i-1 >= 6
}

// unescape undoes percent-encoding; a broken escape, and what would not be one segment of text, stay as they are.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := canon.Unhex(s[i+1]), canon.Unhex(s[i+2]); hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// constant writes a segment that is no data so that it can stand in a path: two spellings of it become one, and none can
// be taken for two segments, for a query, or for the mark of data.
func constant(text string) string {
	const digits = "0123456789ABCDEF"
	plain := utf8.ValidString(text)
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c > ' ' && c < 0x7f && strings.IndexByte(`/?#%{}*;`, c) < 0 || c >= 0x80 && plain {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}
