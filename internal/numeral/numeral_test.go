// SPDX-License-Identifier: Apache-2.0

package numeral_test

import (
	"math"
	"testing"

	"microstax/internal/numeral"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 12408: "12,408", 1234567: "1,234,567",
		-1: "-1", -999: "-999", -1000: "-1,000", -123456: "-123,456", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := numeral.Count(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()
	for share, want := range map[float64]string{
		0: "0 %", 1: "100 %", 0.5: "50 %", 0.125: "12 %", 0.0125: "1.2 %", 0.01: "1 %", 0.00125: "0.12 %", 0.001: "0.1 %",
		0.000001: "0 %", -0.000001: "0 %", -0.25: "-25 %", 12: "1200 %", 0.1: "10 %", 1e-4: "0.01 %",
	} {
		if got := numeral.Percent(share); got != want {
			t.Errorf("%v is written %q, want %q", share, got, want)
		}
	}
}
