// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strconv"
	"strings"

	api "microstax/api/v1"
	"microstax/internal/numeral"
)

// loadLine says under what load the three were asked, and which part of the sessions was mirrored; "" when neither is
// known.
func loadLine(t api.Traffic) string {
	var parts []string
	if s := t.Shedding; s != nil {
		parts = append(parts, SheddingText(*s))
	}
	if l := t.Load; l != nil {
		parts = append(parts, LoadText(*l))
	}
	return strings.Join(parts, "; ")
}

// SheddingText is which part of the sessions is mirrored, for people.
func SheddingText(s api.Shedding) string {
	return fmt.Sprintf("the shadows take %s of the sampled sessions (%s at the least); %s sessions with %s requests were left out by lot",
		numeral.Percent(s.Share), numeral.Percent(s.Lowest), numeral.Count(s.Sessions), numeral.Count(s.Requests))
}

// LoadText is under what load the three were asked, for people.
func LoadText(l api.Load) string {
	s := fmt.Sprintf("requests at a time (mean, p99): baseline %s", levelText(l.Baseline))
	if l.Control.Mean > 0 {
		s += ", control " + levelText(l.Control)
	}
	s += fmt.Sprintf(", candidate %s; copies left %s ms after their request (p50), %s ms (p99)", levelText(l.Candidate),
		number(l.Lag.P50), number(l.Lag.P99))
	if l.Crowded > 0 {
		s += fmt.Sprintf("; %s had to queue, and are left out of latency", numeral.Count(l.Crowded))
	}
	return s
}

func levelText(l api.Level) string {
	return strconv.FormatFloat(l.Mean, 'f', 1, 64) + ", " + strconv.FormatFloat(l.P99, 'f', 0, 64)
}
