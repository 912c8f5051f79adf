// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"microstax/internal/dataplane/effects"
	"microstax/internal/dataplane/route"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// perform sends one job to both shadows and publishes what came of it. It runs on a worker's goroutine.
func (r *Runner) perform(ctx context.Context, w *worker, t *task) {
	defer r.finished(ctx, t)
	j := &t.job
	if ctx.Err() != nil {
		r.drop(j, observation.Stopped)
		return
	}
	scene := &r.alone // nobody asks for it
	if j.Entry.CallsOut {
		scene = newScene(j.TraceID)
		end := j.Capture.Start.Add(j.Capture.Duration + lag)
		scene.script = r.book.Script(j.TraceID, j.Capture.Start, end)
		r.scenes.add(scene)
		defer r.scenes.remove(scene)
	}
	w.letter.write(j.Capture)
	control, candidate, load := r.exchanges(ctx, w, t)
	defer candidate.Release()
	if control != nil {
		defer control.Release()
	}
	if scene.script != nil {
		r.quiet(ctx, scene.script)
	}
	switch {
	case ctx.Err() != nil:
		r.drop(j, observation.Stopped)
	case scene.muddled():
		r.drop(j, Unattributed)
	case candidate.Lost() || control != nil && control.Lost():
		r.drop(j, observation.OverBudget)
	default: // also when a side failed: to leave out the control's failures alone would tilt the comparison
		r.tell(w, j, scene, &load, control, candidate)
	}
}

// tell tells what came of a job: little, when there is nothing to see.
func (r *Runner) tell(w *worker, j *Job, scene *scene, load *observation.Load, control, candidate *tap.Capture) {
	context := contextOf(j)
	if scene.script == nil && r.seen.alike(context, j.Capture, control, candidate) {
		a := r.summary(j, w, context, control, candidate)
		a.Load = *load
		r.out.alike(a)
		return
	}
	o := r.newObservation(j)
	o.Context, o.Load = context, *load
	o.Baseline, o.Candidate = j.Capture.Exchange(), candidate.Exchange()
	o.Candidate.Request = o.Baseline.Request
	if control != nil {
		c := control.Exchange()
		c.Request = o.Baseline.Request
		o.Control = &c
	}
	r.learn(o)
	if scene.script != nil {
		o.CallsTraced = scene.script.Exact
		o.BaselineCalls, o.ControlCalls, o.CandidateCalls = scene.script.Story()
	}
	r.out.whole(o)
}

// exchanges sends to both sides at once, the one that the coin chose a moment earlier. Without a control it returns nil
// for it.
func (r *Runner) exchanges(ctx context.Context, w *worker, t *task) (control, candidate *tap.Capture, load observation.Load) {
	j := &t.job
	half := func(side effects.Side, addrs []string) half {
		return half{
			lane: &w.lanes[side], letter: r.letterFor(w, side, j), addr: pick(addrs, j), maxBody: maxBody(&j.Entry.Settings),
			limit: r.scenes.patience(timeout(&j.Entry.Settings)), budget: r.opts.Budget, busy: &r.busy[side],
		}
	}
	second := half(effects.Candidate, j.Entry.Candidate)
	var levels [2]int
	levels[effects.Candidate] = int(second.busy.Add(1))
	if len(j.Entry.Control) == 0 {
		candidate = second.send(ctx)
		load = r.loadOf(t, candidate.Start, 0, levels[effects.Candidate])
	} else {
		first := half(effects.Control, j.Entry.Control)
		levels[effects.Control] = int(first.busy.Add(1))
		if t.candidateFirst {
			candidate, control = w.ask(ctx, second, first)
		} else {
			control, candidate = w.ask(ctx, first, second)
		}
		load = r.loadOf(t, control.Start, levels[effects.Control], levels[effects.Candidate])
	}
	r.scenes.answered(candidate.Outcome != exchange.Timeout)
	r.judge(control, candidate)
	return control, candidate, load
}

// letterFor is the copy for one side: as it came, or with the identifiers that the shadow gave out in the baseline's
// place.
func (r *Runner) letterFor(w *worker, side effects.Side, j *Job) *letter {
	if !r.learnt.Load() {
		return &w.letter
	}
	request := j.Capture.Exchange().Request
	own, changed := r.ids[side].Rewrite(&request)
	if !changed {
		return &w.letter
	}
	l := &w.letters[side]
	l.close, l.second, l.talk, l.base = w.letter.close, w.letter.second, w.letter.talk, w.letter.base
	l.rewrite(&own)
	return l
}

// learn takes what the answers say of each shadow's own identifiers. It happens before the next request of the session
// is sent.
func (r *Runner) learn(o *observation.Observation) {
	r.ids[effects.Candidate].Learn(&o.Baseline, &o.Candidate)
	if o.Control != nil {
		r.ids[effects.Control].Learn(&o.Baseline, o.Control)
	}
	if !r.learnt.Load() && r.ids[effects.Candidate].Len()+r.ids[effects.Control].Len() > 0 {
		r.learnt.Store(true)
	}
}

// judge tells the breaker how both sides fared: they get the same copies, or neither does.
func (r *Runner) judge(control, candidate *tap.Capture) {
	ok, took := candidate.Outcome == exchange.OK, candidate.Duration
	if control != nil {
		ok, took = ok && control.Outcome == exchange.OK, max(took, control.Duration)
	}
	r.fuse.done(ok, r.limit.full(), took, candidate.Start.Add(took))
}

// pick chooses an instance: the same for all requests of a session, so that what it keeps in memory is found again.
func pick(addrs []string, j *Job) string {
	if len(addrs) == 1 {
		return addrs[0]
	}
	return addrs[xxhash.Sum64String(j.Session)%uint64(len(addrs))]
}

// quiet waits until neither side has a call under way, and a moment longer for calls made after the answer.
func (r *Runner) quiet(ctx context.Context, s *effects.Script) {
	limit := time.NewTimer(maxQuiet)
	defer limit.Stop()
	for pass := range 2 {
		for _, side := range []effects.Side{effects.Control, effects.Candidate} {
			select {
			case <-s.Idle(side):
			case <-limit.C:
				return
			case <-ctx.Done():
				return
			}
		}
		if pass == 1 {
			return
		}
		pause := time.NewTimer(settle)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// maxQuiet is the longest wait for calls that outlive the answer.
const maxQuiet = 2 * time.Second

// scene is one mirrored request under way, for the calls that the shadows make meanwhile.
type scene struct {
	trace  string
	script *effects.Script
	mu     sync.Mutex
	mixed  bool
}

func newScene(trace string) *scene { return &scene{trace: trace} }

func (s *scene) muddle() {
	s.mu.Lock()
	s.mixed = true
	s.mu.Unlock()
}

func (s *scene) muddled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mixed
}

// scenes are all requests under way, and what has been learnt of the shadows' manners.
type scenes struct {
	mu       sync.Mutex
	list     map[*scene]struct{}
	withID   int  // calls that carried the trace of a request under way
	lostID   bool // a call carried none: lanes for good
	timeouts int  // in a row
}

func (s *scenes) init() { s.list = map[*scene]struct{}{} }

func (s *scenes) add(x *scene) {
	s.mu.Lock()
	s.list[x] = struct{}{}
	s.mu.Unlock()
}

func (s *scenes) remove(x *scene) {
	s.mu.Lock()
	delete(s.list, x)
	s.mu.Unlock()
}

func (s *scenes) traced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.lostID && s.withID >= provenTraced
}

// find attributes a call: by its trace, else to the only request under way. With several under way and no trace the
// call belongs to nobody, and none of them can be judged.
func (s *scenes) find(trace string) *scene {
	s.mu.Lock()
	defer s.mu.Unlock()
	var match, only *scene
	for x := range s.list {
		only = x
		if trace != "" && x.trace == trace {
			match = x
		}
	}
	if match != nil {
		s.withID++
		return match
	}
	if len(s.list) == 0 {
		return nil
	}
	s.lostID = true
	if len(s.list) == 1 {
		return only
	}
	for x := range s.list {
		x.muddle()
	}
	return nil
}

// Patience with a shadow that does not answer: after so many timeouts in a row each further one may last only briefly,
// until it answers again.
const (
	patienceAfter = 3
	shortPatience = time.Second
)

func (s *scenes) answered(in bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timeouts++; in {
		s.timeouts = 0
	}
}

func (s *scenes) patience(full time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timeouts >= patienceAfter {
		return min(full, shortPatience)
	}
	return full
}

// Call is an outgoing call of a shadow, between Decide and Finish.
type Call struct {
	effects.Decision
	scene *scene
	side  effects.Side
	from  *route.Effect
	dep   string
}

// Decide says what a shadow's outgoing call gets. Every call that was decided must be finished.
func (r *Runner) Decide(e *route.Effect, dependency, trace string, req *exchange.Request) *Call {
	side := effects.Candidate
	if e.Side == string(observation.Control) {
		side = effects.Control
	}
	c := &Call{scene: r.scenes.find(trace), side: side, from: e, dep: dependency}
	if c.scene == nil || c.scene.script == nil {
		c.Decision = effects.Homeless(req, e.Owned, effects.Policy(e.Policy))
		return c
	}
	c.scene.script.Begin(side)
	asked, _ := r.ids[side].Restore(req) // the recording knows the baseline's identifiers
	c.Decision = c.scene.script.Decide(side, &asked, dependency, e.Owned, effects.Policy(e.Policy))
	return c
}

// Finish tells what came of a call.
func (r *Runner) Finish(c *Call, x exchange.Exchange) {
	if c.scene == nil || c.scene.script == nil {
		return
	}
	c.scene.script.End(c.side, observation.Call{
		Caller: c.from.Caller, Dependency: c.dep, Exchange: x, Effect: c.Effect, Tier: c.Tier, Matched: c.Matched,
		Write: !effects.Safe(x.Request.Method), Tainted: c.Tainted,
	})
}
