// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/route"
)

// The load: unary calls of 100 bytes, answered with as many, 64 at a time over 8 connections.
const (
	grpcConns   = 8
	grpcCalls   = 64
	grpcMessage = 100
	grpcMethod  = "/bench.Echo/Unary"
)

// grpcContenders in the order of the table.
func grpcContenders() []string { return []string{direct, haproxyPlain, oursForward, oursShadow} }

// grpcRole runs a role of this section, if args name one.
func grpcRole(ctx context.Context, args []string) (is bool, err error) {
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	addr := f.String("addr", "", "address to listen at, or to call")
	primary := f.String("primary", "", "where to forward to")
	lasts := f.Duration("for", time.Second, "how long to call")
	var do func() error
	switch args[0] {
	case "grpc-backend":
		do = func() error { return grpcBackend(ctx, *addr) }
	case "grpc-forward":
		do = func() error { return grpcForward(ctx, *addr, *primary) }
	case "grpc-load":
		do = func() error { return grpcLoad(ctx, *addr, *lasts) }
	default:
		return false, nil
	}
	if err := f.Parse(args[1:]); err != nil {
		return true, err
	}
	return true, do()
}

// asIs carries messages as they are.
type asIs struct{}

func (asIs) Name() string { return "raw" }

func (asIs) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("a message is %T", v)
	}
	return *b, nil
}

func (asIs) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("a message is %T", v)
	}
	*b = append((*b)[:0], data...)
	return nil
}

// grpcBackend answers every call with its message.
func grpcBackend(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpc.ForceServerCodec(asIs{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		var m []byte
		if err := s.RecvMsg(&m); err != nil {
			return err
		}
		return s.SendMsg(&m)
	}))
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	return s.Serve(ln)
}

// grpcForward is forwardMain to a provider that speaks HTTP/2.
func grpcForward(ctx context.Context, addr, primary string) error {
	p := proxy.New(proxy.Options{
		Publisher: nobody{}, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Entropy: rand.Reader,
		Redactor: func([]blueprint.Redact) mirror.Redactor { return nil },
	})
	err := p.Apply(ctx, &route.Table{Revision: 1, Listeners: []route.Listener{{
		ID: "forward", Addr: addr, Kind: route.Gateway, Service: "service", Header: blueprint.DefaultHeader, Protocol: blueprint.GRPC,
		Default: &route.Target{Service: "service", Addrs: []string{primary}, HTTP2: true},
	}}})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return p.Close()
}

// grpcResult is what a load prints.
type grpcResult struct {
	Calls, Failed int
	Rate          float64 // calls a second
	P50, P99      float64 // microseconds
}

// grpcLoad calls as fast as answers come.
func grpcLoad(ctx context.Context, addr string, lasts time.Duration) error {
	conns := make([]*grpc.ClientConn, grpcConns)
	for i := range conns {
		cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(asIs{})))
		if err != nil {
			return err
		}
		defer cc.Close() //nolint:errcheck // done with it
		conns[i] = cc
	}
	var mu sync.Mutex
	var res grpcResult
	var all []float64
	began := time.Now()
	var wg sync.WaitGroup
	for n := range grpcCalls {
		wg.Go(func() {
			took, failed := grpcCaller(ctx, conns[n%grpcConns], began.Add(lasts))
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			res.Failed += failed
		})
	}
	wg.Wait()
	if res.Calls = len(all); res.Calls > 0 {
		slices.Sort(all)
		res.Rate = float64(res.Calls) / time.Since(began).Seconds()
		res.P50, res.P99 = all[res.Calls/2], all[min(res.Calls*99/100, res.Calls-1)]
	}
	return json.NewEncoder(os.Stdout).Encode(res)
}

func grpcCaller(ctx context.Context, cc *grpc.ClientConn, until time.Time) (took []float64, failed int) {
	in, out := make([]byte, grpcMessage), []byte(nil)
	for time.Now().Before(until) {
		start := time.Now()
		if err := cc.Invoke(ctx, grpcMethod, &in, &out); err != nil || len(out) != len(in) {
			if failed++; failed > 100 {
				return took, failed
			}
			continue
		}
		took = append(took, float64(time.Since(start))/float64(time.Microsecond))
	}
	return took, failed
}

// grpcSlot is one contender driven once.
type grpcSlot struct {
	grpcResult
	cpu, share float64
	sums       bool
}

// grpc drives every contender with unary calls.
func (r *run) grpc() error {
	all := map[string][]grpcSlot{}
	for round := range r.rounds {
		for i := range grpcContenders() {
			name := grpcContenders()[(i+round)%len(grpcContenders())]
			s, err := r.grpcSlot(name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			all[name] = append(all[name], s)
			r.say("round %d: gRPC, %s: %.0f/s, p50 %.0f µs, p99 %.0f µs, %.2f CPU s per 100,000", round+1, name, s.Rate, s.P50, s.P99, s.cpu)
		}
	}
	r.grpcTable(all)
	return nil
}

// grpcSlot is one slot: fresh backends and a fresh proxy, warmed for a second.
func (r *run) grpcSlot(name string) (res grpcSlot, err error) {
	primary, stop, err := r.grpcServer()
	if err != nil {
		return res, err
	}
	defer stop()
	shadow, stop, err := r.grpcServer()
	if err != nil {
		return res, err
	}
	defer stop()
	s, err := r.grpcServe(name, primary, shadow)
	if err != nil {
		return res, err
	}
	ended := false
	defer func() {
		if !ended {
			s.end() //nolint:errcheck,gosec // another error is told
		}
	}()
	if _, err = r.grpcDrive(s.addr, time.Second); err != nil {
		return res, err
	}
	before := 0.0
	if s.proc != nil {
		s.settled(r.ctx)
		before = s.cpu()
	}
	if res.grpcResult, err = r.grpcDrive(s.addr, r.slot); err != nil {
		return res, err
	}
	if s.proc != nil {
		s.settled(r.ctx)
		res.cpu = (s.cpu() - before) / float64(max(res.Calls, 1)) * 1e5
	}
	ended = true
	t, err := s.end()
	if t != nil && t.Received > 0 {
		res.share, res.sums = float64(t.Compared)/float64(t.Received), exact(t)
	}
	return res, err
}

func (r *run) grpcServer() (addr string, stop func(), err error) {
	if addr, err = r.procs.addr(r.ctx); err != nil {
		return "", nil, err
	}
	p, err := r.procs.start("gRPC backend", 0, nil, r.self, "grpc-backend", "-addr", addr)
	if err != nil {
		return "", nil, err
	}
	return addr, func() { p.stop(syscall.SIGTERM, time.Second) }, p.ready(r.ctx, addr)
}

func (r *run) grpcServe(name, primary, shadow string) (*serving, error) {
	if name == direct {
		return &serving{addr: primary}, nil
	}
	addr, err := r.procs.addr(r.ctx)
	if err != nil {
		return nil, err
	}
	s := &serving{addr: addr}
	var argv, env []string
	switch name {
	case haproxyPlain:
		conf := strings.NewReplacer("bind "+addr, "bind "+addr+" proto h2", "server s1 "+primary, "server s1 "+primary+" proto h2").
			Replace(haproxyConf(addr, primary))
		path := filepath.Join(r.dir, "haproxy-grpc.cfg")
		if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
			return nil, err
		}
		argv = []string{tool("haproxy"), "-db", "-q", "-f", path}
	case oursForward:
		argv = []string{r.self, "grpc-forward", "-addr", addr, "-primary", primary}
	default:
		s.report = filepath.Join(r.dir, "report-grpc.json")
		argv = []string{
			r.ours, "shadow", "-o", "json", "--out", s.report, "--listen", addr, "--http2",
			"--primary", "http://" + primary, "--candidate", "http://" + shadow,
		}
		env = []string{"MICROSTAX_HOME=" + filepath.Join(r.dir, "home")}
	}
	if s.proc, err = r.procs.start(name, 0, env, argv...); err != nil {
		return nil, err
	}
	return s, s.ready(r.ctx, addr)
}

func (r *run) grpcDrive(addr string, d time.Duration) (res grpcResult, err error) {
	out, err := exec.CommandContext(r.ctx, r.self, "grpc-load", "-addr", addr, "-for", d.String()).Output()
	if err != nil {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			return res, fmt.Errorf("gRPC load: %w\n%s", err, ended.Stderr)
		}
		return res, fmt.Errorf("gRPC load: %w", err)
	}
	if err := json.Unmarshal(out, &res); err != nil {
		return res, fmt.Errorf("gRPC load: %w\n%s", err, out)
	}
	if res.Calls == 0 {
		return res, fmt.Errorf("gRPC load: no call of %d was answered", res.Failed)
	}
	return res, nil
}

func (r *run) grpcTable(all map[string][]grpcSlot) {
	t := &r.table
	rate := func(s grpcSlot) float64 { return s.Rate }
	cpu := func(s grpcSlot) float64 { return s.cpu }
	p99 := func(s grpcSlot) float64 { return s.P99 }
	t.section(fmt.Sprintf("gRPC: unary calls of %d bytes, %d at a time over %d connections, %v slots, %d rounds",
		grpcMessage, grpcCalls, grpcConns, r.slot, r.rounds),
		"contender | calls/s | ratio to direct | ratio to HAProxy | p50 µs | p99 µs | CPU s per 100,000 | compared | failed")
	for _, name := range grpcContenders() {
		failed, share := 0, "–"
		for _, s := range all[name] {
			failed += s.Failed
			if name == oursShadow {
				share = fmt.Sprintf("%.3f", s.share)
			}
		}
		t.line("%s | %s | %.2f | %.2f | %s | %s | %s | %s | %d", name, spread("%.0f", column(all[name], rate)),
			median(ratios(column(all[name], rate), column(all[direct], rate))),
			median(ratios(column(all[name], rate), column(all[haproxyPlain], rate))),
			spread("%.0f", column(all[name], func(s grpcSlot) float64 { return s.P50 })), spread("%.0f", column(all[name], p99)),
			spread("%.2f", column(all[name], cpu)), share, failed)
	}
	against := func(get func(grpcSlot) float64, other string) float64 {
		return median(ratios(column(all[oursShadow], get), column(all[other], get)))
	}
	sums, lost := "exact", 0
	for _, s := range all[oursShadow] {
		if !s.sums {
			sums = "WRONG"
		}
		lost += s.Failed
	}
	t.state("gRPC unary, mirror on", fmt.Sprintf("%.2f × HAProxy plain's rate and %.2f × direct's, %.1f × HAProxy's CPU, p99 %.2f × HAProxy's; %d failed, sums %s",
		against(rate, haproxyPlain), against(rate, direct), against(cpu, haproxyPlain), against(p99, haproxyPlain), lost, sums))
}
