// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
)

func (a *app) envDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete ENV...", Aliases: []string{"rm"}, Short: "Stop and remove environments and their evidence", Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeRef(""),
	}
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		for _, ref := range args {
			if err := c.Delete(ctx, ref); err != nil {
				return err
			}
			if !a.quiet {
				a.say("deleted %s", ref)
			}
		}
		return nil
	})
	return cmd
}

func (a *app) envStop() *cobra.Command {
	return a.changer("stop", "Stop the services; addresses and evidence stay", "stopped", (*client.Client).Stop)
}

func (a *app) envResume() *cobra.Command {
	return a.changer("resume", "Start the services of a stopped environment again", "ready", (*client.Client).Resume)
}

// changer is a command that brings an environment into a status.
func (a *app) changer(verb, short, want string, change func(*client.Client, context.Context, string) (v1.Environment, error)) *cobra.Command {
	var wait, noWait bool
	cmd := &cobra.Command{Use: verb + " ENV", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRef("")}
	waitFlags(cmd, &wait, &noWait, want)
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		env, err := change(c, ctx, args[0])
		if err != nil {
			return err
		}
		switch {
		case !wait || noWait:
		case env.Status != want:
			env, err = a.await(ctx, c, awaited{Environment: env}, verb+" environment", want)
		default:
			env, err = a.settled(ctx, c, env.ID, want)
		}
		if err != nil {
			return err
		}
		return a.shown(env)
	})
	return cmd
}
