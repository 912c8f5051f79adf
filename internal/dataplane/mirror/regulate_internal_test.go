// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"sync/atomic"
	"testing"
	"time"
)

func TestPlacesThatAreOfNoUseAreTakenBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		served func(places int64) float64
		frozen bool
	}{
		{"a slow shadow does more with more places", func(n int64) float64 { return float64(2 * n) }, false},
		{"one at its limit does not", func(int64) float64 { return 50 }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var g growth
			var extra atomic.Int64
			frozen := false
			for i := range 50 {
				frozen = frozen || g.useless(epoch.Add(time.Duration(i)*regulateEvery), &extra, c.served(64+extra.Load()))
				if !frozen {
					extra.Add(10)
				}
			}
			if frozen != c.frozen || frozen && extra.Load() > 10 {
				t.Errorf("frozen %v with %d more places", frozen, extra.Load())
			}
			if late := g.useless(epoch.Add(time.Minute), &extra, 50); c.frozen && late {
				t.Error("it is never tried again")
			}
		})
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	var r rate
	n, got := int64(0), 0.0
	for range 50 {
		n += 10
		got = r.per(n)
	}
	if got < 95 || got > 105 || r.grows() {
		t.Errorf("100 a second are %v, growing %v", got, r.grows())
	}
	for range 5 {
		n += 30
		r.per(n)
	}
	if !r.grows() {
		t.Error("a rate that trebles does not grow")
	}
}
