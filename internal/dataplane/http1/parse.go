// SPDX-License-Identifier: Apache-2.0

package http1

// ParseRequest parses a whole request head, its final empty line included. The head's slices point into raw.
func (h *Head) ParseRequest(raw []byte) error { return h.parseRequest(raw) }
