// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
)

func (a *app) envList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List environments of every mode", Args: cobra.NoArgs}
	mode := cmd.Flags().String("mode", "", "only isolated, baseline or overlay")
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		return a.list(ctx, client.Filter{Mode: *mode}, "there are no environments", "microstax env create --file ./shop.yaml")
	})
	return cmd
}

func (a *app) baselineList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List baselines", Args: cobra.NoArgs}
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		return a.list(ctx, client.Filter{Mode: "baseline"}, "there are no baselines", "microstax baseline create --file ./baseline.yaml")
	})
	return cmd
}

func (a *app) overlayList() *cobra.Command {
	cmd := &cobra.Command{Use: "list [--baseline B]", Aliases: []string{"ls"}, Short: "List overlays", Args: cobra.NoArgs}
	baseline := cmd.Flags().StringP("baseline", "b", "", "only what derives from this environment")
	_ = cmd.RegisterFlagCompletionFunc("baseline", a.completeFlagRef("")) //nolint:errcheck // the flag is there
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		from := *baseline
		if from == "" {
			from = "BASELINE"
		}
		return a.list(ctx, client.Filter{Mode: "overlay", Baseline: *baseline}, "there are no overlays",
			"microstax overlay create --baseline "+from+" --file ./overlay.yaml")
	})
	return cmd
}

// list prints the environments that match, or says that there are none and what makes one.
func (a *app) list(ctx context.Context, f client.Filter, none, create string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	envs, err := c.Environments(ctx, f)
	if err != nil {
		return err
	}
	if len(envs) == 0 && a.output == "table" {
		a.say("%s", none)
		a.next("%s", create)
		return nil
	}
	if err := a.print(envs, func(t *table) { a.rows(t, envs) }); err != nil {
		return err
	}
	if len(envs) > 0 {
		a.next("microstax env status %s", envs[len(envs)-1].Name)
	}
	return nil
}

// rows is the table of many environments.
func (a *app) rows(t *table, envs []v1.Environment) {
	t.head("NAME", "ID", "MODE", "STATUS", "SERVICES", "SHADOW", "CREATED", "ENDPOINT")
	for _, e := range envs {
		ready, own := 0, 0
		for _, s := range e.Services {
			if s.Because == "inherited" {
				continue
			}
			own++
			if s.State == "ready" {
				ready++
			}
		}
		shadow := "-"
		if e.Shadow.Enabled {
			shadow = "on"
		}
		var urls []string
		for _, p := range e.Endpoints {
			urls = append(urls, p.URL)
		}
		t.row(e.Name, e.ID, e.Mode, t.state(e.Status), strconv.Itoa(ready)+"/"+strconv.Itoa(own), shadow, a.ago(e.CreatedAt),
			orDash(strings.Join(urls, " ")))
	}
}
