// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"microstax/internal/client"
	"microstax/internal/config"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/remote"
	"microstax/internal/fault"
)

// The bounds of a gateway's stop, beside the drain timeout.
const (
	leaveTimeout = 2 * time.Second // to tell the server
	flushTimeout = 5 * time.Second // to send what is spooled, as long as the server takes it
	connectLimit = 5 * time.Second // for one attempt to reach the server
)

// gateway is the parts of a running gateway.
type gateway struct {
	lifecycle
	settings config.Settings
	name     string
	spool    *remote.Spool
	outbox   *remote.Outbox
	plane    *proxy.Plane
	agent    *remote.Agent
	key      atomic.Pointer[[]byte]
	stopping atomic.Bool
	failed   chan error
}

// Gateway runs the data plane until ctx ends, in step with the server that s.APIURL names, and then stops in order: no more
// connections, requests under way finish, what was observed is sent or stays in the spool. It calls ready when it has
// begun: it may still have nothing to serve. One process at a time may use s.Gateway.Dir.
func Gateway(ctx context.Context, s config.Settings, version string, log io.Writer, ready func(name string)) (err error) {
	const op = "start gateway"
	g := &gateway{lifecycle: lifecycle{log: newLogger(log, s.LogLevel)}, settings: s, failed: make(chan error, 1)}
	defer func() { err = errors.Join(err, g.stop(stopGrace+s.Limits.DrainTimeout)) }()
	if g.name = s.Gateway.Name; g.name == "" {
		if g.name, err = os.Hostname(); err != nil {
			return fault.E(op, fault.Invalid, err).WithHint("give it a name with --name")
		}
	}
	token, err := g.token()
	if err != nil {
		return err
	}
	if err := g.open(); err != nil {
		return err
	}
	transport := g.transport()
	g.onStop("connections", func(context.Context) error { transport.CloseIdleConnections(); return nil })
	g.agent, err = remote.NewAgent(remote.AgentOptions{
		Server: s.APIURL, Token: token, Name: g.name, Version: version, Dir: s.Gateway.Dir, Plane: g.plane, Spool: g.spool,
		Dropped: g.outbox.Dropped, Keyed: func(key []byte) { g.key.Store(&key) }, HTTP: transport, Logger: g.log,
	})
	if err != nil {
		return fault.E(op, fault.Invalid, err)
	}
	if err := g.admin(ctx); err != nil {
		return err
	}
	g.begin(ctx)
	if ready != nil {
		ready(g.name)
	}
	select {
	case <-ctx.Done():
		g.log.Info("gateway stops", "name", g.name)
		return nil
	case err := <-g.failed:
		return err
	}
}

// token is what the gateway shows to the server: the API's token, or the secret of a server on the same machine that has
// none.
func (g *gateway) token() (string, error) {
	if key := g.settings.APIKey.Reveal(); key != "" {
		return key, nil
	}
	path := filepath.Join(g.settings.DataDir, GatewaySecret)
	secret, err := os.ReadFile(path) //nolint:gosec // a path of ours
	if errors.Is(err, fs.ErrNotExist) {
		return "", fault.Errorf("find the server's secret", fault.Invalid, "there is no token, and %s is not there", path).
			WithHint("set MICROSTAX_API_KEY to the server's; or, on its machine, start it with --dataplane external and give this command the same --data-dir")
	}
	if err != nil {
		return "", fault.E("find the server's secret", fault.Invalid, err).WithHint("run the gateway as the user of the server, or set MICROSTAX_API_KEY")
	}
	return hex.EncodeToString(secret), nil
}

// open makes what observations pass through, from the disk up.
func (g *gateway) open() (err error) {
	g.spool, err = remote.OpenSpool(remote.SpoolOptions{
		Dir: filepath.Join(g.settings.Gateway.Dir, "spool"), Limit: g.settings.Limits.Spool,
	})
	if err != nil {
		return fault.E("start gateway", fault.Unavailable, err)
	}
	if torn := g.spool.Torn(); torn > 0 {
		g.log.Warn("the spool was damaged; what could not be read is passed over", "bytes", torn)
	}
	g.onStop("spool", func(context.Context) error { return g.spool.Close() })
	g.outbox = remote.NewOutbox(g.spool, g.log)
	g.onStop("outbox", func(context.Context) error { return g.outbox.Close() })
	g.plane = newKeyedPlane(g.outbox, func() []byte { return *g.key.Load() }, g.log, g.settings.Limits, true)
	return nil
}

// transport carries what is said to the server.
func (g *gateway) transport() *http.Transport {
	t := &http.Transport{
		DialContext: (&net.Dialer{Timeout: connectLimit}).DialContext, TLSHandshakeTimeout: connectLimit,
		Proxy: http.ProxyFromEnvironment, IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: 4,
	}
	if u, err := url.Parse(g.settings.APIURL); err == nil && client.Loopback(u.Host) {
		t.Proxy = nil
	} else if err == nil && u.Scheme == "http" {
		g.log.Warn("token and redaction key go over the network in clear: give --server an https URL", "server", g.settings.APIURL)
	}
	return t
}

// begin serves what was served last, and begins to follow the server.
func (g *gateway) begin(ctx context.Context) {
	send, endSend := context.WithCancel(context.Background())
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		g.agent.Send(send)
	}()
	// In this order when it stops: no more routes, no more requests, everything written, everything sent.
	g.onStop("sender", func(context.Context) error { endSend(); <-sent; return nil })
	g.onStop("spooled observations", func(ctx context.Context) error { g.flush(ctx); return nil })
	g.onStop("outbox", func(context.Context) error { return g.outbox.Close() })
	g.onStop("data plane", func(context.Context) error { return g.plane.Close() })
	if restored, err := g.agent.Restore(ctx); err != nil {
		g.log.Error("routes of the last run cannot be served", "error", err)
	} else if restored {
		revision, _ := g.agent.Serves()
		g.log.Info("serves the routes of the last run", "revision", revision)
	}
	steer, endSteer := context.WithCancel(context.Background())
	steered := make(chan struct{})
	go func() {
		defer close(steered)
		g.agent.Steer(steer)
	}()
	g.onStop("agent", func(ctx context.Context) error {
		g.stopping.Store(true)
		connected := g.agent.Connected()
		endSteer()
		<-steered
		if connected {
			ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
			defer cancel()
			if err := g.agent.Leave(ctx); err != nil {
				g.log.Debug("take leave of the server", "error", err)
			}
		}
		return nil
	})
}

// flush waits until the server has stored everything, as long as it takes it and for a short time.
func (g *gateway) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		all, able := g.agent.Sent()
		if all {
			return
		}
		if !able || ctx.Err() != nil {
			g.log.Info("observations wait in the spool for the next run", "frames", g.spool.Report().Waiting)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// admin serves health and metrics, where that is asked for.
func (g *gateway) admin(ctx context.Context) error {
	const op = "serve health and metrics"
	if g.settings.Gateway.Admin == "" {
		return nil
	}
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		planeCollector{g.plane}, gatewayCollector{g},
	} {
		if err := registry.Register(c); err != nil {
			return fault.E(op, fault.Internal, err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }) //nolint:errcheck // gone
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := g.unready(); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ready\n") //nolint:errcheck // the client has gone
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", g.settings.Gateway.Admin)
	if err != nil {
		return fault.E(op, fault.Conflict, err).WithHint("choose another address with --admin")
	}
	hs := &http.Server{
		Handler: mux, ReadHeaderTimeout: readHeaderTimeout, ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := hs.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			g.failed <- fmt.Errorf("%s: %w", op, err)
		}
	}()
	g.onStop("admin", func(context.Context) error { return hs.Close() })
	return nil
}

// unready says why live traffic should not be sent here, or "".
func (g *gateway) unready() string {
	revision, failure := g.agent.Serves()
	switch {
	case g.stopping.Load():
		return "the gateway is stopping"
	case revision == 0:
		return "no routes yet: the server at " + g.settings.APIURL + " has not sent any"
	}
	return cmp.Or(failure, "")
}

// gatewayCollector shows what a gateway is besides its data plane.
type gatewayCollector struct{ g *gateway }

type gatewayMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*gateway, remote.SpoolReport) float64
}

func gatewayMetrics() []gatewayMetric {
	m := func(name, help string, kind prometheus.ValueType, read func(*gateway, remote.SpoolReport) float64) gatewayMetric {
		return gatewayMetric{prometheus.NewDesc("microstax_gateway_"+name, help, nil, nil), kind, read}
	}
	c, v := prometheus.CounterValue, prometheus.GaugeValue
	return []gatewayMetric{
		m("connected", "1 while the server is connected.", v, func(g *gateway, _ remote.SpoolReport) float64 {
			if g.agent.Connected() {
				return 1
			}
			return 0
		}),
		m("route_revision", "Revision of the routes in force; 0 before there are any.", v, func(g *gateway, _ remote.SpoolReport) float64 {
			n, _ := g.agent.Serves()
			return float64(n)
		}),
		m("spool_bytes", "Bytes of the spool.", v, func(_ *gateway, r remote.SpoolReport) float64 { return float64(r.Bytes) }),
		m("spool_limit_bytes", "Bytes that the spool may have.", v, func(_ *gateway, r remote.SpoolReport) float64 { return float64(r.Limit) }),
		m("spool_waiting", "Observations and counts that the server has not stored yet.", v, func(_ *gateway, r remote.SpoolReport) float64 { return float64(r.Waiting) }),
		m("spool_dropped_total", "Observations that found no place in the spool.", c, func(g *gateway, _ remote.SpoolReport) float64 { return float64(g.outbox.Dropped()) }),
		m("spool_torn_bytes", "Bytes of the spool found damaged at the start.", v, func(_ *gateway, r remote.SpoolReport) float64 { return float64(r.Torn) }),
	}
}

// Describe implements prometheus.Collector.
func (c gatewayCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range gatewayMetrics() {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c gatewayCollector) Collect(ch chan<- prometheus.Metric) {
	r := c.g.spool.Report()
	for _, m := range gatewayMetrics() {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.read(c.g, r))
	}
}
