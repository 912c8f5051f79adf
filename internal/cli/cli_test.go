// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"microstax/internal/cli"
)

var update = flag.Bool("update", false, "rewrite the expectations in the scripts") //nolint:gochecknoglobals // a test flag

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"microstax": func() { os.Exit(microstax()) }})
}

// microstax is the program, with a server that has a control plane in memory.
func microstax() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ctx = context.WithValue(ctx, errKey{}, os.Stderr)
	exe, err := exec.LookPath(os.Args[0])
	if err != nil {
		panic(err)
	}
	return cli.Main(ctx, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Now: time.Now}, cli.Deps{
		Version: "v0.test", Executable: exe, Serve: serve, Shadow: shadow,
	}, os.Args[1:])
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitCode},
		Setup: func(e *testscript.Env) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			addr := l.Addr().String()
			e.Setenv("ADDR", addr)
			e.Setenv("MICROSTAX_API_URL", "http://"+addr)
			e.Setenv("MICROSTAX_HOME", e.WorkDir+"/home")
			e.Setenv("USER", "ann")
			e.Defer(func() { stopServer(e) })
			return l.Close()
		},
	})
}

// stopServer ends what a script's autostart has left.
func stopServer(e *testscript.Env) {
	exe, err := exec.LookPath("microstax")
	if err != nil {
		return
	}
	cmd := exec.Command(exe, "server", "stop")
	cmd.Env = append(e.Vars, "PATH="+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "server stop: %v\n%s", err, out)
	}
}

// exitCode runs a command that must end with the given code: exitcode 3 microstax env diffs x --gate.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		var exit *exec.ExitError
		if e, ok := err.(*exec.ExitError); ok { //nolint:errorlint // as testscript gives it
			exit = e
		}
		if exit == nil {
			ts.Fatalf("run %v: %v", args[1:], err)
		}
		got = fmt.Sprint(exit.ExitCode())
	}
	if got != args[0] {
		ts.Fatalf("%v ended with %s, want %s", args[1:], got, args[0])
	}
}
