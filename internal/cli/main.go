// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line: it turns what a person types into calls of the API's client, and answers into text. It
// is the only place that knows exit codes and terminals.
//
// Results go to standard output, talk to standard error. Everything of the process that a command needs (streams,
// environment, clock) comes in through Streams, and everything that runs in this process instead of behind the API through
// Deps; so Main can be called from tests, more than once and concurrently.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"microstax/internal/fault"
)

// The exit codes.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2 // wrong usage, or an invalid file
	exitHold         = 3 // the verdict is hold
	exitInsufficient = 4 // the verdict is insufficient
)

// Streams are the process as commands see it.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// Getenv reads the environment.
	Getenv func(string) string
	// OutTerminal and ErrTerminal say whether a person sees what is written there.
	OutTerminal, ErrTerminal bool
	// Width of the terminal in columns; 0 where there is none.
	Width int
	// Now is the clock.
	Now func() time.Time
}

// Main runs one command and gives the exit code. A cancelled ctx is the user's first Ctrl-C: what runs is ended in order.
func Main(ctx context.Context, s Streams, d Deps, args []string) int {
	a := &app{Streams: s, deps: d}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if a.client != nil {
		a.client.Close()
	}
	var verdict *verdictError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &verdict):
		return verdict.code
	}
	return a.complain(cmd, err)
}

// verdictError carries the exit code of a verdict; there is nothing to print about it.
type verdictError struct{ code int }

func (e *verdictError) Error() string { return fmt.Sprintf("verdict: exit code %d", e.code) }

// usageError is a mistake in what was typed.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef makes a usage error.
func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// complain prints an error and gives its exit code.
func (a *app) complain(cmd *cobra.Command, err error) int {
	places := fault.PlacesOf(err)
	for _, p := range places {
		fmt.Fprintln(a.Err, p.String())
	}
	fmt.Fprintf(a.Err, "microstax: %s\n", summary(err, places))
	hint := fault.HintOf(err)
	var usage *usageError
	wrong := !a.ran || errors.As(err, &usage) // cobra refused it before the command ran
	if hint == "" && wrong && cmd != nil {
		hint = "see " + cmd.CommandPath() + " --help"
	}
	if hint != "" {
		fmt.Fprintln(a.Err, "hint: "+hint)
	}
	if wrong || fault.Is(err, fault.Invalid) || len(places) > 0 {
		return exitUsage
	}
	return exitFailed
}

// summary is the error in one line. Where every wrong place has had a line already, it only counts them.
func summary(err error, places []fault.Place) string {
	text := err.Error()
	var f *fault.Error
	if len(places) == 0 || !strings.Contains(text, places[0].Message) || !errors.As(err, &f) {
		return text
	}
	wrong := 0
	for _, p := range places {
		if !p.Warning {
			wrong++
		}
	}
	return f.Op + ": " + plural(wrong, "error")
}
