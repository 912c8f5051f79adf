// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"slices"
	"strings"

	api "microstax/api/v1"
	"microstax/internal/numeral"
)

// eligible are the requests that were meant to be compared. What the sample leaves out, and whole sessions that are shed
// by a hash of their name, are no loss: what is left is a fair sample of them. Neither is what a rule or its protocol
// excludes: it is not asked about.
func eligible(t api.Traffic) int64 {
	n := t.Received
	for _, reason := range []string{"sampledOut", "shed", "excluded", "upgraded"} {
		n -= t.Dropped[reason]
	}
	return n
}

// beyond says whether a loss is large enough to matter.
func beyond(lost, of int64) bool { return lost >= fewLost && float64(lost) > maxLoss*float64(of) }

// lost complains of copies that were lost where what is lost depends on the load or on the request, so that what is left
// is no fair sample; "" where it is little.
func lost(t api.Traffic) string {
	all := eligible(t)
	n := t.Dropped["queueFull"] + t.Dropped["timeout"] + t.Dropped["bodyTooLarge"] + t.Dropped["overBudget"] + t.Dropped["captureLost"]
	if !beyond(n, all) {
		return ""
	}
	s := fmt.Sprintf("Evidence cannot be trusted: %s of %s requests (%s) were lost before they could be "+
		"compared, limit %s: %s with a full queue, %s too late, %s with too large a body", numeral.Count(n), numeral.Count(all),
		numeral.Percent(ratio(n, all)), numeral.Percent(maxLoss), numeral.Count(t.Dropped["queueFull"]),
		numeral.Count(t.Dropped["timeout"]), numeral.Count(t.Dropped["bodyTooLarge"]))
	if k := t.Dropped["overBudget"]; k > 0 {
		s += fmt.Sprintf(", %s for want of memory for copies (limits.captureBudget)", numeral.Count(k))
	}
	return s + missedBy(t.Dropped["captureLost"]) + ". Lower the sample, raise the concurrency, or raise maxBody."
}

// unspooled complains of what gateways could not keep.
func unspooled(t api.Traffic) string {
	all, n := eligible(t), t.Dropped["spoolFull"]
	if !beyond(n, all) {
		return ""
	}
	return fmt.Sprintf("Evidence cannot be trusted: %s of %s requests (%s) found no place in the spool of a gateway while the "+
		"server was away, limit %s. Raise limits.spool.", numeral.Count(n), numeral.Count(all), numeral.Percent(ratio(n, all)),
		numeral.Percent(maxLoss))
}

// gaps complains of requests that were not compared because of what the shadows did at the time; "" where they are few.
func gaps(t api.Traffic) string {
	all := eligible(t)
	silent, muddled := t.Dropped["breakerOpen"], t.Dropped["unattributed"]
	if !beyond(silent+muddled, all) {
		return ""
	}
	var why []string
	if silent > 0 {
		why = append(why, numeral.Count(silent)+" while the shadows did not answer, so that only probes were sent")
	}
	if muddled > 0 {
		why = append(why, numeral.Count(muddled)+" whose outgoing calls could not be told apart")
	}
	return fmt.Sprintf("The evidence has holes: %s of %s requests (%s) were not compared, limit %s: %s. See the logs of "+
		"candidate and control.", numeral.Count(silent+muddled), numeral.Count(all), numeral.Percent(ratio(silent+muddled, all)),
		numeral.Percent(maxLoss), strings.Join(why, ", "))
}

// remarks say what a reader has to know beside the verdict: what it does not cover, and under what load it was reached.
func remarks(t api.Traffic) []string {
	var out []string
	if s := t.Shedding; s != nil && s.Requests > 0 {
		out = append(out, fmt.Sprintf("The shadows cannot take all sessions: %s of them are mirrored now, %s at the least; %s "+
			"requests were left out by lot, which does not tilt the comparison.", numeral.Percent(s.Share), numeral.Percent(s.Lowest), numeral.Count(s.Requests)))
	}
	if t.Load != nil && t.Load.Note != "" {
		out = append(out, "Load: "+t.Load.Note+".")
	}
	if names := uncovered(t); len(names) > 0 {
		out = append(out, "Not covered at all: "+strings.Join(names, "; ")+".")
	}
	return out
}

// uncovered are the endpoints of which nothing was compared for what their requests are.
func uncovered(t api.Traffic) []string {
	var names []string
	more := 0
	for _, e := range t.Endpoints {
		if e.Compared > 0 {
			continue
		}
		why, most := "", int64(0)
		for _, reason := range []string{"bodyTooLarge", "overBudget", "upgraded", "unattributed"} {
			if n := e.Dropped[reason]; n > most {
				why, most = reason, n
			}
		}
		switch {
		case most == 0 || most < e.Received-e.Dropped["sampledOut"]-e.Dropped["shed"]-e.Dropped["excluded"]-most:
		case len(names) >= maxListed:
			more++
		default:
			names = append(names, fmt.Sprintf("%s %s (%s of the requests, %s)", e.Service, e.Endpoint, numeral.Percent(ratio(e.Received, t.Received)), why))
		}
	}
	if more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return slices.Clip(names)
}
