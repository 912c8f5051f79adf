// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
)

func (a *app) envStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status ENV", Short: "Show instances, and which route revision every listener serves", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRef(""),
	}
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		s, err := c.Status(ctx, args[0])
		if err != nil {
			return err
		}
		if err := a.print(s, func(t *table) { a.statusTable(t, s) }); err != nil {
			return err
		}
		a.next("%s", after(s.Environment))
		return nil
	})
	return cmd
}

func (a *app) statusTable(t *table, s v1.Status) {
	a.describe(t, s.Environment)
	notes := t.notes
	t.notes = nil
	instances := false
	for _, svc := range s.Services {
		for _, i := range svc.Instances {
			if !instances {
				t.row()
				t.head("INSTANCE", "STATE", "PORT", "PID")
				instances = true
			}
			t.row(svc.Name+"/"+i.Role+"/"+strconv.Itoa(i.Replica), t.state(i.State), number(i.Port), number(i.PID))
		}
	}
	if len(s.Listeners) > 0 {
		t.row()
		t.head("LISTENER", "ADDRESS", "FOR", "SERVES", "ERROR")
		for _, l := range s.Listeners {
			who := l.Service
			if l.Kind != "gateway" {
				who = l.Caller + " → " + l.Service
				if l.Role != "" && l.Role != "primary" {
					who = l.Role + " " + who
				}
			}
			serves := "not open"
			if l.RouteRevision > 0 {
				serves = "revision " + strconv.FormatUint(l.RouteRevision, 10)
				if l.RouteRevision != s.RouteRevision {
					serves = t.paint(yellow, serves+", not "+strconv.FormatUint(s.RouteRevision, 10))
				}
			}
			t.row(l.Kind, l.Address, who, serves, t.paint(red, l.Error))
		}
	}
	t.notes = append(t.notes, notes...)
}

func number(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}
