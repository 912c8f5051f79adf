// SPDX-License-Identifier: Apache-2.0

package tap

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Message is one message of a WebSocket, decompressed.
type Message struct {
	Op   byte // OpText, OpBinary or OpClose
	Data []byte
}

// A direction's messages are kept as a JSON array, so that whatever reads bodies reads them too: rules that redact or
// ignore, the comparison, reports. Its elements are
//
//	{"json": …}        a text that is an object or an array, as it was sent
//	{"text": "…"}      any other text
//	{"binary": "…"}    bytes, in base64
//	{"close": 1000, "reason": "…"}
//	{"unreadable": "…"}  what could not be decompressed, or was longer than is kept, in base64; the last one
//
// Pings and pongs are left out: they depend on the clock.
type element struct {
	JSON   json.RawMessage `json:"json"`
	Text   *string         `json:"text"`
	Binary []byte          `json:"binary"`
	Close  *uint16         `json:"close"`
	Reason string          `json:"reason"`
}

// render makes the array of one direction's messages.
type render struct {
	out     []byte
	n       int
	inflate inflater
	broken  bool // nothing that comes later can be read
}

// frame adds a message; false when it is none of those that are kept.
func (r *render) frame(f *Frame) bool {
	if f.Op == OpPing || f.Op == OpPong || r.broken {
		return false
	}
	data, readable := f.Data, !f.Cut
	if f.Deflated && readable {
		data, readable = r.inflate.message(data)
	}
	if r.n++; r.n > 1 {
		r.out = append(r.out, ",\n"...)
	}
	switch {
	case !readable:
		r.broken = true
		r.bytes("unreadable", data)
	case f.Op == OpClose:
		r.close(data)
	case f.Op == OpText && utf8.Valid(data):
		r.text(data)
	default:
		r.bytes("binary", data)
	}
	return true
}

func (r *render) bytes(name string, data []byte) {
	r.out = append(append(append(r.out, `{"`...), name...), `":"`...)
	r.out = append(base64.StdEncoding.AppendEncode(r.out, data), `"}`...)
}

func (r *render) text(data []byte) {
	if len(data) > 1 && (data[0] == '{' || data[0] == '[') && jsontext.Value(data).IsValid() {
		r.out = append(append(append(r.out, `{"json":`...), data...), '}')
		return
	}
	r.out = append(r.quote(append(r.out, `{"text":`...), data), '}')
}

func (r *render) close(data []byte) {
	code := uint16(1005) // none was given (RFC 6455, 7.4.1)
	if len(data) >= 2 {
		code = binary.BigEndian.Uint16(data)
		data = data[2:]
	}
	r.out = strconv.AppendUint(append(r.out, `{"close":`...), uint64(code), 10)
	r.out = append(r.quote(append(r.out, `,"reason":`...), data), '}')
}

func (r *render) quote(dst, text []byte) []byte {
	dst, _ = jsontext.AppendQuote(dst, text) //nolint:errcheck // bytes that are no UTF-8 are replaced
	return dst
}

// array is all that came; empty when nothing did.
func (r *render) array() []byte {
	if r.n == 0 {
		return nil
	}
	return append(append([]byte{'['}, r.out...), ']')
}

// ParseMessages reads what a direction's messages were kept as, up to the first that cannot be sent again.
func ParseMessages(data []byte) ([]Message, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var list []element
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	ms := make([]Message, 0, len(list))
	for _, e := range list {
		switch {
		case e.JSON != nil:
			ms = append(ms, Message{Op: OpText, Data: e.JSON})
		case e.Text != nil:
			ms = append(ms, Message{Op: OpText, Data: []byte(*e.Text)})
		case e.Close != nil:
			m := Message{Op: OpClose}
			if *e.Close != 1005 {
				m.Data = append(binary.BigEndian.AppendUint16(nil, *e.Close), e.Reason...)
			}
			ms = append(ms, m)
		case e.Binary != nil:
			ms = append(ms, Message{Op: OpBinary, Data: e.Binary})
		default:
			return ms, nil
		}
	}
	return ms, nil
}

// inflater undoes the compression of one direction (RFC 7692, 7.2.2): a message may refer to those before it.
type inflater struct {
	window []byte // the last bytes that came out
	total  int
	rd     io.ReadCloser
}

const (
	flateWindow = 32 << 10
	// maxInflated bounds what the messages of one direction may grow to, in bytes.
	maxInflated = 8 << 20
	// tail is what the sender left out of each message, and a last block, so that the reader sees an end.
	tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"
)

func (i *inflater) message(data []byte) (plain []byte, ok bool) {
	src := io.MultiReader(bytes.NewReader(data), bytes.NewReader([]byte(tail)))
	if i.rd == nil {
		i.rd = flate.NewReaderDict(src, i.window)
	} else if r, can := i.rd.(flate.Resetter); !can || r.Reset(src, i.window) != nil {
		return data, false
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(i.rd, int64(maxInflated-i.total)+1))
	if i.total += int(n); err != nil || i.total > maxInflated {
		return data, false
	}
	i.window = append(i.window, out.Bytes()...)
	if over := len(i.window) - flateWindow; over > 0 {
		i.window = append(i.window[:0], i.window[over:]...)
	}
	return out.Bytes(), true
}
