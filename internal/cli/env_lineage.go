// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
)

func (a *app) envLineage() *cobra.Command {
	cmd := &cobra.Command{
		Use: "lineage ENV", Short: "Show the chain, and for every service which environment provides it and why", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRef(""),
	}
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		l, err := c.Lineage(ctx, args[0])
		if err != nil {
			return err
		}
		if err := a.print(l, func(t *table) { lineageTable(t, l) }); err != nil {
			return err
		}
		a.next("microstax env status %s", args[0])
		return nil
	})
	return cmd
}

func lineageTable(t *table, l v1.Lineage) {
	t.head("ENVIRONMENT", "ID", "MODE", "REVISION", "DIGEST")
	for depth, k := range l.Chain {
		name := k.Name
		if depth > 0 {
			name = strings.Repeat("  ", depth-1) + "└ " + name
		}
		t.row(name, k.ID, k.Mode, strconv.Itoa(k.Revision), short(k.Digest))
	}
	t.row()
	t.head("SERVICE", "PROVIDED BY", "BECAUSE", "CHANGED", "WHY")
	for _, s := range l.Services {
		who := s.ProviderName
		if who == "" {
			who = s.Provider
		}
		t.row(s.Name, orDash(who), s.Because, orDash(strings.Join(s.Changed, ", ")), s.Explanation)
	}
}
