// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
)

func (a *app) baselineCreate() *cobra.Command {
	var k creation
	cmd := &cobra.Command{
		Use: "create (--file F | --from ENV)", Short: "Create a stable environment to derive from", Args: cobra.NoArgs,
		Example: "  microstax baseline create --file ./baseline.yaml",
	}
	k.flags(cmd)
	cmd.Flags().StringVar(&k.from, "from", "", "make it of this environment instead")
	cmd.MarkFlagsOneRequired("file", "from")
	cmd.MarkFlagsMutuallyExclusive("file", "from")
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		return a.create(ctx, k, "baseline", func(ctx context.Context, c *client.Client, r v1.CreateEnvironment) (v1.Environment, error) {
			return c.CreateBaseline(ctx, r)
		}, func(e v1.Environment) string {
			return "microstax overlay create --baseline " + e.Name + " --file ./overlay.yaml"
		})
	})
	return cmd
}
