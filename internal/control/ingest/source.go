// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"microstax/internal/dataplane/remote"
	"microstax/internal/evidence"
	"microstax/internal/fault"
	"microstax/internal/observation"
)

// Gateways number what they send, and send again what was not stored. How far each was heard is stored in the batch that
// stores what was made of it, so that after a crash every frame counts exactly once. What a gateway has received and not
// told the end of is in flight with it, and outlives the server; it is given up when the gateway's process was another one
// meanwhile, or when the gateway is forgotten.

// sourceLabel finds the records of gateways among the settings.
const (
	sourceLabel  = "type"
	sourceType   = "gateway-source"
	sourcePrefix = "gateway-source/"
)

// source is how far a gateway was heard.
type source struct {
	Stream   string           `json:"stream"`   // names its numbering
	Seq      uint64           `json:"seq"`      // the last frame that was taken
	InFlight map[string]int64 `json:"inFlight"` // by session

	stored uint64 // the last frame that a crash would not lose
	dirty  bool
	turn   chan struct{} // capacity 1: holding its token is the right to hand in frames
}

// Heard is how far a gateway was heard.
type Heard struct {
	Accepted uint64 // the last frame that was taken
	Stored   uint64 // the last frame that a crash would not lose
}

// mark is what a flush stores of one source.
type mark struct {
	name string
	source
}

func newSource(stream string) *source {
	return &source{Stream: stream, InFlight: map[string]int64{}, turn: make(chan struct{}, 1)}
}

// readSources reads what is stored of gateways, once.
func (in *Ingest) readSources(ctx context.Context) error {
	in.mu.Lock()
	known := in.sources != nil
	in.mu.Unlock()
	if known {
		return nil
	}
	recs, err := in.every(ctx, evidence.Query{Kind: evidence.Setting, Labels: map[string]string{sourceLabel: sourceType}})
	if err != nil {
		return fault.E("read gateways", fault.Unavailable, err)
	}
	all := map[string]*source{}
	for _, r := range recs {
		s := newSource("")
		if err := json.Unmarshal(r.Body, s); err != nil {
			return fault.E("read gateways", fault.Internal, fmt.Errorf("record %s: %w", r.ID, err))
		}
		if s.InFlight == nil {
			s.InFlight = map[string]int64{}
		}
		s.stored = s.Seq
		all[r.ID[len(sourcePrefix):]] = s
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.sources == nil {
		in.sources = all
	}
	return nil
}

// elsewhere is how much of a session's traffic is in flight with gateways.
func (in *Ingest) elsewhere(sessionID string) int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := int64(0)
	for _, s := range in.sources {
		n += s.InFlight[sessionID]
	}
	return n
}

// Receive takes frames of a gateway, in order. Those that were taken before are passed over. Frames that do not follow are
// not taken, which Heard shows, unless the gateway says with skip that it knows how far it was heard and has nothing
// between. An error means that the gateway should send again from Heard.Accepted+1.
func (in *Ingest) Receive(ctx context.Context, name, stream string, skip *uint64, frames []remote.Frame) (Heard, error) {
	if err := in.readSources(ctx); err != nil {
		return Heard{}, err
	}
	s, err := in.turnOf(ctx, name, stream)
	if err != nil {
		return Heard{}, err
	}
	defer func() { <-s.turn }()
	if err := in.adoptStream(ctx, s, stream); err != nil {
		return in.heard(s), err
	}
	for i := range frames {
		f := &frames[i]
		at := in.heard(s).Accepted
		if f.Seq <= at {
			continue
		}
		if f.Seq > at+1 && (skip == nil || *skip != at || i > 0) {
			break
		}
		if err := in.takeFrame(ctx, s, f); err != nil {
			return in.heard(s), err
		}
	}
	return in.heard(s), nil
}

// turnOf is the source of a name, for which the caller now alone may hand in frames.
func (in *Ingest) turnOf(ctx context.Context, name, stream string) (*source, error) {
	in.mu.Lock()
	s := in.sources[name]
	if s == nil {
		s = newSource(stream)
		in.sources[name] = s
	}
	in.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// adoptStream begins at the start when the gateway's spool is another one: what the old one still held is lost.
func (in *Ingest) adoptStream(ctx context.Context, s *source, stream string) error {
	if s.Stream == stream {
		return nil
	}
	if err := in.giveUp(ctx, s); err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	s.Stream, s.Seq, s.stored = stream, 0, 0
	in.touchSource(s)
	return nil
}

func (in *Ingest) heard(s *source) Heard {
	in.mu.Lock()
	defer in.mu.Unlock()
	return Heard{Accepted: s.Seq, Stored: s.stored}
}

// touchSource marks a source as having something to write. The caller holds mu.
func (in *Ingest) touchSource(s *source) {
	s.dirty = true
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// takeFrame takes the next frame. One that makes no sense is counted and passed over: it would make none later either.
func (in *Ingest) takeFrame(ctx context.Context, s *source, f *remote.Frame) error {
	if f.Kind == remote.KindRestart {
		if err := in.giveUp(ctx, s); err != nil {
			return err
		}
		in.pass(s, f.Seq, nil)
		return nil
	}
	e, err := f.Envelope()
	if err != nil {
		in.log.ErrorContext(ctx, "frame of a gateway cannot be read", "error", err)
		in.pass(s, f.Seq, func() { in.stats.Rejected++ })
		return nil
	}
	took := func() {
		s.Seq, s.dirty = f.Seq, true
		s.InFlight[e.Session()] += begun(e)
		if s.InFlight[e.Session()] == 0 {
			delete(s.InFlight, e.Session())
		}
	}
	for !in.apply(e, took) {
		err := in.load(ctx, e.Session())
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Internal) {
			in.pass(s, f.Seq, func() {
				in.stats.Rejected++
				delete(s.InFlight, e.Session())
			})
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begun is by how much an envelope changes the number of requests in flight.
func begun(e observation.Envelope) int64 {
	if e.Observation != nil {
		return -1
	}
	if e.Alike != nil {
		return -int64(len(e.Alike.List))
	}
	n := e.Tally.Received
	for _, g := range e.Tally.Dropped {
		n -= g.Count
	}
	return n
}

// pass notes that a frame was taken.
func (in *Ingest) pass(s *source, seq uint64, also func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	s.Seq = seq
	if also != nil {
		also()
	}
	in.touchSource(s)
}

// giveUp counts as lost what a source has in flight. The caller has the source's turn.
func (in *Ingest) giveUp(ctx context.Context, s *source) error {
	in.mu.Lock()
	lost := maps.Clone(s.InFlight)
	in.mu.Unlock()
	for _, session := range slices.Sorted(maps.Keys(lost)) {
		for !in.lose(s, session) {
			err := in.load(ctx, session)
			if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Internal) {
				in.mu.Lock()
				delete(s.InFlight, session)
				in.mu.Unlock()
				break
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// lose counts as lost what a source has in flight in a session; false when memory does not have the session.
func (in *Ingest) lose(s *source, sessionID string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	ses := in.sessions[sessionID]
	if ses == nil {
		return false
	}
	ses.analysis.Lose(observation.Crashed, s.InFlight[sessionID])
	delete(s.InFlight, sessionID)
	s.dirty = true
	in.touch(ses)
	return true
}

// ForgetSource gives up what a gateway has in flight, and all that is known of it. When the gateway comes back, what it
// still has is counted as if it were new.
func (in *Ingest) ForgetSource(ctx context.Context, name string) error {
	if err := in.readSources(ctx); err != nil {
		return err
	}
	in.mu.Lock()
	s := in.sources[name]
	in.mu.Unlock()
	if s == nil {
		return nil
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	if err := in.giveUp(ctx, s); err != nil {
		return err
	}
	if err := in.Flush(ctx); err != nil { // what was given up is stored before nobody knows of it any more
		return err
	}
	in.mu.Lock()
	delete(in.sources, name)
	in.mu.Unlock()
	if _, err := in.store.Apply(ctx, evidence.Batch{Deletes: []evidence.Key{{Kind: evidence.Setting, ID: sourcePrefix + name}}}); err != nil {
		return fault.E("forget gateway", fault.Unavailable, err)
	}
	return nil
}

// marks are what has to be stored of sources. The caller holds mu.
func (in *Ingest) marks() []mark {
	var out []mark
	for _, name := range slices.Sorted(maps.Keys(in.sources)) {
		s := in.sources[name]
		if !s.dirty {
			continue
		}
		s.dirty = false
		out = append(out, mark{name: name, source: source{Stream: s.Stream, Seq: s.Seq, InFlight: maps.Clone(s.InFlight)}})
	}
	return out
}

// marked notes what was stored.
func (in *Ingest) marked(marks []mark, applied bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, m := range marks {
		s := in.sources[m.name]
		switch {
		case s == nil || s.Stream != m.Stream:
		case applied:
			s.stored = m.Seq
		default:
			in.touchSource(s)
		}
	}
}

// record is a source as stored.
func (m *mark) record(now time.Time) (evidence.Record, error) {
	body, err := json.Marshal(m.source)
	if err != nil {
		return evidence.Record{}, fmt.Errorf("save gateway %s: %w", m.name, err)
	}
	return evidence.Record{
		Kind: evidence.Setting, ID: sourcePrefix + m.name, Body: body, Labels: map[string]string{sourceLabel: sourceType},
		Created: now, Updated: now,
	}, nil
}
