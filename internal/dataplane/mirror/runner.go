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
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/effects"
	"microstax/internal/dataplane/identity"
	"microstax/internal/dataplane/route"
	"microstax/internal/dataplane/tap"
	"microstax/internal/id"
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
	Budget    *tap.Budget
	RingSize  int // copies that may wait; default DefaultRing
}

// Defaults and bounds of a session.
const (
	DefaultRing  = 8192
	recordRing   = 8192                   // baseline calls on their way into the book
	lag          = 25 * time.Millisecond  // quiet time after the baseline's answer, for calls still being recorded
	settle       = 5 * time.Millisecond   // quiet time after the shadows' answers, for calls that they make afterwards
	maxWait      = 60 * time.Second       // longest stay in the ring
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
	crew   workers
	scenes scenes
	alone  scene // of requests that cause no calls
	order  order
	seen   answers
	ids    [2]identity.Map // by effects.Side
	learnt atomic.Bool     // there is something in them
	out    chan *observation.Observation

	cancel   context.CancelFunc
	quit     chan struct{} // closed when no more jobs are taken
	stopOnce sync.Once
	done     chan struct{}
	closed   atomic.Bool
	rng      *rand.Rand  // the dispatcher's
	bound    int         // the dispatcher's: the limiter's bound
	gather   *time.Timer // the dispatcher's
}

// NewRunner starts a session; Close ends it.
func NewRunner(o Options) *Runner {
	if o.RingSize <= 0 {
		o.RingSize = DefaultRing
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Runner{
		opts: o, count: newCounters(), ring: make(chan Job, o.RingSize), calls: make(chan Called, recordRing),
		limit: newLimiter(1), out: make(chan *observation.Observation, outRing),
		cancel: cancel, quit: make(chan struct{}), done: make(chan struct{}), gather: time.NewTimer(time.Hour),
		rng: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), //nolint:gosec // a fair coin, no secret
	}
	r.scenes.init()
	r.order.init()
	r.seen.init()
	r.crew.run, r.crew.web = r.perform, newWeb()
	go r.run(ctx)
	return r
}

// Offer hands over a job, and reports whether it was taken. It never waits. Every offered job counts as received.
func (r *Runner) Offer(o Job) bool {
	j := &o
	r.count.received.Add(1)
	if r.closed.Load() {
		r.drop(j, observation.Stopped)
		return false
	}
	if r.fuse.shut() && len(r.ring) > 0 { // a probe waits already
		r.drop(j, BreakerOpen)
		return false
	}
	select {
	case r.ring <- o:
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
	r.count.received.Add(1)
	r.count.drop(service, method, path, why)
}

// Called is one call that the baseline made.
type Called struct {
	Caller, Dependency, TraceID string
	Capture                     *tap.Capture
}

// Record takes a call that the baseline made, and owns its capture. It never waits; a call without a place is lost, and
// counted.
func (r *Runner) Record(c Called) {
	if r.closed.Load() {
		c.Capture.Release()
		return
	}
	select {
	case r.calls <- c:
	default:
		c.Capture.Release()
		r.lost.Add(1)
	}
}

// LostRecords is how many baseline calls could not be kept.
func (r *Runner) LostRecords() int64 { return r.lost.Load() }

// Waiting is how many copies wait.
func (r *Runner) Waiting() int { return len(r.ring) }

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
	published := make(chan struct{})
	go func() {
		defer close(published)
		r.publish(ctx)
	}()
	r.dispatch(ctx)
	r.drain(ctx)
	r.crew.close()
	for len(r.ring) > 0 { // offered in the moment of closing
		j := <-r.ring
		r.abandon(&j, observation.Stopped)
	}
	close(recorderQuit)
	side.Wait()
	close(r.out)
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

func (r *Runner) record(quit <-chan struct{}) {
	for {
		select {
		case c := <-r.calls:
			r.book.Add(effects.Record{
				Caller: c.Caller, Dependency: c.Dependency, TraceID: c.TraceID, Exchange: c.Capture.Exchange(),
			})
			c.Capture.Release()
		case <-quit:
			for len(r.calls) > 0 { // nobody asks for them any more; their bytes are wanted back
				c := <-r.calls
				c.Capture.Release()
			}
			return
		}
	}
}

// dispatch takes jobs in order and starts each when its time has come and a place is free.
func (r *Runner) dispatch(ctx context.Context) {
	for {
		j, ok := r.next()
		if !ok {
			return
		}
		if why, ok := r.admit(ctx, &j); !ok {
			r.abandon(&j, why)
			continue
		}
		t := &task{job: j, end: j.Capture.Start.Add(j.Capture.Duration), candidateFirst: r.rng.Uint64()&1 == 0}
		r.count.mirrored.Add(1)
		t.order = r.sequences(t.room[:0], &j)
		if r.order.enter(j.Capture.Start, t) {
			r.crew.start(ctx, t)
		}
	}
}

// next is the job that waits longest; false when there will be none. When none is left it lets some gather, for a moment
// in which nobody who offers one has to wake it: that is the user's path.
func (r *Runner) next() (j Job, ok bool) {
	select {
	case j = <-r.ring:
		return j, true
	default:
	}
	r.gather.Reset(gatherJobs)
	select {
	case <-r.gather.C:
	case <-r.quit:
	}
	select {
	case j = <-r.ring:
		return j, true
	default:
	}
	select {
	case j = <-r.ring:
		return j, true
	case <-r.quit:
		return j, false
	}
}

// gatherJobs is how long a copy may wait for more before the shadows get it.
const gatherJobs = 500 * time.Microsecond

// crowd is how many copies have to wait for one address to be taken for that of many users.
const crowd = 32

// sequences says which requests a job has to keep its order with: those of its session, and those of the one that its
// answer begins. For want of a session a connection is one; and when little is going on, all that an address sends may be
// one person's, step by step.
func (r *Runner) sequences(s []sequence, j *Job) []sequence {
	if !j.OwnUnit && j.Session != "" {
		s = append(s, sequence{session: j.Session})
	}
	if j.Granted != "" {
		s = append(s, sequence{session: j.Granted})
	}
	address := j.Client
	if address == j.Session {
		address = ""
	}
	if address == "" && j.OwnUnit {
		address = j.Session
	}
	if key := (sequence{session: address}); address != "" && len(r.ring) <= crowd && !r.order.long(key) {
		s = append(s, key)
	}
	if (j.OwnUnit || j.Session == "") && j.Conn != 0 { // always, so that the order outlasts the change to a crowd
		s = append(s, sequence{conn: j.Conn})
	}
	return s
}

// finished ends a task, and starts those that waited for it.
func (r *Runner) finished(ctx context.Context, t *task) {
	for _, next := range r.order.leave(t) {
		r.crew.start(ctx, next)
	}
	t.job.Capture.Release()
	r.limit.release()
}

// admit waits until the baseline's calls are recorded and a place is free.
func (r *Runner) admit(ctx context.Context, j *Job) (observation.DropReason, bool) {
	if ctx.Err() != nil {
		return observation.Stopped, false
	}
	now := time.Now()
	end := j.Capture.Start.Add(j.Capture.Duration)
	if now.Sub(end) > maxWait {
		return observation.TimedOut, false
	}
	if wait := lag - now.Sub(end); j.Entry.CallsOut && wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return observation.Stopped, false
		}
	}
	if n := r.lanes(j.Entry); n != r.bound {
		r.bound = n
		r.limit.set(n)
	}
	return r.place(ctx, j)
}

// place waits for a free one. While the breaker is open nothing waits.
func (r *Runner) place(ctx context.Context, j *Job) (observation.DropReason, bool) {
	if r.fuse.shut() {
		if r.fuse.pass(time.Now()) && r.limit.take() {
			return "", true
		}
		return BreakerOpen, false
	}
	began := time.Time{}
	for !r.limit.take() {
		if began.IsZero() {
			began = time.Now()
			r.gather.Reset(stallAfter)
		}
		select {
		case <-r.limit.wake:
		case <-ctx.Done():
			return observation.Stopped, false
		case <-r.gather.C:
			// Services with calls of their own may run one at a time, and take their time.
			if !j.Entry.CallsOut && r.fuse.stalled(began, time.Now(), j.Capture.Duration) {
				return BreakerOpen, false
			}
			r.gather.Reset(stallAfter)
		}
	}
	return "", true
}

// lanes is how many copies may be under way: one as long as calls can only be attributed by there being one, the
// configured number once the shadows have shown that they pass the trace on, or when they call nobody.
func (r *Runner) lanes(e *route.Entry) int {
	n := e.Settings.Concurrency
	if n <= 0 {
		n = defaultConcurrency
	}
	switch {
	case e.CallsOut && !r.scenes.traced():
		return 1
	case !e.CallsOut && n == defaultConcurrency: // another number is somebody's will
		return min(n+int(r.fuse.extra.Load()), maxInFlight)
	}
	return n
}

const defaultConcurrency = 64

// Lanes says whether the session runs one request at a time.
func (r *Runner) Lanes(e *route.Entry) bool { return r.lanes(e) == 1 }

func (r *Runner) abandon(j *Job, why observation.DropReason) {
	r.drop(j, why)
	j.Capture.Release()
}

// publish sends observations on, each after the counts that it is part of. Those of a moment go together: to be woken for
// each would cost more than to send it.
func (r *Runner) publish(ctx context.Context) {
	tick := time.NewTicker(tallyEvery)
	defer tick.Stop()
	gather := time.NewTimer(0)
	<-gather.C
	for {
		select {
		case o, ok := <-r.out:
			if ok && len(r.out) == 0 {
				gather.Reset(gatherFor)
				<-gather.C
			}
			more := len(r.out)
			r.tell(ctx)
			if !ok {
				return
			}
			r.pass(ctx, o)
			for range more {
				if o, ok := <-r.out; ok {
					r.pass(ctx, o)
				}
			}
		case <-tick.C:
			r.tell(ctx)
		}
	}
}

// gatherFor is how long what was observed may wait for more, and outRing how many may.
const (
	gatherFor = 2 * time.Millisecond
	outRing   = 512
)

func (r *Runner) pass(ctx context.Context, o *observation.Observation) {
	if !o.Alike {
		o = r.opts.Redactor.Observation(o)
	}
	r.send(ctx, observation.Envelope{Observation: o})
}

func (r *Runner) tell(ctx context.Context) {
	if t, any := r.count.tally(r.opts.Shadow.Session, time.Now()); any {
		r.send(ctx, observation.Envelope{Tally: &t})
	}
}

// send publishes; when the session was cut off, what is left still goes out if the bus takes it at once.
func (r *Runner) send(ctx context.Context, e observation.Envelope) {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
	}
	if err := r.opts.Publisher.Publish(ctx, e); err != nil {
		r.opts.Logger.Warn("publish observation", "session", r.opts.Shadow.Session, "error", err)
	}
}

func (r *Runner) newObservation(j *Job) *observation.Observation {
	return &observation.Observation{
		ID: id.New(id.Observation, time.Now(), r.opts.Entropy), Session: r.opts.Shadow.Session,
		Service: j.Entry.Service, At: j.Capture.Start, TraceID: j.TraceID,
		Unit: r.unit(j), OwnUnit: j.OwnUnit, Lane: r.Lanes(j.Entry),
	}
}

func (r *Runner) unit(j *Job) string {
	if j.OwnUnit {
		return ""
	}
	return r.opts.Redactor.Token("session", j.Session)
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
