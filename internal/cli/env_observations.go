// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
)

func (a *app) envObservations() *cobra.Command {
	var q client.ObservationQuery
	cmd := &cobra.Command{
		Use: "observations ENV [OBSERVATION]", Aliases: []string{"obs"}, Short: "The paired exchanges that were kept, or one of them whole",
		Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeRef(""),
		Example: "  microstax env observations feat-checkout --finding fnd_… --limit 5",
	}
	cmd.Flags().StringVar(&q.Finding, "finding", "", "only evidence for this finding")
	cmd.Flags().StringVar(&q.Endpoint, "endpoint", "", `only this endpoint, like "POST /orders"`)
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "how many at most, newest first; 0 for all")
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		if q.Limit < 0 {
			return usagef("--limit %d is negative", q.Limit)
		}
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		if len(args) == 2 {
			o, err := c.Observation(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return a.print(o, func(t *table) { a.observationTable(t, o) })
		}
		list, err := c.Observations(ctx, args[0], q)
		if err != nil {
			return err
		}
		if len(list) == 0 && a.output == "table" {
			a.say("no observations were kept that match")
			a.next("microstax env shadow %s", args[0])
			return nil
		}
		if err := a.print(list, func(t *table) { a.observationRows(t, list) }); err != nil {
			return err
		}
		if len(list) > 0 {
			a.next("microstax env observations %s %s", args[0], list[0].ID)
		}
		return nil
	})
	return cmd
}

func (a *app) observationRows(t *table, list []v1.ObservationSummary) {
	t.head("OBSERVATION", "WHEN", "SERVICE", "ENDPOINT", "BASELINE", "CONTROL", "CANDIDATE", "FINDINGS", "KEPT FOR")
	for _, o := range list {
		t.row(o.ID, a.ago(o.At), o.Service, printable(o.Endpoint), o.Baseline, orDash(o.Control), o.Candidate, plural(len(o.Findings), "finding"), o.Why)
	}
}

func (a *app) observationTable(t *table, o v1.Observation) {
	t.field("Observation", o.ID)
	t.field("When", a.ago(o.At))
	t.field("Service", o.Service)
	t.field("Endpoint", printable(o.Endpoint))
	t.field("Session", o.SessionID)
	t.field("Trace", o.TraceID)
	for _, f := range o.Findings {
		t.field("Finding", f)
	}
	if len(o.Differences) > 0 {
		t.row()
		t.head("DIFFERENCE", "PATH", "BASELINE", "OTHER", "SIDE")
		for _, d := range o.Differences {
			t.row(d.Kind, printable(d.Path), printable(d.Baseline), printable(d.Candidate), d.Side)
		}
	}
	calls := []struct {
		side string
		list []v1.Call
	}{{"baseline", o.BaselineCalls}, {"control", o.ControlCalls}, {"candidate", o.CandidateCalls}}
	titled := false
	for _, side := range calls {
		for _, c := range side.list {
			if !titled {
				t.row()
				t.head("CALL BY", "DEPENDENCY", "OPERATION", "STATUS", "EFFECT", "TOOK")
				titled = true
			}
			t.row(side.side, c.Dependency, printable(c.Operation), number(c.Status), c.Effect, fmt.Sprintf("%.1f ms", c.DurationMS))
		}
	}
	t.notes = append(t.notes, "")
	t.message("request", &o.Exchanges.Request)
	t.message("baseline answered", &o.Exchanges.Baseline)
	t.message("control answered", o.Exchanges.Control)
	t.message("candidate answered", &o.Exchanges.Candidate)
}
