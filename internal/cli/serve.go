// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"microstax/internal/client"
	"microstax/internal/fault"
)

func (a *app) serve() *cobra.Command {
	flags := map[string]string{}
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server in the foreground", Args: cobra.NoArgs,
		Long: "Run the server in the foreground until Ctrl-C or SIGTERM. Beyond this machine it asks for a token: set MICROSTAX_API_KEY.",
	}
	listen := cmd.Flags().String("listen", "", "address of the API (default: that of MICROSTAX_API_URL, else 127.0.0.1:3000)")
	data := cmd.Flags().String("data-dir", "", "folder for state (default: data in MICROSTAX_HOME, else in $XDG_STATE_HOME/microstax)")
	plane := cmd.Flags().String("dataplane", "", "embedded, or external where gateways forward live traffic (default: embedded)")
	level := cmd.Flags().String("log-level", "", "debug, info, warn or error (default: info)")
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		flags["listen"], flags["dataDir"], flags["log"] = *listen, *data, *level
		flags["dataplane"] = *plane
		if err := a.readSettings(flags); err != nil {
			return err
		}
		return a.runServe(ctx)
	})
	return cmd
}

func (a *app) runServe(ctx context.Context) error {
	const op = "serve"
	s := a.set
	switch {
	case a.deps.Serve == nil:
		return fault.Errorf(op, fault.Unavailable, "this build has no server")
	case s.Listen == "":
		return usagef("%s is not an address of this machine: give --listen", s.APIURL)
	case s.APIKey == "" && !client.Loopback(s.Listen):
		return fault.Errorf(op, fault.Invalid, "%s is reachable from other machines, and there is no token", s.Listen).
			WithHint("set MICROSTAX_API_KEY to a secret, or listen on 127.0.0.1")
	}
	data, err := claim(s.DataDir)
	if err != nil {
		return err
	}
	me := running{PID: os.Getpid(), Started: a.Now(), URL: "http://" + s.Listen, Version: a.deps.Version}
	if err := data.announce(me); err != nil {
		return errors.Join(fault.E(op, fault.Unavailable, err), data.release())
	}
	err = a.deps.Serve(ctx, s, func(addr string) {
		me.URL = "http://" + addr
		if err := data.announce(me); err != nil {
			a.say("warning: %v; server stop will not find this server", err)
		}
		if !a.quiet {
			a.say("microstax %s listens at %s, state in %s", me.Version, me.URL, s.DataDir)
		}
	})
	return errors.Join(err, data.release())
}
