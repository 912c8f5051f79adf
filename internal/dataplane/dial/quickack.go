// SPDX-License-Identifier: Apache-2.0

package dial

import (
	"crypto/tls"
	"net"
	"syscall"
)

// QuickAck sends the acknowledgement that the kernel holds back, when a message has arrived only in part. A sender that
// writes head and body apart under Nagle's algorithm waits for it: up to 40 ms, which a user would feel, and by which a shadow would look slower than the baseline.
func QuickAck(nc net.Conn) {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	sc, ok := Plain(nc).(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { //nolint:errcheck,gosec // a closed connection shows at the next read
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) //nolint:errcheck,gosec // a hint
	})
}
