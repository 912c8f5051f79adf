// SPDX-License-Identifier: Apache-2.0

package http1

// ParseRequest parses a whole request head, its final empty line included. The head's slices point into raw.
func (h *Head) ParseRequest(raw []byte) error { return h.parseRequest(raw) }

// ParseResponse parses a whole answer's head, its final empty line included. The head's slices point into raw.
func (h *Head) ParseResponse(raw []byte) error { return h.parseResponse(raw) }

// HeadEnd is the length of the head that data begins with, its final empty line included, or 0 when it is not whole yet.
// Line ends may be bare line feeds in answers only.
func HeadEnd(data []byte, answer bool) int { return headEnd(data, 0, answer) }
