// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	v1 "microstax/api/v1"
	"microstax/internal/engine/canon"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// maxShown is how many bytes of a body people are shown.
const maxShown = 8 << 10

func triple(o *observation.Observation) v1.Triple {
	t := v1.Triple{
		Request:  request(&o.Baseline.Request),
		Baseline: response(&o.Baseline), Candidate: response(&o.Candidate),
	}
	if o.Control != nil {
		c := response(o.Control)
		t.Control = &c
	}
	return t
}

func calls(list []observation.Call) []v1.Call {
	out := make([]v1.Call, 0, len(list))
	for i := range list {
		c := &list[i]
		path, _, _ := strings.Cut(c.Exchange.Request.Target, "?")
		out = append(out, v1.Call{
			Caller: c.Caller, Dependency: c.Dependency, Operation: c.Exchange.Request.Method + " " + path,
			Status: c.Exchange.Response.Status, Effect: string(c.Effect), Match: string(c.Tier),
			DurationMS: ms(c.Exchange.Duration), Request: request(&c.Exchange.Request), Response: response(&c.Exchange),
		})
	}
	return out
}

func request(r *exchange.Request) v1.Message {
	m := v1.Message{
		Method: r.Method, Target: r.Target,
		Headers: headers(append(r.Headers[:len(r.Headers):len(r.Headers)], r.Trailers...)),
	}
	show(&m, r.Body, r.Headers)
	return m
}

func response(e *exchange.Exchange) v1.Message {
	m := v1.Message{
		Status: e.Response.Status, DurationMS: ms(e.Duration),
		Headers: headers(append(e.Response.Headers[:len(e.Response.Headers):len(e.Response.Headers)], e.Response.Trailers...)),
	}
	if e.Outcome != exchange.OK {
		m.Outcome = string(e.Outcome)
	}
	show(&m, e.Response.Body, e.Response.Headers)
	return m
}

func headers(hs []exchange.Header) []v1.Header {
	out := make([]v1.Header, 0, len(hs))
	for _, h := range hs {
		out = append(out, v1.Header{Name: h.Name, Value: h.Value})
	}
	return out
}

// show puts a body into a message: content encodings undone, as text where it is text, cut with a mark.
func show(m *v1.Message, b exchange.Body, hs []exchange.Header) {
	m.BodyLength, m.Truncated = b.Length, b.Truncated
	data := b.Data
	if _, coded := exchange.Get(hs, "content-encoding"); coded && !b.Truncated {
		if d := canon.Decode(b, hs, canon.Limits{}); d.Kind != canon.Whole {
			data = d.Data
		}
	}
	if len(data) > maxShown {
		data, m.Truncated = data[:maxShown], true
	}
	text := data
	if m.Truncated {
		text = wholeRunes(data)
	}
	if utf8.Valid(text) {
		m.Body = string(text)
		return
	}
	m.Body, m.BodyBase64 = base64.StdEncoding.EncodeToString(data), true
}

// wholeRunes drops a character at the end that was cut in the middle.
func wholeRunes(b []byte) []byte {
	for i := len(b) - 1; i >= 0 && i > len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return b[:i]
			}
			break
		}
	}
	return b
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
