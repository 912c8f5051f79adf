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
	v := values{x: x, y: y, cx: a.ClassOf(i), cy: b.ClassOf(j)}
	levels, hid := c.levels(&v, func(r *rule) reach { return r.node(c.segs) }, func() string { return general(c.segs) })
	if !hid {
		v.describe(&f)
		c.atNode(KindValue, levels, f)
	}
}

// values are two values that are not the same, and what each looks like.
type values struct {
	x, y, cx, cy string
	delta        float64 // how far the second is from the first, where that can be said; of times in seconds
}

func look(x, y string) values { return values{x: x, y: y, cx: canon.Class(x), cy: canon.Class(y)} }

// describe names what became of the value.
func (v *values) describe(f *found) {
	f.class, f.delta = v.change(), v.delta
	if m := canon.Model(v.cx); m == canon.Model(v.cy) {
		f.model = m
	}
}

// levels are the levels at which two values differ, and whether a rule hides that they do. The path is asked for only where
// something has been learned of some path.
func (c *collector) levels(v *values, reaches func(*rule) reach, path func() string) (Set, bool) {
	learned := 0.0
	if c.learned != nil {
		learned = c.learned(path())
	}
	if set, ok := c.timeLevels(v, learned); ok {
		return set, false
	}
	switch {
	case numeric(v.cx) && numeric(v.cy):
		return c.numberLevels(v, learned, reaches)
	case v.sameFormat():
		return UpTo(Tolerant), false
	}
	return UpTo(Format), false
}

// moment is how far two times may be apart that both say when their answer was made, beyond the time between the answers.
const moment = 2.0

// timeLevels compares two times with the times at which their answers came: what moves with the clock is the same.
func (c *collector) timeLevels(v *values, learned float64) (Set, bool) {
	if v.cx != v.cy || canon.Model(v.cx) != "timestamp" || c.came[0].IsZero() || c.came[1].IsZero() {
		return 0, false
	}
	x, okX := canon.Time(v.x, v.cx)
	y, okY := canon.Time(v.y, v.cy)
	if !okX || !okY {
		return 0, false
	}
	fromX, fromY := x.Sub(c.came[0]).Seconds(), y.Sub(c.came[1]).Seconds()
	v.delta = fromY - fromX
	far := max(moment, learned)
	if v.cx == canon.ClassDate && math.Abs(fromX) < 2*day && math.Abs(fromY) < 2*day {
		far = max(far, day)
	}
	switch {
	case v.cx == canon.ClassRFC3339 && canon.Shape(v.x, v.cx) != canon.Shape(v.y, v.cy):
		return UpTo(Format), true
	case math.Abs(v.delta) <= far:
		return UpTo(Canonical), true
	}
	return UpTo(Tolerant), true
}

const day = 24 * 60 * 60

// numberLevels are the levels at which two numbers of different value differ, and whether a rule hides that they do.
func (c *collector) numberLevels(v *values, learned float64, reaches func(*rule) reach) (Set, bool) {
	fx, errX := strconv.ParseFloat(v.x, 64)
	fy, errY := strconv.ParseFloat(v.y, 64)
	computable := errX == nil && errY == nil
	if tol, i := c.tolerance(reaches); i >= 0 && computable && within(fx, fy, tol) {
		c.masked[i]++
		c.emitted++
		return 0, true
	}
	if computable {
		v.delta = fy - fx
	}
	fractional := strings.ContainsAny(v.x, ".eE") || strings.ContainsAny(v.y, ".eE")
	switch {
	case computable && fractional && canon.WithinULP(fx, fy, ulps), computable && learned > 0 && within(fx, fy, learned):
		return UpTo(Canonical), false
	case v.cx != v.cy, computable && (fx < 0) != (fy < 0), computable && magnitude(fx) != magnitude(fy):
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

func numeric(class string) bool {
	switch class {
	case canon.ClassInt, canon.ClassFloat, canon.ClassMoney, canon.ClassEpochS, canon.ClassEpochMS, canon.ClassEpochUS, canon.ClassEpochNS:
		return true
	}
	return false
}

// sameFormat compares class, and where that says little the length's bucket and the character set, or the shape.
func (v *values) sameFormat() bool {
	if v.cx == v.cy {
		switch v.cx {
		case canon.ClassHex, canon.ClassBase64: // what of the alphabet of base64 occurs is chance
			return bits.Len(uint(len(v.x))) == bits.Len(uint(len(v.y))) && canon.Shape(v.x, v.cx) == canon.Shape(v.y, v.cy)
		case canon.ClassString:
			if bits.Len(uint(len(v.x))) == bits.Len(uint(len(v.y))) && charset(v.x) == charset(v.y) {
				return true
			}
		case canon.ClassURL:
		default:
			return canon.Shape(v.x, v.cx) == canon.Shape(v.y, v.cy)
		}
	}
	if v.x == "" || v.y == "" || len(v.x) > maxMasked || len(v.y) > maxMasked {
		return false
	}
	return (v.cx == v.cy || canon.Model(v.cx) == "" && canon.Model(v.cy) == "") && canon.Mask(v.x) == canon.Mask(v.y)
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
func (v *values) change() string {
	switch {
	case strings.EqualFold(v.x, v.y):
		return "case"
	case numeric(v.cx) && numeric(v.cy):
		return numericChange(v.x, v.y)
	case v.y != "" && strings.HasPrefix(v.x, v.y):
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
