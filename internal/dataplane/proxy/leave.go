// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"maps"
	"net"
	"slices"
	"syscall"
	"time"

	"microstax/internal/dataplane/dial"
)

// watchEvery is how often clients that wait for an answer are looked at.
const watchEvery = time.Second

// watch passes on that a client has left, or has ended its direction, while the provider still works on the answer: the
// provider learns of it as it would without us, and neither side's connection is held for nobody. It also closes what was
// kept for too long. Requests that are answered soon never meet it.
func (p *Plane) watch() {
	defer close(p.watched)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return
		}
		p.mu.Lock()
		listeners := slices.Collect(maps.Values(p.listeners))
		p.mu.Unlock()
		for _, l := range listeners {
			l.look()
		}
		p.ups.reap()
	}
}

func (l *listener) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.look()
	}
}

// What conn.waiting says of the answer.
const (
	notWaiting  = iota
	waiting     // since the last look
	waitingLong // since an earlier look
	waitingHalf // the client has ended its direction, and the provider was told
)

// look is called by watch.
func (c *conn) look() {
	switch c.waiting.Load() {
	case waiting:
		c.waiting.CompareAndSwap(waiting, waitingLong)
	case waitingLong, waitingHalf:
		if ended, gone := state(c.nc); gone || ended {
			c.passEnd(gone)
		}
	}
}

// passEnd ends the provider's connection as the client has ended its own: one direction, or both.
func (c *conn) passEnd(gone bool) {
	c.upMu.Lock()
	defer c.upMu.Unlock()
	if c.up == nil || c.waiting.Load() == notWaiting {
		return
	}
	up, ok := bare(c.up).(*net.TCPConn)
	switch {
	case !ok:
	case gone:
		up.Close() //nolint:errcheck,gosec // that is the purpose
		c.upEnded = true
	case dial.Plain(c.up) == net.Conn(up) && c.waiting.CompareAndSwap(waitingLong, waitingHalf):
		up.CloseWrite() //nolint:errcheck,gosec // likewise
		c.upEnded = true
	}
}

// await notes that an answer is waited for; settle that it is not, or that bytes now pass both ways.
func (c *conn) await() {
	c.upEnded = false
	if len(c.rd.Buffered()) == 0 { // behind further requests the end cannot be seen
		c.waiting.Store(waiting)
	}
}

func (c *conn) settle() {
	c.upMu.Lock()
	c.waiting.Store(notWaiting)
	c.upMu.Unlock()
}

// state looks, without taking anything, whether a peer has ended its direction, or the connection is broken.
func state(nc net.Conn) (ended, gone bool) {
	sc, ok := bare(nc).(syscall.Conn)
	if !ok {
		return false, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false, false
	}
	var one [1]byte
	raw.Control(func(fd uintptr) { //nolint:errcheck,gosec // a closed one ends by itself
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ended = n == 0 && err == nil
		gone = err != nil && err != syscall.EAGAIN && err != syscall.EINTR //nolint:errorlint // raw errno
	})
	return ended, gone
}

// reap closes connections that nobody has used for idleUpstream; the oldest come first.
func (u *upstreams) reap() {
	u.mu.RLock()
	pools := slices.Collect(maps.Values(u.pools))
	u.mu.RUnlock()
	for _, p := range pools {
		for _, c := range p.expired() {
			c.Close() //nolint:errcheck,gosec // idle
		}
	}
}

func (p *pool) expired() []*upstream {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle) && time.Since(p.idle[n].since) >= idleUpstream {
		n++
	}
	if n == 0 {
		return nil
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	return old
}
