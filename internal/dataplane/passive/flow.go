// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"container/list"
	"net/netip"
	"time"

	"microstax/internal/dataplane/http1"
)

// speech is what a connection speaks.
type speech uint8

const (
	unknown speech = iota
	speaksHTTP
	ignored // something that is not followed, or it was closed
)

// flow is one TCP connection.
type flow struct {
	t              *table
	id             uint64
	client, server netip.AddrPort
	speech         speech
	touched        time.Time
	place          *list.Element
	suspect        bool // it is in the table's suspects
	held           int  // what the table counts for it
	fresh          bool // its SYN was seen
	isn            uint32
	spoken         bool // data was seen, in either direction

	up, down stream // the client's bytes, and the server's

	waiting   []*request // without a whole answer, in order
	current   *request   // whose body is being received
	body      http1.Body // of current
	answering bool       // the first that waits
	answer    http1.Body
	trial     bool      // where the answer begins is a guess that it has to confirm
	upTrial   bool      // so is where the request begins
	doubt     *request  // was paired by a guess, and waits for what confirms it
	doubtEnd  uint32    // where its answer ended
	doubtAt   time.Time // and when
	pipelined bool      // the client does not wait for answers, so numbers do not tell which is whose
	blind     blind
	last      struct { // the request before, if nothing was lost since
		seq, ack uint32
		is       bool
	}
}

// blind is what is known of a time in which requests could not be followed.
type blind struct {
	from, ack uint32 // where both directions were when it began
	located   bool   // they are set
	owed      int64  // answers under way to requests that were seen
	turns     int64  // how often the client spoke after the server had
	upLast    bool   // the client spoke last
	downEnd   uint32 // where the server's last segment ended
	downAck   uint32 // and what it acknowledged
	downSeen  bool   // there was one
	interim   bool   // it began with an interim answer: the request goes on
}

// maxJump is the largest leap of sequence numbers, in bytes, that is taken for one.
const maxJump = 1 << 28

// take takes a segment of the connection.
func (f *flow) take(seg *segment, toServer bool, at time.Time) {
	s, o := &f.up, &f.down
	if !toServer {
		s, o = o, s
	}
	if f.speech == ignored {
		if seg.has(flagRST) || seg.has(flagFIN) && (s.fin || o.fin) {
			f.t.bury(f, at)
		}
		s.fin = s.fin || seg.has(flagFIN)
		return
	}
	seq := seg.seq
	if seg.has(flagSYN) {
		seq++
		f.begin(seg, seq, toServer)
	}
	if seg.has(flagACK) && !seg.has(flagRST) {
		o.has(seg.ack)
	}
	if seg.length > 0 {
		f.data(s, seq, seg, toServer, at)
		f.spoken, f.blind.upLast = true, toServer
	}
	if seg.has(flagFIN) && !s.fin {
		s.fin, s.end = true, seq+uint32(seg.length) //nolint:gosec // small
	}
	f.arrived(at)
	if seg.has(flagRST) && f.speech != ignored {
		f.end(endReset, toServer, at)
	}
}

// begin takes a connection's first packets.
func (f *flow) begin(seg *segment, seq uint32, toServer bool) {
	switch {
	case toServer && !f.up.known && !f.spoken:
		f.fresh, f.isn = true, seg.seq
		f.up.start(seq)
	case !toServer && !f.spoken:
		f.fresh, f.isn = true, seg.ack-1
		if !f.down.known {
			f.down.start(seq)
		}
		if !f.up.known && seg.has(flagACK) {
			f.up.start(seg.ack)
		}
	}
}

// data takes the bytes of a segment.
func (f *flow) data(s *stream, seq uint32, seg *segment, toServer bool, at time.Time) {
	s.note(seq + uint32(seg.length)) //nolint:gosec // small
	if !toServer {
		f.heard(seq, seg)
	}
	if !s.known {
		if !toServer || !f.resume(seq, seg) {
			return
		}
	}
	if n := span(s.next, seq); n > maxJump || n < -maxJump {
		f.loseUp()
		return
	}
	from, data := s.trim(seq, seg.data)
	switch {
	case len(data) == 0:
		return
	case from == s.next && len(s.parts) == 0:
		s.next += uint32(len(data)) //nolint:gosec // small
		f.deliver(toServer, data, seg.ack, at)
	case !s.keep(from, data, seg.ack):
		f.t.counts.Overflows++
		f.gap(toServer, at)
	default:
		f.flush(toServer, at)
	}
	if f.account(); f.t.held > f.t.limits.Held && f.held > 0 {
		f.t.counts.Overflows++
		f.loseUp()
		f.account()
	}
}

// flush delivers what was waiting and is now in order.
func (f *flow) flush(toServer bool, at time.Time) {
	s := f.stream(toServer)
	for s.known {
		p, ok := s.ready()
		if !ok {
			return
		}
		s.next += uint32(len(p.data)) //nolint:gosec // small
		f.deliver(toServer, p.data, p.ack, at)
	}
}

func (f *flow) stream(toServer bool) *stream {
	if toServer {
		return &f.up
	}
	return &f.down
}

// deliver hands bytes in order to the dialogue, and then what may have waited for them on the other side.
func (f *flow) deliver(toServer bool, data []byte, ack uint32, at time.Time) {
	f.t.counts.Bytes += int64(len(data))
	f.stream(toServer).wanted = time.Time{}
	if toServer {
		f.received(data, ack, at)
		if len(f.down.rest) > 0 {
			f.answered(nil, 0, at)
		}
		return
	}
	f.answered(data, ack, at)
	if len(f.up.rest) > 0 {
		f.received(nil, 0, at)
	}
}

// arrived notes, after every segment, what is wanted, and what has come to its end.
func (f *flow) arrived(at time.Time) {
	if f.speech == ignored {
		return
	}
	for _, s := range [2]*stream{&f.up, &f.down} {
		if f.t.grace <= 0 {
			for after(s.acked, s.next) && s.behind() && s.missing() > 0 {
				f.gap(s == &f.up, at)
			}
		}
		switch {
		case !s.behind():
			s.wanted = time.Time{}
		case s.wanted.IsZero():
			s.wanted = at
		}
		if s.fin && !s.ended && (!s.known || span(s.next, s.end) <= 0) {
			s.ended = true
			f.ended(s == &f.up, at)
		}
	}
	if f.speech == ignored {
		return
	}
	if f.up.ended && f.down.ended {
		f.end(endClosed, false, at)
		return
	}
	f.t.watch(f, !f.up.wanted.IsZero() || !f.down.wanted.IsZero() || len(f.down.rest) > 0 && len(f.waiting) == 0 || f.doubt != nil)
}

// How long bytes may be missing that nobody has acknowledged, and how long an answer may wait for a request.
const (
	graceOthers = 3 * time.Second
	graceAnswer = time.Second
)

// check gives up on what did not come.
func (f *flow) check(now time.Time) {
	for _, toServer := range []bool{true, false} {
		s := f.stream(toServer)
		if s.wanted.IsZero() {
			continue
		}
		grace := graceOthers
		if after(s.acked, s.next) {
			grace = f.t.grace
		}
		if now.Sub(s.wanted) >= grace {
			f.gap(toServer, now)
		}
	}
	if len(f.down.rest) > 0 && len(f.waiting) == 0 && now.Sub(f.down.restAt) >= graceAnswer {
		f.distrust() // an answer that nobody asked for
	}
	if f.doubt != nil && now.Sub(f.doubtAt) >= graceAnswer {
		f.confirm()
	}
	f.account()
	f.arrived(now)
}

// hurry takes whatever is missing for lost.
func (f *flow) hurry(now time.Time) {
	for _, toServer := range []bool{true, false} {
		for s := f.stream(toServer); s.behind() && s.missing() > 0; {
			f.gap(toServer, now)
		}
	}
}

// account tells the table how many bytes the flow holds.
func (f *flow) account() {
	n := f.up.held() + f.down.held()
	f.t.held += n - f.held
	f.held = n
}

// heard notes what the server says, for who has to find the place again.
func (f *flow) heard(seq uint32, seg *segment) {
	b := &f.blind
	b.downSeen, b.downEnd, b.downAck = true, seq+uint32(seg.length), seg.ack //nolint:gosec // small
	b.interim = len(seg.data) > 9 && string(seg.data[:7]) == "HTTP/1." && seg.data[9] == '1'
}
