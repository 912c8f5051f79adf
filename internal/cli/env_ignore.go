// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
)

func (a *app) envIgnore() *cobra.Command {
	var r v1.CreateIgnore
	var expires time.Duration
	var list bool
	var remove, header string
	cmd := &cobra.Command{
		Use: "ignore ENV --path P", Short: "Say of a place that differences there do not matter; they stay visible, with who, when and why",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRef(""),
		Long: "Say of a place that differences there do not matter.\n\n" +
			"The rule is about the kinds of difference that its place shows now (or those that --kind names), so that a value\n" +
			"which may vary is still reported when it goes missing. Reports list every rule with what it hides.",
		Example: "  microstax env ignore feat-checkout --path '$.items[*].score' --endpoint 'GET /search' --reason 'ranking is not stable'\n" +
			"  microstax env ignore feat-checkout --header x-served-by\n  microstax env ignore feat-checkout --list\n" +
			"  microstax env ignore feat-checkout --remove rule_…",
	}
	f := cmd.Flags()
	f.StringVar(&r.Path, "path", "", "the place, as findings name it; what lies below it is meant too")
	f.StringVar(&header, "header", "", "a header's name, instead of --path")
	f.StringVar(&r.Service, "service", "", "only of this service")
	f.StringVar(&r.Endpoint, "endpoint", "", "only at this endpoint, like 'POST /orders'")
	f.StringSliceVar(&r.Kinds, "kind", nil, "only these kinds of finding, like body.value,body.missing")
	f.StringVar(&r.Reason, "reason", "", "why, for those who read the report later")
	f.DurationVar(&expires, "expires", 0, "end the rule after this time, like 720h; 0 for never")
	f.BoolVar(&list, "list", false, "show the rules")
	f.StringVar(&remove, "remove", "", "remove a rule")
	cmd.MarkFlagsMutuallyExclusive("path", "header", "list", "remove")
	cmd.MarkFlagsOneRequired("path", "header", "list", "remove")
	cmd.RunE = a.do(func(ctx context.Context, args []string) error {
		if header != "" {
			r.Path = strings.ToLower(header)
		}
		var err error
		if r.Expires, err = a.until(expires); err != nil {
			return err
		}
		c, err := a.connect(ctx)
		switch {
		case err != nil:
			return err
		case list:
			return a.showIgnores(ctx, c, args[0])
		case remove != "":
			return a.unignore(ctx, c, args[0], remove)
		}
		rule, err := c.Ignore(ctx, args[0], r)
		if err != nil {
			return err
		}
		if err := a.print(rule, func(t *table) { a.ignoreFields(t, rule) }); err != nil {
			return err
		}
		a.next("microstax env diffs %s; to take it back: microstax env ignore %s --remove %s", args[0], args[0], rule.ID)
		return nil
	})
	return cmd
}

func (a *app) ignoreFields(t *table, r v1.IgnoreRule) {
	t.field("Rule", r.ID)
	t.field("Path", r.Path)
	t.field("Service", r.Service)
	t.field("Endpoint", r.Endpoint)
	t.field("Kinds", strings.Join(r.Kinds, ", "))
	t.field("Reason", r.Reason)
	if r.Expires != nil {
		t.field("Until", r.Expires.Format(time.RFC3339))
	}
	t.field("Hides", plural(int64(r.Findings), "finding")+" in "+plural(r.Requests, "request"))
}

func (a *app) showIgnores(ctx context.Context, c *client.Client, ref string) error {
	rules, err := c.Ignores(ctx, ref)
	if err != nil {
		return err
	}
	if err := a.print(rules, func(t *table) {
		t.head("RULE", "PATH", "WHERE", "KINDS", "HIDES", "BY", "SINCE", "WHY")
		for _, r := range rules {
			state := fmt.Sprintf("%d (%s)", r.Findings, plural(r.Requests, "request"))
			if r.Expired {
				state = "expired"
			}
			t.row(r.ID, r.Path, strings.TrimSpace(r.Service+" "+r.Endpoint), strings.Join(r.Kinds, ","), state, r.Who, a.ago(r.At), r.Reason)
		}
	}); err != nil {
		return err
	}
	if len(rules) == 0 {
		a.next("microstax env ignore %s --path PATH", ref)
		return nil
	}
	a.next("microstax env ignore %s --remove RULE", ref)
	return nil
}

func (a *app) unignore(ctx context.Context, c *client.Client, ref, rule string) error {
	if err := c.Unignore(ctx, ref, rule); err != nil {
		return err
	}
	a.next("microstax env diffs %s", ref)
	return nil
}
