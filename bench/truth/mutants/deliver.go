// SPDX-License-Identifier: Apache-2.0

package mutants

import (
	"encoding/json"
	"fmt"
	"io"
)

// What is to be reached.
const leastRecall, leastPrecision, leastWhole = 0.98, 0.99, 0.9

// row is one of bench/truth's table.
type row struct {
	What string `json:"what"`
	Want string `json:"want"`
	Ours string `json:"ours"`
	OK   bool   `json:"ok"`
}

// Deliver writes the measurement as one line of JSON, as bench/truth reads it.
func Deliver(w io.Writer, res Result) error {
	s := Sum(res.Runs)
	doc := struct {
		Rows  []row      `json:"rows"`
		Head  []string   `json:"head"`
		Lines [][]string `json:"lines"`
		Notes []string   `json:"notes"`
	}{Rows: []row{
		{fmt.Sprintf("%d runs of versions that behave differently: found", s.Mutants), "≥ 0.98", fmt.Sprintf("%.3f", s.Recall()), s.Recall() >= leastRecall},
		{"of their findings, explained by what was changed", "≥ 0.99", fmt.Sprintf("%.3f", s.Precision()), s.Precision() >= leastPrecision},
		{"of the found: path, condition and severity right", "≥ 0.9", fmt.Sprintf("%.3f", share(s.Whole, s.Found)), share(s.Whole, s.Found) >= leastWhole},
	}, Head: []string{"version", "noise", "found", "at", "severity", "unexplained"}}
	for _, r := range res.Runs {
		at, severity := "", ""
		if r.Found != nil {
			at, severity = r.Found.Kind+" "+r.Found.Endpoint+" "+r.Found.Path, r.Found.Severity
		}
		doc.Lines = append(doc.Lines, []string{string(r.Mutant.Name), r.Profile, r.cell(), at, severity, fmt.Sprint(len(r.False))})
	}
	doc.Notes = []string{fmt.Sprintf("%d charges for %d orders that users were told of; %d of %d versions that behave the same stayed silent.",
		s.Charges, s.Orders, s.Clean, s.Same)}
	if err := json.NewEncoder(w).Encode(doc); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}
