// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"

	"microstax/internal/client"
)

// check is one thing that doctor has looked at.
type check struct {
	Name   string `json:"name"`
	Result string `json:"result"` // ok | warning | failed
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// enoughFiles is how many open files a small shop under load needs.
const enoughFiles = 4096

func (a *app) doctor() *cobra.Command {
	cmd := &cobra.Command{Use: "doctor", Short: "Look for what would keep MicroStax from working here", Args: cobra.NoArgs}
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		checks := []check{a.checkHome(), a.checkLoopback(ctx), checkFiles(), a.checkServer(ctx)}
		failed := 0
		for _, c := range checks {
			if c.Result == "failed" {
				failed++
			}
		}
		if err := a.print(checks, func(t *table) {
			t.head("CHECK", "RESULT", "DETAIL")
			for _, c := range checks {
				style := map[string]string{"ok": green, "warning": yellow, "failed": red}[c.Result]
				t.row(c.Name, t.paint(style, c.Result), c.Detail)
				if c.Hint != "" {
					t.row("", "", "hint: "+c.Hint)
				}
			}
		}); err != nil {
			return err
		}
		if failed > 0 {
			return &verdictError{exitFailed}
		}
		a.next("microstax demo")
		return nil
	})
	return cmd
}

// checkHome tries to write to the state folder.
func (a *app) checkHome() check {
	c := check{Name: "state folder", Result: "ok", Detail: a.set.Home + " can be written to"}
	err := os.MkdirAll(a.set.Home, 0o700)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(a.set.Home, "doctor-*"); err == nil {
			f.Close()           //nolint:errcheck // empty
			os.Remove(f.Name()) //nolint:errcheck // empty
		}
	}
	if err != nil {
		c.Result, c.Detail, c.Hint = "failed", err.Error(), "set MICROSTAX_HOME to a folder that you may write to"
	}
	return c
}

// checkLoopback tries to listen.
func (a *app) checkLoopback(ctx context.Context) check {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return check{"loopback ports", "failed", err.Error(), "a sandbox or firewall forbids to listen on 127.0.0.1"}
	}
	l.Close() //nolint:errcheck // nobody came
	return check{Name: "loopback ports", Result: "ok", Detail: "can listen on 127.0.0.1"}
}

func checkFiles() check {
	n, err := openFiles()
	switch {
	case err != nil:
		return check{"open files", "warning", err.Error(), ""}
	case n < enoughFiles:
		return check{"open files", "warning", fmt.Sprintf("at most %d", n), fmt.Sprintf("raise it before heavy traffic: ulimit -n %d", enoughFiles)}
	}
	return check{Name: "open files", Result: "ok", Detail: fmt.Sprintf("at most %d", n)}
}

// checkServer looks for the server without starting one.
func (a *app) checkServer(ctx context.Context) check {
	c, err := a.dial()
	if err != nil {
		return check{"server", "failed", err.Error(), "mend MICROSTAX_API_URL"}
	}
	err = a.answers(ctx, c)
	switch {
	case err == nil:
		if _, err := c.Environments(ctx, client.Filter{}); err != nil {
			return check{"server", "failed", err.Error(), "see whether MICROSTAX_API_KEY is right"}
		}
		return check{Name: "server", Result: "ok", Detail: c.URL() + " is ready"}
	case isAbsent(err) && a.localAddress() != "":
		return check{Name: "server", Result: "ok", Detail: "none runs at " + c.URL() + "; it starts by itself when it is needed"}
	}
	return check{"server", "failed", err.Error(), "see: microstax server status"}
}
