// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// The classes of times and durations.
const (
	ClassRFC3339  = "rfc3339" // with T or a space, with or without a zone
	ClassRFC1123  = "rfc1123" // the HTTP date and its kin
	ClassDate     = "date"    // 2006-01-02
	ClassEpochS   = "epoch-s"
	ClassEpochMS  = "epoch-ms"
	ClassEpochUS  = "epoch-us"
	ClassEpochNS  = "epoch-ns"
	ClassDuration = "duration"
)

// Runs of digits are times only within this range of seconds, July 2017 to March 2049, so that account numbers are not.
const (
	minEpoch = 1_500_000_000
	maxEpoch = 2_500_000_000
)

// epochClass is the class of a run of digits that is a time since 1970, or "".
func epochClass(digits string) string {
	class := ""
	switch len(digits) {
	case 10:
		class = ClassEpochS
	case 13:
		class = ClassEpochMS
	case 16:
		class = ClassEpochUS
	case 19:
		class = ClassEpochNS
	default:
		return ""
	}
	sec, err := strconv.ParseInt(digits[:10], 10, 64)
	if err != nil || sec < minEpoch || sec > maxEpoch {
		return ""
	}
	return class
}

// timeClass is the class of a time or duration in words, or "".
func timeClass(v string) string {
	switch {
	case len(v) >= 10 && len(v) <= 40 && v[4] == '-' && isDigits(v[:4]):
		if len(v) == 10 && parses(v, time.DateOnly) {
			return ClassDate
		}
		if len(v) > 10 && (plainRFC3339(v) || parses(v, layouts()...)) {
			return ClassRFC3339
		}
	case len(v) >= 24 && len(v) <= 40 && v[0] >= 'A' && v[0] <= 'Z':
		if HTTPDate(v) || parses(v, time.RFC1123Z, time.UnixDate, time.RubyDate) {
			return ClassRFC1123
		}
	}
	if isDuration(v) {
		return ClassDuration
	}
	return ""
}

// layouts are those of ClassRFC3339.
func layouts() []string {
	return []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999",
		"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999 -0700 MST", "2006-01-02T15:04:05.999999999Z0700",
		"2006-01-02T15:04Z07:00", "2006-01-02 15:04:05.999999999-07",
	}
}

// plainRFC3339 recognises the usual form in UTC, on days that every month has: 2006-01-02T15:04:05.999Z. What it does not
// know may be a time still.
func plainRFC3339(v string) bool {
	const form = "0000-00-00T00:00:00"
	if len(v) < len(form)+1 || v[len(v)-1] != 'Z' {
		return false
	}
	for i := range len(form) {
		if form[i] == '0' && v[i]-'0' > 9 || form[i] != '0' && v[i] != form[i] {
			return false
		}
	}
	if f := v[len(form) : len(v)-1]; f != "" && (f[0] != '.' || len(f) > 10 || !isDigits(f[1:])) {
		return false
	}
	two := func(i int) int { return int(v[i]-'0')*10 + int(v[i+1]-'0') }
	month, date := two(5), two(8)
	return month >= 1 && month <= 12 && date >= 1 && date <= 28 && two(11) < 24 && two(14) < 60 && two(17) < 60
}

// Time is the moment that a value of one of the classes of time names. Without a zone it is taken for UTC.
func Time(v, class string) (time.Time, bool) {
	switch class {
	case ClassEpochS, ClassEpochMS, ClassEpochUS, ClassEpochNS:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return time.Time{}, false
		}
		switch class {
		case ClassEpochMS:
			f /= 1e3
		case ClassEpochUS:
			f /= 1e6
		case ClassEpochNS:
			f /= 1e9
		}
		sec, frac := math.Modf(f)
		return time.Unix(int64(sec), int64(frac*1e9)), true
	case ClassDate:
		t, err := time.Parse(time.DateOnly, v)
		return t, err == nil
	case ClassRFC3339:
		return parseAny(v, layouts())
	case ClassRFC1123:
		return parseAny(v, []string{time.RFC1123, time.RFC1123Z, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC, time.UnixDate, time.RubyDate})
	}
	return time.Time{}, false
}

func parseAny(v string, layouts []string) (time.Time, bool) {
	for _, l := range layouts {
		if t, err := time.Parse(l, v); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Shape is what stays the same in how values of a class are written, while their content varies: of a time its separator,
// whether it has a fraction, and the form of its zone; of a UUID its version, its case, and whether it is all
// zeroes; of hex digits their case.
func Shape(v, class string) string {
	switch class {
	case ClassRFC3339:
		shape := []byte{v[10], '-'}
		if strings.IndexByte(v, '.') > 0 {
			shape[1] = '.'
		}
		for i := 11; i < len(v); i++ {
			switch c := v[i]; {
			case c == '-':
				shape = append(shape, '+')
			case c == 'Z' || c == '+':
				shape = append(shape, c)
			case c == ':' && len(shape) > 2:
				shape = append(shape, c)
			}
		}
		return string(shape)
	case ClassUUID:
		if strings.Trim(v, "0-") == "" {
			return "nil"
		}
		return v[14:15] + caseOf(v)
	case ClassHex:
		return caseOf(v)
	}
	return ""
}

func caseOf(v string) string {
	switch c := count(v); {
	case c.upper > 0 && c.lower > 0:
		return "mixed"
	case c.upper > 0:
		return "upper"
	}
	return "lower"
}

func parses(v string, layouts ...string) bool {
	for _, l := range layouts {
		if _, err := time.Parse(l, v); err == nil {
			return true
		}
	}
	return false
}

// HTTPDate says whether v is a date as RFC 9110, 5.6.7 allows it, the two obsolete forms included.
func HTTPDate(v string) bool {
	return parses(v, "Mon, 02 Jan 2006 15:04:05 GMT", time.RFC1123, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC)
}

// isDuration holds for Go's form (1.5s, 2h45m) and ISO 8601's (PT1.5S, P3D).
func isDuration(v string) bool {
	if len(v) < 2 || len(v) > 40 {
		return false
	}
	if v[0] == 'P' {
		return strings.ContainsAny(v, "0123456789") && strings.Trim(v, "PTYMWDHS.,0123456789") == "" &&
			(v[len(v)-1] < '0' || v[len(v)-1] > '9')
	}
	if c := v[0]; c != '-' && c != '.' && (c < '0' || c > '9') {
		return false
	}
	_, err := time.ParseDuration(v)
	return err == nil
}
