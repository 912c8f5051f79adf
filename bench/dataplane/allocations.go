// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

var allocLine = regexp.MustCompile(`allocations per request, ([^:]+): ([\d.]+)`)

// allocations runs the data plane's own test of them, which prints what it counts.
func (r *run) allocations() error {
	cmd := exec.CommandContext(r.ctx, "go", "test", "-count=1", "-run", "^TestAllocations", "-v", "./internal/dataplane/proxy")
	cmd.Dir = r.root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("count allocations: %w\n%s", err, out)
	}
	for _, m := range allocLine.FindAllSubmatch(out, -1) {
		n, err := strconv.ParseFloat(string(m[2]), 64)
		if err != nil {
			return err
		}
		r.table.add("allocations per request, "+string(m[1]), "0 amortised", fmt.Sprintf("%.2f", n), n < 0.5)
	}
	return nil
}
