// SPDX-License-Identifier: Apache-2.0

// Package numeral writes numbers for people, the same in a verdict's reasons as in a report: Count and Percent. It is
// pure, and knows no other package of ours.
package numeral

import (
	"math"
	"strconv"
	"strings"
)

// Count writes 12408 as 12,408.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Percent writes a share with as many decimals as it needs: 0.125 as 12 %, 0.0125 as 1.2 %, 0.00125 as 0.12 %. A share
// that is not 0 and rounds to it is 0 %.
func Percent(share float64) string {
	p, digits := 100*share, 2
	switch a := math.Abs(p); {
	case a >= 10:
		digits = 0
	case a >= 1:
		digits = 1
	}
	text := strconv.FormatFloat(p, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		text = "0"
	}
	return text + " %"
}
