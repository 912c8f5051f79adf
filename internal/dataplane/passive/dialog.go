// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"time"

	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// request is one exchange under way.
type request struct {
	t        *table
	copy     Copy         // nil: nobody wants it
	capture  *tap.Capture // of copy
	method   string       // HEAD, CONNECT or "", which is any other
	upgrade  bool         // asks to change the protocol
	ack      uint32       // where its answer begins, if the client waits for answers
	headEnd  uint32       // where its head ends
	whole    bool         // the last byte has passed
	answered bool         // an answer's head has
	done     bool         // the whole answer has
	spoilt   bool         // bytes of a body are missing
	over     bool
}

// Limits of a dialogue.
const (
	maxAnswerHead = 256 << 10 // bytes
	maxWaiting    = 256       // requests without an answer
)

// end hands the exchange on, once.
func (r *request) end(why observation.DropReason) {
	if r.over {
		return
	}
	r.over = true
	if why == observation.CaptureLost {
		r.t.counts.Missed++
	} else {
		r.t.counts.Seen++
	}
	if r.copy != nil {
		r.copy.End(why)
		r.capture = nil // not ours any more, though the body may go on
	}
}

func (r *request) miss() { r.end(observation.CaptureLost) }

// spoil marks bytes of a body as missing; where nobody keeps them that is no loss.
func (r *request) spoil() { r.spoilt = r.spoilt || r.copy != nil }

func (r *request) sink(of func(*tap.Capture) *tap.Body) http1.Sink {
	if r.capture == nil {
		return nil
	}
	return of(r.capture)
}

func requestBody(c *tap.Capture) *tap.Body  { return &c.Request }
func responseBody(c *tap.Capture) *tap.Body { return &c.Response }

// received takes the client's bytes in order.
func (f *flow) received(chunk []byte, ack uint32, at time.Time) {
	s := &f.up
	data, held := s.join(chunk)
	first := s.next - uint32(len(data)) //nolint:gosec // small
	pos := 0
	for s.known && f.speech != ignored {
		if f.current != nil {
			n, err := f.body.Take(data[pos:], f.current.sink(requestBody))
			pos += n
			if err != nil {
				f.loseUp()
				return
			}
			if !f.body.Done() {
				break
			}
			f.requestWhole(at)
			continue
		}
		if n := len(f.waiting); n > 0 && f.waiting[n-1].upgrade && !f.waiting[n-1].answered {
			break // what follows depends on the answer
		}
		a := ack
		if pos < held {
			a = s.restAck
		}
		n := f.requestHead(data[pos:], first+uint32(pos), a, at) //nolint:gosec // small
		if n == 0 {
			break
		}
		pos += n
	}
	if s.known && f.speech != ignored {
		s.leave(data, pos, held, ack, at)
	}
}

// join is what waits with a chunk behind it, and how much of it waited.
func (s *stream) join(chunk []byte) (data []byte, held int) {
	held = len(s.rest)
	if held == 0 {
		return chunk, 0
	}
	s.rest = append(s.rest, chunk...)
	return s.rest, held
}

// leave keeps what is of no use yet.
func (s *stream) leave(data []byte, pos, held int, ack uint32, at time.Time) {
	left := data[pos:]
	if len(left) == 0 {
		s.rest = nil
		return
	}
	if pos >= held {
		s.restAck, s.restAt = ack, at
	}
	s.rest = append(s.rest[:0], left...)
}

// requestHead takes a request's head, and gives its length; 0 when it is not whole, or none.
func (f *flow) requestHead(data []byte, seq, ack uint32, at time.Time) int {
	skip := 0
	for skip+1 < len(data) && data[skip] == '\r' && data[skip+1] == '\n' && skip < 4 { // RFC 9112, 2.2
		skip += 2
	}
	data = data[skip:]
	if len(data) == 0 {
		return skip
	}
	if f.speech == unknown && f.listen(data) {
		return 0
	}
	end := http1.HeadEnd(data, false)
	if end == 0 && len(data) < f.t.limits.Head && (f.speech == speaksHTTP || mayBeHTTP(data)) {
		return 0
	}
	h := &f.t.head
	if end == 0 || end > f.t.limits.Head || h.ParseRequest(data[:end]) != nil {
		f.garbled()
		return 0
	}
	f.speech = speaksHTTP
	f.noteOrder(ack)
	if up, down := span(f.last.seq, seq), span(f.last.ack, ack); f.last.is && up > 0 && down > 0 {
		f.t.measure(up, down)
	}
	f.last.seq, f.last.ack, f.last.is = seq, ack, true
	r := &request{t: f.t, ack: ack, headEnd: seq + uint32(skip+end), upgrade: h.Upgrade} //nolint:gosec // small
	switch m := string(h.Method); m {
	case "HEAD", "CONNECT":
		r.method, r.upgrade = m, r.upgrade || m == "CONNECT"
	}
	if r.copy = f.t.watcher.Begin(f.client, f.id, h, at); r.copy != nil {
		r.capture = r.copy.Capture()
	}
	f.current, f.body = r, http1.NewBody(http1.RequestFraming(h))
	f.queue(r)
	if f.body.Done() {
		f.requestWhole(at)
	}
	return skip + end
}

// noteOrder finds out from what a new request acknowledges whether the client waits for answers, and whether there was an
// answer that nobody asked for.
func (f *flow) noteOrder(ack uint32) {
	if len(f.waiting) > 0 {
		if f.down.known && !after(ack, f.down.next) {
			f.pipelined = true
		}
		return
	}
	if f.doubt != nil {
		if f.doubt.whole && ack == f.doubtEnd {
			f.confirm()
		} else {
			f.distrust()
		}
		return
	}
	if f.down.known && len(f.down.rest) > 0 && after(ack, f.down.next-uint32(len(f.down.rest))) { //nolint:gosec // small
		f.distrust()
	}
}

// queue puts a request where its answer will find it. Where answers cannot be told apart, it is lost.
func (f *flow) queue(r *request) {
	if !f.down.known {
		if f.pipelined || len(f.waiting) > 0 {
			r.miss()
			return
		}
		f.trial = true
		f.down.start(r.ack)
	}
	if len(f.waiting) >= maxWaiting {
		f.pipelined = true
		r.miss()
		f.loseDown(f.down.next)
		return
	}
	f.waiting = append(f.waiting, r)
}

// mayBeHTTP says whether the first bytes of a connection may be those of a request.
func mayBeHTTP(b []byte) bool {
	for i, c := range b {
		if c == ' ' {
			return i > 0
		}
		if c <= ' ' || c >= 0x7f || i > maxMethod {
			return false
		}
	}
	return true
}

// garbled takes bytes where a request should begin, and none does.
func (f *flow) garbled() {
	if f.speech == unknown {
		f.ignore(&f.t.counts.Foreign)
		return
	}
	certain := !f.upTrial
	f.loseUp()
	if certain { // there was something that the server may take for a request
		f.blind.turns++
	}
}

// requestWhole ends a request.
func (f *flow) requestWhole(at time.Time) {
	r := f.current
	f.current, f.body = nil, http1.Body{}
	r.whole = true
	if r.capture != nil && !r.answered && !r.over {
		r.capture.Start = at
	}
	if r.done && len(f.waiting) > 0 && f.waiting[0] == r {
		f.complete()
	}
}

// answered takes the server's bytes in order.
func (f *flow) answered(chunk []byte, ack uint32, at time.Time) {
	s := &f.down
	data, held := s.join(chunk)
	first := s.next - uint32(len(data)) //nolint:gosec // small
	pos := 0
	for s.known && f.speech != ignored {
		if f.answering {
			n, err := f.answer.Take(data[pos:], f.waiting[0].sink(responseBody))
			pos += n
			if err != nil {
				f.loseDown(s.next)
				return
			}
			if !f.answer.Done() && !(s.ended && f.answer.Kind == http1.UntilEOF && pos == len(data)) {
				break
			}
			f.doubtEnd = first + uint32(pos) //nolint:gosec // small
			f.answerWhole(at)
			continue
		}
		if len(f.waiting) == 0 || f.waiting[0].done {
			break
		}
		began, a := at, ack
		if pos < held {
			began, a = s.restAt, s.restAck
		}
		n := f.answerHead(data[pos:], first+uint32(pos), a, began, at) //nolint:gosec // small
		if n < 0 {
			return
		}
		if n == 0 {
			break
		}
		pos += n
	}
	if s.known && f.speech != ignored {
		s.leave(data, pos, held, ack, at)
		if len(s.rest) > maxAnswerHead {
			f.distrust()
		}
	}
}

// answerHead takes an answer's head, and gives its length; 0 when it is not whole, -1 when the place was lost. An answer that has to confirm
// a guess must begin where the request's acknowledgement said, after the server had the request.
func (f *flow) answerHead(data []byte, seq, ack uint32, began, at time.Time) int {
	if len(data) == 0 {
		return 0
	}
	r := f.waiting[0]
	const begin = "HTTP/1."
	n := min(len(data), len(begin))
	wrong := string(data[:n]) != begin[:n]
	if f.trial && (wrong || seq == r.ack && after(r.headEnd, ack)) {
		f.guessedWrong()
		return -1
	}
	end := http1.HeadEnd(data, true)
	if end == 0 && len(data) <= maxAnswerHead && !wrong {
		return 0
	}
	h := &f.t.head
	if end == 0 || h.ParseResponse(data[:end]) != nil {
		f.loseDown(f.down.next)
		return -1
	}
	if h.Status < 200 && h.Status != 101 {
		return end
	}
	r.answered = true
	if r.capture != nil {
		if !r.whole || began.Before(r.capture.Start) {
			r.capture.Start = began
		}
		r.capture.Answered(data[:end], began)
	}
	if h.Status == 101 || r.method == "CONNECT" && h.Status < 300 {
		f.changes(r, at)
		return -1
	}
	f.answering, f.answer = true, http1.NewBody(http1.ResponseFraming(h, r.method))
	f.doubtEnd = seq + uint32(end) //nolint:gosec // small
	if f.answer.Done() {
		f.answerWhole(at)
	}
	return end
}

// changes ends what can be followed of a connection that changes its protocol.
func (f *flow) changes(r *request, at time.Time) {
	if r.capture != nil {
		r.capture.Finished(at, exchange.OK, "")
	}
	r.end(observation.Upgraded)
	f.miss(len(f.waiting))
	f.drop()
}

// guessedWrong takes back a guess.
func (f *flow) guessedWrong() {
	if f.upTrial {
		f.loseUp()
		return
	}
	f.miss(len(f.waiting))
	f.answering, f.trial = false, false
	f.down.lose()
}

// answerWhole ends the first answer.
func (f *flow) answerWhole(at time.Time) {
	r := f.waiting[0]
	closed := f.answer.Kind == http1.UntilEOF
	f.answering, f.answer = false, http1.Body{}
	r.done = true
	if r.capture != nil {
		r.capture.Finished(at, exchange.OK, "")
	}
	if f.trial && !closed {
		// Had requests passed unseen before it, an answer too many would come, or have come before the next request.
		f.doubt, f.doubtAt = r, at
	}
	if r.whole {
		f.complete()
	}
}

// confirm takes the guesses for true.
func (f *flow) confirm() {
	r := f.doubt
	f.doubt, f.trial, f.upTrial = nil, false, false
	if r != nil && r.whole && r.done {
		r.finishWhole()
	}
}

// complete hands on the first that waits.
func (f *flow) complete() {
	r := f.waiting[0]
	f.waiting = append(f.waiting[:0], f.waiting[1:]...)
	if r != f.doubt {
		r.finishWhole()
	}
}

// finishWhole ends an exchange that has passed.
func (r *request) finishWhole() {
	if r.spoilt {
		r.miss()
		return
	}
	r.end("")
}
