// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"

	"microstax/internal/exchange"
)

// Field is one header line of a head; Name and Value point into it, and Start and End are where its line lies.
type Field struct {
	Name, Value []byte
	Start, End  int
}

// Head is a parsed head. Its slices point into the reader's buffer: they are valid until the reader reads again.
type Head struct {
	Raw    []byte // the whole head, final empty line included
	Proto  []byte // HTTP/1.1
	Method []byte // requests
	Target []byte // requests
	Status int    // responses
	Reason []byte // responses
	Fields []Field
	LineLn int // length of the first line with its end

	ContentLength int64 // -1 when there is none
	Chunked       bool
	Close         bool // the sender will close, or cannot keep the connection
	Upgrade       bool // Connection: upgrade
	Expect        bool // Expect: 100-continue
	HTTP10        bool

	coded bool // responses: a transfer coding whose last is not chunked lasts until the end (RFC 9112, 6.3)
}

// Get is the value of the first field of that name, which must be in lower case, or nil.
func (h *Head) Get(lower string) []byte {
	for i := range h.Fields {
		if equalLower(h.Fields[i].Name, lower) {
			return h.Fields[i].Value
		}
	}
	return nil
}

// Headers copies the fields out.
func (h *Head) Headers() []exchange.Header {
	hs := make([]exchange.Header, len(h.Fields))
	for i, f := range h.Fields {
		hs[i] = exchange.Header{Name: string(f.Name), Value: unfold(f.Value)}
	}
	return hs
}

// unfold is a value as one line.
func unfold(v []byte) string {
	if bytes.IndexByte(v, '\n') < 0 {
		return string(v)
	}
	return string(bytes.Join(bytes.Fields(v), []byte{' '}))
}

// ReadRequest reads a request head of at most limit bytes into h. io.EOF means that the peer closed between requests.
// Errors that wrap ErrMalformed, and ErrHeadTooLarge, are the sender's fault: answer 400 and close.
func (b *Reader) ReadRequest(h *Head, limit int) error {
	// RFC 9112, 2.2: empty lines before a request line are skipped; two, then patience ends.
	for range 2 {
		for b.w-b.r < 2 && (b.w == b.r || b.buf[b.r] == '\r') {
			if err := b.Fill(limit); err != nil {
				return err
			}
		}
		if b.buf[b.r] != '\r' || b.buf[b.r+1] != '\n' {
			break
		}
		b.r += 2
	}
	raw, err := b.head(limit, false)
	if err != nil {
		return err
	}
	if err := h.parseRequest(raw); err != nil {
		return err
	}
	b.r += len(raw)
	return nil
}

// ReadResponse reads a response head of at most limit bytes into h. The body's framing depends on the request's method
// too: see Framing.
func (b *Reader) ReadResponse(h *Head, limit int) error {
	raw, err := b.head(limit, true)
	if err != nil {
		return err
	}
	if err := h.parseResponse(raw); err != nil {
		return err
	}
	b.r += len(raw)
	return nil
}

func (h *Head) reset(raw []byte) {
	*h = Head{Raw: raw, Fields: h.Fields[:0], ContentLength: -1}
}

func (h *Head) parseRequest(raw []byte) error {
	h.reset(raw)
	line, next, err := cutLine(raw, 0, false)
	if err != nil {
		return err
	}
	h.LineLn = next
	sp1 := bytes.IndexByte(line, ' ')
	sp2 := bytes.LastIndexByte(line, ' ')
	if sp1 <= 0 || sp2 <= sp1+1 {
		return malformed("request line %q", clip(line))
	}
	h.Method, h.Target, h.Proto = line[:sp1], line[sp1+1:sp2], line[sp2+1:]
	if !isToken(h.Method) {
		return malformed("method %q", clip(h.Method))
	}
	for _, c := range h.Target {
		if c <= ' ' || c == 0x7f {
			return malformed("request target %q", clip(h.Target))
		}
	}
	switch string(h.Proto) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.HTTP10 = true
	default:
		return malformed("protocol %q", clip(h.Proto))
	}
	if err := h.parseFields(next, false); err != nil {
		return err
	}
	return h.checkRequest()
}

func (h *Head) checkRequest() error {
	hosts := 0
	for i := range h.Fields {
		if equalLower(h.Fields[i].Name, "host") {
			hosts++
		}
	}
	if hosts > 1 || hosts == 0 && !h.HTTP10 {
		return malformed("%d Host fields", hosts)
	}
	if h.Chunked && h.ContentLength >= 0 {
		return malformed("both Content-Length and Transfer-Encoding")
	}
	if h.Chunked && h.HTTP10 {
		return malformed("Transfer-Encoding in HTTP/1.0")
	}
	return nil
}

func (h *Head) parseResponse(raw []byte) error {
	h.reset(raw)
	line, next, err := cutLine(raw, 0, true)
	if err != nil {
		return err
	}
	h.LineLn = next
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return malformed("status line %q", clip(line))
	}
	h.Proto = line[:8]
	h.HTTP10 = line[7] == '0'
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return malformed("status line %q", clip(line))
		}
		h.Status = h.Status*10 + int(c-'0')
	}
	if len(line) > 12 {
		if line[12] != ' ' {
			return malformed("status line %q", clip(line))
		}
		h.Reason = line[13:]
	}
	if h.Status < 100 {
		return malformed("status %d", h.Status)
	}
	if err := h.parseFields(next, true); err != nil {
		return err
	}
	if h.HTTP10 && (h.Chunked || h.coded) { // HTTP/1.0 knows no transfer codings (RFC 9112, 6.1)
		h.Chunked, h.coded, h.Close = false, false, true
	}
	return nil
}

// parseFields reads header lines from offset at on, and what they say about framing.
func (h *Head) parseFields(at int, lenient bool) error {
	keepAlive := false
	for {
		line, next, err := cutLine(h.Raw, at, lenient)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			if next != len(h.Raw) {
				return malformed("bytes after the head")
			}
			break
		}
		if lenient && h.folds(line, next) {
			at = next
			continue
		}
		f, err := parseField(line, at, next)
		if err != nil {
			return err
		}
		h.Fields = append(h.Fields, f)
		ka, err := h.framing(f, lenient)
		if err != nil {
			return err
		}
		keepAlive = keepAlive || ka
		at = next
	}
	if h.HTTP10 && !keepAlive {
		h.Close = true
	}
	return nil
}

// folds says whether a line of an answer goes on with the field before it, as servers of old still write, and adds it there.
// A field that says something about framing may not be folded (RFC 9112, 5.2).
func (h *Head) folds(line []byte, next int) bool {
	if len(h.Fields) == 0 || line[0] != ' ' && line[0] != '\t' {
		return false
	}
	f := &h.Fields[len(h.Fields)-1]
	for _, name := range []string{"content-length", "transfer-encoding", "connection", "upgrade"} {
		if equalLower(f.Name, name) {
			return false
		}
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	begin := f.Start + len(f.Name) + 1
	f.Value, f.End = trimOWS(bytes.TrimRight(h.Raw[begin:next], " \t\r\n")), next
	return true
}

func parseField(line []byte, start, end int) (Field, error) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !isToken(line[:colon]) { // also refuses obs-fold and white space before the colon
		return Field{}, malformed("header line %q", clip(line))
	}
	value := trimOWS(line[colon+1:])
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return Field{}, malformed("header value of %q", clip(line[:colon]))
		}
	}
	return Field{Name: line[:colon], Value: value, Start: start, End: end}, nil
}

// framing notes what a field says about the message's end; it reports whether it asks for keep-alive.
func (h *Head) framing(f Field, lenient bool) (keepAlive bool, err error) {
	switch len(f.Name) {
	case len("content-length"):
		if !equalLower(f.Name, "content-length") {
			return false, nil
		}
		n, ok := parseLength(f.Value)
		if !ok || h.ContentLength >= 0 && (!lenient || h.ContentLength != n) {
			return false, malformed("Content-Length %q", clip(f.Value))
		}
		h.ContentLength = n
	case len("transfer-encoding"):
		if !equalLower(f.Name, "transfer-encoding") {
			return false, nil
		}
		if lenient {
			last := f.Value[bytes.LastIndexByte(f.Value, ',')+1:]
			h.Chunked = equalLower(trimOWS(last), "chunked")
			h.coded = !h.Chunked
			return false, nil
		}
		if h.Chunked || !equalLower(f.Value, "chunked") {
			return false, malformed("Transfer-Encoding %q", clip(f.Value))
		}
		h.Chunked = true
	case len("connection"):
		if !equalLower(f.Name, "connection") {
			return false, nil
		}
		h.Close = h.Close || hasToken(f.Value, "close")
		h.Upgrade = h.Upgrade || hasToken(f.Value, "upgrade")
		return hasToken(f.Value, "keep-alive"), nil
	case len("expect"):
		if equalLower(f.Name, "expect") && hasToken(f.Value, "100-continue") {
			h.Expect = true
		}
	}
	return false, nil
}

// cutLine is the line that starts at offset at, without its end, and the offset behind it.
func cutLine(raw []byte, at int, lenient bool) (line []byte, next int, err error) {
	i := bytes.IndexByte(raw[at:], '\n')
	if i < 0 {
		return nil, 0, malformed("head without an end")
	}
	line, next = raw[at:at+i], at+i+1
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	} else if !lenient {
		return nil, 0, malformed("bare line feed")
	}
	if bytes.IndexByte(line, '\r') >= 0 {
		return nil, 0, malformed("bare carriage return")
	}
	return line, next, nil
}
