// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"microstax/internal/config"
	"microstax/internal/fault"
)

// gatewayLock is locked by the gateway that uses a directory.
const gatewayLock = "gateway.lock"

func (a *app) gateway() *cobra.Command {
	cmd := &cobra.Command{
		Use: "gateway", Short: "Run the data plane as a process of its own", Args: cobra.NoArgs,
		Long: "Run the data plane as a process of its own, in the foreground until Ctrl-C or SIGTERM. It gets its routes from a server that\n" +
			"was started with --dataplane external, and goes on serving them when that server is away, also after a restart of its\n" +
			"own. What it observes waits on disk until the server has stored it.\n\n" +
			"It shows the server MICROSTAX_API_KEY; without one both have to share a data directory.",
	}
	f := cmd.Flags()
	flags := map[string]*string{
		"apiUrl":       f.String("server", "", "URL of the server (default: MICROSTAX_API_URL, else http://127.0.0.1:3000)"),
		"gatewayName":  f.String("name", "", "what the server knows it by; each needs one of its own (default: the name of the machine)"),
		"gatewayDir":   f.String("spool", "", "folder of its own for observations that wait, and for its last routes (default: gateway in MICROSTAX_HOME)"),
		"limits.spool": f.String("spool-size", "", "bytes of observations that may wait (default: 256MiB)"),
		"gatewayAdmin": f.String("admin", "", "address for /healthz, /readyz and /metrics (default: none)"),
		"dataDir":      f.String("data-dir", "", "the server's folder, where its secret is found when there is no token"),
		"log":          f.String("log-level", "", "debug, info, warn or error (default: info)"),
	}
	token := f.String("token-file", "", "file that holds the server's token (default: MICROSTAX_API_KEY)")
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		given := map[string]string{}
		for key, v := range flags {
			given[key] = *v
		}
		if err := a.readSettings(given); err != nil {
			return err
		}
		if err := a.readToken(*token); err != nil {
			return err
		}
		return a.runGateway(ctx)
	})
	cmd.AddCommand(a.gatewayList(), a.gatewayForget())
	return cmd
}

// readToken takes the token from a file.
func (a *app) readToken(path string) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(b)) == "" {
		err = errors.New(path + " is empty")
	}
	if err != nil {
		return fault.E("read token", fault.Invalid, err).WithHint("--token-file names a file with nothing but the token")
	}
	a.set.APIKey = config.Secret(strings.TrimSpace(string(b)))
	return nil
}

func (a *app) runGateway(ctx context.Context) error {
	const op = "start gateway"
	if a.deps.Gateway == nil {
		return fault.Errorf(op, fault.Unavailable, "this build has no gateway")
	}
	dir := a.set.Gateway.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.E(op, fault.Invalid, err).WithHint("give --spool a folder that you may write to")
	}
	lock, held, err := lockFile(filepath.Join(dir, gatewayLock))
	if err != nil {
		return fault.E(op, fault.Unavailable, err)
	}
	if held {
		return fault.Errorf(op, fault.Conflict, "another gateway uses %s", dir).WithHint("give each gateway a --spool of its own")
	}
	err = a.deps.Gateway(ctx, a.set, func(name string) {
		if !a.quiet {
			a.say("gateway %s takes routes from %s, state in %s", name, a.set.APIURL, dir)
		}
	})
	return errors.Join(err, lock.Close())
}

func (a *app) gatewayList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the gateways of a server, and how far each is", Args: cobra.NoArgs}
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		c, err := a.dial()
		if err != nil {
			return err
		}
		all, err := c.Gateways(ctx)
		if err != nil {
			return err
		}
		return a.print(all, func(t *table) {
			t.head("NAME", "STATE", "HEARD", "ROUTES", "BEHIND", "LISTENERS", "SPOOLED", "DROPPED", "ERROR")
			for _, g := range all {
				t.row(g.Name, t.state(g.State), a.ago(g.HeardAt), "r"+strconv.FormatUint(g.RouteRevision, 10), strconv.FormatUint(g.Behind, 10),
					strconv.Itoa(g.Listeners), fmt.Sprintf("%d (%s)", g.Spool.Waiting, bytesText(g.Spool.Bytes)),
					strconv.FormatInt(g.Spool.Dropped, 10), orDash(g.Error))
			}
		})
	})
	return cmd
}

func (a *app) gatewayForget() *cobra.Command {
	cmd := &cobra.Command{
		Use: "forget NAME", Short: "Drop a gateway that is gone for good", Args: cobra.ExactArgs(1),
		Long: "Drop a gateway that is gone for good. Requests that it had received and not told the end of are counted as lost: crash.",
	}
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		c, err := a.dial()
		if err != nil {
			return err
		}
		if err := c.ForgetGateway(ctx, args[0]); err != nil {
			return err
		}
		if !a.quiet {
			a.say("forgot gateway %s", args[0])
		}
		return nil
	})
	return cmd
}
