// SPDX-License-Identifier: Apache-2.0

package engine

import (
	api "microstax/api/v1"
	"microstax/internal/observation"
)

// captureReport is what passive taps counted, as reported; nil where there is none.
func captureReport(c *observation.Capture) *api.Capture {
	if c == nil {
		return nil
	}
	out := &api.Capture{
		Rate: 1, Seen: c.Seen, Missed: c.Missed, Bytes: c.Bytes, BytesMissed: c.BytesMissed,
		Packets: c.Packets, PacketsLost: c.PacketsLost, Connections: c.Connections,
	}
	if all := c.Seen + c.Missed; all > 0 {
		out.Rate = float64(c.Seen) / float64(all)
	}
	for why, n := range map[string]int64{
		"tls": c.Encrypted, "http2": c.HTTP2, "notHTTP": c.Foreign, "begunBefore": c.Unsynced, "noRoom": c.Evicted, "elsewhere": c.Elsewhere,
	} {
		if n == 0 {
			continue
		}
		if out.Unread == nil {
			out.Unread = map[string]int64{}
		}
		out.Unread[why] = n
	}
	return out
}
