// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"
)

func (a *app) version() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs}
	cmd.RunE = a.do(func(context.Context, []string) error {
		v := struct {
			Version string `json:"version"`
			Go      string `json:"go"`
			System  string `json:"system"`
		}{a.deps.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
		return a.print(v, func(t *table) { t.notes = append(t.notes, "microstax "+v.Version+" ("+v.Go+", "+v.System+")") })
	})
	return cmd
}
