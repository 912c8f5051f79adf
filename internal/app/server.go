// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"microstax/internal/blob/dir"
	"microstax/internal/bus/mem"
	"microstax/internal/config"
	"microstax/internal/control/analyze"
	"microstax/internal/control/deploy"
	"microstax/internal/control/gateways"
	"microstax/internal/control/ingest"
	"microstax/internal/control/shadow"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/driver/process"
	"microstax/internal/evidence/sqlite"
	"microstax/internal/fault"
	"microstax/internal/httpapi"
	"microstax/internal/id"
)

// stopGrace bounds the whole of an orderly stop.
const stopGrace = 45 * time.Second

// readHeaderTimeout is how long a client of the API may take to send a head.
const readHeaderTimeout = 10 * time.Second

// server is the parts of a running server that others are joined to.
type server struct {
	lifecycle
	settings config.Settings
	version  string
	store    *sqlite.Store
	blobs    *dir.Store
	bus      *mem.Bus
	ingest   *ingest.Ingest
	plane    *proxy.Plane       // nil where gateways are the data plane, which are:
	gateways *gateways.Registry // or nil
	deploy   *deploy.Controller
	reports  *analyze.Reports
	shadows  *shadow.Control
	registry *prometheus.Registry
	failed   chan error // what ended on its own
}

// Serve runs the server until ctx ends, then stops it in order: no more requests, no more mirroring, processes, evidence.
// It calls ready once the API answers.
func Serve(ctx context.Context, s config.Settings, version string, log io.Writer, ready func(addr string)) (err error) {
	if s.Listen == "" {
		return fault.Errorf("start server", fault.Invalid, "no address to listen on").
			WithHint("say --listen 127.0.0.1:3000")
	}
	logger := newLogger(log, s.LogLevel)
	srv := &server{
		lifecycle: lifecycle{log: logger}, settings: s, version: version, registry: prometheus.NewRegistry(),
		failed: make(chan error, 4),
	}
	defer func() { err = errors.Join(err, srv.stop(stopGrace)) }()
	// The address first: a second server must not touch what the first one has.
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fault.Errorf("start server", fault.Conflict, "%s is taken", s.Listen).
			WithHint("another server may run there already: microstax server status; or choose another address with --listen")
	}
	if err != nil {
		return fault.E("start server", fault.Invalid, err)
	}
	srv.onStop("listener", func(context.Context) error {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	if err := srv.build(ctx); err != nil {
		return err
	}
	if err := srv.serve(ln); err != nil {
		return err
	}
	if srv.gateways != nil {
		// Gateways learn that services stop before they do, through the API, which stops later.
		srv.onStop("gateways", func(context.Context) error { return srv.gateways.Close() })
		srv.onStop("environments", srv.deploy.Close)
	}
	logger.Info("server listens", "address", ln.Addr().String(), "data", s.DataDir, "version", version)
	trim()
	if ready != nil {
		ready(ln.Addr().String())
	}
	select {
	case <-ctx.Done():
		logger.Info("server stops")
		return nil
	case err := <-srv.failed:
		return err
	}
}

// build makes and starts every part, from the evidence up.
func (s *server) build(ctx context.Context) (err error) {
	if s.store, err = sqlite.Open(ctx, sqlite.Options{Dir: s.settings.DataDir}); err != nil {
		return err
	}
	s.onStop("evidence", func(context.Context) error { return s.store.Close() })
	if s.blobs, err = dir.Open(filepath.Join(s.settings.DataDir, "blobs")); err != nil {
		return err
	}
	key, err := redactionKey(s.settings.DataDir)
	if err != nil {
		return err
	}
	limits := s.settings.Limits
	s.ingest = ingest.New(ingest.Options{
		Store: s.store, Blobs: s.blobs, Now: time.Now, Logger: s.log,
		Limits: ingest.Limits{
			PerFinding: limits.KeptPerFinding, PerEndpoint: limits.KeptPerEndpoint, PerSession: limits.KeptPerSession,
		},
	})
	s.background("ingest", s.ingest.Run)
	s.bus = mem.New(mem.Options{Capacity: limits.Bus, Logger: s.log})
	judged := make(chan error, 1)
	go func() { judged <- s.bus.Run(context.WithoutCancel(ctx), s.ingest.Handle) }()
	s.onStop("bus", func(context.Context) error { return errors.Join(s.bus.Close(), <-judged) })
	plane := s.dataplane(key)
	drv := process.New(process.Options{
		Dir: s.settings.DataDir, Inherit: inherited(config.Inherited()), Logger: s.log,
	})
	s.onStop("driver", func(context.Context) error { return drv.Close() })
	shown, err := gatewayTLS(&s.settings, time.Now())
	if err != nil {
		return err
	}
	s.deploy = deploy.New(deploy.Options{
		TLS:   shown,
		Store: s.store, Driver: drv, Plane: plane, Now: time.Now, Entropy: rand.Reader, Logger: s.log,
		Ports:  deploy.PortRange{First: s.settings.Ports.First, Last: s.settings.Ports.Last},
		Limits: deploy.Limits{Environments: limits.Environments, Instances: limits.Instances},
	})
	s.background("reconciler", s.deploy.Run)
	s.onStop("environments", s.deploy.Close)
	if s.plane != nil {
		// The plane first: users' requests finish before the services that answer them stop.
		s.onStop("data plane", func(context.Context) error { return s.plane.Close() })
	}
	s.reports = analyze.New(analyze.Options{Environments: s.deploy, Store: s.store, Blobs: s.blobs, Now: time.Now})
	s.shadows = shadow.New(shadow.Options{
		Environments: s.deploy, Store: s.store, Judge: s.reports, Now: time.Now, Entropy: rand.Reader,
	})
	return s.metrics()
}

// metrics registers what /metrics shows.
func (s *server) metrics() error {
	all := []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s.ingest.Collector(),
	}
	if s.plane != nil {
		all = append(all, planeCollector{s.plane})
	}
	for _, c := range all {
		if err := s.registry.Register(c); err != nil {
			return fault.E("register metrics", fault.Internal, err)
		}
	}
	return nil
}

// serve answers the API.
func (s *server) serve(ln net.Listener) error {
	host, _, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return fault.E("read address", fault.Internal, err)
	}
	ip := net.ParseIP(host)
	loopback := ip != nil && ip.IsLoopback()
	if !loopback && s.settings.APIKey == "" {
		return fault.Errorf("start server", fault.Invalid, "%s can be reached from other machines, and no token is set", s.settings.Listen).
			WithHint("set MICROSTAX_API_KEY, or listen on a loopback address")
	}
	options := httpapi.Options{
		Environments: environments{s.deploy, s.ingest}, Lifecycle: s.deploy, Streams: streams{s.deploy}, Shadows: s.shadows,
		Reports: reports{s.reports, s.ingest}, Ignores: s.reports, Changes: s.ingest, Ready: s.isReady, Registry: s.registry, Logger: s.log,
		Version: s.version, Token: s.settings.APIKey.Reveal(), Loopback: loopback,
		NewRequestID: func() string { return id.New(id.Request, time.Now(), rand.Reader) }, Now: time.Now,
	}
	if s.gateways != nil {
		key, err := secret("read secret of gateways", s.settings.DataDir, GatewaySecret)
		if err != nil {
			return err
		}
		options.Gateways, options.GatewaySecret = s.gateways, hex.EncodeToString(key)
	}
	api, err := httpapi.New(options)
	if err != nil {
		return err
	}
	hs := &http.Server{
		Handler: api, ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := hs.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve API: %w", err)
		}
	}()
	s.onStop("api", func(ctx context.Context) error {
		api.Drain()
		ctx, cancel := context.WithTimeout(ctx, stopGrace/4)
		defer cancel()
		if err := hs.Shutdown(ctx); err != nil {
			return hs.Close()
		}
		return nil
	})
	return nil
}

// isReady says whether the evidence has been read and can be.
func (s *server) isReady(ctx context.Context) error {
	select {
	case <-s.deploy.Ready():
	default:
		return fault.Errorf("look whether the server is ready", fault.Unavailable, "environments are still being read")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := os.Stat(s.settings.DataDir)
	return err
}
