// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// The resolution of a Histogram: buckets grow by 2 %, the first holds everything up to 1 µs, the last what is longer
// than about a day.
const (
	growth     = 1.02
	maxBuckets = 1280
)

// Histogram counts durations in buckets that grow by 2 %. Merging is adding. The zero value is empty and ready.
type Histogram struct {
	counts   []int64
	total    int64
	timeouts int64
	limit    time.Duration // the shortest time after which a timeout was called
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	i := bucketOf(d)
	if i >= len(h.counts) {
		h.counts = append(h.counts, make([]int64, i+1-len(h.counts))...)
	}
	h.counts[i]++
	h.total++
}

// AddTimeout counts an exchange that had no answer after d: a duration above all others.
func (h *Histogram) AddTimeout(d time.Duration) {
	if h.timeouts == 0 || d < h.limit {
		h.limit = d
	}
	h.timeouts++
	h.total++
}

// Merge adds the other's counts.
func (h *Histogram) Merge(o *Histogram) {
	if len(o.counts) > len(h.counts) {
		h.counts = append(h.counts, make([]int64, len(o.counts)-len(h.counts))...)
	}
	for i, c := range o.counts {
		h.counts[i] += c
	}
	if o.timeouts > 0 && (h.timeouts == 0 || o.limit < h.limit) {
		h.limit = o.limit
	}
	h.timeouts += o.timeouts
	h.total += o.total
}

// N is how many durations were counted, timeouts among them.
func (h *Histogram) N() int64 { return h.total }

// Quantile is the p-quantile in milliseconds, within 1 %, and 0 when empty. Where it is a timeout, it is the time after
// which that was called: the true value is longer.
func (h *Histogram) Quantile(p float64) float64 {
	if h.total == 0 {
		return 0
	}
	lo, hi := h.edges(p)
	if math.IsInf(hi, 1) {
		return lo
	}
	if lo == 0 {
		return hi
	}
	return math.Sqrt(lo * hi)
}

// edges are the bounds, in milliseconds, of the bucket that holds rank p; the upper is +Inf among timeouts.
func (h *Histogram) edges(p float64) (lo, hi float64) {
	rank := min(max(int64(math.Ceil(p*float64(h.total))), 1), h.total)
	seen := int64(0)
	for i, c := range h.counts {
		if seen += c; seen >= rank {
			return bucketLow(i), bucketLow(i + 1)
		}
	}
	return float64(h.limit) / float64(time.Millisecond), math.Inf(1)
}

// QuantileInterval is the always-valid interval for the p-quantile in milliseconds; the upper end may be +Inf.
func (h *Histogram) QuantileInterval(p, alpha float64) (lo, hi float64) {
	r := QuantileRanks(h.total, p, alpha)
	hi = math.Inf(1)
	if h.total == 0 {
		return 0, hi
	}
	if r[0] > 0 {
		lo, _ = h.edges(r[0])
	}
	if r[1] < 1 {
		_, hi = h.edges(r[1])
	}
	return lo, hi
}

// RatioInterval is the always-valid interval for the ratio of the p-quantiles of c and n. An upper end that nothing bounds
// is given as a million, since JSON has no infinity.
func RatioInterval(c, n *Histogram, p, alpha float64) [2]float64 {
	cl, ch := c.QuantileInterval(p, alpha/2)
	nl, nh := n.QuantileInterval(p, alpha/2)
	out := [2]float64{0, unbounded}
	if nh > 0 && !math.IsInf(nh, 1) {
		out[0] = cl / nh
	}
	if nl > 0 && !math.IsInf(ch, 1) {
		out[1] = math.Min(ch/nl, unbounded)
	}
	return out
}

// unbounded stands for a ratio without upper bound.
const unbounded = 1e6

func bucketOf(d time.Duration) int {
	us := float64(d) / float64(time.Microsecond)
	if us <= 1 {
		return 0
	}
	return min(int(math.Ceil(math.Log(us)/math.Log(growth))), maxBuckets)
}

// bucketLow is the lower edge of bucket i in milliseconds.
func bucketLow(i int) float64 {
	if i == 0 {
		return 0
	}
	return math.Pow(growth, float64(i-1)) / 1000
}

// packed is a Histogram as JSON: non-empty buckets as index, count, index, count.
type packed struct {
	Buckets  []int64       `json:"b,omitempty"`
	Timeouts int64         `json:"t,omitempty"`
	Limit    time.Duration `json:"l,omitempty"`
}

// MarshalJSON writes the non-empty buckets.
func (h Histogram) MarshalJSON() ([]byte, error) {
	p := packed{Timeouts: h.timeouts, Limit: h.limit}
	for i, c := range h.counts {
		if c > 0 {
			p.Buckets = append(p.Buckets, int64(i), c)
		}
	}
	return json.Marshal(p)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var p packed
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("read histogram: %w", err)
	}
	*h = Histogram{total: p.Timeouts, timeouts: p.Timeouts, limit: p.Limit}
	for pair := range slices.Chunk(p.Buckets, 2) {
		if len(pair) < 2 || pair[0] < 0 || pair[0] > maxBuckets || pair[1] < 0 {
			return fmt.Errorf("read histogram: bucket %v out of range", pair)
		}
		for int64(len(h.counts)) <= pair[0] {
			h.counts = append(h.counts, 0)
		}
		h.counts[pair[0]] += pair[1]
		h.total += pair[1]
	}
	return nil
}
