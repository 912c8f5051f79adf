// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/fault"
)

func (a *app) demo() *cobra.Command {
	var o DemoOptions
	cmd := &cobra.Command{
		Use: "demo", Short: "See it work in under a minute, on a bundled shop with planted changes", Args: cobra.NoArgs,
		Annotations: map[string]string{formatsKey: reportFormats},
		Long: "Start a baseline of four services, an overlay with planted behaviour changes and live traffic; shadow it, print what was\n" +
			"found and the verdict, and clean up.",
	}
	cmd.Flags().StringVar(&o.Candidate, "candidate", "planted", "planted, or same for an unchanged overlay, which shows that nothing is invented")
	cmd.Flags().DurationVar(&o.Duration, "duration", 0, "how long to send traffic (default: until the findings are in)")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "leave everything running")
	_ = cmd.RegisterFlagCompletionFunc("candidate", fixed("planted", "same")) //nolint:errcheck // the flag is there
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		if o.Candidate != "planted" && o.Candidate != "same" {
			return usagef("--candidate %s is neither planted nor same", o.Candidate)
		}
		if o.Duration < 0 || o.Duration > 24*time.Hour {
			return usagef("--duration %s is not between 0 and 24h", o.Duration)
		}
		if a.deps.Demo == nil {
			return fault.Errorf("run demo", fault.Unavailable, "this build has no demo")
		}
		if _, err := a.connect(ctx); err != nil {
			return err
		}
		o.Settings = a.set
		o.Say = func(line string) {
			if !a.quiet {
				a.say("%s", line)
			}
		}
		o.Show = func(r v1.Report) error { return a.report(a.Out, r) }
		r, err := a.deps.Demo(ctx, o)
		if a.started && !o.Keep { // a server that was started for the demo goes with it, also after Ctrl-C
			err = errors.Join(err, a.stopServer(context.WithoutCancel(ctx)))
		}
		if err != nil {
			return err
		}
		if o.Keep {
			a.next("microstax env diffs %s --watch; end it with: microstax env delete %s %s", r.EnvironmentID, r.EnvironmentID, r.BaselineID)
		} else {
			a.next("your own services: microstax shadow --primary URL --candidate URL --listen 127.0.0.1:8080")
		}
		return nil
	})
	return cmd
}

func (a *app) demoService() *cobra.Command {
	cmd := &cobra.Command{Use: "demo-service", Hidden: true, DisableFlagParsing: true, Short: "Run one service of the demo"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.ran = true
		if a.deps.DemoService == nil {
			return fault.Errorf("run demo service", fault.Unavailable, "this build has no demo")
		}
		return a.deps.DemoService(cmd.Context(), args, a.Out)
	}
	return cmd
}
