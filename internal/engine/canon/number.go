// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"math"
	"strconv"

	"golang.org/x/text/unicode/norm"
)

// decimal is a number as digits: 0.d1d2d3… × 10^exp, without leading or trailing zeroes; zero has no digits. The digits
// are those of whole and frac read on end, of which the first skip are left out and n are taken.
type decimal struct {
	whole, frac []byte
	skip, n     int
	exp         int64
	neg         bool
	huge        bool // the exponent is beyond what is worth computing
}

// maxExp bounds exponents that are computed with; beyond it numbers are equal only when spelled alike.
const maxExp = 1 << 40

// parseDecimal reads a number as JSON spells it (RFC 8259, 6).
func parseDecimal(s []byte) decimal {
	var d decimal
	if len(s) > 0 && s[0] == '-' {
		d.neg, s = true, s[1:]
	}
	mantissa, exponent := s, []byte(nil)
	if i := bytes.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
	}
	d.whole = mantissa
	if i := bytes.IndexByte(mantissa, '.'); i >= 0 {
		d.whole, d.frac = mantissa[:i], mantissa[i+1:]
	}
	total := len(d.whole) + len(d.frac)
	for d.skip < total && d.digit(0) == '0' {
		d.skip++
	}
	d.n = total - d.skip
	for d.n > 0 && d.digit(d.n-1) == '0' {
		d.n--
	}
	if d.n == 0 {
		d.neg = false // -0 is 0
		return d
	}
	e, err := strconv.ParseInt(string(exponent), 10, 64)
	if len(exponent) > 0 && (err != nil || e > maxExp || e < -maxExp) {
		d.huge = true
	}
	d.exp = e + int64(len(d.whole)-d.skip)
	return d
}

func (d *decimal) digit(i int) byte {
	if i += d.skip; i < len(d.whole) {
		return d.whole[i]
	}
	return d.frac[i-len(d.whole)]
}

// EqualNumbers compares two JSON numbers by value, exactly, however long they are: 1.0 = 1 = 1e0.
func EqualNumbers(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, y := parseDecimal(a), parseDecimal(b)
	if x.huge || y.huge || x.neg != y.neg || x.n != y.n || x.n > 0 && x.exp != y.exp {
		return false
	}
	for i := range x.n {
		if x.digit(i) != y.digit(i) {
			return false
		}
	}
	return true
}

// appendNumber appends a spelling that equal numbers share, for hashing.
func appendNumber(dst, s []byte) []byte {
	d := parseDecimal(s)
	if d.huge {
		return append(dst, s...)
	}
	if d.neg {
		dst = append(dst, '-')
	}
	for i := range d.n {
		dst = append(dst, d.digit(i))
	}
	if d.n == 0 {
		return append(dst, '0')
	}
	dst = append(dst, 'e')
	return strconv.AppendInt(dst, d.exp, 10)
}

// Decimals is how many digits a number as spelled has after the point; 0 with an exponent.
func Decimals(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] == '.' {
			for j := i; j < len(s); j++ {
				if s[j] == 'e' || s[j] == 'E' {
					return 0
				}
			}
			return len(s) - i - 1
		}
	}
	return 0
}

// WithinULP says whether two floats are at most n representable values apart: what another order of summation gives.
func WithinULP(a, b float64, n uint64) bool {
	if math.IsNaN(a) || math.IsNaN(b) || math.IsInf(a, 0) || math.IsInf(b, 0) {
		return false
	}
	x, y := ordered(a), ordered(b)
	if x < y {
		x, y = y, x
	}
	return uint64(x)-uint64(y) <= n
}

// ordered maps floats to integers in the same order, neighbours to neighbours.
func ordered(f float64) int64 {
	bits := int64(math.Float64bits(f))
	if bits < 0 {
		return math.MinInt64 - bits
	}
	return bits
}

// EqualStrings compares two strings after Unicode normalisation (NFC).
func EqualStrings(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if ascii(a) && ascii(b) {
		return false
	}
	return bytes.Equal(norm.NFC.Bytes(a), norm.NFC.Bytes(b))
}

func ascii(s []byte) bool {
	for _, c := range s {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
