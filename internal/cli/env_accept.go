// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
)

func (a *app) envAccept() *cobra.Command {
	p := v1.FindingPatch{Status: "accepted"}
	var reopen bool
	cmd := &cobra.Command{
		Use: "accept ENV FINDING", Short: "Accept a finding as an intended change; it stays visible, with who, when and why", Args: cobra.ExactArgs(2),
		ValidArgsFunction: a.completeRef(""),
		Example:           `  microstax env accept feat-checkout fnd_… --reason "prices are strings from v2 on"`,
	}
	cmd.Flags().StringVar(&p.Reason, "reason", "", "why, for those who read the report later")
	cmd.Flags().BoolVar(&reopen, "undo", false, "take an earlier decision back")
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		if reopen {
			p.Status = "open"
		}
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		f, err := c.Decide(ctx, args[0], args[1], p)
		if err != nil {
			return err
		}
		if err := a.print(f, func(t *table) {
			t.field("Finding", f.ID)
			t.field("Summary", f.Summary)
			t.field("Status", f.Status)
		}); err != nil {
			return err
		}
		a.next("microstax env diffs %s", args[0])
		return nil
	})
	return cmd
}
