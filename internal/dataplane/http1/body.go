// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"errors"
	"io"
)

// Kind is how a body's end is known.
type Kind uint8

// The kinds of framing.
const (
	NoBody   Kind = iota
	Length        // Content-Length
	Chunked       // Transfer-Encoding: chunked
	UntilEOF      // the connection's end is the body's
)

// Framing is how one message's body ends.
type Framing struct {
	Kind   Kind
	Left   int64 // bytes, for Length
	Strict bool  // of a request: what two parsers could read in two ways is refused
}

// RequestFraming is RFC 9112, 6.3 for requests.
func RequestFraming(h *Head) Framing {
	switch {
	case h.Chunked:
		return Framing{Kind: Chunked, Strict: true}
	case h.ContentLength > 0:
		return Framing{Kind: Length, Left: h.ContentLength}
	}
	return Framing{}
}

// ResponseFraming is RFC 9112, 6.3 for the answer to a request with the given method.
func ResponseFraming(h *Head, method string) Framing {
	switch {
	case method == "HEAD", h.Status < 200, h.Status == 204, h.Status == 304:
		return Framing{}
	case h.Chunked:
		return Framing{Kind: Chunked}
	case h.coded:
		return Framing{Kind: UntilEOF}
	case h.ContentLength > 0:
		return Framing{Kind: Length, Left: h.ContentLength}
	case h.ContentLength == 0:
		return Framing{}
	}
	return Framing{Kind: UntilEOF}
}

// Sink receives a body's content as it passes, chunk framing undone. It must copy what it keeps, and never wait.
type Sink interface {
	Content(p []byte)
	Trailer(raw []byte) // the trailer section with its line ends; at most once, only when there is one
}

// Body tracks where a body ends while its bytes are passed on.
type Body struct {
	Framing
	chunk chunkState
}

// NewBody starts a body.
func NewBody(f Framing) Body { return Body{Framing: f, chunk: chunkState{strict: f.Strict}} }

// Done says whether the whole body has been taken. A body that lasts until EOF is never done.
func (b *Body) Done() bool {
	switch b.Kind {
	case NoBody:
		return true
	case Length:
		return b.Left == 0
	case Chunked:
		return b.chunk.phase == chunkDone
	default: // UntilEOF
		return false
	}
}

// Take says how many of the leading bytes of p belong to the body, and gives their content to sink, which may be nil.
func (b *Body) Take(p []byte, sink Sink) (int, error) {
	switch b.Kind {
	case Length:
		n := int(min(int64(len(p)), b.Left))
		b.Left -= int64(n)
		if sink != nil && n > 0 {
			sink.Content(p[:n])
		}
		return n, nil
	case UntilEOF:
		if sink != nil && len(p) > 0 {
			sink.Content(p)
		}
		return len(p), nil
	case Chunked:
		return b.chunk.take(p, sink)
	default: // NoBody
		return 0, nil
	}
}

// Copy passes the rest of the body from src to dst as it arrives, raw, through buf. It returns when the body is whole;
// a source that ends too early is io.ErrUnexpectedEOF. A failed write is a WriteError; with drain set it does not end
// the copying, so that the sink still sees the whole body, but is returned in the end.
func (b *Body) Copy(dst io.Writer, src *Reader, buf []byte, sink Sink, drain bool) error {
	var failed error
	for !b.Done() {
		data := src.Buffered()
		fromBuffer := len(data) > 0
		var readErr error
		if !fromBuffer {
			var n int
			n, readErr = src.Read(buf)
			data = buf[:n]
		}
		n, err := b.Take(data, sink)
		if fromBuffer {
			src.Discard(n)
		} else if n < len(data) {
			src.unread(data[n:])
		}
		if n > 0 && failed == nil {
			if _, werr := dst.Write(data[:n]); werr != nil {
				failed = &WriteError{Err: werr}
				if !drain {
					return failed
				}
			}
		}
		if err != nil {
			return err
		}
		if readErr != nil {
			if errors.Is(readErr, io.EOF) && b.Kind == UntilEOF {
				return failed
			}
			if errors.Is(readErr, io.EOF) && !b.Done() {
				return io.ErrUnexpectedEOF
			}
			if !b.Done() {
				return readErr
			}
		}
	}
	return failed
}

// unread puts bytes back that were read past the body's end. The buffer is empty when it is called.
func (b *Reader) unread(p []byte) {
	if len(p) > len(b.buf) {
		b.buf = make([]byte, len(p))
	}
	b.r, b.w = 0, copy(b.buf, p)
}

// WriteError is a failure of the side that a body is passed on to.
type WriteError struct{ Err error }

// Error says what failed.
func (e *WriteError) Error() string { return "pass body on: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *WriteError) Unwrap() error { return e.Err }

type chunkPhase uint8

const (
	chunkSize chunkPhase = iota
	chunkExt
	chunkPad
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
	chunkDone
)

// Limits of a chunked body's parts that are not content.
const (
	maxExtension = 4 << 10
	maxTrailer   = 16 << 10
)

// chunkState is RFC 9112, 7.1, byte by byte where it is framing and in runs where it is data.
type chunkState struct {
	phase   chunkPhase
	digits  int
	ext     int
	left    int64
	trailer []byte
	line    int // where the trailer's last line begins
	strict  bool
}

func (c *chunkState) take(p []byte, sink Sink) (int, error) {
	i := 0
	for i < len(p) && c.phase != chunkDone {
		if c.phase == chunkData {
			n := int(min(int64(len(p)-i), c.left))
			if sink != nil {
				sink.Content(p[i : i+n])
			}
			i += n
			if c.left -= int64(n); c.left == 0 {
				c.phase = chunkDataCR
			}
			continue
		}
		if err := c.step(p[i], sink); err != nil {
			return i, err
		}
		i++
	}
	return i, nil
}

func (c *chunkState) step(ch byte, sink Sink) error {
	switch c.phase {
	case chunkSize:
		return c.sizeByte(ch)
	case chunkExt:
		if ch == '\r' {
			c.phase = chunkSizeLF
		} else if c.ext++; c.ext > maxExtension || ch == '\n' {
			return malformed("chunk extension")
		}
	case chunkPad:
		switch ch {
		case '\r':
			c.phase = chunkSizeLF
		case ' ', '\t':
			if c.ext++; c.ext > maxExtension {
				return malformed("chunk size")
			}
		default:
			return malformed("chunk size")
		}
	case chunkSizeLF:
		if ch != '\n' {
			return malformed("chunk size line end")
		}
		c.digits = 0
		if c.phase = chunkData; c.left == 0 {
			c.phase = chunkTrailer
		}
	case chunkDataCR:
		if ch != '\r' {
			return malformed("end of chunk")
		}
		c.phase = chunkDataLF
	case chunkDataLF:
		if ch != '\n' {
			return malformed("end of chunk")
		}
		c.phase = chunkSize
	case chunkTrailer:
		return c.trailerByte(ch, sink)
	default: // chunkData and chunkDone are not taken byte by byte
	}
	return nil
}

func (c *chunkState) sizeByte(ch byte) error {
	var d int64
	switch {
	case ch >= '0' && ch <= '9':
		d = int64(ch - '0')
	case ch|0x20 >= 'a' && ch|0x20 <= 'f':
		d = int64(ch|0x20-'a') + 10
	case c.digits > 0 && ch == ';':
		c.phase, c.ext = chunkExt, c.ext+1
		return nil
	case c.digits > 0 && !c.strict && (ch == ' ' || ch == '\t'): // some servers pad sizes
		c.phase, c.ext = chunkPad, c.ext+1
		return nil
	case c.digits > 0 && ch == '\r':
		c.phase = chunkSizeLF
		return nil
	default:
		return malformed("chunk size")
	}
	if c.digits++; c.digits > 15 {
		return malformed("chunk size")
	}
	if c.digits == 1 {
		c.left = 0
	}
	c.left = c.left<<4 | d
	return nil
}

func (c *chunkState) trailerByte(ch byte, sink Sink) error {
	c.trailer = append(c.trailer, ch)
	if len(c.trailer) > maxTrailer {
		return malformed("trailer section is too large")
	}
	if ch != '\n' {
		return nil
	}
	if len(c.trailer) == 2 && c.trailer[0] == '\r' {
		c.phase = chunkDone
		return nil
	}
	if bytes.HasSuffix(c.trailer, []byte("\n\r\n")) {
		c.phase = chunkDone
		if sink != nil {
			sink.Trailer(c.trailer[:len(c.trailer)-2])
		}
		return nil
	}
	if len(c.trailer) < 2 || c.trailer[len(c.trailer)-2] != '\r' {
		return malformed("trailer line end")
	}
	return c.endLine()
}

// endLine looks at the line of the trailer section that has just ended. One that two parsers could read in two ways, as a
// field or as the section's end, is refused in requests.
func (c *chunkState) endLine() error {
	at := c.line
	c.line = len(c.trailer)
	if !c.strict {
		return nil
	}
	line, next, err := cutLine(c.trailer, at, false)
	if err == nil {
		_, err = parseField(line, at, next)
	}
	return err
}

// ParseTrailer splits a raw trailer section into fields; what is not a field is left out.
func ParseTrailer(raw []byte) []Field {
	var fs []Field
	for at := 0; at < len(raw); {
		line, next, err := cutLine(raw, at, true)
		if err != nil {
			break
		}
		if f, err := parseField(line, at, next); err == nil {
			fs = append(fs, f)
		}
		at = next
	}
	return fs
}
