// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"time"

	"microstax/internal/dataplane/http1"
)

// gap takes what is missing next in one direction for lost. Inside a body of known length the place stays certain: that
// exchange is lost, and no other.
func (f *flow) gap(toServer bool, at time.Time) {
	s := f.stream(toServer)
	n := s.missing()
	if n <= 0 {
		s.wanted = time.Time{}
		f.flush(toServer, at)
		return
	}
	s.wanted = time.Time{}
	to := s.next + uint32(n) //nolint:gosec // small
	switch {
	case toServer && f.current != nil && len(s.rest) == 0 && skips(&f.body, n):
		s.next = to
		f.current.spoil()
		if f.body.Done() {
			f.requestWhole(at)
		}
	case !toServer && f.answering && len(s.rest) == 0 && skips(&f.answer, n):
		s.next = to
		f.waiting[0].spoil()
		if f.answer.Done() {
			f.answerWhole(at)
		}
	case toServer:
		f.loseUp() // which counts the bytes when the place is found again
		return
	default:
		f.loseDown(to)
	}
	f.t.counts.BytesMissed += int64(n)
	f.flush(toServer, at)
}

// skips passes over n bytes of a body, if its end stays known.
func skips(b *http1.Body, n int) bool {
	switch b.Kind {
	case http1.Length:
		if b.Left < int64(n) {
			return false
		}
		b.Left -= int64(n)
		return true
	case http1.UntilEOF:
		return true
	default:
		return false
	}
}

// loseUp gives up the place in both directions.
func (f *flow) loseUp() {
	b := blind{located: f.up.known, from: f.up.next, ack: f.down.next - uint32(len(f.down.rest))} //nolint:gosec // small
	if !f.down.known {
		b.ack = f.down.acked
	}
	if b.located && len(f.waiting) > 0 {
		b.ack, b.owed = f.waiting[0].ack, int64(len(f.waiting))
	}
	if f.current != nil && f.body.Kind == http1.Length {
		b.from += uint32(f.body.Left) //nolint:gosec // what is left of a body is behind the place
	}
	if !b.located {
		b = f.blind
	}
	f.disprove()
	f.miss(len(f.waiting))
	if f.current != nil {
		f.current.miss()
	}
	f.current, f.answering, f.trial, f.upTrial = nil, false, false, false
	f.last.is = false
	f.up.lose()
	f.down.lose()
	b.downSeen, b.downEnd, b.downAck, b.interim = f.blind.downSeen, f.blind.downEnd, f.blind.downAck, f.blind.interim
	b.upLast = f.blind.upLast
	f.blind = b
	f.account()
}

// loseDown gives up the place in the server's direction, where the next byte known lies at seq. A last request that the
// client sent behind the gap says where its answer begins.
func (f *flow) loseDown(seq uint32) {
	f.disprove()
	keep := 0
	if n := len(f.waiting); n > 0 && !f.pipelined && !after(seq, f.waiting[n-1].ack) && !(n == 1 && f.answering) {
		keep = 1
	}
	f.miss(len(f.waiting) - keep)
	f.answering, f.trial = false, false
	if keep == 0 {
		f.down.lose()
		return
	}
	f.trial = true
	f.down.start(f.waiting[0].ack)
}

// distrust gives up on pairing: there was an answer too many, so answers are not whose they seem to be.
func (f *flow) distrust() {
	f.pipelined = true
	f.loseDown(f.down.next)
}

// disprove takes back a pairing that is not confirmed.
func (f *flow) disprove() {
	if f.doubt != nil {
		f.doubt.miss()
		f.doubt = nil
	}
}

// miss counts the first n that wait as lost.
func (f *flow) miss(n int) {
	for _, r := range f.waiting[:n] {
		r.miss()
	}
	f.waiting = append(f.waiting[:0], f.waiting[n:]...)
}

// resume says whether a segment of the client's, on a connection whose place is lost, begins a request for certain, and
// follows it from there.
func (f *flow) resume(seq uint32, seg *segment) bool {
	b := &f.blind
	if f.speech == unknown && f.listen(seg.data) {
		return false
	}
	if !f.begins(seg) {
		if !b.upLast {
			b.turns++
		}
		if f.speech == unknown && b.turns > maxDeaf {
			f.ignore(&f.t.counts.Foreign)
		}
		return false
	}
	f.missBlind(seq, seg.ack)
	f.up.start(seq)
	f.trial, f.upTrial = true, true
	return true
}

// maxDeaf is how often a connection may turn without a request that is understood.
const maxDeaf = 16

// begins says whether a segment begins a request. What is in a request's body could look like one, so either the end of
// the answer to the one before has just passed, which acknowledged everything before this segment, and is acknowledged by
// it; or the segment is all that was ever seen of the connection, and a whole message.
func (f *flow) begins(seg *segment) bool {
	b := &f.blind
	if f.pipelined || !looksLikeRequest(seg.data) || seg.length != len(seg.data) {
		return false
	}
	if b.downSeen && !b.upLast {
		return b.downEnd == seg.ack && b.downAck == seg.seq && !b.interim
	}
	if f.spoken || f.fresh {
		return false
	}
	end := http1.HeadEnd(seg.data, false)
	if end == 0 || f.t.head.ParseRequest(seg.data[:end]) != nil {
		return false
	}
	body := http1.NewBody(http1.RequestFraming(&f.t.head))
	n, err := body.Take(seg.data[end:], nil)
	return err == nil && body.Done() && end+n == len(seg.data)
}

// looksLikeRequest says whether bytes begin with a method and a target, as far as they go.
func looksLikeRequest(b []byte) bool {
	for i, c := range b {
		switch {
		case c == ' ':
			return i > 0 && (i+1 == len(b) || b[i+1] == '/' || b[i+1] == '*' || b[i+1] == 'h')
		case i >= maxMethod || (c < 'A' || c > 'Z') && c != '-' && c != '_':
			return false
		}
	}
	return false
}

// maxMethod is the longest method that a request is recognised by.
const maxMethod = 24

// missBlind counts what passed unseen since the place was lost. Where whole exchanges passed, both directions have moved
// on; where only a part did, the client spoke again after the server.
func (f *flow) missBlind(seq, ack uint32) {
	b := &f.blind
	n := b.turns
	if b.located {
		up, down := int64(max(span(b.from, seq), 0)), int64(max(span(b.ack, ack), 0))
		f.t.counts.BytesMissed += up + down
		u, d := f.t.usual(up, down)
		n = max(n, min(u, d-b.owed))
	}
	f.blind = blind{}
	if n > 0 && f.speech == speaksHTTP {
		f.t.missed(n)
	}
}

// listen finds out what a connection speaks from the first bytes of the client's that are seen, and says whether it is
// something that can't be followed.
func (f *flow) listen(b []byte) bool {
	switch {
	case isTLS(b):
		f.ignore(&f.t.counts.Encrypted)
	case len(b) >= len(preface) && string(b[:len(preface)]) == preface:
		f.ignore(&f.t.counts.HTTP2)
	default:
		return false
	}
	return true
}

// preface is how HTTP/2 begins (RFC 9113, 3.4), as far as no request does.
const preface = "PRI * HTTP/2.0\r\n"

// isTLS says whether bytes begin a record of TLS (RFC 8446, 5.1).
func isTLS(b []byte) bool {
	return len(b) >= 5 && b[0] >= 0x14 && b[0] <= 0x18 && b[1] == 3 && b[2] <= 4
}

// ignore stops following, and counts why.
func (f *flow) ignore(why *int64) {
	*why++
	f.drop()
}

// drop stops following, and lets go of what is held.
func (f *flow) drop() {
	f.speech = ignored
	f.up.lose()
	f.down.lose()
	f.waiting, f.current, f.answering = nil, nil, false
	f.t.watch(f, false)
	f.account()
}
