// SPDX-License-Identifier: Apache-2.0

package canon_test

import (
	"testing"

	"microstax/internal/engine/canon"
)

func TestClass(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]string{
		"": canon.ClassEmpty, "true": canon.ClassBool, "false": canon.ClassBool,
		"0": canon.ClassInt, "-12": canon.ClassInt, "123456789012": canon.ClassInt, "9999999999": canon.ClassInt,
		"3.14159": canon.ClassFloat, "1e9": canon.ClassFloat, "-1.5E-3": canon.ClassFloat, "12.50": canon.ClassMoney,
		"f81d4fae-7dec-11d0-a765-00a0c91e6bf6": canon.ClassUUID, "00000000-0000-0000-0000-000000000000": canon.ClassUUID,
		"f81d4fae-7dec-11d0-a765-00a0c91e6bfg": canon.ClassString,
		"01ARZ3NDEKTSV4RRFFQ69G5FAV":           canon.ClassULID, "0ujtsYcgvSTl8PAuAdqWYSMnLOv": canon.ClassKSUID,
		"507f1f77bcf86cd799439011": canon.ClassObjectID, "007f1f77bcf86cd799439011": canon.ClassHex,
		"d41d8cd98f00b204e9800998ecf8427e": canon.ClassHex, "12345678901234567890123456789012": canon.ClassHex,
		"dGhpcyBpcyBhIHRva2VuIDEy": canon.ClassBase64, "notatokenbutaverylongwordindeed": canon.ClassString,
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln": canon.ClassJWT,
		"2026-11-22T10:00:00Z":                      canon.ClassRFC3339, "2026-11-22T10:00:00.123+02:00": canon.ClassRFC3339,
		"2026-11-22 10:00:00": canon.ClassRFC3339, "2026-11-22": canon.ClassDate, "2026-13-22": canon.ClassString,
		"Sun, 22 Nov 2026 10:00:00 GMT": canon.ClassRFC1123, "Sun, 22 Nov 2026": canon.ClassString,
		"1760000000": canon.ClassEpochS, "1760000000000": canon.ClassEpochMS, "1760000000000000": canon.ClassEpochUS,
		"1760000000000000000": canon.ClassEpochNS, "1760000000.25": canon.ClassEpochS, "1760000000.125": canon.ClassEpochS,
		"1.5s": canon.ClassDuration, "2h45m": canon.ClassDuration, "PT1.5S": canon.ClassDuration, "PS": canon.ClassString,
		"https://a.example/x?y=1": canon.ClassURL, "see https://a": canon.ClassString,
		"10.0.0.1": canon.ClassIP, "10.0.0.256": canon.ClassString, "::1": canon.ClassIP, "2001:db8::8a2e:370:7334": canon.ClassIP,
		"12:30:45": canon.ClassString, "a@b.example": canon.ClassEmail, "a@b": canon.ClassString,
		"1.2.3": canon.ClassSemver, "v1.2.3-rc.1+5": canon.ClassSemver, "1.2": canon.ClassFloat, "hello": canon.ClassString,
		"-": canon.ClassString, ".": canon.ClassString, "e": canon.ClassString, "+": canon.ClassString,
	} {
		if got := canon.Class(v); got != want {
			t.Errorf("Class(%q) = %s, want %s", v, got, want)
		}
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]string{
		canon.ClassEpochMS: "timestamp", canon.ClassRFC1123: "timestamp", canon.ClassUUID: "uuid", canon.ClassHex: "token",
		canon.ClassMoney: "number", canon.ClassString: "", canon.ClassBool: "",
	} {
		if got := canon.Model(class); got != want {
			t.Errorf("Model(%s) = %q, want %q", class, got, want)
		}
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"done in 12ms at 2026-11-22T10:00:00Z", "done in 7ms at 2026-11-23T11:00:00.5Z", true},
		{"order 17 of 20.", "order 3 of 9.", true},
		{"id=f81d4fae-7dec-11d0-a765-00a0c91e6bf6;", "id=00000000-7dec-11d0-a765-00a0c91e6bf6;", true},
		{"trace d41d8cd98f00", "trace a0b1c2d3e4f5", true},
		{"host:8080", "host:9191", true},
		{"hello world", "hello World", false},
		{"ünder 5", "ünder 6", true},
		{"", "", true},
	} {
		if got := canon.Mask(tc.a) == canon.Mask(tc.b); got != tc.same {
			t.Errorf("masks %q and %q: same %v", canon.Mask(tc.a), canon.Mask(tc.b), got)
		}
	}
}

func TestWithinULP(t *testing.T) {
	t.Parallel()
	tenth, fifth := 0.1, 0.2
	sum := tenth + fifth
	if !canon.WithinULP(sum, 0.3, 4) || canon.WithinULP(0.3, 0.3000001, 4) || !canon.WithinULP(-5e-324, 5e-324, 4) || canon.WithinULP(1, -1, 4) {
		t.Fatal("distance of floats")
	}
	if canon.Decimals("1.250") != 3 || canon.Decimals("12") != 0 || canon.Decimals("1.2e3") != 0 {
		t.Fatal("decimals")
	}
}
