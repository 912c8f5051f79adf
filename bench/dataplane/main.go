// SPDX-License-Identifier: Apache-2.0

// Command dataplane measures the data plane beside the proxies that people use today, in one run on one machine, and
// prints what was to be reached and what was:
//
//	go run ./bench/dataplane [-quick] [-only throughput,latency,…] [-write]
//
// Every contender gets a fresh process for every slot, and contenders take turns within a round, so that what else the
// machine does hits all of them alike; figures are medians over rounds, and ratios are taken within a round. The backend,
// the open-loop generator and a data plane that only forwards are this program again, started with another first
// argument. Nothing is installed unless -install says so; all processes that were started are ended, also after Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := start(os.Args); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "dataplane:", err)
		os.Exit(1)
	}
}

// start runs one of the roles that this program has.
func start(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) > 1 {
		switch args[1] {
		case "backend":
			return backendMain(ctx, args[2:])
		case "load":
			return loadMain(args[2:], os.Stdout)
		case "forward":
			return forwardMain(ctx, args[2:])
		}
		if is, err := grpcRole(ctx, args[1:]); is {
			return err
		}
	}
	return bench(ctx, args[1:])
}

// options are the flags.
type options struct {
	rounds         int
	slot           time.Duration
	quick, install bool
	write, fair    bool
	traefik        string
	only           []string
}

// sections in the order in which they run.
func sections() []string {
	return []string{"throughput", "latency", "isolation", "slow", "hung", "memory", "streaming", "grpc", "profile", "allocations"}
}

func parse(args []string) (options, error) {
	var o options
	var only string
	f := flag.NewFlagSet("dataplane", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds; medians are taken over them")
	f.DurationVar(&o.slot, "slot", 2*time.Second, "how long each contender is driven at full speed in a round")
	f.BoolVar(&o.quick, "quick", false, "two short rounds: to see whether it works, not for figures")
	f.StringVar(&only, "only", "", "comma-separated: "+strings.Join(sections(), ", "))
	f.BoolVar(&o.install, "install", false, "install what is missing by apt-get; needs root")
	f.BoolVar(&o.write, "write", false, "write docs/performance.md")
	f.BoolVar(&o.fair, "priority", true, "when allowed, run above the machine's other work: nice for throughput, round robin for latency")
	f.StringVar(&o.traefik, "traefik", "", "a traefik v3 binary to measure too (default: traefik in PATH, if there is one)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.rounds, o.slot = 2, time.Second
	}
	o.only = sections()
	if only != "" {
		o.only = strings.Split(only, ",")
		for _, s := range o.only {
			if !slices.Contains(sections(), s) {
				return o, fmt.Errorf("-only %s: it is one of %s", s, strings.Join(sections(), ", "))
			}
		}
	}
	if o.rounds < 1 || o.slot < 100*time.Millisecond {
		return o, errors.New("-rounds must be at least 1, and -slot at least 100ms")
	}
	if o.traefik == "" {
		o.traefik, _ = exec.LookPath("traefik") //nolint:errcheck // it is optional
	}
	return o, nil
}

// run is one run of the benchmark.
type run struct {
	options
	ctx   context.Context //nolint:containedctx // the run's own, ended by Ctrl-C
	dir   string          // for everything temporary
	self  string          // this program
	ours  string          // the microstax binary
	root  string          // the module
	procs *procs
	log   io.Writer
	host  host
	table table
}

func bench(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if err := tools(ctx, o.install); err != nil {
		return err
	}
	r := &run{options: o, ctx: ctx, log: os.Stderr, procs: newProcs()}
	if r.dir, err = os.MkdirTemp("", "microstax-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	defer r.procs.stopAll()
	if r.self, err = os.Executable(); err != nil {
		return err
	}
	if r.root, err = moduleRoot(ctx); err != nil {
		return err
	}
	r.ours = filepath.Join(r.dir, "microstax")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", r.ours, "./cmd/microstax")
	build.Dir, build.Env = r.root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build microstax: %w\n%s", err, out)
	}
	r.host = describeHost(ctx, r.ours, o.traefik)
	if o.fair {
		defer preferGroup()()
	}
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"throughput", r.throughput}, {"latency", r.latency}, {"isolation", r.isolation}, {"slow", r.slow},
		{"hung", r.hung}, {"memory", r.memory}, {"streaming", r.streaming}, {"grpc", r.grpc},
		{"profile", r.profile}, {"allocations", r.allocations},
	} {
		if !slices.Contains(o.only, s.name) {
			continue
		}
		began := time.Now()
		if err := s.do(); err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted; everything that was started is ended")
			}
			return fmt.Errorf("%s: %w", s.name, err)
		}
		r.say("%s took %s", s.name, time.Since(began).Round(time.Second))
	}
	r.print(os.Stdout)
	if !o.write {
		return nil
	}
	return r.writeDoc()
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.log, "· "+format+"\n", args...) }

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if mod := strings.TrimSpace(string(out)); err == nil && filepath.Base(mod) == "go.mod" {
		return filepath.Dir(mod), nil
	}
	return "", errors.New("run this inside the module: go run ./bench/dataplane")
}

// tools sees to it that the peers and wrk are there.
func tools(ctx context.Context, install bool) error {
	var missing []string
	for _, name := range []string{"nginx", "haproxy", "wrk"} {
		if tool(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	const how = "apt-get install -y nginx-light haproxy wrk"
	if !install {
		return fmt.Errorf("%s not found; %s (or -install, as root)", strings.Join(missing, ", "), how)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("-install needs root: sudo %s", how)
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", "apt-get update && "+how)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", how, err)
	}
	return nil
}

// tool is where a program is; the peers live in sbin, which is not in everybody's PATH.
func tool(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	return ""
}
