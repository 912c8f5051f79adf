// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	"microstax/internal/fault"
)

// host is where everything listens in this version.
const host = "127.0.0.1"

// ports hands out ports of a range, each to one owner. What was chosen once is claimed again after a restart.
type ports struct {
	span    PortRange
	entropy io.Reader

	mu   sync.Mutex
	used map[int]bool // guarded by mu
}

func newPorts(span PortRange, entropy io.Reader) *ports {
	return &ports{span: span, entropy: entropy, used: map[int]bool{}}
}

// claim notes that a port has an owner.
func (p *ports) claim(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used[port] = true
}

// free gives ports back.
func (p *ports) free(list ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, port := range list {
		delete(p.used, port)
	}
}

// choose finds a port that nobody owns and nobody listens on: drawn at random first, so that two servers seldom meet, and
// then in order.
func (p *ports) choose() (int, error) {
	size := p.span.Last - p.span.First + 1
	if size < 1 {
		return 0, fault.Errorf("choose a port", fault.Invalid, "the range %d–%d is empty", p.span.First, p.span.Last)
	}
	for range portAttempts {
		var b [4]byte
		if _, err := io.ReadFull(p.entropy, b[:]); err != nil {
			break
		}
		if port := p.span.First + int(binary.BigEndian.Uint32(b[:])%uint32(size)); p.take(port) { //nolint:gosec // bounded by size
			return port, nil
		}
	}
	for port := p.span.First; port <= p.span.Last; port++ {
		if p.take(port) {
			return port, nil
		}
	}
	return 0, fault.Errorf("choose a port", fault.Unavailable, "no port is free between %d and %d", p.span.First, p.span.Last).
		WithHint("delete environments that nobody needs, or give the server a wider range")
}

// take claims the port if nobody has it.
func (p *ports) take(port int) bool {
	p.mu.Lock()
	taken := p.used[port]
	p.used[port] = true
	p.mu.Unlock()
	if taken {
		return false
	}
	if listenable(port) != nil {
		p.free(port)
		return false
	}
	return true
}

// listenable is the error that a listener on the port would get at this moment.
func listenable(port int) error {
	l, err := net.Listen("tcp", address(port)) //nolint:noctx // does not wait
	if err != nil {
		return fmt.Errorf("listen on port %d: %w", port, err)
	}
	return l.Close()
}

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// portOf is the port of an address that address made; 0 when it is none.
func portOf(addr string) int {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return port
}
