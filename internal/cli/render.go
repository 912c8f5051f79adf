// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"strings"

	v1 "microstax/api/v1"
	"microstax/internal/fault"
	"microstax/internal/report"
)

// reportFormats are what a report is written in.
const reportFormats = "table,json,yaml,markdown,html,junit"

// report writes a report in the format asked for, to w, which is standard output or goes there.
func (a *app) report(w io.Writer, r v1.Report) error {
	var text string
	switch a.output {
	case "json":
		return printJSON(w, r)
	case "yaml":
		return printYAML(w, r)
	case "markdown":
		text = report.Markdown(r)
	case "html":
		text = report.HTML(r)
	case "junit":
		text = report.JUnit(r)
	default:
		text = report.Text(r, report.Options{Color: a.OutTerminal && a.set.Color, Width: a.Width})
		if a.quiet { // its last line says what to do next
			text = text[:strings.LastIndexByte(strings.TrimRight(text, "\n"), '\n')+1]
			text = strings.TrimRight(text, "\n") + "\n"
		}
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fault.E("write report", fault.Unavailable, err)
	}
	return nil
}
