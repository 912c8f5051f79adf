// SPDX-License-Identifier: Apache-2.0

// Command microstax is the program: all commands, and the server.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/term"

	"microstax/internal/cli"
)

func main() {
	os.Exit(run())
}

// run gives the exit code. The first signal ends what runs in order, the second at once.
func run() int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2) // the first and the second; a third changes nothing
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(1)
	}()
	exe, err := os.Executable()
	if err != nil {
		exe = "" // the CLI then starts no server by itself
	}
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		width = 0 // no terminal
	}
	return cli.Main(ctx, cli.Streams{
		Width: width, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: getenv(), Now: time.Now,
		OutTerminal: term.IsTerminal(int(os.Stdout.Fd())), ErrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}, deps(exe), os.Args[1:])
}

// version is that of the module, or of the commit where it was built from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
