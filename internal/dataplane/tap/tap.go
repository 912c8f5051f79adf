// SPDX-License-Identifier: Apache-2.0

// Package tap takes the copy of an exchange while its bytes pass: heads as raw bytes, bodies up to a limit under a byte
// budget shared by everything that is captured, the length and hash of what is longer. It never waits and never fails;
// what it could not keep is marked. Parsing happens later, away from the user's path.
//
// A Capture belongs to the goroutine that serves the exchange until it is handed on, whole.
package tap

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"microstax/internal/dataplane/http1"
	"microstax/internal/exchange"
)

// Budget bounds the bytes that all captures hold together. Safe for concurrent use.
type Budget struct {
	left  atomic.Int64
	total int64
}

// NewBudget allows total bytes.
func NewBudget(total int64) *Budget {
	b := &Budget{total: total}
	b.left.Store(total)
	return b
}

// Fill is which part of the budget is used, 0 to 1; 0 without one.
func (b *Budget) Fill() float64 {
	if b == nil || b.total <= 0 {
		return 0
	}
	return 1 - float64(b.left.Load())/float64(b.total)
}

// reserve takes n bytes if they are there.
func (b *Budget) reserve(n int64) bool {
	if b == nil {
		return true
	}
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

func (b *Budget) release(n int64) {
	if b != nil && n > 0 {
		b.left.Add(n)
	}
}

// Body is the copy of one message body. It is an http1.Sink.
type Body struct {
	max      int
	budget   *Budget
	reserved int64
	data     []byte
	length   int64
	hash     *xxhash.Digest
	over     bool
	lost     bool
	trailer  []byte
}

// Content takes the next bytes.
func (b *Body) Content(p []byte) {
	b.length += int64(len(p))
	if !b.over {
		if len(b.data)+len(p) <= b.max && b.grow(len(p)) {
			b.data = append(b.data, p...)
			return
		}
		b.over = true
		b.hash = xxhash.New()
		b.hash.Write(b.data) //nolint:errcheck // never fails
		if b.lost {
			b.data = nil
		} else if room := b.max - len(b.data); room > 0 && b.grow(min(room, len(p))) {
			b.data = append(b.data, p[:min(room, len(p))]...)
		} else if b.lost {
			b.data = nil
		}
	}
	b.hash.Write(p) //nolint:errcheck // never fails
}

// grow reserves room for n more bytes.
func (b *Body) grow(n int) bool {
	need := int64(len(b.data) + n)
	if need <= b.reserved {
		return true
	}
	want := max(need, min(2*b.reserved, int64(b.max))) - b.reserved
	if !b.budget.reserve(want) {
		b.lost = true
		return false
	}
	b.reserved += want
	if int64(cap(b.data)) < b.reserved { // exactly as much as is accounted for
		b.data = append(make([]byte, 0, b.reserved), b.data...)
	}
	return true
}

// Trailer takes the trailer section.
func (b *Body) Trailer(raw []byte) { b.trailer = bytes.Clone(raw) }

// Same says whether both copies are of the same bytes, trailers included.
func (b *Body) Same(o *Body) bool {
	if !bytes.Equal(b.trailer, o.trailer) || b.length != o.length || b.over != o.over {
		return false
	}
	if b.over {
		return b.hash.Sum64() == o.hash.Sum64()
	}
	return bytes.Equal(b.data, o.data)
}

// Sum is a hash of what was kept, of how long it all was, and of the trailers.
func (b *Body) Sum() uint64 {
	sum := uint64(b.length) //nolint:gosec // a hash
	if len(b.trailer) > 0 {
		sum ^= xxhash.Sum64(b.trailer) * 31
	}
	if b.over {
		return sum ^ b.hash.Sum64()
	}
	return sum ^ xxhash.Sum64(b.data)
}

// reset makes the copy ready for another body.
func (b *Body) reset(maxBody int64, budget *Budget) {
	data := b.data[:0]
	if cap(data) > maxPooled {
		data = nil
	}
	*b = Body{max: int(maxBody), budget: budget, data: data, reserved: int64(cap(data))}
}

// maxPooled is the largest buffer, in bytes, that waits to be used again.
const maxPooled = 16 << 10

// lostAny says whether bytes are missing because the budget was used up.
func (b *Body) lostAny() bool { return b.lost }

// Empty says whether nothing came.
func (b *Body) Empty() bool { return b.length == 0 }

// Whole says whether every byte was kept, so that the body can be sent again.
func (b *Body) Whole() bool { return !b.over }

// RawTrailer is the trailer section with its line ends, or nothing; the caller must not change it.
func (b *Body) RawTrailer() []byte { return b.trailer }

// Data are the bytes kept; the caller must not change them.
func (b *Body) Data() []byte { return b.data }

// Is says whether p is the whole body.
func (b *Body) Is(p []byte) bool { return !b.over && len(b.trailer) == 0 && bytes.Equal(b.data, p) }

func (b *Body) exchange() exchange.Body {
	e := exchange.Body{Data: bytes.Clone(b.data), Length: b.length}
	if b.over {
		e.Truncated = true
		e.Hash = b.hash.Sum64()
	}
	return e
}

// Capture is the copy of one exchange.
type Capture struct {
	Start     time.Time
	FirstByte time.Duration
	Duration  time.Duration
	Outcome   exchange.Outcome
	Error     string
	// Proto is what the exchange was spoken in, where its heads don't tell: HTTP2, or "".
	Proto string
	// RequestHead is the head as it was sent upstream; ResponseHead as it came back, empty when none did.
	RequestHead, ResponseHead []byte
	Request, Response         Body
	Socket                    *Socket // of a connection that became a WebSocket, else nil
	Pace                      *Pace   // of a stream of messages, else nil
	// Asked is what the request's head says of how it is sent; its Method is empty where nobody has looked.
	Asked Manner
	// Simple says that the answer's head tells its length, and leaves the connection open: whoever sends the same bytes
	// gives the same answer.
	Simple bool
	// Echo says that the answer's bytes are those of the capture that it was compared with, but for the clock's Date.
	Echo bool

	refs     atomic.Int32
	budget   *Budget
	reserved int64 // for the heads
	lost     bool  // there was no budget for the heads
}

// Manner is how a request is sent.
type Manner struct {
	Method         string
	Chunked, Close bool
}

// MannerOf reads it from a parsed head.
func MannerOf(h *http1.Head) Manner {
	return Manner{Method: http1.InternMethod(h.Method), Chunked: h.Chunked, Close: h.Close}
}

// Lost says whether bytes are missing because the budget was used up: the capture is not to be compared, nor sent again.
func (c *Capture) Lost() bool { return c.lost || c.Request.lostAny() || c.Response.lostAny() }

// Retain lets one more user release the capture.
func (c *Capture) Retain() { c.refs.Add(1) }

// captures are used again: a user's request costs no allocation.
var captures = sync.Pool{New: func() any { return new(Capture) }} //nolint:gochecknoglobals // a pool of buffers

// New starts a capture whose bodies are kept up to maxBody bytes each, out of the budget (nil: no bound). It ends with as
// many Releases as there were Retains, plus one.
func New(start time.Time, head []byte, maxBody int64, budget *Budget) *Capture {
	c := captures.Get().(*Capture) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	c.Start, c.FirstByte, c.Duration, c.Outcome, c.Error, c.Proto = start, 0, 0, exchange.OK, "", ""
	c.Socket, c.Pace, c.Asked, c.Simple, c.Echo = nil, nil, Manner{}, false, false
	c.RequestHead = append(c.RequestHead[:0], head...)
	c.ResponseHead = c.ResponseHead[:0]
	c.Request.reset(maxBody, budget)
	c.Response.reset(maxBody, budget)
	c.refs.Store(1)
	c.budget, c.lost = budget, false
	c.reserved = int64(cap(c.RequestHead) + cap(c.ResponseHead))
	if budget != nil && !budget.reserve(c.reserved+c.Request.reserved+c.Response.reserved) {
		c.lost = true
		c.ResponseHead = nil
		c.Request.data, c.Response.data = nil, nil
		c.reserved, c.Request.reserved, c.Response.reserved = 0, 0, 0
	}
	return c
}

// account reserves what the heads have grown by.
func (c *Capture) account() {
	if c.budget == nil || c.lost {
		return
	}
	more := int64(cap(c.RequestHead)+cap(c.ResponseHead)) - c.reserved
	if more <= 0 {
		return
	}
	if c.lost = !c.budget.reserve(more); !c.lost {
		c.reserved += more
	}
}

// Line is method and path of the request, the query left out.
func (c *Capture) Line() (method, path string) { return c.LineAgain("") }

// LineAgain is Line for whoever has the path at hand: the same string is returned, and nothing allocated.
func (c *Capture) LineAgain(known string) (method, path string) {
	line := c.RequestHead
	i := bytes.IndexByte(line, ' ')
	if i < 0 {
		return "", ""
	}
	rest := line[i+1:]
	if n := bytes.IndexAny(rest, "? \r"); n >= 0 {
		rest = rest[:n]
	}
	if string(rest) != known {
		known = string(rest)
	}
	return http1.InternMethod(line[:i]), known
}

// Status is the answer's status, or 0.
func (c *Capture) Status() (status int) {
	if len(c.ResponseHead) < 12 {
		return 0
	}
	for _, d := range c.ResponseHead[9:12] {
		status = status*10 + int(d-'0')
	}
	return status
}

// SetCookie is the value that the answer gives a cookie, or "".
func (c *Capture) SetCookie(name string) string {
	head := c.ResponseHead
	for len(head) > 0 {
		i := bytes.IndexByte(head, '\n')
		if i < 0 {
			return ""
		}
		line := bytes.TrimRight(head[:i], "\r")
		head = head[i+1:]
		const field = "set-cookie:"
		if len(line) < len(field) || !bytes.EqualFold(line[:len(field)], []byte(field)) {
			continue
		}
		v, ok := bytes.CutPrefix(bytes.TrimLeft(line[len(field):], " \t"), []byte(name))
		if !ok || len(v) == 0 || v[0] != '=' {
			continue
		}
		if end := bytes.IndexByte(v, ';'); end >= 0 {
			v = v[:end]
		}
		return string(v[1:])
	}
	return ""
}

// Answered notes the answer's head.
func (c *Capture) Answered(head []byte, now time.Time) {
	c.ResponseHead = append(c.ResponseHead[:0], head...)
	c.account()
	c.FirstByte = now.Sub(c.Start)
}

// Finished notes the end.
func (c *Capture) Finished(now time.Time, outcome exchange.Outcome, why string) {
	c.Duration, c.Outcome, c.Error = now.Sub(c.Start), outcome, why
}

// Release gives budget and buffers back when the last user is done. The capture must not be used any more; exchanges made
// of it may.
func (c *Capture) Release() {
	if c.refs.Add(-1) > 0 {
		return
	}
	c.budget.release(c.reserved + c.Request.reserved + c.Response.reserved)
	c.reserved, c.Request.reserved, c.Response.reserved, c.Socket, c.Pace = 0, 0, 0, nil, nil
	if cap(c.RequestHead) > maxPooled {
		c.RequestHead = nil
	}
	if cap(c.ResponseHead) > maxPooled {
		c.ResponseHead = nil
	}
	captures.Put(c)
}

// Exchange parses the capture.
func (c *Capture) Exchange() exchange.Exchange {
	e := exchange.Exchange{
		Start: c.Start, FirstByte: c.FirstByte, Duration: c.Duration, Outcome: c.Outcome, Error: c.Error,
	}
	var h http1.Head
	if h.ParseRequest(c.RequestHead) == nil {
		e.Request = exchange.Request{
			Method: string(h.Method), Target: string(h.Target), Proto: string(h.Proto),
			Headers: h.Headers(), Trailers: fields(c.Request.trailer), Body: c.Request.exchange(),
		}
	}
	if len(c.ResponseHead) > 0 && h.ParseResponse(c.ResponseHead) == nil {
		e.Response = exchange.Response{
			Status: h.Status, Reason: string(h.Reason), Proto: string(h.Proto),
			Headers: h.Headers(), Trailers: fields(c.Response.trailer), Body: c.Response.exchange(),
		}
		if c.Proto != "" {
			e.Response.Proto = c.Proto
		}
	}
	if c.Proto != "" {
		e.Request.Proto = c.Proto
	}
	if c.Socket != nil {
		e.Request.Body, e.Response.Body = c.Socket.bodies()
	}
	return e
}

func fields(raw []byte) []exchange.Header {
	var hs []exchange.Header
	for _, f := range http1.ParseTrailer(raw) {
		hs = append(hs, exchange.Header{Name: string(f.Name), Value: string(f.Value)})
	}
	return hs
}
