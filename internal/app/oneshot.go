// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/blob/dir"
	"microstax/internal/blueprint"
	"microstax/internal/bus/mem"
	"microstax/internal/config"
	"microstax/internal/control/analyze"
	"microstax/internal/control/ingest"
	"microstax/internal/control/shadow"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/route"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/evidence/sqlite"
	"microstax/internal/fault"
	"microstax/internal/id"
)

// ShadowOptions say what to shadow without a Blueprint: services that run already.
type ShadowOptions struct {
	Primary, Candidate, Control string // URLs; Control may be ""
	Listen                      string // host:port
	Tap                         string // IFACE:PORT or IFACE:HOST:PORT to take copies at, instead of Primary and Listen
	CertFile, KeyFile           string // PEM; serve TLS
	SelfSigned                  bool   // serve TLS with a certificate made for it
	InsecureUpstream            bool   // take any certificate of an https URL
	HTTP2                       bool   // speak HTTP/2 to all URLs
	Settings                    blueprint.Shadow
	Limits                      config.Limits
	Ready                       func(addr string)
	Live                        func(v1.Report) // about once a second, from one goroutine
	Logger                      *slog.Logger
}

// oneshotService is the name of the one service that is compared.
const oneshotService = "service"

// liveEvery is how often the live view gets a report.
const liveEvery = time.Second

// oneshot is a shadow session without a server. Its evidence lives in a folder that goes with it.
type oneshot struct {
	lifecycle
	o       ShadowOptions
	env     environment.Environment
	table   *route.Table
	plane   *proxy.Plane
	ingest  *ingest.Ingest
	reports *analyze.Reports
}

// Shadow proxies o.Listen to the primary, or taps o.Tap, and compares the candidate, until ctx ends; then it finishes what
// is under way and gives the report.
func Shadow(ctx context.Context, o ShadowOptions) (rep v1.Report, err error) {
	o.Settings = blueprint.EffectiveShadow(&o.Settings)
	s := &oneshot{lifecycle: lifecycle{log: o.Logger}, o: o}
	defer func() { err = errors.Join(err, s.stop(stopGrace)) }()
	if err := s.build(ctx); err != nil {
		return rep, err
	}
	if err := s.open(ctx); err != nil {
		return rep, err
	}
	trim()
	if o.Ready != nil {
		o.Ready(s.table.Listeners[0].Addr)
	}
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if r, err := s.report(ctx); err == nil && o.Live != nil {
				o.Live(r)
			}
		case <-ctx.Done():
			return s.conclude(context.WithoutCancel(ctx))
		}
	}
}

// conclude lets everything that was mirrored be judged, and reports.
func (s *oneshot) conclude(ctx context.Context) (v1.Report, error) {
	if err := s.plane.Close(); err != nil {
		return v1.Report{}, err
	}
	stops := s.stops
	// What was registered last feeds what was registered before: stop down to the evidence, which is still to be read.
	s.stops = stops[evidenceParts:]
	err := s.stop(stopGrace)
	s.stops = stops[:evidenceParts]
	if err != nil {
		return v1.Report{}, err
	}
	return s.report(ctx)
}

// report is without the environment's id: nothing can be asked of it once this command has ended.
func (s *oneshot) report(ctx context.Context) (v1.Report, error) {
	r, err := s.reports.Report(ctx, s.env.ID)
	r.EnvironmentID = ""
	return r, err
}

// evidenceParts is how many parts, from the first, the report is read from.
const evidenceParts = 2

func (s *oneshot) build(ctx context.Context) error {
	const op = "start shadowing"
	folder, err := os.MkdirTemp("", "microstax-shadow-")
	if err != nil {
		return fault.E(op, fault.Unavailable, err)
	}
	s.onStop("folder", func(context.Context) error { return os.RemoveAll(folder) })
	store, err := sqlite.Open(ctx, sqlite.Options{Dir: folder})
	if err != nil {
		return err
	}
	s.onStop("evidence", func(context.Context) error { return store.Close() })
	blobs, err := dir.Open(filepath.Join(folder, "blobs"))
	if err != nil {
		return err
	}
	if err := s.describe(ctx, store); err != nil {
		return err
	}
	s.ingest = ingest.New(ingest.Options{Store: store, Blobs: blobs, Now: time.Now, Logger: s.log})
	s.background("ingest", s.ingest.Run)
	bus := mem.New(mem.Options{Capacity: s.o.Limits.Bus, Logger: s.log})
	judged := make(chan error, 1)
	go func() { judged <- bus.Run(context.WithoutCancel(ctx), s.ingest.Handle) }()
	s.onStop("bus", func(context.Context) error { return errors.Join(bus.Close(), <-judged) })
	s.plane = newPlane(bus, nil, s.log, s.o.Limits, false)
	s.onStop("data plane", func(context.Context) error { return s.plane.Close() })
	s.reports = analyze.New(analyze.Options{Environments: s, Store: store, Blobs: blobs, Now: time.Now})
	return nil
}

// describe stores the session that the evidence belongs to, and builds the table.
func (s *oneshot) describe(ctx context.Context, store evidence.Store) error {
	primary, baseline := "", "tap "+s.o.Tap
	if s.o.Tap == "" {
		var err error
		baseline = s.o.Primary
		if primary, err = upstreamOf("primary", s.o.Primary, s.o.InsecureUpstream); err != nil {
			return err
		}
	}
	candidate, err := upstreamOf("candidate", s.o.Candidate, s.o.InsecureUpstream)
	if err != nil {
		return err
	}
	certificate, err := certificateOf(&s.o)
	if err != nil {
		return err
	}
	now := time.Now()
	s.env = environment.Environment{
		ID: id.New(id.Environment, now, rand.Reader), Name: "shadow", Mode: blueprint.Overlay, ComparedTo: baseline,
		Created: now, Updated: now,
	}
	ses := environment.Session{
		ID: id.New(id.Session, now, rand.Reader), Environment: s.env.ID, Baseline: baseline, OverlayDigest: s.o.Candidate,
		BaselineDigest: baseline, Services: []string{oneshotService}, Control: s.o.Control != "",
		Settings: map[string]blueprint.Shadow{oneshotService: s.o.Settings}, Created: now, Enabled: now,
	}
	if err := shadow.Describe(&ses, oneshotService, s.o.Settings); err != nil {
		return err
	}
	session := &route.Shadow{
		Session: ses.ID, Overlay: s.env.ID, Baseline: baseline, Services: ses.Services, Redact: s.o.Settings.Redact,
		Control: ses.Control, QueueSize: s.o.Limits.Ring,
	}
	entry := &route.Entry{Shadow: session, Service: oneshotService, Candidate: []string{candidate}, Settings: s.o.Settings}
	if s.o.Control != "" {
		control, err := upstreamOf("control", s.o.Control, s.o.InsecureUpstream)
		if err != nil {
			return err
		}
		entry.Control = []string{control}
	}
	s.table = &route.Table{
		Revision: 1, Shadows: map[string]*route.Shadow{ses.ID: session},
		Listeners: []route.Listener{s.source(primary, entry, certificate)},
	}
	body, err := json.Marshal(ses)
	if err != nil {
		return fault.E("store session", fault.Internal, err)
	}
	env, err := json.Marshal(s.env)
	if err != nil {
		return fault.E("store session", fault.Internal, err)
	}
	_, err = store.Apply(ctx, evidence.Batch{Puts: []evidence.Put{
		{Record: evidence.Record{Kind: evidence.Environment, ID: s.env.ID, Body: env, Created: now, Updated: now}},
		{Record: evidence.Record{Kind: evidence.Session, ID: ses.ID, Parent: s.env.ID, Body: body, Created: now, Updated: now}},
	}})
	return err
}

// source is where the traffic is taken.
func (s *oneshot) source(primary string, entry *route.Entry, certificate *route.TLS) route.Listener {
	target := &route.Target{Service: oneshotService, Mirror: []*route.Entry{entry}, HTTP2: s.o.HTTP2}
	l := route.Listener{
		ID: "shadow", Addr: s.o.Listen, Kind: route.Gateway, Service: oneshotService, Header: blueprint.DefaultHeader,
		Protocol: blueprint.HTTP, TLS: certificate, Default: target,
	}
	if s.o.Tap != "" {
		l.Addr, l.Kind = s.o.Tap, route.Tapped
		return l
	}
	target.Addrs = []string{primary}
	// Who is reached through TLS is reached by name, and may serve others under other names.
	target.External = route.ParseEndpoint(primary).TLS
	return l
}

// open starts listening. Port 0 takes any that is free.
func (s *oneshot) open(ctx context.Context) error {
	l := &s.table.Listeners[0]
	if l.Kind == route.Tapped {
		return s.plane.Apply(ctx, s.table)
	}
	host, port, err := net.SplitHostPort(l.Addr)
	if err != nil {
		return fault.Errorf("start shadowing", fault.Invalid, "--listen %q is not host:port", l.Addr).
			WithHint("write --listen 127.0.0.1:8080")
	}
	if port == "0" {
		var lc net.ListenConfig
		probe, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return fault.E("start shadowing", fault.Unavailable, err)
		}
		l.Addr = probe.Addr().String()
		probe.Close() //nolint:errcheck,gosec // only its number was wanted
	}
	if err := s.plane.Apply(ctx, s.table); err != nil {
		return fault.E("start shadowing", fault.Conflict, err).WithHint("choose another address with --listen")
	}
	return nil
}

// Lookup implements analyze.Environments for the one environment there is.
func (s *oneshot) Lookup(context.Context, string) (environment.Environment, error) { return s.env, nil }

// certificateOf is what clients are served with, or nil.
func certificateOf(o *ShadowOptions) (*route.TLS, error) {
	const op = "read certificate"
	if o.SelfSigned {
		host, _, _ := net.SplitHostPort(o.Listen) //nolint:errcheck // open says what is wrong with it
		return proxy.SelfSigned([]string{host}, time.Now())
	}
	if o.CertFile == "" {
		return nil, nil //nolint:nilnil // none
	}
	cert, err := os.ReadFile(o.CertFile)
	if err != nil {
		return nil, fault.E(op, fault.Invalid, err).WithHint("give --tls-cert a PEM file")
	}
	key, err := os.ReadFile(o.KeyFile)
	if err != nil {
		return nil, fault.E(op, fault.Invalid, err).WithHint("give --tls-key a PEM file")
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return nil, fault.E(op, fault.Invalid, err).WithHint("--tls-cert and --tls-key are PEM files that belong together")
	}
	return &route.TLS{Certificate: cert, Key: key}, nil
}

// upstreamOf is the address of a URL as routing tables have it.
func upstreamOf(which, raw string, insecure bool) (string, error) {
	op := "read --" + which
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "", fault.Errorf(op, fault.Invalid, "%q is not a URL", raw).WithHint("write http://host:port")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", fault.Errorf(op, fault.Invalid, "%s: only http and https are forwarded", raw).WithHint("write http://host:port")
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" {
		return "", fault.Errorf(op, fault.Invalid, "%s has a path: requests are passed on with the path that they come with", raw).
			WithHint("write %s://%s", u.Scheme, u.Host)
	}
	if u.Scheme == "https" {
		return route.Secure(net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443")), insecure), nil
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")), nil
}
