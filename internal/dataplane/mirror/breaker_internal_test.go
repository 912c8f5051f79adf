// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"testing"
	"time"
)

func TestBreakerOpensAfterFailuresInARowAndLetsProbesThrough(t *testing.T) {
	t.Parallel()
	var b breaker
	now := time.Unix(1000, 0)
	for range breakAfter - 1 {
		b.done(false, false, 0, now)
	}
	b.done(true, false, time.Millisecond, now)
	for range breakAfter - 1 {
		b.done(false, false, 0, now)
	}
	if b.shut() {
		t.Fatal("open, though an answer came in between")
	}
	b.done(false, false, 0, now)
	if !b.shut() {
		t.Fatal("closed after failures in a row")
	}
	passed := map[int]int{} // by second
	for i := range 20_000 { // ten seconds at 2,000 requests/s
		at := now.Add(time.Duration(i) * time.Second / 2000)
		if due := b.due(at); b.pass(at) != due {
			t.Fatal("due and pass disagree")
		} else if due {
			passed[i/2000]++
			b.done(false, false, 0, at)
		}
	}
	if passed[0] != 4 || passed[8] != 1 || passed[9] != 1 {
		t.Errorf("probes by second: got %v, want 4 in the first, later one in each", passed)
	}
	b.done(true, false, time.Millisecond, now)
	if b.shut() || !b.pass(now) {
		t.Error("still open after an answer")
	}
}

func TestBreakerOpensWhenNothingIsAnsweredAtAll(t *testing.T) {
	t.Parallel()
	var b breaker
	now := time.Unix(1000, 0)
	if b.stalled(now, now.Add(stallAfter/2), 0) || b.shut() {
		t.Error("open before its time")
	}
	b.done(true, true, time.Millisecond, now.Add(stallAfter/2))
	if b.stalled(now, now.Add(stallAfter), 0) || b.shut() {
		t.Error("open though an answer came meanwhile")
	}
	if b.stalled(now, now.Add(2*stallAfter), stallAfter) || b.shut() {
		t.Error("open though the baseline takes as long itself")
	}
	if !b.stalled(now, now.Add(2*stallAfter), 0) || !b.shut() {
		t.Error("closed after no answer at all")
	}
}

func TestASlowShadowGetsMorePlacesButNotOneThatMorePlacesSlowDown(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		took     func(places int64) time.Duration
		min, max int64
	}{
		{"waits for something else", func(int64) time.Duration { return 500 * time.Millisecond }, maxInFlight, maxInFlight},
		{"does 1,000 a second", func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }, 64, 192},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var b breaker
			now := time.Unix(1000, 0)
			for range 40_000 {
				b.done(true, true, c.took(defaultConcurrency+b.extra.Load()), now)
			}
			if n := defaultConcurrency + b.extra.Load(); n < c.min || n > c.max+defaultConcurrency {
				t.Errorf("places: got %d, want %d to %d", n, c.min, c.max)
			}
			b.done(false, true, 0, now)
			if b.extra.Load() != 0 {
				t.Error("a failure leaves the places beyond the configured ones")
			}
		})
	}
}
