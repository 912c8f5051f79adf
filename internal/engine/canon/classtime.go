// SPDX-License-Identifier: Apache-2.0

package canon

import (
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
		if parses(v, "2006-01-02") {
			return ClassDate
		}
		if parses(v, time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999",
			"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999 -0700 MST", "2006-01-02T15:04:05.999999999Z0700",
			"2006-01-02T15:04Z07:00", "2006-01-02 15:04:05.999999999-07") {
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
