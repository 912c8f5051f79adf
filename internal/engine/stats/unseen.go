// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"slices"
)

// Unseen bounds the chance that the next user session meets something that none before it has met. A session that does is
// news; the chance of news never grows. The zero value is empty and ready.
type Unseen struct {
	Sessions int64   `json:"n,omitempty"`
	News     int64   `json:"y,omitempty"`
	Starts   []int64 `json:"s,omitempty"` // news before each start that is behind
}

// The starts from which on the process bets that news has become rare: 0, 32, and then each 1.3 times the last. Early news
// says nothing of what is unseen now; where it ended is not known beforehand.
const (
	firstStart  = 32
	startGrowth = 1.3
	maxStarts   = 64
)

// start is after how many sessions the j-th bet begins.
func start(j int) int64 {
	if j == 0 {
		return 0
	}
	return int64(math.Round(firstStart * math.Pow(startGrowth, float64(j-1))))
}

// Valid says whether it can have come about.
func (u Unseen) Valid() bool {
	return u.News >= 0 && u.News <= u.Sessions && len(u.Starts) <= maxStarts && slices.IsSorted(u.Starts) &&
		(len(u.Starts) == 0 || u.Starts[0] >= 0 && u.Starts[len(u.Starts)-1] <= u.News)
}

// Add counts a session; news is told by More when it comes.
func (u *Unseen) Add() {
	for len(u.Starts) < maxStarts && u.Sessions >= start(len(u.Starts)) {
		u.Starts = append(u.Starts, u.News)
	}
	u.Sessions++
}

// More says that the session counted last, or one before it of which that was not said, has met something new.
func (u *Unseen) More() { u.News++ }

// Log is the log e-value against "a new session meets something new with a chance of at least eps".
func (u Unseen) Log(eps float64) float64 {
	logs, weights := make([]float64, len(u.Starts)), make([]float64, len(u.Starts))
	left := 1.0
	for j, before := range u.Starts {
		news := u.News - before
		logs[j] = Tri{Pos: news, Zero: max(u.Sessions-start(j)-news, 0)}.LogDown(eps, ForPromotion())
		weights[j] = 1 / float64((j+1)*(j+2))
		left -= weights[j]
	}
	return logSum([]float64{LogMix(logs, weights), math.Log(left)}) // bets that have not begun are worth what they cost
}

// Bound is the smallest chance that is refuted at alpha, however often somebody looks, and 1 where none is.
func (u Unseen) Bound(alpha float64) float64 {
	need := -math.Log(alpha)
	const most = 1 - 1e-9
	if u.Log(most) < need {
		return 1
	}
	return bisect(most, 0, func(eps float64) bool { return u.Log(eps) >= need })
}
