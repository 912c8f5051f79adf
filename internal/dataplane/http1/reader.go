// SPDX-License-Identifier: Apache-2.0

// Package http1 is the syntax of HTTP/1.1 (RFC 9112) as a proxy needs it that passes messages on as they are: heads are
// found and checked, but kept as the bytes that came; bodies are copied through while their end is tracked; nothing is
// allocated for a message beyond buffers that are used again.
//
// Requests are read strictly: whatever two parsers could read in two ways is refused. Responses are read as real servers
// write them. Used by the data plane only. Values are not safe for concurrent use.
package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrHeadTooLarge is returned when a head does not fit the limit.
var ErrHeadTooLarge = errors.New("message head is too large")

// ErrMalformed is wrapped by every error about bytes that are not a proper message.
var ErrMalformed = errors.New("malformed message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// minBuffer is a read buffer's first size: most heads, and most small bodies with them, fit.
const minBuffer = 4 << 10

// Reader buffers a connection so that a head can be looked at in place. While it waits for the first byte of a message it
// holds no buffer, if its source is a Waiter: idle connections are many.
type Reader struct {
	src  io.Reader
	buf  []byte // nil, of minBuffer bytes and from buffers, or larger
	r, w int
	// BeforeRead, when set, is called before a read that has to wait in the middle of a head; it arms the deadline that
	// a slow sender must meet.
	BeforeRead func()
}

// Waiter is a source that asks for a buffer only when there is something to read into it.
type Waiter interface {
	ReadInto(b Borrower) (int, error)
}

// Borrower lends its buffer to a Waiter, which gives it back before it waits.
type Borrower interface {
	Borrow() []byte
	GiveBack()
}

// buffers of minBuffer bytes that nobody reads into at the moment.
var buffers = sync.Pool{New: func() any { return new([minBuffer]byte) }} //nolint:gochecknoglobals // a pool of buffers

// NewReader reads from src through a buffer that grows up to the largest head.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Reset makes the reader read from src and forget what is buffered.
func (b *Reader) Reset(src io.Reader) { b.src, b.r, b.w = src, 0, 0 }

// Borrow implements Borrower: the buffer's free part.
func (b *Reader) Borrow() []byte {
	if b.buf == nil {
		b.buf = buffers.Get().(*[minBuffer]byte)[:] //nolint:errcheck,forcetypeassert // the pool holds nothing else
	}
	return b.buf[b.w:]
}

// GiveBack implements Borrower: an empty buffer goes back to where it came from.
func (b *Reader) GiveBack() {
	if b.w > 0 || b.buf == nil {
		return
	}
	if len(b.buf) == minBuffer {
		buffers.Put((*[minBuffer]byte)(b.buf))
	}
	b.buf = nil
}

// Buffered are the bytes that were read and not consumed; valid until the next call.
func (b *Reader) Buffered() []byte { return b.buf[b.r:b.w] }

// Discard consumes n buffered bytes.
func (b *Reader) Discard(n int) { b.r += n }

// Fill reads once more, making room first. It returns the error of the source when nothing was read.
func (b *Reader) Fill(limit int) error {
	if b.r == b.w {
		b.r, b.w = 0, 0
	}
	if b.w > 0 && b.w == len(b.buf) {
		if err := b.makeRoom(limit); err != nil {
			return err
		}
	}
	for range 100 {
		n, err := b.read()
		b.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (b *Reader) read() (int, error) {
	if b.w == 0 {
		if w, ok := b.src.(Waiter); ok {
			return w.ReadInto(b)
		}
	}
	return b.src.Read(b.Borrow())
}

func (b *Reader) makeRoom(limit int) error {
	if b.r > 0 {
		b.w = copy(b.buf, b.buf[b.r:b.w])
		b.r = 0
		return nil
	}
	if len(b.buf) >= limit {
		return ErrHeadTooLarge
	}
	bigger := make([]byte, min(len(b.buf)*2, max(limit, minBuffer)))
	copy(bigger, b.buf[:b.w])
	b.buf = bigger
	return nil
}

// head returns the bytes of a whole head, its final empty line included, without consuming them. Line ends may be bare
// line feeds only when lenient. io.EOF means that the source ended before the first byte.
func (b *Reader) head(limit int, lenient bool) ([]byte, error) {
	searched := 0
	for {
		data := b.buf[b.r:b.w]
		if end := headEnd(data, searched, lenient); end > 0 {
			if end > limit {
				return nil, ErrHeadTooLarge
			}
			return data[:end], nil
		}
		if len(data) >= limit {
			return nil, ErrHeadTooLarge
		}
		searched = max(len(data)-3, 0)
		if len(data) > 0 && b.BeforeRead != nil {
			b.BeforeRead()
		}
		if err := b.Fill(limit); err != nil {
			if errors.Is(err, io.EOF) && len(data) > 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// headEnd is the length of the head that data starts with, or 0.
func headEnd(data []byte, from int, lenient bool) int {
	if !lenient {
		if i := bytes.Index(data[from:], []byte("\r\n\r\n")); i >= 0 {
			return from + i + 4
		}
		// A bare line feed pair can end no strict head; reporting it as a head lets parsing refuse it at once.
		if i := bytes.Index(data[from:], []byte("\n\n")); i >= 0 {
			return from + i + 2
		}
		return 0
	}
	for i := from; i < len(data); i++ {
		n := bytes.IndexByte(data[i:], '\n')
		if n < 0 {
			return 0
		}
		i += n
		if i+1 < len(data) && data[i+1] == '\n' {
			return i + 2
		}
		if i+2 < len(data) && data[i+1] == '\r' && data[i+2] == '\n' {
			return i + 3
		}
	}
	return 0
}

// Read gives buffered bytes first, then reads from the source.
func (b *Reader) Read(p []byte) (int, error) {
	if b.r < b.w {
		n := copy(p, b.buf[b.r:b.w])
		b.r += n
		return n, nil
	}
	return b.src.Read(p)
}

// Rebase makes the reader go on with another source behind what is buffered.
func (b *Reader) Rebase(src io.Reader) { b.src = src }
