// SPDX-License-Identifier: Apache-2.0

// Package ingest takes what the data plane saw off the bus, lets the engine judge it, and keeps the outcome: one engine
// state for each shadow session, and a bounded choice of whole observations to look at later. What is stored grows with
// findings, not with requests.
//
// Counts are never lost while the process lives: when the store refuses, they stay in memory and are written later. A
// crash loses at most what came since the last write, a quarter of a second in the ordinary case.
//
// It answers no questions; package analyze does, from the store alone.
//
// Methods of Ingest may be called concurrently. One mutex guards all state; nothing is read or written under it.
package ingest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"microstax/internal/blob"
	"microstax/internal/engine"
	"microstax/internal/evidence"
	"microstax/internal/fault"
	"microstax/internal/id"
	"microstax/internal/observation"
)

// Limits bound what ingest keeps. A zero field means its default.
type Limits struct {
	PerFinding   int           // observations kept for each finding; default 20
	PerEndpoint  int           // ordinary observations kept for each endpoint; default 3
	PerSession   int           // observations kept for each session in all; default 10,000
	Pending      int           // kept observations that wait to be written, all sessions; default 2,048
	PendingBytes int64         // and their bytes; default 64 MiB
	Watchers     int           // live views at a time; default 1,024
	Interval     time.Duration // longest wait of something new to be written; default 250 ms
	Idle         time.Duration // a session without traffic for so long leaves memory; default 10 min
}

// Options are what an Ingest needs. Store, Blobs and Now are required.
type Options struct {
	Store  evidence.Store
	Blobs  blob.Store
	Now    func() time.Time
	Logger *slog.Logger // nil: nothing is logged
	Limits Limits
}

// Ingest is the bus handler and the keeper of analyses.
type Ingest struct {
	store  evidence.Store
	blobs  blob.Store
	now    func() time.Time
	log    *slog.Logger
	limits Limits
	boot   string // names this process in what it stores, so that the next one knows what was in flight elsewhere

	wake     chan struct{} // capacity 1: "something is dirty" says all that more signals could
	flushing chan struct{} // capacity 1: holding its token is the right to flush

	mu           sync.Mutex // guards everything below
	sessions     map[string]*session
	pendingBytes int64
	watchers     map[string]map[chan struct{}]struct{} // by session or environment id
	watching     int
	refused      map[string]refusal // sessions that cannot be loaded, so that not every envelope asks the store
	sources      map[string]*source // gateways that were heard of, by name; nil until they are read from the store
	stats        Stats
	alike        observation.Observation // the one that is being judged: none of them is kept
}

// session is what memory holds of one shadow session.
type session struct {
	id, environment string
	analysis        *engine.Analysis
	keep            *keeper
	pending         map[string]*kept  // kept observations that are not stored yet, by id
	deletes         map[string]string // stored observations that lost their place: id → digest of the blob
	dirty           bool
	open            bool // it had traffic in this process, so that something may be in flight when the process dies
	created         time.Time
	used            time.Time
}

// New makes an Ingest. Run must be running for anything to be stored.
func New(o Options) *Ingest {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Ingest{
		store: o.Store, blobs: o.Blobs, now: o.Now, log: log, limits: o.Limits.withDefaults(),
		boot:     id.New(id.Request, o.Now(), rand.Reader),
		wake:     make(chan struct{}, 1),
		flushing: make(chan struct{}, 1),
		sessions: map[string]*session{},
		watchers: map[string]map[chan struct{}]struct{}{},
		refused:  map[string]refusal{},
	}
}

func (l Limits) withDefaults() Limits {
	l.PerFinding = orInt(l.PerFinding, 20)
	l.PerEndpoint = orInt(l.PerEndpoint, 3)
	l.PerSession = orInt(l.PerSession, 10_000)
	l.Pending = orInt(l.Pending, 2048)
	l.PendingBytes = orInt(l.PendingBytes, 64<<20)
	l.Watchers = orInt(l.Watchers, 1024)
	l.Interval = orInt(l.Interval, 250*time.Millisecond)
	l.Idle = orInt(l.Idle, 10*time.Minute)
	return l
}

func orInt[T ~int | ~int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Handle is the bus handler: it judges an observation or adds a tally. While the store cannot be read it waits at the
// first envelope of a session, so that nothing is lost. An envelope of a session that does not exist is counted and
// refused with fault.NotFound.
func (in *Ingest) Handle(ctx context.Context, e observation.Envelope) error {
	if e.Session() == "" || contents(&e) != 1 {
		in.count(func(s *Stats) { s.Rejected++ })
		return fault.Errorf("ingest envelope", fault.Invalid,
			"it holds no session, or not exactly one of observation, alike observations and tally")
	}
	for {
		if in.apply(e, func() {}) {
			return nil
		}
		if err := in.load(ctx, e.Session()); err != nil {
			in.count(func(s *Stats) { s.Rejected++ })
			return err
		}
	}
}

func contents(e *observation.Envelope) (n int) {
	for _, has := range [...]bool{e.Observation != nil, e.Alike != nil, e.Tally != nil} {
		if has {
			n++
		}
	}
	return n
}

// apply adds the envelope to its session, and does what has to be stored together with that; false when memory does not
// have the session.
func (in *Ingest) apply(e observation.Envelope, also func()) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.sessions[e.Session()]
	if s == nil {
		return false
	}
	s.used, s.open = in.now(), true
	switch {
	case e.Tally != nil:
		s.analysis.Tally(*e.Tally)
		in.stats.Tallies++
	case e.Alike != nil:
		for i := range e.Alike.List {
			in.alike = e.Alike.List[i].Observation(e.Alike.Session)
			in.observe(s, &in.alike)
		}
	default:
		in.observe(s, e.Observation)
	}
	also()
	in.touch(s)
	return true
}

// observe judges one observation and decides whether it is kept whole. The caller holds mu.
func (in *Ingest) observe(s *session, o *observation.Observation) {
	judged := s.analysis.Observe(o)
	in.stats.Observations++
	if judged.Identical {
		in.stats.Identical++
	}
	take, lost := s.keep.offer(o.ID, judged, shown(o))
	for _, l := range lost {
		in.evict(s, l)
	}
	if !take {
		return
	}
	k := &kept{observation: o, judged: judged, bytes: size(o)}
	if in.stats.Pending >= in.limits.Pending || in.pendingBytes+k.bytes > in.limits.PendingBytes {
		s.keep.forget(o.ID)
		in.stats.KeptDropped++
		return
	}
	s.pending[o.ID] = k
	in.stats.Pending++
	in.pendingBytes += k.bytes
	in.stats.Kept++
}

// evict takes back a kept observation whose place went to another. The caller holds mu.
func (in *Ingest) evict(s *session, l place) {
	in.stats.Evicted++
	if k := s.pending[l.id]; k != nil {
		in.unpend(s, l.id, k)
		if !k.writing {
			return
		}
	}
	s.deletes[l.id] = l.digest
}

func (in *Ingest) unpend(s *session, id string, k *kept) {
	delete(s.pending, id)
	in.pendingBytes -= k.bytes
	in.stats.Pending--
}

// touch marks a session as having something to write. The caller holds mu.
func (in *Ingest) touch(s *session) {
	s.dirty = true
	select {
	case in.wake <- struct{}{}:
	default: // already awake
	}
}

// Changed gives a channel that gets a value whenever what is stored of a session, or of any session of an environment, has
// changed; signals that nobody took yet become one. It closes when ctx ends. Too many watchers are fault.Unavailable.
func (in *Ingest) Changed(ctx context.Context, id string) (<-chan struct{}, error) {
	ch := make(chan struct{}, 1)
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.watching >= in.limits.Watchers {
		return nil, fault.Errorf("watch evidence", fault.Unavailable, "there are %d live views already", in.watching).
			WithHint("close one, or ask for the report without watching")
	}
	if in.watchers[id] == nil {
		in.watchers[id] = map[chan struct{}]struct{}{}
	}
	in.watchers[id][ch] = struct{}{}
	in.watching++
	context.AfterFunc(ctx, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		delete(in.watchers[id], ch)
		if len(in.watchers[id]) == 0 {
			delete(in.watchers, id)
		}
		in.watching--
		close(ch)
	})
	return ch, nil
}

// notify signals the watchers of an id. The caller holds mu, which keeps a channel from being closed meanwhile; the sends
// cannot block.
func (in *Ingest) notify(id string) {
	for ch := range in.watchers[id] {
		select {
		case ch <- struct{}{}:
		default: // the signal before this one was not taken yet and says the same
		}
	}
}
