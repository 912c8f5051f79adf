// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	v1 "microstax/api/v1"
	"microstax/internal/control/analyze"
	"microstax/internal/control/deploy"
	"microstax/internal/control/ingest"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/route"
	"microstax/internal/httpapi"
)

// environments joins the API to deploy, and forgets the evidence of what is deleted.
type environments struct {
	*deploy.Controller
	ingest *ingest.Ingest
}

func (e environments) List(ctx context.Context, f httpapi.Filter) ([]v1.Environment, string, error) {
	return e.Controller.List(ctx, deploy.Filter(f))
}

func (e environments) Delete(ctx context.Context, ref string) error {
	env, err := e.Lookup(ctx, ref)
	if err != nil {
		return err
	}
	if err := e.Controller.Delete(ctx, ref); err != nil {
		return err
	}
	return e.ingest.Forget(ctx, env.ID)
}

// streams joins the API's log queries to deploy's.
type streams struct{ *deploy.Controller }

func (s streams) Logs(ctx context.Context, ref string, q httpapi.LogQuery, each func(v1.LogLine) error) error {
	return s.Controller.Logs(ctx, ref, deploy.LogQuery(q), each)
}

// reports joins the API's questions to analyze. What was judged so far is written first: analyze knows only what is stored,
// and who asks right after sending traffic wants it in the answer.
type reports struct {
	*analyze.Reports
	ingest *ingest.Ingest
}

func (r reports) Report(ctx context.Context, ref string) (v1.Report, error) {
	if err := r.ingest.Flush(ctx); err != nil {
		return v1.Report{}, err
	}
	return r.Reports.Report(ctx, ref)
}

func (r reports) Observations(ctx context.Context, ref string, q httpapi.ObservationQuery) ([]v1.ObservationSummary, string, error) {
	return r.Reports.Observations(ctx, ref, analyze.Query(q))
}

// planeCollector shows the data plane's counters.
type planeCollector struct{ plane *proxy.Plane }

// planeMetric is one counter or gauge of the data plane.
type planeMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(proxy.Stats) float64
}

func planeMetrics() []planeMetric {
	m := func(name, help string, kind prometheus.ValueType, read func(proxy.Stats) int64) planeMetric {
		return planeMetric{
			prometheus.NewDesc("microstax_dataplane_"+name, help, nil, nil), kind,
			func(s proxy.Stats) float64 { return float64(read(s)) },
		}
	}
	used := planeMetric{
		prometheus.NewDesc("microstax_dataplane_capture_used", "The part of limits.captureBudget that is used, 0 to 1.", nil, nil),
		prometheus.GaugeValue, func(s proxy.Stats) float64 { return s.Captured },
	}
	share := planeMetric{
		prometheus.NewDesc("microstax_dataplane_mirror_share", "The smallest share of its sampled sessions that a shadow takes, 0 to 1.", nil, nil),
		prometheus.GaugeValue, func(s proxy.Stats) float64 { return s.Share },
	}
	c, g := prometheus.CounterValue, prometheus.GaugeValue
	return []planeMetric{
		m("requests_total", "Requests that were read.", c, func(s proxy.Stats) int64 { return s.Requests }),
		m("malformed_total", "Requests that were refused as malformed.", c, func(s proxy.Stats) int64 { return s.Malformed }),
		m("unroutable_total", "Requests that nobody could answer.", c, func(s proxy.Stats) int64 { return s.Unroutable }),
		m("upstream_errors_total", "Requests whose upstream failed.", c, func(s proxy.Stats) int64 { return s.UpstreamErrors }),
		m("raw_connections_total", "Connections that were carried as raw TCP.", c, func(s proxy.Stats) int64 { return s.RawConnections }),
		m("refused_connections_total", "Connections over the limit.", c, func(s proxy.Stats) int64 { return s.RefusedConnections }),
		m("mirror_waiting", "Copies that wait to be mirrored.", g, func(s proxy.Stats) int64 { return s.Waiting }),
		share, used,
		m("mirror_shed_sessions_total", "Sessions that shadows could not take.", c, func(s proxy.Stats) int64 { return s.ShedSessions }),
		m("lost_records_total", "Baseline calls that found no place to be recorded.", c, func(s proxy.Stats) int64 { return s.LostRecords }),
	}
}

// Describe implements prometheus.Collector.
func (c planeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range planeMetrics() {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c planeCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.plane.Stats()
	for _, m := range planeMetrics() {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.read(s))
	}
}

// tables joins deploy to the data plane. When the server stops, the plane closes first; what deploy still says of routes
// while it stops processes is heard by nobody, and no error.
type tables struct {
	*proxy.Plane
	last atomic.Pointer[route.Table] // told after the plane had closed
}

func (t *tables) Apply(ctx context.Context, table *route.Table) error {
	err := t.Plane.Apply(ctx, table)
	if errors.Is(err, proxy.ErrClosed) {
		t.last.Store(table)
		return nil
	}
	return err
}

func (t *tables) Serving() []route.Serving {
	table := t.last.Load()
	if table == nil {
		return t.Plane.Serving()
	}
	all := make([]route.Serving, len(table.Listeners))
	for i, l := range table.Listeners {
		all[i] = route.Serving{Listener: l.ID, Addr: l.Addr, Revision: table.Revision}
	}
	return all
}
