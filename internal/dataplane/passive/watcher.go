// SPDX-License-Identifier: Apache-2.0

// Package passive takes copies of exchanges from packets that pass a network interface, for services in front of which
// nobody may put a proxy. It puts the TCP streams together, finds the HTTP/1.1 messages of both directions in them, pairs
// each request with its answer, and says what it could not see: a copy is exact, or it is counted as lost.
//
// A Tap has one goroutine, which reads the ring that the kernel fills and owns everything but the counters. It sends
// nothing, and nobody whose packets it sees waits for it.
//
// What is lost is found by TCP's own numbers: the receiver of bytes that never came by acknowledges them. After a loss, and
// on connections older than the tap, an exchange is followed again from the next request whose place is certain: it begins
// a segment, the client had the whole answer before it, and its answer begins at the number which it acknowledges. Clients
// that pipeline are followed from the connection's beginning, and not any more after a loss.
package passive

import (
	"net/netip"
	"time"

	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/tap"
	"microstax/internal/observation"
)

// Watcher is told of what passes, by one goroutine. It must not wait.
type Watcher interface {
	// Begin is told of a request whose head is whole, and gives what follows it; nil when nobody wants a copy. The head is
	// valid during the call only. Conn is unlike any other connection's of the tap.
	Begin(client netip.AddrPort, conn uint64, h *http1.Head, at time.Time) Copy
	// Missed is told of n exchanges of which only is known that they happened.
	Missed(n int64)
	// Counted is told now and then what was counted since the last time.
	Counted(c observation.Capture)
}

// Copy follows one exchange.
type Copy interface {
	// Capture is where the bytes go.
	Capture() *tap.Capture
	// End is called once: the exchange is over, and whole when why is "".
	End(why observation.DropReason)
}
