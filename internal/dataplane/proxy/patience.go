// SPDX-License-Identifier: Apache-2.0

package proxy

import "time"

// expectAnswer sets the deadline for the head of an answer, where there is one: the request is whole. An answer that has
// begun meanwhile is not timed any more.
func (c *conn) expectAnswer(up *upstream) {
	limit := c.p.opts.Limits.AnswerTimeout
	if limit <= 0 {
		return
	}
	c.upMu.Lock()
	defer c.upMu.Unlock()
	if !c.begun {
		up.SetReadDeadline(time.Now().Add(limit)) //nolint:errcheck,gosec // a dead connection shows at the next read
	}
}

// answerBegins takes the deadline away.
func (c *conn) answerBegins(up *upstream) {
	if c.p.opts.Limits.AnswerTimeout <= 0 {
		return
	}
	c.upMu.Lock()
	defer c.upMu.Unlock()
	c.begun = true
	up.SetReadDeadline(time.Time{}) //nolint:errcheck,gosec // likewise
}
