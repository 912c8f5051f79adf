// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"math"

	api "microstax/api/v1"
	"microstax/internal/engine/stats"
	"microstax/internal/numeral"
)

// When the mix of what was compared is another than the live one: evidence of 1,000 that losses do not fall as requests do,
// and an endpoint that lost a quarter of its requests, those being one in a hundred of all.
const (
	mixAlarm     = 1000
	mixLost      = 0.25
	mixOfAll     = 0.01
	fewestSkewed = 20
)

// mixReasons are the losses that can depend on what a request is.
func mixReasons() []string {
	return []string{"queueFull", "timeout", "bodyTooLarge", "overBudget", "captureLost", "breakerOpen", "unattributed"}
}

// skewed complains of an endpoint that is compared much more rarely than users call it; "" where there is none. Whole
// sessions that are left out by lot do not tilt the mix.
func skewed(t api.Traffic) string {
	var counts []int64
	var totals []float64
	all := 0.0
	worst, most := -1, int64(0)
	for _, e := range t.Endpoints {
		lost := int64(0)
		for _, reason := range mixReasons() {
			lost += e.Dropped[reason]
		}
		counts, totals = append(counts, lost), append(totals, float64(e.Compared+lost))
		all += float64(e.Compared + lost)
		if float64(lost) >= mixLost*float64(e.Compared+lost) && lost > most {
			worst, most = len(counts)-1, lost
		}
	}
	if worst < 0 || most < fewestSkewed || float64(most) < mixOfAll*all {
		return ""
	}
	for j := range totals {
		totals[j] /= all
	}
	logE := stats.LogMismatch(counts, totals)
	if logE < math.Log(mixAlarm) {
		return ""
	}
	e := t.Endpoints[worst]
	why, n := "", int64(0)
	for _, reason := range mixReasons() {
		if e.Dropped[reason] > n {
			why, n = reason, e.Dropped[reason]
		}
	}
	return fmt.Sprintf("Evidence cannot be trusted: what was compared is not the mix that users send (E = %s). Of %s requests to %s %s "+
		"%s (%s) were lost, most of them as %s. Mend that, or leave the endpoint out with shadow.exclude.", power(logE),
		numeral.Count(int64(totals[worst]*all+.5)), e.Service, e.Endpoint, numeral.Count(most),
		numeral.Percent(ratio(most, int64(totals[worst]*all+.5))), why)
}
