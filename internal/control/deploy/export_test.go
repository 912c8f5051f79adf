// SPDX-License-Identifier: Apache-2.0

package deploy

// Abandon ends the controller as a crash of the server would: its goroutines end, and processes run on.
func (c *Controller) Abandon() { c.abandon() }

// RetryAfter is how long a listener that can't be opened waits.
const RetryAfter = retryAfter

// Address is where an instance that was given a port is reached.
func Address(port int) string { return address(port) }
