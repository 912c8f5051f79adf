// SPDX-License-Identifier: Apache-2.0

// Package mirror sends copies of live requests to shadows and makes observations of what came of them. The user's path
// only offers to a bounded ring and goes on; everything else happens on goroutines of the shadow session, which may be
// slow, wait or fail.
//
// A Runner is one shadow session. Copies leave it when the baseline's request is complete and its outgoing calls are
// recorded, in the partial order of the user's session (what the baseline answered before the next began stays before),
// to control and candidate in coin-flip order. Methods may be called concurrently.
package mirror

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/effects"
	"microstax/internal/dataplane/identity"
	"microstax/internal/dataplane/route"
	"microstax/internal/dataplane/tap"
	"microstax/internal/observation"
)

// Publisher takes finished envelopes; it may wait.
type Publisher interface {
	Publish(ctx context.Context, e observation.Envelope) error
}

// Redactor makes the copy of an observation that may leave the data plane.
type Redactor interface {
	Observation(o *observation.Observation) *observation.Observation
	Token(class, value string) string
}

// Options are what a Runner needs.
type Options struct {
	Shadow    *route.Shadow
	Publisher Publisher
	Redactor  Redactor
	Logger    *slog.Logger
	Entropy   io.Reader
	Budget    *tap.Budget   // of the bytes of all captures; nil: no bound
	RingSize  int           // copies that may wait; default DefaultRing
	Lag       time.Duration // how late copies may be before sessions are shed; default DefaultLag
}

// Defaults and bounds of a session.
const (
	DefaultRing  = 8192
	DefaultLag   = 5 * time.Second
	recordRing   = 8192                   // baseline calls on their way into the book
	lag          = 25 * time.Millisecond  // quiet time after the baseline's answer, for calls still being recorded
	settle       = 5 * time.Millisecond   // quiet time after the shadows' answers, for calls that they make afterwards
	maxWait      = 25 * time.Second       // longest stay in the ring; the baseline's calls are kept for a little more
	tallyEvery   = 100 * time.Millisecond // how often counts are told when nothing else is
	provenTraced = 20                     // calls with a trace before lanes are left
)

// Job is one exchange to mirror. The runner owns it once Offer took it.
type Job struct {
	Entry   *route.Entry
	Capture *tap.Capture
	TraceID string
	Session string // the user's session in clear: it orders, and as a token it is the statistical unit
	OwnUnit bool   // no session is known: the request is its own unit, Session only orders
	Granted string // the session that the answer begins, where it sets the cookie of one
	Client  string // the client's address, where that says something of the user
	Conn    uint64 // the client's connection
	Sample  uint64 // the share of sessions that its service samples, of Whole; 0 for all
	Key     string // by which it is sampled, where neither session nor trace is known
	Level   int    // how many requests the baseline had under way when it got this one; 0 where that is not known
}

// Runner is one shadow session.
type Runner struct {
	opts   Options
	count  *counters
	ring   chan Job
	calls  chan Called
	lost   atomic.Int64 // records that found no place
	book   effects.Book
	limit  *limiter
	fuse   breaker
	shed   *shedder
	gauge  gauge
	busy   [2]atomic.Int32 // copies under way, by effects.Side
	crew   workers
	tasks  sync.Pool // of tasks that are used again
	scenes scenes
	alone  scene // of requests that cause no calls
	order  order
	seen   answers
	ids    [2]identity.Map // by effects.Side
	learnt atomic.Bool     // there is something in them
	told   told
	out    outbox

	cancel   context.CancelFunc
	quit     chan struct{} // closed when no more jobs are taken
	stopOnce sync.Once
	done     chan struct{}
	closed   atomic.Bool
	over     atomic.Bool   // nothing more is counted
	offering atomic.Int64  // calls of Offer and Skip under way, which count
	pace     pacer         // the dispatcher's
	held     queue         // the dispatcher's: copies that wait for their time to leave
	room     int           // of held, though after a cut of the share all that waits may be there
	cut      chan struct{} // capacity 1: the share was cut
	rng      *rand.Rand    // the dispatcher's
	bound    int           // the dispatcher's: the limiter's bound
	gather   *time.Timer   // the dispatcher's
}

// NewRunner starts a session; Close ends it.
func NewRunner(o Options) *Runner {
	if o.RingSize <= 0 {
		o.RingSize = DefaultRing
	}
	if o.Lag <= 0 {
		o.Lag = DefaultLag
	}
	room := min(o.RingSize/4, maxHeld)
	ctx, cancel := context.WithCancel(context.Background())
	r := &Runner{
		opts: o, count: newCounters(), ring: make(chan Job, o.RingSize-room), room: room, calls: make(chan Called, recordRing), cut: make(chan struct{}, 1),
		limit: newLimiter(1), shed: newShedder(o.Shadow.Session), pace: pacer{bound: o.Lag / 2},
		cancel: cancel, quit: make(chan struct{}), done: make(chan struct{}), gather: time.NewTimer(time.Hour),
		rng: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), //nolint:gosec // a fair coin, no secret
	}
	r.scenes.init()
	r.order.init()
	r.seen.init()
	r.out.init(o.Shadow.Session)
	r.tasks.New = func() any { return new(task) }
	r.crew.run, r.crew.web = r.perform, newWeb()
	go r.run(ctx)
	return r
}

// Offer hands over a job, and reports whether it was taken. It never waits. Every offered job counts as received, until
// the session has told its last counts.
func (r *Runner) Offer(o Job) bool {
	j := &o
	r.offering.Add(1)
	defer r.offering.Add(-1)
	if r.over.Load() {
		return false
	}
	r.count.received.Add(1)
	if r.closed.Load() {
		r.drop(j, observation.Stopped)
		return false
	}
	if r.fuse.shut() && (r.Waiting() > 0 || !r.fuse.due(o.Capture.Start.Add(o.Capture.Duration))) { // a probe waits already
		r.drop(j, BreakerOpen)
		return false
	}
	select {
	case r.ring <- o:
		r.gauge.taken.Add(1)
		return true
	default:
		r.drop(j, observation.QueueFull)
		return false
	}
}

// drop counts a job that is not compared.
func (r *Runner) drop(j *Job, why observation.DropReason) {
	method, path := j.Capture.Line()
	r.count.drop(j.Entry.Service, method, path, why)
}

// Skip counts a request that reached the hop but is not mirrored. It never waits.
func (r *Runner) Skip(service, method, path string, why observation.DropReason) {
	r.offering.Add(1)
	defer r.offering.Add(-1)
	if r.over.Load() {
		return
	}
	r.count.received.Add(1)
	r.count.drop(service, method, path, why)
}

// Waiting is how many copies wait.
func (r *Runner) Waiting() int { return len(r.ring) + int(r.gauge.held.Load()) }

// Close takes no more jobs, lets those that wait and those under way finish until ctx ends, counts the rest as stopped,
// tells the last counts, and returns when nothing of the session runs any more.
func (r *Runner) Close(ctx context.Context) error {
	r.stopOnce.Do(func() {
		r.closed.Store(true)
		close(r.quit)
	})
	select {
	case <-r.done:
	case <-ctx.Done():
		r.cancel()
		r.crew.abort()
		<-r.done
	}
	r.cancel()
	return nil
}

// run is the session: a recorder, a publisher, and the dispatcher with the workers that it gives tasks to.
func (r *Runner) run(ctx context.Context) {
	defer close(r.done)
	var side sync.WaitGroup
	recorderQuit := make(chan struct{})
	side.Go(func() { r.record(recorderQuit) })
	side.Go(func() { r.regulate() })
	published := make(chan struct{})
	go func() {
		defer close(published)
		r.publish(ctx)
	}()
	r.dispatch(ctx)
	r.drain(ctx)
	r.crew.close()
	for r.over.Store(true); r.offering.Load() > 0; {
		runtime.Gosched() // they do not wait for anything
	}
	for r.collect(); r.held.len() > 0; r.collect() { // offered in the moment of closing
		j := r.held.pop()
		r.abandon(&j, observation.Stopped)
	}
	close(recorderQuit)
	side.Wait()
	r.out.close()
	<-published
}

// drain waits until nothing is under way: tasks that wait for others are started by those.
func (r *Runner) drain(ctx context.Context) {
	for !r.limit.idle() {
		select {
		case <-r.limit.wake:
		case <-ctx.Done():
			r.crew.abort()
			<-r.limit.wake
		}
	}
}

// timeout is how long a shadow may take.
func timeout(s *blueprint.Shadow) time.Duration {
	if d := s.Timeout.Std(); d > 0 {
		return d
	}
	return defaultTimeout
}

const defaultTimeout = 10 * time.Second

func maxBody(s *blueprint.Shadow) int64 {
	if s.MaxBody > 0 {
		return int64(s.MaxBody)
	}
	return DefaultMaxBody
}

// DefaultMaxBody is how many bytes of a body are kept where nothing is configured.
const DefaultMaxBody = 1 << 20
