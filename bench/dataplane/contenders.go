// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/route"
	"microstax/internal/observation"
)

// Names of the contenders.
const (
	direct        = "direct"
	nginxPlain    = "nginx plain"
	nginxMirror   = "nginx mirror"
	haproxyPlain  = "HAProxy plain"
	traefikMirror = "Traefik mirror"
	oursForward   = "microstax, no shadow"
	oursShadow    = "microstax, shadow"
	oursControl   = "microstax, shadow and control"
)

// contenders in the order of the tables.
func (r *run) contenders() []string {
	list := []string{direct, nginxPlain, haproxyPlain, nginxMirror}
	if r.traefik != "" {
		list = append(list, traefikMirror)
	}
	return append(list, oursForward, oursShadow, oursControl)
}

// upstreams are what a contender forwards to.
type upstreams struct{ primary, shadow, control string }

// serving is a contender that runs.
type serving struct {
	*proc  // nil for direct
	addr   string
	report string // the file that microstax shadow writes its report to
}

// serve starts a contender.
func (r *run) serve(name string, up upstreams, priority int) (*serving, error) {
	if name == direct {
		return &serving{addr: up.primary}, nil
	}
	addr, err := r.procs.addr(r.ctx)
	if err != nil {
		return nil, err
	}
	s := &serving{addr: addr}
	argv, env, err := r.command(name, up, s)
	if err != nil {
		return nil, err
	}
	if s.proc, err = r.procs.start(name, priority, env, argv...); err != nil {
		return nil, err
	}
	return s, s.ready(r.ctx, addr)
}

func (r *run) command(name string, up upstreams, s *serving) (argv, env []string, err error) {
	file := func(base, content string) string {
		path := filepath.Join(r.dir, base)
		if e := os.WriteFile(path, []byte(content), 0o600); e != nil {
			err = e
		}
		return path
	}
	switch name {
	case nginxPlain, nginxMirror:
		conf := file("nginx.conf", nginxConf(r.dir, s.addr, up, name == nginxMirror))
		return []string{tool("nginx"), "-p", r.dir, "-e", filepath.Join(r.dir, "nginx.err"), "-c", conf}, nil, err
	case haproxyPlain:
		return []string{tool("haproxy"), "-db", "-q", "-f", file("haproxy.cfg", haproxyConf(s.addr, up.primary))}, nil, err
	case traefikMirror:
		dynamic := file("traefik-routes.yml", strings.NewReplacer("PRIMARY", up.primary, "SHADOW", up.shadow).Replace(traefikRoutes))
		return []string{r.traefik, "--configfile=" + file("traefik.yml", fmt.Sprintf(traefikConf, s.addr, dynamic))}, nil, err
	case oursForward:
		return []string{r.self, "forward", "-listen", s.addr, "-primary", up.primary}, nil, nil
	}
	s.report = filepath.Join(r.dir, "report-"+strings.ReplaceAll(s.addr, ":", "-")+".json")
	argv = []string{
		r.ours, "shadow", "-o", "json", "--out", s.report, "--listen", s.addr,
		"--primary", "http://" + up.primary, "--candidate", "http://" + up.shadow,
	}
	if name == oursControl {
		argv = append(argv, "--control", "http://"+up.control)
	}
	return argv, []string{"MICROSTAX_HOME=" + filepath.Join(r.dir, "home")}, nil
}

// nginxConf is what somebody who wants speed writes: connections kept on both sides, nothing logged, a worker for each core.
func nginxConf(dir, listen string, up upstreams, mirrored bool) string {
	user, mirror := "", ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	if mirrored {
		mirror = "mirror /_mirror;"
	}
	return strings.NewReplacer("DIR", dir, "USER", user, "LISTEN", listen, "MIRROR", mirror, "PRIMARY", up.primary,
		"SHADOW", up.shadow).Replace(`USER worker_processes auto; daemon off; pid DIR/nginx.pid; error_log DIR/nginx.err crit; worker_rlimit_nofile 20000;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 1000000000; client_max_body_size 0;
  client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
  upstream primary { server PRIMARY; keepalive 256; keepalive_requests 1000000000; }
  upstream shadow { server SHADOW; keepalive 256; keepalive_requests 1000000000; }
  server { listen LISTEN;
    location / { MIRROR proxy_pass http://primary; proxy_http_version 1.1; proxy_set_header Connection ""; }
    location = /_mirror { internal; proxy_pass http://shadow$request_uri; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`)
}

func haproxyConf(listen, primary string) string {
	return fmt.Sprintf(`global
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse safe
frontend f
  bind %s
  default_backend b
backend b
  server s1 %s
`, listen, primary)
}

const traefikConf = `global: {checkNewVersion: false, sendAnonymousUsage: false}
entryPoints: {web: {address: "%s"}}
providers: {file: {filename: %s, watch: false}}
log: {level: FATAL}
`

const traefikRoutes = "http:\n  routers: {r: {rule: \"PathPrefix(`/`)\", service: mir, entryPoints: [web]}}\n" + `  services:
    prim: {loadBalancer: {servers: [{url: "http://PRIMARY"}]}}
    shad: {loadBalancer: {servers: [{url: "http://SHADOW"}]}}
    mir: {mirroring: {service: prim, mirrors: [{name: shad, percent: 100}]}}
`

// end stops a contender and gives the traffic that its report accounts for; nil for those without a report.
func (s *serving) end() (*v1.Traffic, error) {
	if s.proc == nil {
		return nil, nil
	}
	sig := syscall.SIGTERM
	if s.report != "" {
		sig = syscall.SIGINT // as Ctrl-C: it finishes, and reports
	}
	s.stop(sig, 30*time.Second)
	if s.report == "" {
		return nil, nil
	}
	data, err := os.ReadFile(s.report)
	if err != nil {
		return nil, fmt.Errorf("report of %s: %w\n%s", s.name, err, s.out.String())
	}
	var rep v1.Report
	if err := json.Unmarshal(data, &rep); err != nil {
		return nil, fmt.Errorf("report of %s: %w\n%s", s.name, err, s.out.String())
	}
	return &rep.Traffic, os.Remove(s.report)
}

// exact says whether every request that was received is accounted for.
func exact(t *v1.Traffic) bool {
	sum := t.Compared + t.InFlight
	for _, n := range t.Dropped {
		sum += n
	}
	return sum == t.Received && t.InFlight == 0
}

// forwardMain is the data plane with a table that mirrors nothing, in a process with nothing else: what a user's request
// costs where no shadow runs.
func forwardMain(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("forward", flag.ContinueOnError)
	listen := f.String("listen", "", "address")
	primary := f.String("primary", "", "where to forward to")
	if err := f.Parse(args); err != nil {
		return err
	}
	p := proxy.New(proxy.Options{
		Publisher: nobody{}, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Entropy: rand.Reader,
		Redactor: func([]blueprint.Redact) mirror.Redactor { return nil },
	})
	err := p.Apply(ctx, &route.Table{Revision: 1, Listeners: []route.Listener{{
		ID: "forward", Addr: *listen, Kind: route.Gateway, Service: "service", Header: blueprint.DefaultHeader,
		Default: &route.Target{Service: "service", Addrs: []string{*primary}},
	}}})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return p.Close()
}

// nobody takes the observations of a plane that makes none.
type nobody struct{}

func (nobody) Publish(context.Context, observation.Envelope) error { return nil }
