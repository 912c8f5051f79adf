// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
)

func (a *app) overlayCreate() *cobra.Command {
	var k creation
	var baseline string
	cmd := &cobra.Command{
		Use: "create --baseline B --file F", Short: "Create a sparse environment that derives from a baseline or an overlay", Args: cobra.NoArgs,
		Example: "  microstax overlay create --baseline shop --file ./overlay.yaml --name feat-checkout",
	}
	k.flags(cmd)
	cmd.Flags().StringVarP(&baseline, "baseline", "b", "", "what it derives from: an id, or a name that is unique")
	_ = cmd.MarkFlagRequired("baseline")                                  //nolint:errcheck // the flag is there
	_ = cmd.MarkFlagRequired("file")                                      //nolint:errcheck // the flag is there
	_ = cmd.RegisterFlagCompletionFunc("baseline", a.completeFlagRef("")) //nolint:errcheck // the flag is there
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		return a.create(ctx, k, "overlay", func(ctx context.Context, c *client.Client, r v1.CreateEnvironment) (v1.Environment, error) {
			return c.CreateOverlay(ctx, baseline, r)
		}, func(e v1.Environment) string { return "microstax env shadow " + e.Name + " --enable" })
	})
	return cmd
}

// completeFlagRef completes a flag that names an environment.
func (a *app) completeFlagRef(mode string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.refs(cmd.Context(), mode, prefix), cobra.ShellCompDirectiveNoFileComp
	}
}
