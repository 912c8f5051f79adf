// SPDX-License-Identifier: Apache-2.0

// Command mutants measures whether reports tell the truth about the changes in the bundled shop's catalogue, and prints
// a table. It is the section mutants of bench/truth by itself, with flags to run a part of it:
//
//	go run ./bench/mutants [-mutants total-as-string,same] [-profiles quiet,flaky] [-sessions 90]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"microstax/bench/truth/mutants"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o mutants.Options
	f := flag.NewFlagSet("mutants", flag.ContinueOnError)
	names := f.String("mutants", "", "comma-separated names of the catalogue (default: all)")
	profiles := f.String("profiles", "", "comma-separated profiles of noise (default: all)")
	f.IntVar(&o.Sessions, "sessions", mutants.DefaultSessions, "visitors for each mutant, with about 15 requests each")
	f.IntVar(&o.Parallel, "parallel", 2, "mutants at the same time")
	f.Uint64Var(&o.Seed, "seed", 1, "decides what visitors do")
	f.IntVar(&o.Ports[0], "first-port", 21000, "first TCP port to use")
	f.IntVar(&o.Ports[1], "last-port", 24000, "last TCP port to use")
	f.StringVar(&o.Binary, "binary", "", "the microstax program (default: build it)")
	quick := f.Bool("quick", false, "few visitors and no noise: to see whether it works, not for figures")
	asJSON := f.Bool("json", false, "print one line for bench/truth")
	if err := f.Parse(args); err != nil {
		return err
	}
	o.Mutants, o.Profiles, o.Log = list(*names), list(*profiles), os.Stderr
	if *quick {
		o.Profiles, o.Sessions = []string{"quiet"}, 40
	}
	res, err := mutants.Run(ctx, o)
	if err != nil {
		return err
	}
	if *asJSON {
		return mutants.Deliver(out, res)
	}
	return mutants.Print(out, res)
}

// list is a comma-separated list; empty is none.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
