// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/dataplane/dial"
	"microstax/internal/dataplane/passive"
)

// listener accepts connections at one address. Its plan is swapped atomically.
type listener struct {
	p    *Plane
	addr string
	ln   net.Listener
	tap  *passive.Tap // instead of ln
	plan atomic.Pointer[plan]

	calls, traced, keyed atomic.Int64 // what outgoing calls were seen to carry

	draining atomic.Bool
	accepted sync.WaitGroup

	mu    sync.Mutex // guards what follows; taken when a connection opens or closes
	conns map[*conn]struct{}
	web   *webserver // nil until it is needed
}

func newListener(p *Plane, addr string, ln net.Listener) *listener {
	return &listener{p: p, addr: addr, ln: ln, conns: map[*conn]struct{}{}}
}

func (l *listener) start() { l.accepted.Go(l.accept) }

func (l *listener) accept() {
	pause := time.Millisecond
	for {
		nc, err := l.ln.Accept()
		if err != nil {
			if l.draining.Load() || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors: those that are served go on; try again in a moment.
			l.p.opts.Logger.Warn("accept connection", "address", l.addr, "error", err)
			t := time.NewTimer(pause)
			select {
			case <-t.C:
			case <-l.p.ctx.Done():
				t.Stop()
				return
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = time.Millisecond
		c := newConn(l, dial.Quick(nc))
		if !l.add(c) {
			l.p.stats.refusedConns.Add(1)
			nc.Close() //nolint:errcheck,gosec // one too many
			continue
		}
		l.accepted.Go(func() {
			defer l.remove(c)
			c.run()
		})
	}
}

func (l *listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining.Load() || len(l.conns) >= l.p.opts.Limits.MaxConns {
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// close stops accepting, closes idle connections at once and others when their request is done, at the latest after
// the drain timeout.
func (l *listener) close() {
	if l.tap != nil {
		l.tap.Close()
		return
	}
	l.mu.Lock()
	l.draining.Store(true)
	for c := range l.conns {
		if c.idle.Load() {
			c.nc.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck,gosec // wakes it
		}
	}
	l.mu.Unlock()
	l.ln.Close() //nolint:errcheck,gosec // nothing to save
	force := time.AfterFunc(l.p.opts.Limits.DrainTimeout, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range l.conns {
			c.abort()
		}
	})
	defer force.Stop()
	l.closeWeb()
	l.accepted.Wait()
}
