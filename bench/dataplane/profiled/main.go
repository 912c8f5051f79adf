// SPDX-License-Identifier: Apache-2.0

// Command profiled is `microstax shadow` with a CPU profile, for the benchmark of the data plane:
//
//	profiled PROFILE LISTEN PRIMARY CANDIDATE
//
// The profile is of the time between SIGUSR1 and the end, by SIGINT.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"microstax/internal/app"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "profiled:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("got %d arguments, want PROFILE LISTEN PRIMARY CANDIDATE", len(args))
	}
	file, err := os.Create(args[0])
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // the profile says whether it is whole
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	start := make(chan os.Signal, 1)
	signal.Notify(start, syscall.SIGUSR1)
	profiling := make(chan error, 1)
	go func() {
		select {
		case <-start:
			profiling <- pprof.StartCPUProfile(file)
			<-ctx.Done()
			pprof.StopCPUProfile()
		case <-ctx.Done():
		}
		close(profiling)
	}()
	_, err = app.Shadow(ctx, app.ShadowOptions{
		Listen: args[1], Primary: args[2], Candidate: args[3], Logger: slog.New(slog.DiscardHandler),
	})
	for e := range profiling {
		if err == nil {
			err = e
		}
	}
	return err
}
