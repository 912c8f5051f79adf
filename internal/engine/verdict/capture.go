// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"

	api "microstax/api/v1"
	"microstax/internal/numeral"
)

// fewPackets is how many packets have to be lost before their share says something.
const fewPackets = 100

// missedBy adds what a tap missed to a list of losses.
func missedBy(n int64) string {
	if n == 0 {
		return ""
	}
	return ", " + numeral.Count(n) + " missed by the tap"
}

// unseen says that a tap saw too little: connections may have passed of which nothing is known.
func unseen(c *api.Capture) string {
	if c == nil || c.PacketsLost < fewPackets || float64(c.PacketsLost) <= maxLoss*float64(c.Packets) {
		return ""
	}
	return fmt.Sprintf("Evidence cannot be trusted: the kernel's ring had no room for %s of %s packets (%s), limit %s; of the "+
		"exchanges known of, the tap saw %s. Raise limits.tapRing, or take the traffic with --listen.", numeral.Count(c.PacketsLost),
		numeral.Count(c.Packets), numeral.Percent(ratio(c.PacketsLost, c.Packets)), numeral.Percent(maxLoss), numeral.Percent(c.Rate))
}

// unreadable says that nothing of what passes can be read, or "".
func unreadable(c *api.Capture) string {
	switch {
	case c == nil || c.Seen > 0:
		return ""
	case c.Unread["tls"] > 0:
		return "The traffic that passes the tap is encrypted (TLS), so nothing of it can be read. Tap behind what ends TLS, or take the " +
			"traffic with --listen."
	case c.Unread["http2"] > 0:
		return "The traffic that passes the tap is HTTP/2, which a tap can't read. Take it with --listen."
	case c.Unread["notHTTP"] > 0:
		return "The traffic that passes the tap is not HTTP/1.1, so nothing of it can be compared."
	case c.Unread["elsewhere"] > 0 && c.Connections == 0:
		return "What passes the tap goes to servers that are not on this machine: name the server, as in --tap IFACE:HOST:PORT."
	}
	return ""
}
