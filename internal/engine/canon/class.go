// SPDX-License-Identifier: Apache-2.0

package canon

// The classes of single values that Class tells apart, besides those of time in classtime.go.
const (
	ClassEmpty    = "empty"
	ClassBool     = "bool"
	ClassInt      = "int"
	ClassFloat    = "float"
	ClassMoney    = "money" // a decimal with two places, as a string
	ClassUUID     = "uuid"
	ClassULID     = "ulid"
	ClassKSUID    = "ksuid"
	ClassObjectID = "objectid"
	ClassHex      = "hex"
	ClassBase64   = "base64"
	ClassJWT      = "jwt"
	ClassURL      = "url"
	ClassIP       = "ip"
	ClassEmail    = "email"
	ClassSemver   = "semver"
	ClassString   = "string" // none of the others
)

// maxClassed is the length beyond which only URLs and tokens are told from plain strings.
const maxClassed = 4096

// Class names what a value looks like, by its content alone; the first match wins.
func Class(v string) string {
	switch {
	case v == "":
		return ClassEmpty
	case v == "true", v == "false":
		return ClassBool
	case len(v) > maxClassed:
		return ClassString
	}
	if c := numberClass(v); c != "" {
		return c
	}
	if c := idClass(v); c != "" {
		return c
	}
	if c := timeClass(v); c != "" {
		return c
	}
	switch {
	case isURL(v):
		return ClassURL
	case isIPv4(v), isIPv6(v):
		return ClassIP
	case isEmail(v):
		return ClassEmail
	case isSemver(v):
		return ClassSemver
	case isBase64(v):
		return ClassBase64
	}
	return ClassString
}

// ClassOf is the class of a scalar in a tree.
func (t *Tree) ClassOf(i int32) string {
	switch t.Type(i) {
	case Null:
		return "null"
	case Bool:
		return ClassBool
	case Number:
		c := Class(string(t.Text(i)))
		if c == ClassMoney {
			return ClassFloat // places mean nothing in a JSON number
		}
		return c
	case String:
		return Class(string(t.Text(i)))
	default:
		return t.Type(i).String()
	}
}

// Model is what reports call the way in which values of a class vary: timestamp, uuid, token, number, …; "" for classes
// whose values are not volatile by nature.
func Model(class string) string {
	switch class {
	case ClassRFC3339, ClassRFC1123, ClassDate, ClassEpochS, ClassEpochMS, ClassEpochUS, ClassEpochNS:
		return "timestamp"
	case ClassUUID, ClassULID, ClassKSUID, ClassObjectID, ClassDuration, ClassIP, ClassURL:
		return class
	case ClassHex, ClassBase64, ClassJWT:
		return "token"
	case ClassInt, ClassFloat, ClassMoney:
		return "number"
	}
	return ""
}

// numberClass is int, float, money, an epoch class, or "".
func numberClass(v string) string {
	s, neg := v, false
	if s[0] == '-' || s[0] == '+' {
		s, neg = s[1:], true
	}
	digits, dots, point, exp := 0, 0, 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.' && !exp && dots == 0:
			dots, point = 1, i
		case (c == 'e' || c == 'E') && !exp && digits > 0 && i+1 < len(s):
			exp = true
		case (c == '-' || c == '+') && exp && (s[i-1] == 'e' || s[i-1] == 'E') && i+1 < len(s):
		default:
			return ""
		}
	}
	switch {
	case digits == 0:
		return ""
	case dots == 0 && !exp && len(s) == 32:
		return "" // as likely a hash in hex that happens to have no letters
	case dots == 0 && !exp:
		if c := epochClass(s); c != "" && !neg {
			return c
		}
		return ClassInt
	case dots == 1 && !exp && !neg && point == 10 && epochClass(s[:point]) != "":
		return ClassEpochS
	case dots == 1 && !exp && point > 0 && len(s)-point-1 == 2:
		return ClassMoney
	}
	return ClassFloat
}

// letters of a value, by kind.
type census struct{ lower, upper, digit, other int }

func count(v string) census {
	var c census
	for i := 0; i < len(v); i++ {
		switch b := v[i]; {
		case b >= 'a' && b <= 'z':
			c.lower++
		case b >= 'A' && b <= 'Z':
			c.upper++
		case b >= '0' && b <= '9':
			c.digit++
		default:
			c.other++
		}
	}
	return c
}

func isHex(v string) bool {
	for i := 0; i < len(v); i++ {
		if Unhex(v[i]) < 0 {
			return false
		}
	}
	return true
}

func isDigits(v string) bool {
	for i := 0; i < len(v); i++ {
		if v[i] < '0' || v[i] > '9' {
			return false
		}
	}
	return len(v) > 0
}
