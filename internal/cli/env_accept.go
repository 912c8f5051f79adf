// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
)

func (a *app) envAccept() *cobra.Command {
	p := v1.FindingPatch{Status: "accepted"}
	var reopen bool
	var expires time.Duration
	cmd := &cobra.Command{
		Use: "accept ENV FINDING", Short: "Accept a finding as an intended change; it stays visible, with who, when and why", Args: cobra.ExactArgs(2),
		ValidArgsFunction: a.completeRef(""),
		Example:           `  microstax env accept feat-checkout fnd_… --reason "prices are strings from v2 on"`,
	}
	f := cmd.Flags()
	f.StringVar(&p.Reason, "reason", "", "why, for those who read the report later")
	f.StringVar(&p.Scope, "scope", "environment", "environment: in all sessions; session: only for the versions that are compared now")
	f.DurationVar(&expires, "expires", 0, "open it again after this time, like 720h; 0 for never")
	f.BoolVar(&reopen, "undo", false, "take an earlier decision back")
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		if reopen {
			p.Status = "open"
		}
		var err error
		if p.Expires, err = a.until(expires); err != nil {
			return err
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
			t.field("Decided", a.decided(f.Decision))
		}); err != nil {
			return err
		}
		a.next("microstax env diffs %s", args[0])
		return nil
	})
	return cmd
}

// until is the time that lies so far ahead; nil for no time.
func (a *app) until(ahead time.Duration) (*time.Time, error) {
	if ahead == 0 {
		return nil, nil //nolint:nilnil // never
	}
	if ahead < 0 {
		return nil, usagef("--expires %s lies in the past: write how long it shall hold, like 720h", ahead)
	}
	at := a.Now().Add(ahead).UTC()
	return &at, nil
}

// decided says who said what, when and why.
func (a *app) decided(d *v1.Decision) string {
	if d == nil {
		return ""
	}
	s := d.Status + " by " + d.Who + " " + a.ago(d.At)
	if d.Expires != nil {
		s += " until " + d.Expires.Format(time.DateOnly)
	}
	if d.Scope == "session" {
		s += ", for this session"
	}
	if d.Rule != "" {
		s += ", by " + d.Rule
	}
	if d.Reason != "" {
		s += ": " + d.Reason
	}
	return s
}
