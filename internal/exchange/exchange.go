// SPDX-License-Identifier: Apache-2.0

// Package exchange is the noun for one request and its answer on one hop, as it was seen on the wire: header names in
// their original case and order, bodies as raw bytes up to a limit with the length and hash of the whole, and a plain
// mark wherever something was cut.
//
// Values are immutable by convention once they leave their maker. The package holds data only: no network, no clock.
package exchange

import "time"

// Header is one header line, name in the case in which it was sent.
type Header struct {
	Name  string `json:"n"`
	Value string `json:"v"`
}

// Body is what was kept of a message body.
type Body struct {
	Data      []byte `json:"data,omitempty"` // the first bytes, at most the configured maxBody; chunked framing undone
	Length    int64  `json:"length"`         // bytes seen in all
	Hash      uint64 `json:"hash,omitempty"` // xxhash64 of all bytes; set only when Truncated
	Truncated bool   `json:"truncated,omitempty"`
	// Messages is how many messages of a WebSocket it stands for, which Data then lists as a JSON array; 0 for a body.
	Messages int `json:"messages,omitempty"`
}

// Outcome says how an exchange ended.
type Outcome string

// The outcomes. Everything but OK means that there is no whole answer.
const (
	OK       Outcome = "ok"
	Refused  Outcome = "refused"  // no connection could be made
	Reset    Outcome = "reset"    // the connection ended before the answer did
	Timeout  Outcome = "timeout"  // no whole answer in time: an observation at infinity, not a gap
	Garbled  Outcome = "garbled"  // what came was not HTTP
	Canceled Outcome = "canceled" // the caller went away
)

// Request is the request half.
type Request struct {
	Method  string   `json:"method"`
	Target  string   `json:"target"` // origin form as sent: path and query
	Proto   string   `json:"proto"`  // HTTP/1.1
	Headers []Header `json:"headers"`
	// Trailers are fields behind the body.
	Trailers []Header `json:"trailers,omitempty"`
	Body     Body     `json:"body"`
}

// Response is the answer half. It is the zero value unless a head arrived.
type Response struct {
	Status   int      `json:"status"`
	Reason   string   `json:"reason,omitempty"`
	Proto    string   `json:"proto,omitempty"`
	Headers  []Header `json:"headers,omitempty"`
	Trailers []Header `json:"trailers,omitempty"`
	Body     Body     `json:"body"`
}

// Exchange is one request and its answer on one hop.
type Exchange struct {
	Start     time.Time     `json:"start"`     // request head complete, on the clock of whoever captured it
	FirstByte time.Duration `json:"firstByte"` // from Start to the answer's head; 0 when none came
	Duration  time.Duration `json:"duration"`  // from Start to the answer's last byte, or to the failure
	Outcome   Outcome       `json:"outcome"`
	Error     string        `json:"error,omitempty"` // for people, when Outcome is not OK
	Request   Request       `json:"request"`
	Response  Response      `json:"response"`
}

// End is when the exchange was over.
func (e *Exchange) End() time.Time { return e.Start.Add(e.Duration) }

// Get is the value of the first header with that name, compared without regard to case, and whether there is one.
func Get(hs []Header, name string) (string, bool) {
	for i := range hs {
		if EqualFold(hs[i].Name, name) {
			return hs[i].Value, true
		}
	}
	return "", false
}

// EqualFold compares header names as RFC 9110, 5.1 wants: ASCII letters without regard to case.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z' {
			return false
		}
	}
	return true
}
