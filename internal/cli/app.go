// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"microstax/internal/client"
	"microstax/internal/config"
)

// app is one run of a command.
type app struct {
	Streams
	deps Deps
	set  config.Settings

	output      string
	json        bool
	quiet       bool
	noAutostart bool

	client  *client.Client // once server was called
	started bool           // this command started the local server
	ran     bool           // the command itself was reached: its errors are no longer mistakes in usage
}

// root builds the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "microstax",
		Short: "Run two versions of a service on live traffic, and see how they differ",
		Long: "MicroStax runs environments of services, routes and mirrors their traffic, compares how a change behaves with how the\n" +
			"baseline does, and keeps the evidence.\n\nBegin with: microstax demo",
		SilenceErrors: true, SilenceUsage: true,
	}
	f := root.PersistentFlags()
	f.StringVarP(&a.output, "output", "o", "table", "format of the result: table, json or yaml")
	f.BoolVar(&a.json, "json", false, "the same as -o json")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no hints; commands that create print the new id alone")
	f.BoolVar(&a.noAutostart, "no-autostart", false, "do not start a local server when none answers")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) }
	root.AddCommand(a.demo(), a.shadow(), a.env(), a.baseline(), a.overlay(), a.server(), a.serve(), a.gateway(), a.demoService(), a.doctor(), a.version())
	return root
}

// formats are the values of --output that a command takes, in its annotation.
const formatsKey = "formats"

// prepare checks the flags that all commands share, and reads the environment.
func (a *app) prepare(cmd *cobra.Command) error {
	if a.json {
		if cmd.Flags().Changed("output") && a.output != "json" {
			return usagef("--json and -o %s contradict each other", a.output)
		}
		a.output = "json"
	}
	allowed := []string{"table", "json", "yaml"}
	if more := cmd.Annotations[formatsKey]; more != "" {
		allowed = strings.Split(more, ",")
	}
	if !slices.Contains(allowed, a.output) {
		return usagef("-o %s is not a format of this command: it has %s", a.output, strings.Join(allowed, ", "))
	}
	return a.readSettings(nil)
}

// do makes a command's function of one that returns errors about its work.
func (a *app) do(work func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.ran = true
		return work(cmd.Context(), args)
	}
}

// group is a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		near := ""
		if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
			near = "; did you mean " + strings.Join(s, " or ") + "?"
		}
		return usagef("%s has no command %q%s", cmd.Name(), args[0], near)
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(children...)
	return cmd
}

// dial makes the client without asking whether anybody answers.
func (a *app) dial() (*client.Client, error) {
	if a.client != nil {
		return a.client, nil
	}
	c, err := client.New(client.Options{URL: a.set.APIURL, Token: a.set.APIKey.Reveal(), User: a.set.User, NewKey: rand.Text})
	if err != nil {
		return nil, err
	}
	a.client = c
	return c, nil
}

// say tells the user something that is not a result.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.Err, format+"\n", args...)
}

// next tells the user what to do next, in words for people only.
func (a *app) next(format string, args ...any) {
	if a.quiet || a.output != "table" {
		return
	}
	line := "next: " + fmt.Sprintf(format, args...)
	if a.ErrTerminal && a.set.Color {
		line = dim + line + reset
	}
	fmt.Fprintln(a.Err, line)
}

// completeRef completes the name or id of an environment, without ever starting a server.
func (a *app) completeRef(mode string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.refs(cmd.Context(), mode, prefix), cobra.ShellCompDirectiveNoFileComp
	}
}
