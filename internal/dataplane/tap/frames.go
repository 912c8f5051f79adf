// SPDX-License-Identifier: Apache-2.0

package tap

import (
	"encoding/binary"
	"errors"
	"math"
)

// The opcodes of WebSocket frames (RFC 6455, 5.2).
const (
	OpContinuation = 0x0
	OpText         = 0x1
	OpBinary       = 0x2
	OpClose        = 0x8
	OpPing         = 0x9
	OpPong         = 0xA
)

// Frame is a whole message of a WebSocket, its fragments joined and its mask taken off, or a control frame.
type Frame struct {
	Op       byte
	Deflated bool   // the message is compressed (RFC 7692)
	Data     []byte // valid until Each returns
	Cut      bool   // longer than Max: Data is its beginning
}

// errFrame is a stream of bytes that is no WebSocket's.
var errFrame = errors.New("malformed WebSocket frame")

// Frames finds the messages of one direction of a WebSocket in bytes as they come. After an error it finds no more.
type Frames struct {
	Each func(f *Frame)
	Max  int // bytes that are kept of one message

	head  [14]byte // of a frame, as far as it has come
	have  int
	left  uint64 // of the frame's payload
	key   [4]byte
	at    int // in the key
	frame Frame
	rest  Frame // the message that a control frame came in the middle of
	open  bool  // a message is not finished
	inner bool  // of a control frame
	err   error
}

// Feed takes the next bytes.
func (s *Frames) Feed(p []byte) error {
	for len(p) > 0 && s.err == nil {
		if s.left > 0 {
			n := int(min(uint64(len(p)), s.left))
			s.take(p[:n])
			p = p[n:]
			if s.left -= uint64(n); s.left == 0 {
				s.finish()
			}
			continue
		}
		s.head[s.have] = p[0]
		s.have++
		p = p[1:]
		if s.have >= 2 && s.have == s.headLength() {
			s.err = s.begin()
		}
	}
	return s.err
}

// headLength is how long the frame's head is, of which two bytes are there.
func (s *Frames) headLength() int {
	n := 2
	switch s.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if s.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// begin reads a frame's head.
func (s *Frames) begin() error {
	op, n := s.head[0]&0x0f, s.have
	s.left = uint64(s.head[1] & 0x7f)
	switch s.left {
	case 126:
		s.left = uint64(binary.BigEndian.Uint16(s.head[2:]))
	case 127:
		if s.left = binary.BigEndian.Uint64(s.head[2:]); s.left > math.MaxInt64 {
			return errFrame
		}
	}
	s.key, s.at, s.have = [4]byte{}, 0, 0
	if s.head[1]&0x80 != 0 {
		copy(s.key[:], s.head[n-4:n])
	}
	control := op >= OpClose
	switch {
	case s.head[0]&0x30 != 0, op > OpBinary && !control, op > OpPong:
		return errFrame
	case control && (s.head[0]&0x80 == 0 || s.left > 125):
		return errFrame
	case !control && (op == OpContinuation) != s.open:
		return errFrame
	}
	switch {
	case control:
		s.rest, s.frame, s.inner = s.frame, Frame{Op: op}, true
	case op != OpContinuation:
		s.frame = Frame{Op: op, Deflated: s.head[0]&0x40 != 0, Data: s.frame.Data[:0]}
	}
	if !control {
		s.open = s.head[0]&0x80 == 0
	}
	if s.left == 0 {
		s.finish()
	}
	return nil
}

func (s *Frames) take(p []byte) {
	most := s.Max
	if s.inner {
		most = 125
	}
	room := most - len(s.frame.Data)
	if room < len(p) {
		s.frame.Cut = true
	}
	for i := range min(room, len(p)) {
		s.frame.Data = append(s.frame.Data, p[i]^s.key[(s.at+i)&3])
	}
	s.at += len(p)
}

// finish ends a frame, and the message with its last one.
func (s *Frames) finish() {
	if !s.inner && s.open {
		return
	}
	s.Each(&s.frame)
	if s.inner {
		s.frame, s.inner = s.rest, false
	}
}

// AppendFrame writes a whole message as one masked frame, as clients have to (RFC 6455, 5.3).
func AppendFrame(dst []byte, op byte, data []byte, key [4]byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(data); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = append(dst, key[:]...)
	for i, c := range data {
		dst = append(dst, c^key[i&3])
	}
	return dst
}
