// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
)

// talk is what a user's client said in a WebSocket: a shadow hears the same messages in the same order, each when it has
// said as much as the baseline had. How messages were cut into frames, compression and pings are each connection's own.
type talk struct {
	said   []tap.Message
	turns  []int // how many of the server's messages came before each
	server int   // and in all
}

// talkOf is what was said in a captured WebSocket, or nil.
func talkOf(c *tap.Capture) *talk {
	if c.Socket == nil {
		return nil
	}
	client, turns, server := c.Socket.Talk()
	said, err := tap.ParseMessages(client)
	if err != nil {
		said = nil // nothing of what was rendered can fail to be read
	}
	return &talk{said: said, turns: turns, server: server}
}

// with is the talk with other identifiers in it.
func (t *talk) with(r *exchange.Request) *talk {
	said, err := tap.ParseMessages(r.Body.Data)
	if t == nil || err != nil || len(said) != len(t.said) {
		return t
	}
	return &talk{said: said, turns: t.turns, server: t.server}
}

// Limits of a conversation with a shadow, which ends by the shadow's timeout anyhow.
const (
	closeWait   = 500 * time.Millisecond // for what a shadow says after the last message, and for it to end
	outOfStep   = 50 * time.Millisecond  // before each message once the shadow has said less than the baseline
	mostOfFrame = 125                    // kept of what a shadow says, to tell its messages and pings: the capture has the rest
)

// speaker is one conversation.
type speaker struct {
	conn   net.Conn
	out    *tap.Socket
	frames tap.Frames
	heard  atomic.Int64
	more   chan struct{} // of capacity 1
	ended  chan struct{}
	mu     sync.Mutex // one frame at a time
	frame  []byte
}

// speak tells a shadow that has accepted a WebSocket what the user's client said, and captures what it says.
func (l *lane) speak(t *talk, out *tap.Capture, deadline time.Time) {
	s := &speaker{conn: l.conn, out: out.Upgraded(), more: make(chan struct{}, 1), ended: make(chan struct{})}
	s.frames.Max = mostOfFrame
	s.frames.Each = s.hear
	early := l.rd.Buffered()
	s.take(early)
	l.rd.Discard(len(early))
	buf := l.buf
	if buf == nil {
		buf = make([]byte, bodyBuffer)
		l.buf = buf
	}
	go func() {
		defer close(s.ended)
		for {
			n, err := s.conn.Read(buf)
			s.take(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	patience := time.Until(deadline) / 2
	last := byte(0)
	for i, m := range t.said {
		if i < len(t.turns) && !s.wait(t.turns[i], patience) {
			patience = min(patience, outOfStep)
		}
		if !s.say(m.Op, m.Data) {
			break
		}
		last = m.Op
	}
	s.wait(t.server, patience)
	if hc, ok := s.conn.(interface{ CloseWrite() error }); ok && last != tap.OpClose {
		hc.CloseWrite() //nolint:errcheck,gosec // as the client did
	}
	s.conn.SetReadDeadline(time.Now().Add(closeWait)) //nolint:errcheck,gosec // bounds the end
	<-s.ended
}

// take notes what the shadow said.
func (s *speaker) take(p []byte) {
	if len(p) == 0 {
		return
	}
	s.out.Server(p)
	s.frames.Feed(p) //nolint:errcheck,gosec // what cannot be read does not count
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *speaker) hear(f *tap.Frame) {
	switch f.Op {
	case tap.OpPing:
		s.say(tap.OpPong, f.Data)
	case tap.OpPong:
	default:
		s.heard.Add(1)
	}
}

// wait returns when the shadow has said n messages, and false when it does not within the limit, or has ended.
func (s *speaker) wait(n int, limit time.Duration) bool {
	timer := time.NewTimer(max(limit, 0))
	defer timer.Stop()
	for s.heard.Load() < int64(n) {
		select {
		case <-s.more:
		case <-s.ended:
			return s.heard.Load() >= int64(n)
		case <-timer.C:
			return false
		}
	}
	return true
}

// say sends one message; false when the shadow is gone.
func (s *speaker) say(op byte, data []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := rand.Uint32() //nolint:gosec // a mask guards nothing here
	s.frame = tap.AppendFrame(s.frame[:0], op, data, [4]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	_, err := s.conn.Write(s.frame)
	return err == nil
}
