// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"slices"
	"sync"
	"time"
)

// order keeps, for each session of a user, what came before what: a request waits for those that the baseline had
// answered before it began. Requests that overlapped on the baseline may overlap in the shadow.
type order struct {
	mu   sync.Mutex
	open map[sequence][]*task
	free [][]*task // empty lists that are used again
}

// maxFree bounds the empty lists that wait to be used again.
const maxFree = 256

// sequence names requests whose order counts: those of a session, of a client's address, or of one client connection.
type sequence struct {
	session string
	conn    uint64
}

func (o *order) init() { o.open = map[sequence][]*task{} }

// enter gives a task its place in each of its sequences, and says whether its turn has come at once; if not, leave of
// another one brings it. Tasks enter in the order in which the baseline answered them.
func (o *order) enter(start time.Time, t *task) bool {
	if len(t.order) == 0 {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, key := range t.order {
		for _, earlier := range o.open[key] {
			if !earlier.end.After(start) {
				earlier.then = append(earlier.then, t)
				t.need++
			}
		}
	}
	for _, key := range t.order {
		list, ok := o.open[key]
		if n := len(o.free); !ok && n > 0 {
			list, o.free = o.free[n-1], o.free[:n-1]
		}
		o.open[key] = append(list, t)
	}
	return t.need == 0
}

// long says whether many requests of a sequence are open.
func (o *order) long(key sequence) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.open[key]) >= longSequence
}

// longSequence is more than one person has open, step by step.
const longSequence = 8

// leave ends a task and returns those whose turn has come by that.
func (o *order) leave(t *task) []*task {
	if len(t.order) == 0 {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, key := range t.order {
		list := o.open[key]
		if i := slices.Index(list, t); i >= 0 {
			list[i] = list[len(list)-1]
			list[len(list)-1] = nil
			list = list[:len(list)-1]
		}
		if len(list) == 0 {
			delete(o.open, key)
			if cap(list) > 0 && len(o.free) < maxFree {
				o.free = append(o.free, list)
			}
		} else {
			o.open[key] = list
		}
	}
	var ready []*task
	for _, later := range t.then {
		if later.need--; later.need == 0 {
			ready = append(ready, later)
		}
	}
	t.then = nil
	return ready
}

// limiter bounds how many jobs are under way; the bound can change while it is used. Only one goroutine acquires.
type limiter struct {
	mu    sync.Mutex
	limit int
	used  int
	wake  chan struct{} // capacity 1: a place may have become free
}

func newLimiter(n int) *limiter { return &limiter{limit: n, wake: make(chan struct{}, 1)} }

func (l *limiter) set(n int) {
	l.mu.Lock()
	l.limit = n
	l.mu.Unlock()
	l.signal()
}

func (l *limiter) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

// take takes a place, if one is free.
func (l *limiter) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used >= l.limit {
		return false
	}
	l.used++
	return true
}

// full says whether no place is free.
func (l *limiter) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used >= l.limit
}

func (l *limiter) release() {
	l.mu.Lock()
	l.used--
	l.mu.Unlock()
	l.signal()
}

// idle says whether nothing is under way.
func (l *limiter) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used == 0
}
