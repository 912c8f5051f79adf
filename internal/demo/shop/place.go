// SPDX-License-Identifier: Apache-2.0

package shop

import "strings"

// sameEndpoint compares two templates segment by segment; a parameter fits whatever stands there.
func sameEndpoint(a, b string) bool {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] && !strings.HasPrefix(x[i], "{") {
			return false
		}
	}
	return true
}

// wild compares a text with a pattern in which … stands for any text.
func wild(pattern, text string) bool {
	first, rest, any := strings.Cut(pattern, anyText)
	if !any {
		return pattern == text
	}
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for i := 0; i <= len(text); i++ {
		if wild(rest, text[i:]) {
			return true
		}
	}
	return false
}

// anyText stands for any text in a pattern. It is not *, which paths have: $.items[*].price.
const anyText = "…"
