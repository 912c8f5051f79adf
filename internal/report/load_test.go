// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"strings"
	"testing"

	api "microstax/api/v1"
	"microstax/internal/report"
)

func TestLoadAndSheddingAreTold(t *testing.T) {
	t.Parallel()
	r := api.Report{Traffic: api.Traffic{
		Received: 100, Compared: 20, Identical: 20, Dropped: map[string]int64{"shed": 80},
		Shedding: &api.Shedding{Share: .12, Lowest: .08, Sessions: 180, Requests: 80},
		Load: &api.Load{
			Lag: api.Lag{P50: 26, P99: 31.5, Unit: "ms"}, Baseline: api.Level{Mean: 12.1, P99: 30}, Control: api.Level{Mean: 1.2, P99: 3},
			Candidate: api.Level{Mean: 4, P99: 9}, Crowded: 7,
		},
	}}
	wants := []string{
		"the shadows take 12 % of the sampled sessions (8 % at the least); 180 sessions with 80 requests were left out by lot",
		"baseline 12.1, 30, control 1.2, 3, candidate 4.0, 9", "copies left 26 ms after their request (p50), 31.5 ms (p99)",
		"7 had to queue", "shed 80",
	}
	text := strings.Join(strings.Fields(report.Text(r, report.Options{})), " ")
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("text lacks %q:\n%s", want, text)
		}
	}
	r.Traffic.Load, r.Traffic.Shedding = nil, nil
	if text := report.Text(r, report.Options{}); strings.Contains(text, "Load:") {
		t.Errorf("says a load that is not known:\n%s", text)
	}
}
