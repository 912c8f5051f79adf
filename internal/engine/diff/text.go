// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"microstax/internal/engine/canon"
)

// texts compares two different texts: one difference, shown around the first place.
func (c *collector) texts(a, b []byte) {
	f := found{class: "other"}
	f.was, f.is = around(a, b)
	levels := UpTo(Bytes)
	if x, y := lines(a), lines(b); !slices.EqualFunc(x, y, bytes.Equal) {
		levels = UpTo(Canonical)
		switch {
		case sameMultiset(x, y):
			f.class, f.model = "order", "order"
		case len(x) == len(y) && sameMasked(x, y):
			levels, f.model = UpTo(Tolerant), "text"
		default:
			levels = UpTo(Format)
		}
		switch {
		case bytes.EqualFold(a, b):
			f.class = "case"
		case bytes.HasPrefix(a, b):
			f.class = "truncated"
		}
	}
	c.text(KindText, "line "+strconv.Itoa(1+bytes.Count(a[:common(a, b)], []byte{'\n'})), levels, f)
}

// lines are the lines of a text with runs of white space made one space, those at the ends and empty lines left out.
func lines(text []byte) [][]byte {
	out := make([][]byte, 0, 1+bytes.Count(text, []byte{'\n'}))
	buf := make([]byte, 0, len(text)) // never grows, so that what was cut off it stays
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		from := len(buf)
		for word := range bytes.FieldsSeq(line) {
			if len(buf) > from {
				buf = append(buf, ' ')
			}
			buf = append(buf, word...)
		}
		if len(buf) > from {
			out = append(out, buf[from:len(buf):len(buf)])
		}
	}
	return out
}

func sameMultiset(x, y [][]byte) bool {
	if len(x) != len(y) {
		return false
	}
	x, y = slices.Clone(x), slices.Clone(y)
	slices.SortFunc(x, bytes.Compare)
	slices.SortFunc(y, bytes.Compare)
	return slices.EqualFunc(x, y, bytes.Equal)
}

// sameMasked says whether the texts differ only in times, identifiers and numbers.
func sameMasked(x, y [][]byte) bool {
	for i := range x {
		if !bytes.Equal(x[i], y[i]) && canon.Mask(string(x[i])) != canon.Mask(string(y[i])) {
			return false
		}
	}
	return true
}

// common is the length of the common beginning.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// context is how many bytes before the first difference are shown.
const context = 40

// around cuts out of both what lies around their first difference.
func around(a, b []byte) (was, is []byte) {
	from := max(0, common(a, b)-context)
	for from > 0 && from < len(a) && !utf8.RuneStart(a[from]) {
		from--
	}
	return cut(a, from), cut(b, from)
}

func cut(v []byte, from int) []byte {
	out := v[min(from, len(v)):]
	if len(out) > maxShown {
		out = out[:maxShown+1] // shorten marks the cut
	}
	if from > 0 {
		out = append([]byte("…"), out...)
	}
	return out
}
