// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
	"microstax/internal/fault"
)

// creation is what the commands that create have in common.
type creation struct {
	source
	noWait, wait bool
}

func (k *creation) flags(cmd *cobra.Command) {
	k.source.flags(cmd)
	waitFlags(cmd, &k.wait, &k.noWait, "ready")
}

// waitFlags adds --wait, which is the default, and --no-wait.
func waitFlags(cmd *cobra.Command, wait, noWait *bool, until string) {
	cmd.Flags().BoolVar(wait, "wait", true, "return when the environment is "+until+", or has failed")
	cmd.Flags().BoolVar(noWait, "no-wait", false, "return at once")
	cmd.MarkFlagsMutuallyExclusive("wait", "no-wait")
}

// create sends the request, waits, and prints.
func (a *app) create(ctx context.Context, k creation, kind string,
	post func(context.Context, *client.Client, v1.CreateEnvironment) (v1.Environment, error), next func(v1.Environment) string,
) error {
	req := v1.CreateEnvironment{Name: k.name, From: k.from}
	if k.from == "" {
		var err error
		if req, err = a.request(k.source); err != nil {
			return err
		}
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	env, err := post(ctx, c, req)
	if err != nil {
		return locate(req, err)
	}
	for _, w := range env.Warnings {
		a.say("%s", warning(w))
	}
	if k.wait && !k.noWait {
		if env, err = a.await(ctx, c, awaited{env, req}, "create "+kind, "ready"); err != nil {
			return err
		}
	}
	if a.quiet && a.output == "table" {
		fmt.Fprintln(a.Out, env.ID)
		return nil
	}
	if err := a.print(env, func(t *table) { a.describe(t, env) }); err != nil {
		return err
	}
	if env.Status == "provisioning" {
		a.next("microstax env status %s", env.Name)
		return nil
	}
	a.next("%s", next(env))
	return nil
}

// errReached ends a stream of events that has told what was asked.
var errReached = errors.New("reached")

// awaited is an environment, and what it was made of where that was just now.
type awaited struct {
	v1.Environment
	from v1.CreateEnvironment
}

// await shows progress until the environment has reached a status, or failed.
func (a *app) await(ctx context.Context, c *client.Client, w awaited, op, want string) (v1.Environment, error) {
	env := w.Environment
	err := c.Events(ctx, env.ID, func(e v1.Event) error {
		switch {
		case e.Type == "status" && (e.Status == want || e.Status == "failed" || (want == "ready" && e.Status == "degraded")):
			return errReached
		case e.Type == "progress" && e.Message != "" && !a.quiet:
			a.say("%s: %s", env.Name, e.Message)
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return env, fault.Errorf(op, fault.Canceled, "stopped waiting for %s, which goes on", env.Name).
			WithHint("see how it does with: microstax env status %s; undo with: microstax env delete %s", env.ID, env.ID)
	case !errors.Is(err, errReached):
		return env, err
	}
	now, err := a.settled(ctx, c, env.ID, want)
	if err != nil {
		return env, err
	}
	if now.Status == "failed" {
		return now, a.failed(ctx, c, awaited{now, w.from}, op)
	}
	if now.Status == "degraded" {
		a.say("warning: %s is degraded: %s", now.Name, now.Reason)
	}
	return now, nil
}

// settleTimeout is how far what the server shows may lag behind what it has told.
const settleTimeout = 10 * time.Second

// settled gives the environment as it is once the server shows the status that its event has told.
func (a *app) settled(ctx context.Context, c *client.Client, id, want string) (v1.Environment, error) {
	deadline := time.NewTimer(settleTimeout)
	defer deadline.Stop()
	for {
		env, err := c.Environment(ctx, id)
		if err != nil || env.Status == "failed" || env.Status == "degraded" || env.Status == want && !(want == "stopped" && alive(env)) {
			return env, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline.C:
			return env, nil
		case <-ctx.Done():
			return env, nil
		}
	}
}

// alive says whether an environment still runs a service of its own.
func alive(e v1.Environment) bool {
	return slices.ContainsFunc(e.Services, func(s v1.Service) bool {
		return s.Provider == e.ID && (s.State == "ready" || s.State == "starting" || s.State == "unhealthy")
	})
}

// failedLines is how many of its last log lines are shown of a service that failed.
const failedLines = 10

// failed says why an environment failed, with the last words of the services that did.
func (a *app) failed(ctx context.Context, c *client.Client, env awaited, op string) error {
	for _, s := range env.Services {
		if s.Provider != env.ID || s.State == "ready" || s.State == "stopped" {
			continue
		}
		lines, err := c.Logs(ctx, env.ID, client.LogQuery{Service: s.Name, Tail: failedLines})
		if err != nil || len(lines) == 0 {
			continue
		}
		if len(lines) > failedLines {
			lines = lines[len(lines)-failedLines:]
		}
		for _, l := range lines {
			if !strings.Contains(env.Reason, l.Line) { // the reason may have them already
				a.say("%s | %s", l.Service, l.Line)
			}
		}
	}
	reason := env.Reason
	if reason == "" {
		reason = "it failed"
	}
	where := culprit(env.from, reason)
	if where == "" {
		where = env.Name
	}
	return fault.Errorf(op, fault.Unavailable, "%s: %s", where, reason).
		WithHint("see more with: microstax env logs %s; remove it with: microstax env delete %s", env.ID, env.ID)
}

func (a *app) envCreate() *cobra.Command {
	var k creation
	cmd := &cobra.Command{
		Use: "create --file F", Short: "Create a full, isolated environment", Args: cobra.NoArgs,
		Example: "  microstax env create --file ./shop.yaml --plan production --name shop-load",
	}
	k.flags(cmd)
	_ = cmd.MarkFlagRequired("file") //nolint:errcheck // the flag is there
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		return a.create(ctx, k, "environment", func(ctx context.Context, c *client.Client, r v1.CreateEnvironment) (v1.Environment, error) {
			return c.CreateEnvironment(ctx, r)
		}, func(e v1.Environment) string { return "microstax env status " + e.Name })
	})
	return cmd
}
