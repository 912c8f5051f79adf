// SPDX-License-Identifier: Apache-2.0

package drivertest

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// What a test program can be told to do; the first argument of World.Command.
const (
	DoPrint    = "print"    // print each further argument as a line, then stay until asked to end
	DoExit     = "exit"     // print the arguments after the first, then end with the first as the status
	DoEnv      = "env"      // print NAME=value for each named variable, then stay
	DoStubborn = "stubborn" // print the arguments, and ignore every polite request to end
)

// Program is the test program for drivers that start real ones: a test binary starts itself with these arguments.
// It returns the status to exit with; mostly it does not return.
func Program(args, environ []string, out io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(out, "drivertest: nothing to do")
		return 2
	}
	switch do, rest := args[0], args[1:]; do {
	case DoPrint:
		printLines(out, rest)
	case DoExit:
		printLines(out, rest[1:])
		code, err := strconv.Atoi(rest[0])
		if err != nil {
			return 2
		}
		return code
	case DoEnv:
		for _, name := range rest {
			fmt.Fprintln(out, name+"="+lookup(environ, name))
		}
	case DoStubborn:
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		printLines(out, rest)
	default:
		fmt.Fprintf(out, "drivertest: cannot %q\n", do)
		return 2
	}
	// Blocked for good: the channel is never sent to, and SIGTERM has its default effect unless it is ignored.
	never := make(chan os.Signal, 1)
	signal.Notify(never, syscall.SIGUSR2)
	<-never
	return 0
}

func printLines(out io.Writer, lines []string) {
	for _, l := range lines {
		fmt.Fprintln(out, l)
	}
}

func lookup(environ []string, name string) string {
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}
