// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"

	"microstax/internal/dataplane/http1"
)

// baggageKey is the member of W3C baggage that carries the routing key.
const baggageKey = "msx-env"

// routingKey is the overlay id that a request carries: the routing header's value, else the baggage member's. Both are
// compared as a whole by whoever looks the key up.
func routingKey(h *http1.Head, header string) string {
	if v := h.Get(header); len(v) > 0 {
		return string(v)
	}
	for i := range h.Fields {
		if f := &h.Fields[i]; isBaggage(f.Name) {
			if k, ok := baggageMember(string(f.Value), baggageKey); ok {
				return k
			}
		}
	}
	return ""
}

func isBaggage(name []byte) bool { return len(name) == 7 && strings.EqualFold(string(name), "baggage") }

// baggageMember finds a member of a W3C baggage list, its properties left out and its value percent-decoded.
func baggageMember(list, key string) (string, bool) {
	for member := range strings.SplitSeq(list, ",") {
		k, v, ok := strings.Cut(member, "=")
		if !ok || strings.TrimSpace(k) != key {
			continue
		}
		v, _, _ = strings.Cut(v, ";")
		v = strings.TrimSpace(v)
		if d, err := url.PathUnescape(v); err == nil {
			v = d
		}
		return v, true
	}
	return "", false
}

// withoutMember is a baggage list without one member.
func withoutMember(list, key string) string {
	var kept []string
	for member := range strings.SplitSeq(list, ",") {
		k, _, _ := strings.Cut(member, "=")
		if strings.TrimSpace(k) != key && strings.TrimSpace(member) != "" {
			kept = append(kept, strings.TrimSpace(member))
		}
	}
	return strings.Join(kept, ",")
}

// traceID is the trace id of a W3C traceparent, or "".
func traceID(h *http1.Head) string {
	v := h.Get("traceparent")
	if len(v) < 55 || v[2] != '-' || v[35] != '-' {
		return ""
	}
	return string(v[3:35])
}

// newTraceparent makes a traceparent for a request that enters without one, and its trace id.
func newTraceparent() (header, trace string) {
	hex := func(n uint64) string {
		s := strconv.FormatUint(n, 16)
		return "0000000000000000"[:16-len(s)] + s
	}
	trace = hex(rand.Uint64()|1) + hex(rand.Uint64())                //nolint:gosec // names a trace, guards nothing
	return "00-" + trace + "-" + hex(rand.Uint64()|1) + "-01", trace //nolint:gosec // likewise
}

// edit is what is changed in a request's head on its way.
type edit struct {
	header      string // the routing header's name, lower case
	key         string // to stamp; "" strips
	host        string // to put in place of Host's value; "" leaves it
	traceparent string // to add; "" adds none
}

// rewrite appends the head h to dst with the edit applied, or returns h.Raw itself when nothing changes.
func rewrite(dst []byte, h *http1.Head, e *edit) []byte {
	if !e.needed(h) {
		return h.Raw
	}
	dst = append(dst[:0], h.Raw[:h.LineLn]...)
	stamped := false
	plain := offersHTTP2(h)
	h.Upgrade = h.Upgrade && !plain
	for i := range h.Fields {
		f := &h.Fields[i]
		switch {
		case plain && isUpgrade(f.Name):
			continue
		case len(f.Name) == len(e.header) && strings.EqualFold(string(f.Name), e.header):
			continue
		case isBaggage(f.Name):
			rest := withoutMember(string(f.Value), baggageKey)
			if e.key != "" && !stamped {
				rest = join(rest, baggageKey+"="+url.PathEscape(e.key))
				stamped = true
			}
			if rest != "" {
				dst = append(append(append(append(append(dst, f.Name...), ": "...), rest...), '\r'), '\n')
			}
		case e.host != "" && len(f.Name) == 4 && strings.EqualFold(string(f.Name), "host"):
			dst = append(append(append(append(dst, f.Name...), ": "...), e.host...), "\r\n"...)
		default:
			dst = append(dst, h.Raw[f.Start:f.End]...)
		}
	}
	if e.key != "" {
		dst = append(append(append(append(dst, e.header...), ": "...), e.key...), "\r\n"...)
		if !stamped {
			dst = append(append(append(dst, "baggage: "+baggageKey+"="...), url.PathEscape(e.key)...), "\r\n"...)
		}
	}
	if e.traceparent != "" {
		dst = append(append(append(dst, "traceparent: "...), e.traceparent...), "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

func join(list, member string) string {
	if list == "" {
		return member
	}
	return list + "," + member
}

// needed says whether the head has to be changed at all.
func (e *edit) needed(h *http1.Head) bool {
	if e.traceparent != "" || e.host != "" || e.key != "" || h.Upgrade && offersHTTP2(h) {
		return true
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		if len(f.Name) == len(e.header) && strings.EqualFold(string(f.Name), e.header) {
			return true
		}
		if isBaggage(f.Name) {
			if _, ok := baggageMember(string(f.Value), baggageKey); ok {
				return true
			}
		}
	}
	return false
}

// offersHTTP2 says whether a request asks to go on in HTTP/2. That is not passed on: what followed would pass unrouted,
// unseen and unchecked. A server may ignore the offer, and RFC 9113, 3.1 has done away with it.
func offersHTTP2(h *http1.Head) bool {
	if !h.Upgrade {
		return false
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		if len(f.Name) == len("upgrade") && strings.EqualFold(string(f.Name), "upgrade") &&
			strings.Contains(strings.ToLower(string(f.Value)), "h2c") {
			return true
		}
	}
	return false
}

// isUpgrade says whether a field is part of an offer to change the protocol. With it goes whatever else Connection says
// but close, which has been noted.
func isUpgrade(name []byte) bool {
	switch len(name) {
	case len("upgrade"), len("connection"), len("http2-settings"):
		s := strings.ToLower(string(name))
		return s == "upgrade" || s == "connection" || s == "http2-settings"
	}
	return false
}
