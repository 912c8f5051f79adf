// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net"
	"syscall"
)

// quickAck sends the acknowledgement that the kernel holds back, when a message has arrived only in part. A sender that
// writes head and body apart under Nagle's algorithm waits for it: up to 40 ms that a user would feel.
func quickAck(nc net.Conn) {
	sc, ok := bare(nc).(syscall.Conn)
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
