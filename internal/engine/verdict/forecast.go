// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"math"
	"time"

	api "microstax/api/v1"
	"microstax/internal/engine/stats"
	"microstax/internal/numeral"
)

// forecast says of each gate of a service how many more requests it needs if none of them differs; 0 for a gate that
// passes, and −1 for one that stays shut while as many differ as so far.
func forecast(s Service, gs []api.Gate) {
	g := Effective(s.Gate)
	perVisit := 1.0
	if s.Visits.N() > 0 {
		perVisit = max(1, float64(s.Compared)/float64(s.Visits.N()))
	}
	for i := range gs {
		if gs[i].Passed {
			continue
		}
		n := int64(-1)
		switch kindOf(gs[i].Name) {
		case "function":
			if k, ok := stats.Forecast(s.Visits, g.MaxDifferenceRate, need(g), stats.ForPromotion(), 0, 0); ok && !cannotPass(s) {
				n = int64(math.Ceil(float64(k) * perVisit))
			}
		case "latency":
			slow := share(s.Latency.Pos, s.Latency.N())
			if k, ok := stats.Forecast(s.Latency, 0, need(g), stats.ForPromotion(), slow, 1-slow); ok {
				n = k
			}
		case "requests":
			n = g.MinRequests - s.Compared
		case "sessions":
			n = minUnits - s.Units
		}
		gs[i].RequestsNeeded = n
	}
}

// kindOf is a gate's name without what it is about.
func kindOf(name string) string {
	for i := range len(name) {
		if name[i] == ':' {
			return name[:i]
		}
	}
	return name
}

// least and most of a stretch of traffic that says at what rate requests come.
const (
	fewCompared = 20
	shortWindow = 5 * time.Second
)

// secondsNeeded is how long the requests that the slowest service needs take, at the rate at which its requests came so far.
func secondsNeeded(e Evidence) int64 {
	longest := 0.0
	for _, s := range e.Services {
		n := requestsNeeded(s)
		if n == 0 {
			continue
		}
		if s.Compared < fewCompared || e.Window < shortWindow {
			return 0
		}
		longest = max(longest, float64(n)*e.Window.Seconds()/float64(s.Compared))
	}
	return int64(math.Ceil(min(longest, math.MaxInt32)))
}

// howLong says how many more requests would do, and how long they take.
func howLong(requests, seconds int64) string {
	if seconds == 0 {
		return fmt.Sprintf("About %s more requests would do, if no further difference shows.", numeral.Count(requests))
	}
	return fmt.Sprintf("About %s more requests would do, %s at the rate so far, if no further difference shows.", numeral.Count(requests),
		span(seconds))
}

// span writes seconds for people.
func span(seconds int64) string {
	unit, n := "second", seconds
	switch {
	case seconds >= 48*3600:
		unit, n = "day", (seconds+12*3600)/(24*3600)
	case seconds >= 2*3600:
		unit, n = "hour", (seconds+1800)/3600
	case seconds >= 120:
		unit, n = "minute", (seconds+30)/60
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("some %s %s", numeral.Count(n), unit)
}
