// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"microstax/internal/observation"
)

// The bounds of an outbox.
const (
	maxUnwritten = 4 << 20     // bytes that wait for the disk; who publishes more waits
	maxOwed      = 1024        // groups of what was dropped, for each session; beyond it only reasons are counted
	owedEvery    = time.Second // how often counts are written while the spool is full
)

// ErrClosed is returned by Outbox.Publish after Close.
var ErrClosed = errors.New("outbox is closed")

// Outbox is where a gateway's data plane publishes: it puts envelopes into the spool, in order. What finds no place there
// is dropped and counted, and the counts follow as a tally as soon as there is room: a sixteenth of the spool is kept for
// them. Only a crash while the spool is full, or a disk that fails, loses counts.
//
// Methods may be called concurrently.
type Outbox struct {
	spool *Spool
	log   *slog.Logger
	quit  chan struct{}
	done  chan struct{}
	wake  chan struct{} // capacity 1

	mu      sync.Mutex // guards what follows
	queue   []letter
	bytes   int64
	less    chan struct{} // closed, and replaced, when the queue was taken
	closed  bool
	dropped int64

	// The writer's alone.
	owed    map[string]*owed
	begun   bool // the start of the process is noted, before anything else
	failing bool
}

// letter is one envelope as a frame.
type letter struct {
	Frame
	session string
	tally   *observation.Tally  // or:
	fates   []observation.Group // what is counted when it is dropped
}

// owed are the counts of one session that wait for room.
type owed struct {
	tally  observation.Tally
	groups map[observation.Group]int64 // with a count of zero in the key
}

// NewOutbox starts an outbox that first notes the start of the process. Close ends it; the spool is closed by who opened it.
func NewOutbox(s *Spool, log *slog.Logger) *Outbox {
	o := &Outbox{
		spool: s, log: log, quit: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
		less: make(chan struct{}), owed: map[string]*owed{},
	}
	o.rouse()
	go o.write()
	return o
}

// Publish implements mirror.Publisher. It waits while much waits for the disk; a full spool keeps nobody waiting.
func (o *Outbox) Publish(ctx context.Context, e observation.Envelope) error {
	f, err := Seal(e)
	if err != nil {
		return err
	}
	l := letter{Frame: f, session: e.Session(), tally: e.Tally, fates: fates(e)}
	for {
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			return ErrClosed
		}
		if o.bytes == 0 || o.bytes+l.size() <= maxUnwritten {
			o.queue = append(o.queue, l)
			o.bytes += l.size()
			o.mu.Unlock()
			o.rouse()
			return nil
		}
		less := o.less
		o.mu.Unlock()
		select {
		case <-less:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fates are what an envelope's observations count as when they are dropped.
func fates(e observation.Envelope) (out []observation.Group) {
	fate := func(service, method, target string) {
		path, _, _ := strings.Cut(target, "?")
		out = append(out, observation.Group{Service: service, Method: method, Path: path, Reason: observation.SpoolFull})
	}
	if o := e.Observation; o != nil {
		fate(o.Service, o.Baseline.Request.Method, o.Baseline.Request.Target)
	}
	if e.Alike != nil {
		for i := range e.Alike.List {
			fate(e.Alike.List[i].Service, e.Alike.List[i].Method, e.Alike.List[i].Path)
		}
	}
	return out
}

func (o *Outbox) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Dropped is how many observations found no place.
func (o *Outbox) Dropped() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}

// Close takes no more, and returns when everything is written or counted.
func (o *Outbox) Close() error {
	o.mu.Lock()
	was := o.closed
	o.closed = true
	o.mu.Unlock()
	if !was {
		close(o.quit)
	}
	<-o.done
	return nil
}

func (o *Outbox) write() {
	defer close(o.done)
	tick := time.NewTicker(owedEvery)
	defer tick.Stop()
	for {
		select {
		case <-o.wake:
			o.store(o.take())
		case <-tick.C:
			o.settle(true)
		case <-o.quit:
			o.store(o.take())
			if o.settle(true); len(o.owed) > 0 {
				o.log.Error("counts are lost: the spool has no room for them", "sessions", len(o.owed))
			}
			return
		}
	}
}

func (o *Outbox) take() []letter {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queue
	o.queue, o.bytes = nil, 0
	close(o.less)
	o.less = make(chan struct{})
	return q
}

// store writes letters, or counts them.
func (o *Outbox) store(letters []letter) {
	o.settle(false)
	begun := o.begin()
	room := o.spool.Room()
	frames := make([]Frame, 0, len(letters))
	kept := make([]letter, 0, len(letters))
	for _, l := range letters {
		spare := int64(0)
		if l.Kind != KindTally {
			spare = o.reserve()
		}
		if !begun || len(o.owed) > 0 || room-l.size() < spare || len(l.Payload) > MaxFrame {
			o.owe(l)
			continue
		}
		room -= l.size()
		frames, kept = append(frames, l.Frame), append(kept, l)
	}
	if err := o.append(frames); err != nil {
		for _, l := range kept {
			o.owe(l)
		}
	}
}

// begin notes the start of the process, and says whether that is done.
func (o *Outbox) begin() bool {
	if !o.begun {
		o.begun = o.append([]Frame{{Kind: KindRestart}}) == nil
	}
	return o.begun
}

// reserve is what observations leave free for counts.
func (o *Outbox) reserve() int64 { return o.spool.o.Limit / 16 }

// append writes frames, and says once when that begins to fail.
func (o *Outbox) append(frames []Frame) error {
	err := o.spool.Append(frames)
	if failing := err != nil && !errors.Is(err, ErrFull); failing != o.failing {
		if o.failing = failing; failing {
			o.log.Error("observations cannot be spooled; they are counted as dropped", "error", err)
		} else {
			o.log.Info("observations are spooled again")
		}
	}
	return err
}

// owe counts what finds no place.
func (o *Outbox) owe(l letter) {
	w := o.owed[l.session]
	if w == nil {
		w = &owed{groups: map[observation.Group]int64{}}
		o.owed[l.session] = w
	}
	if l.tally == nil {
		for _, g := range l.fates {
			w.add(g, 1)
		}
		o.mu.Lock()
		o.dropped += int64(len(l.fates))
		o.mu.Unlock()
		return
	}
	w.tally.At = l.tally.At
	w.tally.Received += l.tally.Received
	w.tally.Mirrored += l.tally.Mirrored
	w.tally.ShedSessions += l.tally.ShedSessions
	if l.tally.Share > 0 {
		w.tally.Share = l.tally.Share
	}
	if c := l.tally.Capture; c != nil {
		if w.tally.Capture == nil {
			w.tally.Capture = &observation.Capture{}
		}
		w.tally.Capture.Add(*c)
	}
	for _, g := range l.tally.Dropped {
		n := g.Count
		g.Count = 0
		w.add(g, n)
	}
}

func (w *owed) add(g observation.Group, n int64) {
	if _, known := w.groups[g]; !known && len(w.groups) >= maxOwed {
		g = observation.Group{Reason: g.Reason}
	}
	w.groups[g] += n
}

// settle writes what is owed when there is room for observations again; at last, or once in a while, also when there is
// only room for counts.
func (o *Outbox) settle(now bool) {
	if len(o.owed) == 0 || !now && o.spool.Room() < 2*o.reserve() || !o.begin() {
		return
	}
	for _, session := range slices.Sorted(maps.Keys(o.owed)) {
		w := o.owed[session]
		t := w.tally
		t.Session = session
		if t.At.IsZero() {
			t.At = time.Now()
		}
		for g, n := range w.groups {
			g.Count = n
			t.Dropped = append(t.Dropped, g)
		}
		f, err := Seal(observation.Envelope{Tally: &t})
		if err != nil || o.append([]Frame{f}) != nil {
			return
		}
		delete(o.owed, session)
	}
}
