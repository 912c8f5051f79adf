// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
)

func (a *app) envGet() *cobra.Command {
	return a.getter("environment", "", (*client.Client).Environment)
}

func (a *app) baselineGet() *cobra.Command {
	return a.getter("baseline", "baseline", (*client.Client).Baseline)
}

func (a *app) getter(what, mode string, get func(*client.Client, context.Context, string) (v1.Environment, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: "get ENV", Aliases: []string{"show"}, Short: "Show one " + what, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRef(mode),
	}
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		env, err := get(c, ctx, args[0])
		if err != nil {
			return err
		}
		return a.shown(env)
	})
	return cmd
}

// shown prints an environment, and what one does next with it.
func (a *app) shown(env v1.Environment) error {
	if err := a.print(env, func(t *table) { a.describe(t, env) }); err != nil {
		return err
	}
	a.next("%s", after(env))
	return nil
}

// after is what one does next with an environment.
func after(e v1.Environment) string {
	switch {
	case e.Status == "failed":
		return "microstax env logs " + e.Name
	case e.Status == "stopped":
		return "microstax env resume " + e.Name
	case e.Mode == "baseline":
		return "microstax overlay create --baseline " + e.Name + " --file ./overlay.yaml"
	case e.Mode == "overlay" && e.Shadow.Enabled:
		return "microstax env diffs " + e.Name
	case e.Mode == "overlay":
		return "microstax env shadow " + e.Name + " --enable"
	}
	return "microstax env status " + e.Name
}

// describe is one environment for people.
func (a *app) describe(t *table, e v1.Environment) {
	t.field("Name", e.Name)
	t.field("ID", e.ID)
	t.field("Mode", e.Mode)
	t.field("Status", t.state(e.Status))
	t.field("Reason", firstLine(e.Reason))
	if e.Mode == "overlay" {
		t.field("Overlay id", e.OverlayID)
	}
	t.field("Derives from", ref(e.InheritsFrom))
	t.field("Compared to", e.ComparedTo)
	t.field("Revision", fmt.Sprintf("%d, %s", e.Revision, short(e.Digest)))
	t.field("Routes", strconv.FormatUint(e.RouteRevision, 10))
	if e.Shadow.Enabled {
		t.field("Shadow", "on, session "+e.Shadow.SessionID)
	}
	t.field("Created", a.ago(e.CreatedAt))
	for _, p := range e.Endpoints {
		t.field("Endpoint", p.URL+"  ("+p.Service+"/"+p.Port+")")
	}
	if len(e.Services) > 0 {
		t.row()
		t.head("SERVICE", "STATE", "PROVIDER", "BECAUSE", "RESTARTS", "REASON")
		for _, s := range e.Services {
			t.row(s.Name, t.state(s.State), own(s.Provider, e.ID), s.Because, strconv.Itoa(s.Restarts), firstLine(s.Reason))
		}
	}
	for _, w := range e.Warnings {
		t.notes = append(t.notes, warning(w))
	}
}

// warning marks a text as one, unless it says so itself behind the place that it names.
func warning(text string) string {
	if strings.Contains(text, "warning: ") {
		return text
	}
	return "warning: " + text
}

// own names the environment itself shortly.
func own(provider, self string) string {
	if provider == self {
		return "itself"
	}
	return orDash(provider)
}

func ref(r *v1.Ref) string {
	if r == nil {
		return ""
	}
	if r.Revision == nil {
		return r.ID
	}
	return fmt.Sprintf("%s, revision %v", r.ID, r.Revision)
}

// short is the beginning of a digest, enough to tell two apart by eye.
func short(digest string) string {
	const n = len("sha256:") + 12
	if len(digest) > n {
		return digest[:n]
	}
	return digest
}

func firstLine(s string) string {
	line, rest, _ := strings.Cut(s, "\n")
	if rest != "" {
		line += " …"
	}
	return line
}
