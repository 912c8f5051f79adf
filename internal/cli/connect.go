// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"microstax/internal/client"
	"microstax/internal/fault"
)

const (
	// answerTimeout is how long a server may take to say that it is there.
	answerTimeout = 5 * time.Second
	// startTimeout is how long a local server may take to be ready.
	startTimeout = 15 * time.Second
	// completionTimeout bounds how long a shell waits for names.
	completionTimeout = time.Second
)

// connect gives a client whose server answers, starting a local one where that is allowed.
func (a *app) connect(ctx context.Context) (*client.Client, error) {
	c, err := a.dial()
	if err != nil {
		return nil, err
	}
	err = a.answers(ctx, c)
	if err == nil {
		return c, nil
	}
	listen := a.localAddress()
	local := listen != ""
	switch {
	case errors.Is(err, client.ErrAbsent) && local && !a.noAutostart && a.deps.Executable != "":
		return c, a.autostart(ctx, c, listen)
	case fault.Is(err, fault.Unavailable) && !errors.Is(err, client.ErrAbsent) && local:
		return c, a.awaitReady(ctx, c, nil) // somebody else has just started it
	}
	return nil, err
}

// answers asks once whether the server is ready.
func (a *app) answers(ctx context.Context, c *client.Client) error {
	probe, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	err := c.Ready(probe)
	if err != nil && probe.Err() != nil && ctx.Err() == nil {
		return fault.Errorf("reach server", fault.Unavailable, "%s did not answer within %s", c.URL(), answerTimeout).
			WithHint("see whether it is well with: microstax server status")
	}
	return err
}

// awaitReady polls until the server is ready. died, when not nil, tells why it can never be.
func (a *app) awaitReady(ctx context.Context, c *client.Client, died func() error) error {
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		err := a.answers(ctx, c)
		if err == nil {
			return nil
		}
		if died != nil {
			if why := died(); why != nil {
				return why
			}
		}
		select {
		case <-time.After(pause):
		case <-deadline.C:
			return err
		case <-ctx.Done():
			return fault.E("start server", fault.Canceled, ctx.Err())
		}
	}
}

// refs are names and ids of environments that begin with prefix, for completion.
func (a *app) refs(ctx context.Context, mode, prefix string) []cobra.Completion {
	if a.readSettings(nil) != nil { // completion runs no hook that would have
		return nil
	}
	c, err := a.dial()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	envs, err := c.Environments(ctx, client.Filter{Mode: mode})
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, e := range envs {
		what := e.Mode + ", " + e.Status
		if strings.HasPrefix(e.Name, prefix) {
			out = append(out, cobra.CompletionWithDesc(e.Name, what))
		} else if strings.HasPrefix(e.ID, prefix) {
			out = append(out, cobra.CompletionWithDesc(e.ID, e.Name+", "+what))
		}
	}
	slices.Sort(out)
	return out
}

// isAbsent says that nobody listens where the server should.
func isAbsent(err error) bool { return errors.Is(err, client.ErrAbsent) }
