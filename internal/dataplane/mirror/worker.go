// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/dataplane/tap"
)

// workers run jobs on goroutines that are kept: the one that was busy last is asked first, so that few of them, with
// their connections and buffers warm, do most of the work. There are never more than the dispatcher's limit lets in.
type workers struct {
	run func(ctx context.Context, w *worker, t *task)
	web *web

	mu     sync.Mutex
	idle   []*worker
	every  map[*worker]struct{}
	closed bool
	all    sync.WaitGroup
}

// worker is one goroutine, with what it uses for every job, and a partner that talks to the other side meanwhile.
type worker struct {
	tasks   chan *task // of capacity 1: it is only given one when idle
	letter  letter     // the copy as it came
	letters [2]letter  // the copies with the shadows' own identifiers, by effects.Side
	lanes   [2]lane    // by effects.Side
	halves  chan half
	answers chan *tap.Capture
	path    string // of the request before
}

// half is one side's half of a job.
type half struct {
	lane    *lane
	letter  *letter
	addr    string
	maxBody int64
	limit   time.Duration
	budget  *tap.Budget
	busy    *atomic.Int32 // the side's copies under way, this one among them
}

// task is a job whose turn has come.
type task struct {
	job            Job
	order          []sequence
	room           [4]sequence // for order
	candidateFirst bool
	waited         bool      // no place was free when its time had come
	end            time.Time // when the baseline had answered
	need           int       // earlier requests of the session that it still waits for; guarded by order.mu
	then           []*task   // later ones that wait for it; guarded by order.mu
}

// start gives a task to a worker. It does not wait.
func (ws *workers) start(ctx context.Context, t *task) {
	ws.mu.Lock()
	var w *worker
	if n := len(ws.idle); n > 0 {
		w = ws.idle[n-1]
		ws.idle = ws.idle[:n-1]
	}
	ws.mu.Unlock()
	if w == nil {
		w = ws.hire()
		ws.all.Go(func() { ws.work(ctx, w) })
	}
	w.tasks <- t
}

func (ws *workers) hire() *worker {
	w := &worker{tasks: make(chan *task, 1)}
	for i := range w.lanes {
		w.lanes[i].web = ws.web
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.every == nil {
		ws.every = map[*worker]struct{}{}
	}
	ws.every[w] = struct{}{}
	return w
}

// abort makes whatever workers wait for fail.
func (ws *workers) abort() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.every {
		for i := range w.lanes {
			w.lanes[i].abort()
		}
	}
}

func (ws *workers) work(ctx context.Context, w *worker) {
	defer w.close()
	for t := range w.tasks {
		ws.run(ctx, w, t)
		if !ws.rest(w) {
			return
		}
	}
}

// maxIdle is how many workers, with a connection to each shadow, are kept for when they are needed again.
const maxIdle = 256

// rest makes a worker wait for the next task; false when there will be none.
func (ws *workers) rest(w *worker) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed || len(ws.idle) >= maxIdle {
		delete(ws.every, w)
		return false
	}
	ws.idle = append(ws.idle, w)
	return true
}

// close ends all workers when their tasks are done.
func (ws *workers) close() {
	ws.mu.Lock()
	ws.closed = true
	for _, w := range ws.idle {
		close(w.tasks)
	}
	ws.idle = nil
	ws.mu.Unlock()
	ws.all.Wait()
	ws.web.close()
}

func (h half) send(ctx context.Context) *tap.Capture {
	defer h.busy.Add(-1)
	return h.lane.send(ctx, &h)
}

// ask sends the worker's letter to both sides at the same time, the first half's a moment earlier.
func (w *worker) ask(ctx context.Context, first, second half) (one, two *tap.Capture) {
	if w.halves == nil {
		w.halves, w.answers = make(chan half), make(chan *tap.Capture)
		go func() {
			defer close(w.answers)
			for h := range w.halves {
				w.answers <- h.send(ctx)
			}
		}()
	}
	w.halves <- first
	two = second.send(ctx)
	return <-w.answers, two
}

func (w *worker) close() {
	if w.halves != nil {
		close(w.halves)
		<-w.answers // closed by the partner's end
	}
	for i := range w.lanes {
		w.lanes[i].close()
	}
}
