// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
	"microstax/internal/fault"
)

func (a *app) envLogs() *cobra.Command {
	var q client.LogQuery
	var follow bool
	cmd := &cobra.Command{
		Use: "logs ENV", Short: "What the services printed", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRef(""),
		Example: "  microstax env logs shop -f --service orders",
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with new lines until Ctrl-C")
	f.StringVarP(&q.Service, "service", "s", "", "only this service")
	f.StringVar(&q.Role, "role", "", "only instances of this role: primary, candidate or control")
	f.IntVar(&q.Tail, "tail", 200, "the newest lines of each instance; -1 for all that is kept")
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		if q.Tail == 0 {
			return usagef("--tail 0 shows nothing: give a number of lines, or -1 for all")
		}
		if !follow {
			lines, err := c.Logs(ctx, args[0], q)
			if err != nil {
				return err
			}
			if a.output != "table" {
				return a.print(lines, nil)
			}
			for _, l := range lines {
				if err := a.logLine(l); err != nil {
					return err
				}
			}
			return nil
		}
		err = c.FollowLogs(ctx, args[0], q, a.logLine)
		if ctx.Err() != nil && fault.Is(err, fault.Canceled) {
			return nil // Ctrl-C is how one ends it; what else went wrong is told
		}
		return err
	})
	return cmd
}

// logLine prints one line: as a JSON document of its own, or for people.
func (a *app) logLine(l v1.LogLine) error {
	var err error
	if a.output == "json" {
		err = json.NewEncoder(a.Out).Encode(l)
	} else {
		from := l.Service
		if l.Role != "primary" && l.Role != "" {
			from += "/" + l.Role
		}
		if l.Replica > 0 {
			from += fmt.Sprintf("/%d", l.Replica)
		}
		t := table{color: a.OutTerminal && a.set.Color}
		_, err = fmt.Fprintf(a.Out, "%s %s\n", t.paint(dim, from+" |"), l.Line)
	}
	if err != nil {
		return fault.E("write log line", fault.Unavailable, err)
	}
	return nil
}
