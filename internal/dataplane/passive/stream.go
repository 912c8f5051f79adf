// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"bytes"
	"slices"
	"time"
)

// maxParts bounds the pieces of one direction that wait for what lies before them.
const maxParts = 1024

// stream puts one direction of a connection together: bytes in order, each once. Where two segments cover the same bytes
// the first that came counts, as it does for the receiver.
type stream struct {
	known bool   // next says where we are
	next  uint32 // the sequence number that is wanted next
	parts []part // behind next, in order, none overlapping another

	acked  uint32    // what the receiver said it has
	acking bool      // it said so
	wanted time.Time // since when the receiver has more than we, or parts wait; zero when neither

	fin, ended bool   // its end is known; has been reached
	end        uint32 // the sequence number of FIN

	rest    []byte    // in order, and not yet of use: an unfinished head, or an answer whose request is not there
	restAck uint32    // the acknowledgement that came with its first byte
	restAt  time.Time // when that came
	high    uint32    // the highest sequence number seen, for a direction that is not followed at the moment
	begun   bool      // high is set
}

// part is a piece that waits. Data is nil for bytes that are known to have passed, and are lost.
type part struct {
	seq  uint32
	data []byte
	ack  uint32
}

// start follows the direction from a sequence number on.
func (s *stream) start(seq uint32) {
	s.known, s.next, s.rest = true, seq, nil
	if !s.acking || after(seq, s.acked) {
		s.acking, s.acked = true, seq
	}
	s.parts = slices.DeleteFunc(s.parts, func(p part) bool { return !after(p.seq+uint32(len(p.data)), seq) }) //nolint:gosec // small
	if len(s.parts) > 0 && after(seq, s.parts[0].seq) {
		s.parts[0].data = s.parts[0].data[span(s.parts[0].seq, seq):]
		s.parts[0].seq = seq
	}
	s.wanted = time.Time{}
}

// lose gives up knowing where we are, and returns what was held.
func (s *stream) lose() {
	s.known, s.rest, s.wanted = false, nil, time.Time{}
	s.parts = nil
}

// held is how many bytes wait.
func (s *stream) held() int {
	n := cap(s.rest)
	for i := range s.parts {
		n += len(s.parts[i].data)
	}
	return n
}

// has notes what the receiver says it has.
func (s *stream) has(ack uint32) {
	if !s.acking || after(ack, s.acked) {
		s.acking, s.acked = true, ack
	}
}

// note keeps the highest sequence number.
func (s *stream) note(to uint32) {
	if !s.begun || after(to, s.high) {
		s.begun, s.high = true, to
	}
}

// farthest is the highest sequence number that is known of, or from.
func (s *stream) farthest(from uint32) uint32 {
	if s.begun && after(s.high, from) {
		from = s.high
	}
	if s.acking && after(s.acked, from) {
		from = s.acked
	}
	return from
}

// trim cuts off what was delivered before. The result may be empty.
func (s *stream) trim(seq uint32, data []byte) (uint32, []byte) {
	if n := span(seq, s.next); n > 0 {
		if n >= len(data) {
			return s.next, nil
		}
		return s.next, data[n:]
	}
	return seq, data
}

// keep puts a piece that came too early where it belongs, as a copy, as far as it is new. It says whether there was room.
func (s *stream) keep(seq uint32, data []byte, ack uint32) bool {
	i, _ := slices.BinarySearchFunc(s.parts, seq, func(p part, seq uint32) int { return span(seq, p.seq) })
	if i > 0 {
		before := &s.parts[i-1]
		if n := span(seq, before.seq) + len(before.data); n > 0 {
			if n >= len(data) {
				return true
			}
			seq, data = seq+uint32(n), data[n:] //nolint:gosec // small
		}
	}
	for len(data) > 0 {
		n := len(data)
		if i < len(s.parts) {
			n = min(n, span(seq, s.parts[i].seq))
		}
		if n > 0 {
			if len(s.parts) >= maxParts {
				return false
			}
			s.parts = slices.Insert(s.parts, i, part{seq, bytes.Clone(data[:n]), ack})
			seq, data = seq+uint32(n), data[n:] //nolint:gosec // small
			i++
		}
		if i < len(s.parts) { // over what is there already
			n = min(len(data), len(s.parts[i].data))
			seq, data = seq+uint32(n), data[n:] //nolint:gosec // small
			i++
		}
	}
	return true
}

// ready takes the piece that is next in order, if it is there.
func (s *stream) ready() (part, bool) {
	for len(s.parts) > 0 && !after(s.parts[0].seq, s.next) {
		p := s.parts[0]
		s.parts = slices.Delete(s.parts, 0, 1)
		if _, data := s.trim(p.seq, p.data); len(data) > 0 {
			p.data = data
			p.seq = s.next
			return p, true
		}
	}
	if len(s.parts) == 0 {
		s.parts = nil
	}
	return part{}, false
}

// missing is how many bytes from next on are lost, if what waits for them is taken as all there is: up to the first piece
// that is there, to what the receiver has, or to the end.
func (s *stream) missing() int {
	if !s.known {
		return 0
	}
	n := span(s.next, s.acked)
	if s.fin && n > span(s.next, s.end) {
		n = span(s.next, s.end)
	}
	if len(s.parts) > 0 {
		if p := span(s.next, s.parts[0].seq); n <= 0 || p < n {
			n = p
		}
	}
	return max(n, 0)
}

// behind says whether the receiver has, or will have, more than we do.
func (s *stream) behind() bool {
	if !s.known {
		return false
	}
	if s.fin && !s.ended && span(s.next, s.end) <= 0 {
		return false
	}
	return len(s.parts) > 0 || after(s.acked, s.next) && !s.ended
}
