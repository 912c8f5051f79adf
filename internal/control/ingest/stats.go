// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Stats are counts since the process started, and a few sizes as they are now.
type Stats struct {
	Observations int64 // judged
	Identical    int64 // of those, without any difference
	Tallies      int64
	Rejected     int64 // envelopes of sessions that do not exist or cannot be restored
	ReadErrors   int64 // attempts to load a session that failed
	Kept         int64 // observations chosen to be kept
	KeptDropped  int64 // chosen, but there was no memory left to wait for the store
	Evicted      int64 // kept, and later gave their place to others
	Flushes      int64
	FlushErrors  int64
	BlobsLeft    int64 // bytes of dropped observations that could not be deleted

	Sessions     int           // in memory
	Pending      int           // kept observations that wait to be written
	PendingBytes int64         // and about how much memory they hold
	LastFlush    time.Duration // how long the last flush took
	Failing      bool          // the last flush failed
}

// Stats is a consistent view of the counts.
func (in *Ingest) Stats() Stats {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.stats
	s.Sessions, s.PendingBytes = len(in.sessions), in.pendingBytes
	return s
}

func (in *Ingest) count(f func(*Stats)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f(&in.stats)
}

// Collector gives the counts as Prometheus metrics; whoever builds the program registers it.
func (in *Ingest) Collector() prometheus.Collector { return collector{in} }

type collector struct{ in *Ingest }

// metric is one row of what is collected.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value float64
}

func metrics(s Stats) []metric {
	c, g := prometheus.CounterValue, prometheus.GaugeValue
	failing := 0.0
	if s.Failing {
		failing = 1
	}
	row := func(kind prometheus.ValueType, name, help string, v float64) metric {
		return metric{prometheus.NewDesc("microstax_ingest_"+name, help, nil, nil), kind, v}
	}
	return []metric{
		row(c, "observations_total", "Observations judged.", float64(s.Observations)),
		row(c, "observations_identical_total", "Observations without any difference.", float64(s.Identical)),
		row(c, "tallies_total", "Tallies added.", float64(s.Tallies)),
		row(c, "rejected_total", "Envelopes of sessions that do not exist or cannot be restored.", float64(s.Rejected)),
		row(c, "read_errors_total", "Failed attempts to load a session.", float64(s.ReadErrors)),
		row(c, "kept_total", "Observations chosen to be kept whole.", float64(s.Kept)),
		row(c, "kept_dropped_total", "Chosen observations dropped because too many waited for the store.", float64(s.KeptDropped)),
		row(c, "evicted_total", "Kept observations that gave their place to others.", float64(s.Evicted)),
		row(c, "flushes_total", "Writes to the store, failed ones included.", float64(s.Flushes)),
		row(c, "flush_errors_total", "Writes to the store that failed.", float64(s.FlushErrors)),
		row(c, "blobs_left_total", "Blobs without a record that could not be deleted.", float64(s.BlobsLeft)),
		row(g, "sessions", "Shadow sessions in memory.", float64(s.Sessions)),
		row(g, "pending", "Kept observations that wait to be written.", float64(s.Pending)),
		row(g, "pending_bytes", "Memory held by observations that wait to be written, in bytes, about.", float64(s.PendingBytes)),
		row(g, "last_flush_seconds", "How long the last write to the store took, in seconds.", s.LastFlush.Seconds()),
		row(g, "store_failing", "1 while the last write to the store failed.", failing),
	}
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range metrics(Stats{}) {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range metrics(c.in.Stats()) {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value)
	}
}
