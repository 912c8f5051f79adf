// SPDX-License-Identifier: Apache-2.0

package tap

import (
	"bytes"
	"sync"
	"sync/atomic"

	"microstax/internal/exchange"
)

// Socket is a connection that became a WebSocket. While it lasts its raw bytes are copied into the capture's bodies, under
// their limits; what they mean is found out afterwards, away from the user's path. Client and Server are called by one
// goroutine each.
type Socket struct {
	c       *Capture
	fromSrv atomic.Int64
	marks   []mark // Client's

	once    sync.Once // guards what follows
	client  render
	server  render
	turns   []int
	decoded [2]exchange.Body
}

// mark is how far both directions had come when the client had sent something.
type mark struct{ client, server int64 }

// maxMarks bounds how often it is noted; what the client sends later is taken to be said at once.
const maxMarks = 16 << 10

// Upgraded makes the capture one of a WebSocket. A body that came before is left out.
func (c *Capture) Upgraded() *Socket {
	c.Socket = &Socket{c: c}
	return c.Socket
}

// Client takes bytes of the client's.
func (s *Socket) Client(p []byte) {
	s.c.Request.Content(p)
	m := mark{s.c.Request.length, s.fromSrv.Load()}
	if n := len(s.marks); n > 0 && s.marks[n-1].server == m.server {
		s.marks[n-1] = m
	} else if n < maxMarks {
		s.marks = append(s.marks, m)
	}
}

// Server takes bytes of the server's.
func (s *Socket) Server(p []byte) {
	s.c.Response.Content(p)
	s.fromSrv.Add(int64(len(p)))
}

// Talk is what was said: the client's messages as they are kept, how many of the server's came before each, and how many
// in all.
func (s *Socket) Talk() (client []byte, turns []int, server int) {
	s.once.Do(s.decode)
	return s.decoded[0].Data, s.turns, s.server.n
}

// bodies are both directions as bodies.
func (s *Socket) bodies() (client, server exchange.Body) {
	s.once.Do(s.decode)
	return s.decoded[0], s.decoded[1]
}

func (s *Socket) decode() {
	client := Frames{Max: maxInflated}
	server := Frames{Max: maxInflated, Each: func(f *Frame) { s.server.frame(f) }}
	client.Each = func(f *Frame) {
		if s.client.frame(f) {
			s.turns = append(s.turns, s.server.n)
		}
	}
	said, heard := s.c.Request.data, s.c.Response.data
	var at mark
	for _, m := range s.marks {
		to := mark{min(m.client, int64(len(said))), min(m.server, int64(len(heard)))}
		server.Feed(heard[at.server:to.server]) //nolint:errcheck,gosec // what cannot be read is left out
		client.Feed(said[at.client:to.client])  //nolint:errcheck,gosec // likewise
		at = to
	}
	server.Feed(heard[at.server:]) //nolint:errcheck,gosec // likewise
	client.Feed(said[at.client:])  //nolint:errcheck,gosec // likewise
	s.decoded[0] = s.c.Request.spoken(&s.client)
	s.decoded[1] = s.c.Response.spoken(&s.server)
}

// spoken is a body whose bytes are messages. One that was cut keeps length and hash of the raw bytes.
func (b *Body) spoken(r *render) exchange.Body {
	data := r.array()
	e := exchange.Body{Data: data, Length: int64(len(data)), Messages: r.n}
	if b.over {
		e.Length, e.Hash, e.Truncated = b.length, b.hash.Sum64(), true
	}
	return e
}

// IsWebSocket says whether the value of an answer's Upgrade is that of WebSockets.
func IsWebSocket(upgrade []byte) bool {
	return bytes.EqualFold(bytes.TrimSpace(upgrade), []byte("websocket"))
}
