// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"microstax/internal/fault"
)

// stopTimeout is how long a server may take to drain.
const stopTimeout = 60 * time.Second

func (a *app) server() *cobra.Command {
	return group("server", "The local server: start, stop, status", a.serverStart(), a.serverStop(), a.serverStatus())
}

func (a *app) serverStart() *cobra.Command {
	cmd := &cobra.Command{Use: "start", Short: "Start the local server in the background", Args: cobra.NoArgs}
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		c, err := a.dial()
		if err != nil {
			return err
		}
		if err := a.answers(ctx, c); err == nil {
			a.say("a server answers at %s already", c.URL())
			return nil
		}
		if a.localAddress() == "" {
			return fault.Errorf("start server", fault.Invalid, "%s is not an address of this machine", a.set.APIURL).
				WithHint("unset MICROSTAX_API_URL, or run there: microstax serve --listen ADDR")
		}
		if a.deps.Executable == "" {
			return fault.Errorf("start server", fault.Unavailable, "the path of this program is unknown").WithHint("run: microstax serve")
		}
		a.noAutostart = false
		_, err = a.connect(ctx)
		if err == nil {
			a.next("microstax demo; stop it with: microstax server stop")
		}
		return err
	})
	return cmd
}

func (a *app) serverStop() *cobra.Command {
	cmd := &cobra.Command{
		Use: "stop", Short: "Stop the local server; environments come back with it", Args: cobra.NoArgs,
	}
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error { return a.stopServer(ctx) })
	return cmd
}

// stopServer stops the local server and waits until it is gone.
func (a *app) stopServer(ctx context.Context) error {
	r, ok, err := findServer(a.set.DataDir)
	if err != nil {
		return err
	}
	if !ok {
		a.say("no local server runs on %s", a.set.DataDir)
		return nil
	}
	if err := terminate(r.PID); err != nil {
		return fault.E("stop server", fault.Unavailable, err).WithHint("stop it as the user that started it")
	}
	return a.awaitGone(ctx, r)
}

// awaitGone waits until a server has given its folder up.
func (a *app) awaitGone(ctx context.Context, r running) error {
	deadline := time.NewTimer(stopTimeout)
	defer deadline.Stop()
	for {
		now, ok, err := findServer(a.set.DataDir)
		if err == nil && (!ok || now.PID != r.PID) {
			if !a.quiet {
				a.say("stopped the server at %s (process %d)", r.URL, r.PID)
			}
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-deadline.C:
			return fault.Errorf("stop server", fault.Unavailable, "process %d still drains after %s", r.PID, stopTimeout).
				WithHint("its log is in %s; end it with: kill -9 %d", filepath.Join(a.set.Home, logName), r.PID)
		case <-ctx.Done():
			return fault.E("stop server", fault.Canceled, ctx.Err())
		}
	}
}

// serverState is what server status prints.
type serverState struct {
	URL     string     `json:"url"`
	State   string     `json:"state"` // ready | unready | absent
	Reason  string     `json:"reason,omitempty"`
	PID     int        `json:"pid,omitempty"` // of a local server
	Started *time.Time `json:"started,omitempty"`
	Version string     `json:"version,omitempty"`
	Home    string     `json:"home"`
	DataDir string     `json:"dataDir"`
	Log     string     `json:"log"`
}

func (a *app) serverStatus() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Say whether a server answers, and where its state and log are", Args: cobra.NoArgs}
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		s, err := a.serverState(ctx)
		if err != nil {
			return err
		}
		if err := a.print(s, func(t *table) {
			t.field("Server", s.URL)
			t.field("State", t.state(s.State))
			t.field("Reason", s.Reason)
			if s.PID != 0 {
				t.field("Process", strconv.Itoa(s.PID))
				t.field("Started", a.ago(*s.Started))
				t.field("Version", s.Version)
			}
			t.field("Home", s.Home)
			t.field("Data", s.DataDir)
			t.field("Log", s.Log)
		}); err != nil {
			return err
		}
		if s.State == "ready" {
			a.next("microstax env list")
			return nil
		}
		a.next("microstax server start")
		return &verdictError{exitFailed}
	})
	return cmd
}

func (a *app) serverState(ctx context.Context) (serverState, error) {
	c, err := a.dial()
	if err != nil {
		return serverState{}, err
	}
	s := serverState{URL: c.URL(), State: "ready", Home: a.set.Home, DataDir: a.set.DataDir, Log: filepath.Join(a.set.Home, logName)}
	if err := a.answers(ctx, c); err != nil {
		s.State, s.Reason = "unready", err.Error()
		if isAbsent(err) {
			s.State, s.Reason = "absent", "nobody answers"
		}
	}
	if r, ok, err := findServer(a.set.DataDir); err == nil && ok {
		if r.URL == s.URL {
			s.PID, s.Started, s.Version = r.PID, &r.Started, r.Version
		} else {
			s.Reason = fmt.Sprintf("%s; the local server is at %s", orDash(s.Reason), r.URL)
		}
	}
	return s, nil
}
