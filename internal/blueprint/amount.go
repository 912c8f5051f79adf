// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseSize reads a number of bytes: 4096, 64KB (thousands), 1MiB or 5Gi (powers of two). A fraction is rounded down.
func ParseSize(s string) (Size, error) {
	text := strings.TrimSpace(s)
	cut := len(text)
	for cut > 0 && (text[cut-1] < '0' || text[cut-1] > '9') {
		cut--
	}
	unit, ok := sizeUnit(strings.ToLower(strings.TrimSpace(text[cut:])))
	number, err := strconv.ParseFloat(text[:cut], 64)
	if !ok || err != nil || !plain(text[:cut]) {
		return 0, fmt.Errorf("%q is not a size: write a number of bytes, or one with a unit, like 64KB or 1MiB", s)
	}
	bytes := number * unit
	if bytes >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is more than can be counted", s)
	}
	return Size(bytes), nil
}

func sizeUnit(u string) (float64, bool) {
	switch u {
	case "", "b":
		return 1, true
	case "k", "kb":
		return 1e3, true
	case "m", "mb":
		return 1e6, true
	case "g", "gb":
		return 1e9, true
	case "ki", "kib":
		return 1 << 10, true
	case "mi", "mib":
		return 1 << 20, true
	case "gi", "gib":
		return 1 << 30, true
	}
	return 0, false
}

// plain is true of digits with at most one dot: no sign, exponent, underscore or hexadecimal.
func plain(s string) bool {
	digits := strings.Replace(s, ".", "", 1)
	if digits == "" {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// String writes the size with the largest power-of-two unit that leaves no fraction.
func (s Size) String() string {
	switch {
	case s != 0 && s%(1<<30) == 0:
		return strconv.FormatInt(int64(s>>30), 10) + "GiB"
	case s != 0 && s%(1<<20) == 0:
		return strconv.FormatInt(int64(s>>20), 10) + "MiB"
	case s != 0 && s%(1<<10) == 0:
		return strconv.FormatInt(int64(s>>10), 10) + "KiB"
	}
	return strconv.FormatInt(int64(s), 10)
}

// ParseShare reads a share: 25%, or 0.25. It does not judge the range beyond 0 to 1.
func ParseShare(s string) (float64, error) {
	text := strings.TrimSpace(s)
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a share: write it like 25%% or 0.25", s)
	}
	if percent {
		v /= 100
	}
	if v < 0 || v > 1 {
		hint := "a share lies between 0 and 1, or 0% and 100%"
		if v > 1 && v <= 100 && !percent {
			hint = "write " + strings.TrimSpace(number) + "% if that many in a hundred are meant"
		}
		return 0, fmt.Errorf("%q is out of range: %s", s, hint)
	}
	return v, nil
}

// String is the duration as time.Duration writes it.
func (d Duration) String() string { return d.Std().String() }
