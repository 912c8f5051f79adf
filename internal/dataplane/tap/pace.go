// SPDX-License-Identifier: Apache-2.0

package tap

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
)

// Pace is which of both sides' messages came after which, in a request whose body is a stream of messages of gRPC. Said and
// Heard are called by one goroutine each.
type Pace struct {
	c     *Capture
	heard atomic.Int64
	marks []mark // Said's
}

// Streams makes the capture one of a stream of messages.
func (c *Capture) Streams() {
	c.Pace = &Pace{c: c}
}

// Said notes that the client's bytes, which the capture has, came.
func (p *Pace) Said() {
	if p == nil {
		return
	}
	m := mark{p.c.Request.length, p.heard.Load()}
	if n := len(p.marks); n > 0 && p.marks[n-1].server == m.server {
		p.marks[n-1] = m
	} else if n < maxMarks {
		p.marks = append(p.marks, m)
	}
}

// Heard notes so many bytes of the server's.
func (p *Pace) Heard(n int) {
	if p != nil {
		p.heard.Add(int64(n))
	}
}

// Steps are where the client's messages end, and how many of the server's had come before each. They are nil where the
// client waited for none: then it makes no difference.
func (p *Pace) Steps() (ends, turns []int) {
	if p == nil || len(p.marks) < 2 {
		return nil, nil
	}
	ends = GRPCMessages(p.c.Request.data)
	answers := GRPCMessages(p.c.Response.data)
	last := 0
	for _, end := range ends {
		i := slices.IndexFunc(p.marks, func(m mark) bool { return m.client >= int64(end) })
		if i < 0 {
			i = len(p.marks) - 1
		}
		heard := p.marks[i].server
		n, _ := slices.BinarySearchFunc(answers, heard, func(e int, at int64) int {
			if int64(e) <= at {
				return -1
			}
			return 1
		})
		turns = append(turns, n)
		last = max(last, n)
	}
	if last == 0 {
		return nil, nil
	}
	return ends, turns
}

// grpcPrefix is what stands before each message: whether it is compressed, and its length.
const grpcPrefix = 5

// GRPCMessages are the offsets behind each whole message.
func GRPCMessages(data []byte) (ends []int) {
	for at := 0; len(data)-at >= grpcPrefix; {
		n := int(binary.BigEndian.Uint32(data[at+1:]))
		if n > len(data)-at-grpcPrefix {
			break
		}
		at += grpcPrefix + n
		ends = append(ends, at)
	}
	return ends
}

// GRPCCounter counts whole messages in bytes as they come.
type GRPCCounter struct {
	N    int
	head [grpcPrefix]byte
	have int
	left uint32
}

// Feed takes the next bytes, and returns how many messages have ended so far.
func (c *GRPCCounter) Feed(p []byte) int {
	for len(p) > 0 {
		if c.have < grpcPrefix {
			n := copy(c.head[c.have:], p)
			c.have += n
			p = p[n:]
			if c.have == grpcPrefix {
				c.left = binary.BigEndian.Uint32(c.head[1:])
			}
		} else {
			n := min(len(p), int(c.left))
			c.left -= uint32(n) //nolint:gosec // at most itself
			p = p[n:]
		}
		if c.have == grpcPrefix && c.left == 0 {
			c.N++
			c.have = 0
		}
	}
	return c.N
}
