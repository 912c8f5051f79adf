// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"microstax/internal/fault"
)

func (a *app) envValidate() *cobra.Command {
	var s source
	cmd := &cobra.Command{
		Use: "validate --file F", Short: "Check a Blueprint; every error with file:line:column and the rule's id",
		Example: "  microstax env validate --file ./shop.yaml", Args: cobra.NoArgs,
	}
	s.flags(cmd)
	_ = cmd.MarkFlagRequired("file") //nolint:errcheck // the flag is there
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		req, err := a.request(s)
		if err != nil {
			return err
		}
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		res, err := c.Validate(ctx, req)
		if err != nil {
			return err
		}
		if a.output != "table" {
			if err := a.print(res, nil); err != nil || res.Valid {
				return err
			}
			return &verdictError{exitUsage}
		}
		var wrong, warnings int
		var places []fault.Place
		for _, p := range res.Errors {
			if p.File == "" {
				p.File = req.FileName
			}
			if p.Warning {
				warnings++
				fmt.Fprintln(a.Err, fault.Place(p).String())
				continue
			}
			wrong++
			places = append(places, fault.Place(p))
		}
		if !res.Valid {
			return fault.Errorf("validate "+req.FileName, fault.Invalid, "%s", plural(max(wrong, 1), "error")).WithPlaces(places)
		}
		note := ""
		if warnings > 0 {
			note = ", with " + plural(warnings, "warning")
		}
		if !a.quiet {
			fmt.Fprintf(a.Out, "%s is valid%s\n", req.FileName, note)
		}
		a.next("microstax env create --file %s", s.file)
		return nil
	})
	return cmd
}
