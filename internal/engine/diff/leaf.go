// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"math"
	"math/bits"
	"strconv"
	"strings"

	"microstax/internal/engine/canon"
)

// ulps is how far apart floats may be that were computed in another order.
const ulps = 4

// maxMasked is the length up to which a string is compared with its volatile parts masked.
const maxMasked = 64 << 10

// scalars compares two values of which at least one is no container, or which are containers of two types.
func (c *collector) scalars(a *canon.Tree, i int32, b *canon.Tree, j int32) {
	ta, tb := a.Type(i), b.Type(j)
	f := found{was: a.Show(i), is: b.Show(j)}
	if ta != tb {
		f.class = "type"
		if ta == canon.Null || tb == canon.Null {
			f.class = "null"
		}
		c.atNode(KindType, UpTo(Type), f)
		return
	}
	x, y := string(a.Text(i)), string(b.Text(j))
	switch {
	case x == y && string(f.was) == string(f.is) || ta == canon.Null:
		return
	case ta == canon.Bool:
		f.class = "other"
		c.atNode(KindValue, UpTo(Tolerant), f)
		return
	case canon.EqualNodes(a, i, b, j):
		f.class = "other"
		c.atNode(KindValue, UpTo(Bytes), f)
		return
	}
	here := func(r *rule) reach { return r.node(c.segs) }
	var levels Set
	var hid bool
	if ta == canon.Number {
		levels, hid = c.numberLevels(x, y, a.ClassOf(i), b.ClassOf(j), here)
	} else {
		levels, hid = c.stringLevels(x, y, here)
	}
	if !hid {
		f.class, f.model = change(x, y), bothModel(x, y)
		c.atNode(KindValue, levels, f)
	}
}

// numberLevels are the levels at which two numbers of different value differ, and whether a rule hides that they do.
func (c *collector) numberLevels(x, y, cx, cy string, reaches func(*rule) reach) (Set, bool) {
	fx, errX := strconv.ParseFloat(x, 64)
	fy, errY := strconv.ParseFloat(y, 64)
	computable := errX == nil && errY == nil
	if tol, i := c.tolerance(reaches); i >= 0 && computable && within(fx, fy, tol) {
		c.masked[i]++
		c.emitted++
		return 0, true
	}
	fractional := strings.ContainsAny(x, ".eE") || strings.ContainsAny(y, ".eE")
	switch {
	case computable && fractional && canon.WithinULP(fx, fy, ulps):
		return UpTo(Canonical), false
	case cx != cy, computable && (fx < 0) != (fy < 0), computable && magnitude(fx) != magnitude(fy):
		return UpTo(Format), false
	}
	return UpTo(Tolerant), false
}

// within says whether two numbers are at most tol apart, but for the error that writing them in binary makes.
func within(x, y, tol float64) bool {
	d := math.Abs(x - y)
	return d <= tol || canon.WithinULP(d, tol, ulps) || d-tol <= (math.Abs(x)+math.Abs(y))*0x1p-52
}

// magnitude is the bucket of a number's length: digits before the point, by powers of two.
func magnitude(f float64) int {
	f = math.Abs(f)
	if f < 10 {
		return 1
	}
	return bits.Len(uint(math.Log10(f)) + 1)
}

// stringLevels are the levels at which two different strings differ, and whether a rule hides that they do.
func (c *collector) stringLevels(x, y string, reaches func(*rule) reach) (Set, bool) {
	cx, cy := canon.Class(x), canon.Class(y)
	if numeric(cx) && numeric(cy) {
		return c.numberLevels(x, y, cx, cy, reaches)
	}
	if sameFormat(x, y, cx, cy) {
		return UpTo(Tolerant), false
	}
	return UpTo(Format), false
}

func numeric(class string) bool {
	switch class {
	case canon.ClassInt, canon.ClassFloat, canon.ClassMoney, canon.ClassEpochS, canon.ClassEpochMS, canon.ClassEpochUS, canon.ClassEpochNS:
		return true
	}
	return false
}

// sameFormat compares class, and where that says little the length's bucket and the character set.
func sameFormat(x, y, cx, cy string) bool {
	if cx == cy {
		switch cx {
		case canon.ClassString, canon.ClassHex, canon.ClassBase64:
			if bits.Len(uint(len(x))) == bits.Len(uint(len(y))) && charset(x) == charset(y) {
				return true
			}
		case canon.ClassURL:
		default:
			return true
		}
	}
	if x == "" || y == "" || len(x) > maxMasked || len(y) > maxMasked {
		return false
	}
	return (cx == cy || canon.Model(cx) == "" && canon.Model(cy) == "") && canon.Mask(x) == canon.Mask(y)
}

// charset is the set of kinds of characters in a string.
func charset(s string) uint8 {
	var set uint8
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z':
			set |= 1
		case 'A' <= b && b <= 'Z':
			set |= 2
		case '0' <= b && b <= '9':
			set |= 4
		case b == ' ' || b == '\t' || b == '\n' || b == '\r':
			set |= 8
		case b >= 0x80:
			set |= 16
		default:
			set |= 32
		}
	}
	return set
}

// change names what became of a value: case, sign, precision, truncated or other.
func change(was, is string) string {
	switch {
	case strings.EqualFold(was, is):
		return "case"
	case numeric(canon.Class(was)) && numeric(canon.Class(is)):
		return numericChange(was, is)
	case is != "" && strings.HasPrefix(was, is):
		return "truncated"
	}
	return "other"
}

func numericChange(was, is string) string {
	x, errX := strconv.ParseFloat(was, 64)
	y, errY := strconv.ParseFloat(is, 64)
	if errX != nil || errY != nil {
		return "other"
	}
	if x == -y && x != 0 {
		return "sign"
	}
	dx, dy := canon.Decimals(was), canon.Decimals(is)
	if dx != dy && math.Abs(x-y) < math.Pow10(-min(dx, dy)) {
		return "precision"
	}
	return "other"
}
