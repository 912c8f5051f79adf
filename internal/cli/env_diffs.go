// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
	"microstax/internal/fault"
)

func (a *app) envDiffs() *cobra.Command {
	var watch, gate bool
	var finding string
	cmd := &cobra.Command{
		Use: "diffs ENV", Short: "The diff report: what a change does, on live traffic", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRef(""), Annotations: map[string]string{formatsKey: reportFormats},
		Long: "The diff report of an environment's shadow session, as " + reportFormats + ".\n\n" +
			"With --gate the exit code is the verdict's: 0 promote, 3 hold, 4 insufficient.",
		Example: "  microstax env diffs feat-checkout --watch\n  microstax env diffs feat-checkout -o markdown > report.md\n  microstax env diffs feat-checkout --gate",
	}
	f := cmd.Flags()
	f.BoolVarP(&watch, "watch", "w", false, "show it anew whenever it changes, until Ctrl-C")
	f.BoolVar(&gate, "gate", false, "exit with the verdict's code")
	f.StringVar(&finding, "finding", "", "only this finding, with its example")
	cmd.MarkFlagsMutuallyExclusive("watch", "finding")
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		switch {
		case finding != "":
			return a.showFinding(ctx, c, args[0], finding)
		case watch:
			return a.watchDiffs(ctx, c, args[0], gate)
		}
		r, err := c.Report(ctx, args[0])
		if err != nil {
			return err
		}
		if err := a.report(a.Out, r); err != nil {
			return err
		}
		return gated(gate, r)
	})
	return cmd
}

// gated is the verdict's exit code, when it is asked for.
func gated(gate bool, r v1.Report) error {
	if !gate {
		return nil
	}
	switch r.Verdict.Decision {
	case "promote":
		return nil
	case "hold":
		return &verdictError{exitHold}
	}
	return &verdictError{exitInsufficient} // absence of evidence is never a promotion
}

// clear empties the screen and what has scrolled off it.
const clear = "\x1b[H\x1b[2J\x1b[3J"

// watchDiffs shows the report whenever it changes. Ctrl-C ends it, with the verdict's code if that is asked for.
func (a *app) watchDiffs(ctx context.Context, c *client.Client, ref string, gate bool) error {
	var last v1.Report
	err := c.Events(ctx, ref, func(e v1.Event) error {
		if e.Type != "report" || e.Report == nil {
			return nil
		}
		last = *e.Report
		var b bytes.Buffer // written at once, so that it does not flicker
		if a.OutTerminal && a.output == "table" {
			b.WriteString(clear)
		}
		if err := a.report(&b, last); err != nil {
			return err
		}
		if a.OutTerminal && a.output == "table" {
			fmt.Fprintf(&b, "\nwatching %s; Ctrl-C ends it\n", ref)
		}
		_, err := a.Out.Write(b.Bytes())
		return err
	})
	if ctx.Err() != nil && fault.Is(err, fault.Canceled) {
		return gated(gate, last)
	}
	return err
}

func (a *app) showFinding(ctx context.Context, c *client.Client, ref, id string) error {
	f, err := c.Finding(ctx, ref, id)
	if err != nil {
		return err
	}
	switch a.output {
	case "json":
		return printJSON(a.Out, f)
	case "yaml":
		return printYAML(a.Out, f)
	case "table":
		if err := a.print(f, func(t *table) { a.findingTable(t, f) }); err != nil {
			return err
		}
		a.next("microstax env observations %s --finding %s; if it is meant: microstax env accept %s %s --reason WHY", ref, id, ref, id)
		return nil
	}
	return usagef("--finding has the formats table, json and yaml")
}
