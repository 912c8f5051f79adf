// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"sync"

	"microstax/internal/observation"
)

// captured is what passive taps counted, and was not told yet.
type captured struct {
	mu  sync.Mutex
	sum observation.Capture // guarded by mu
}

// Captured takes what a passive tap counted since it last told.
func (r *Runner) Captured(c observation.Capture) {
	r.count.captured.mu.Lock()
	defer r.count.captured.mu.Unlock()
	r.count.captured.sum.Add(c)
}

func (c *captured) take() *observation.Capture {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sum == (observation.Capture{}) {
		return nil
	}
	sum := c.sum
	c.sum = observation.Capture{}
	return &sum
}
