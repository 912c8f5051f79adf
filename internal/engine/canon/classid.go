// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"strconv"
	"strings"
)

// idClass is the class of an identifier, or "".
func idClass(v string) string {
	switch {
	case len(v) == 36 && isUUID(v):
		return ClassUUID
	case len(v) == 26 && isULID(v):
		return ClassULID
	case len(v) == 27 && isKSUID(v):
		return ClassKSUID
	case len(v) == 24 && isObjectID(v):
		return ClassObjectID
	case len(v) >= 16 && isHex(v):
		return ClassHex
	case isJWT(v):
		return ClassJWT
	}
	return ""
}

// isUUID holds for every version: 8-4-4-4-12 hex digits.
func isUUID(v string) bool {
	for i := 0; i < len(v); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if v[i] != '-' {
				return false
			}
		} else if Unhex(v[i]) < 0 {
			return false
		}
	}
	return true
}

// isULID holds for 26 digits of Crockford's base 32 in one case, whose 128 bits do not overflow.
func isULID(v string) bool {
	if v[0] > '7' {
		return false
	}
	c := count(v)
	if c.other > 0 || c.digit == 0 || c.upper > 0 && c.lower > 0 || c.upper+c.lower == 0 {
		return false
	}
	return !strings.ContainsAny(v, "ILOUilou")
}

// isKSUID holds for 27 base-62 digits of all three kinds.
func isKSUID(v string) bool {
	c := count(v)
	return c.other == 0 && c.digit > 0 && c.upper > 0 && c.lower > 0 && v[0] >= '0' && v[0] <= '3'
}

// isObjectID holds for 24 hex digits that start with the seconds of a plausible time.
func isObjectID(v string) bool {
	if !isHex(v) {
		return false
	}
	sec, err := strconv.ParseUint(v[:8], 16, 64)
	return err == nil && sec >= 1_000_000_000 && sec <= maxEpoch
}

// isJWT holds for three base64url parts of which the first is an object's start.
func isJWT(v string) bool {
	if !strings.HasPrefix(v, "eyJ") || strings.Count(v, ".") != 2 {
		return false
	}
	for i := 0; i < len(v); i++ {
		if c := v[i]; c != '.' && !base64Byte(c) {
			return false
		}
	}
	return true
}

// isBase64 holds for at least 22 digits of base64 or base64url, of all three kinds: 128 bits and more.
func isBase64(v string) bool {
	if len(v) < 22 {
		return false
	}
	s := strings.TrimRight(v, "=")
	if len(v)-len(s) > 2 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !base64Byte(s[i]) {
			return false
		}
	}
	c := count(s)
	return c.lower > 0 && c.upper > 0 && c.digit > 0
}

func base64Byte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '+' || c == '/'
}

// isURL holds for scheme://something without white space.
func isURL(v string) bool {
	i := strings.Index(v, "://")
	if i < 2 || i > 12 || i+3 == len(v) || strings.ContainsAny(v, " \t\r\n") {
		return false
	}
	for j := range i {
		if c := v[j] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

func isIPv4(v string) bool {
	if len(v) < 7 || len(v) > 15 || strings.Count(v, ".") != 3 {
		return false
	}
	for part := range strings.SplitSeq(v, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n > 255 || !isDigits(part) || len(part) > 1 && part[0] == '0' {
			return false
		}
	}
	return true
}

// isIPv6 holds for groups of up to four hex digits, eight of them or fewer with one gap (RFC 4291, 2.2, without the
// mixed notation).
func isIPv6(v string) bool {
	if len(v) < 3 || len(v) > 39 || strings.Count(v, ":") < 2 {
		return false
	}
	head, tail, gap := strings.Cut(v, "::")
	groups := 0
	for _, half := range []string{head, tail} {
		if half == "" {
			continue
		}
		for part := range strings.SplitSeq(half, ":") {
			if len(part) == 0 || len(part) > 4 || !isHex(part) {
				return false
			}
			groups++
		}
	}
	return !gap && groups == 8 || gap && groups < 8 && groups > 0
}

func isEmail(v string) bool {
	local, domain, ok := strings.Cut(v, "@")
	if !ok || local == "" || len(v) > 254 || strings.ContainsAny(v, " \t\r\n<>,\"/") || strings.Contains(domain, "@") {
		return false
	}
	i := strings.LastIndexByte(domain, '.')
	return i > 0 && i < len(domain)-1
}

// isSemver holds for MAJOR.MINOR.PATCH with an optional v, pre-release and build (semver.org, 2.0.0).
func isSemver(v string) bool {
	s := strings.TrimPrefix(v, "v")
	if i := strings.IndexAny(s, "-+"); i >= 0 {
		if i == len(s)-1 {
			return false
		}
		for _, c := range []byte(s[i+1:]) {
			if !base64Byte(c) && c != '.' || c == '/' || c == '_' {
				return false
			}
		}
		s = s[:i]
	}
	if strings.Count(s, ".") != 2 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !isDigits(part) || len(part) > 10 {
			return false
		}
	}
	return true
}
