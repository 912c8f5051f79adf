// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"

	"microstax/internal/exchange"
)

// Equal says whether two exchanges are the same without looking into them: same outcome, status, body bytes, and the same
// headers, those aside that only frame the message, with Date compared as two dates. It neither parses nor allocates.
// When it holds, Exchanges is empty; when it does not, Exchanges may be empty still.
func Equal(base, other *exchange.Exchange) bool {
	if base == other {
		return true
	}
	if ended(base) != ended(other) {
		return false
	}
	if ended(base) != exchange.OK {
		return true
	}
	a, b := &base.Response, &other.Response
	head := bodiless(base)
	return a.Status == b.Status && equalBodies(&a.Body, &b.Body) && base.Request.Method == other.Request.Method &&
		equalHeaders(a.Headers, b.Headers, head) && equalHeaders(a.Trailers, b.Trailers, true)
}

// bodiless says whether the answer has no body whatever Content-Length says (RFC 9110, 6.4.1).
func bodiless(e *exchange.Exchange) bool {
	return e.Request.Method == "HEAD" || e.Response.Status == 304
}

func equalBodies(a, b *exchange.Body) bool {
	if a.Length != b.Length || a.Truncated != b.Truncated {
		return false
	}
	if a.Truncated {
		return a.Hash == b.Hash
	}
	return bytes.Equal(a.Data, b.Data)
}

// framing says whether a header only frames the message on its hop (RFC 9110, 7.6.1): no behaviour. Content-Length counts
// only where no body follows that could be compared itself.
func framing(name string, bodiless bool) bool {
	switch len(name) {
	case len("TE"):
		return exchange.EqualFold(name, "te")
	case len("Trailer"):
		return exchange.EqualFold(name, "trailer")
	case len("Connection"): // and keep-alive
		return exchange.EqualFold(name, "connection") || exchange.EqualFold(name, "keep-alive")
	case len("Content-Length"):
		return !bodiless && exchange.EqualFold(name, "content-length")
	case len("Proxy-Connection"):
		return exchange.EqualFold(name, "proxy-connection")
	case len("Transfer-Encoding"):
		return exchange.EqualFold(name, "transfer-encoding")
	}
	return false
}

// equalHeaders first walks both lists together, which is all there is to do when the order is the same.
func equalHeaders(a, b []exchange.Header, bodiless bool) bool {
	i, j := 0, 0
	for {
		for i < len(a) && framing(a[i].Name, bodiless) {
			i++
		}
		for j < len(b) && framing(b[j].Name, bodiless) {
			j++
		}
		if i == len(a) || j == len(b) {
			return i == len(a) && j == len(b)
		}
		if !exchange.EqualFold(a[i].Name, b[j].Name) || !equalValues(&a[i], &b[j]) {
			return equalUnordered(a[i:], b[j:], bodiless)
		}
		i, j = i+1, j+1
	}
}

// maxUnordered bounds the square search; longer lists take the slow path.
const maxUnordered = 100

// equalUnordered compares the k-th line of each name in a with the k-th of that name in b, both ways.
func equalUnordered(a, b []exchange.Header, bodiless bool) bool {
	if len(a) > maxUnordered || len(b) > maxUnordered {
		return false
	}
	na, nb := 0, 0
	for i := range b {
		if !framing(b[i].Name, bodiless) {
			nb++
		}
	}
	for i := range a {
		if framing(a[i].Name, bodiless) {
			continue
		}
		na++
		k := 0
		for j := range i {
			if exchange.EqualFold(a[j].Name, a[i].Name) {
				k++
			}
		}
		j := nth(b, a[i].Name, k)
		if j < 0 || !equalValues(&a[i], &b[j]) {
			return false
		}
	}
	return na == nb
}

func nth(hs []exchange.Header, name string, k int) int {
	for i := range hs {
		if exchange.EqualFold(hs[i].Name, name) {
			if k == 0 {
				return i
			}
			k--
		}
	}
	return -1
}

func equalValues(a, b *exchange.Header) bool {
	return a.Value == b.Value || exchange.EqualFold(a.Name, "date") && fixdate(a.Value) && fixdate(b.Value)
}

// fixdate says whether v has the form "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), digits and letters in place.
func fixdate(v string) bool {
	const form = "Aaa, 00 Aaa 0000 00:00:00 GMT"
	if len(v) != len(form) || v[26:] != "GMT" {
		return false
	}
	for i := range 26 {
		c, ok := v[i], false
		switch form[i] {
		case '0':
			ok = c >= '0' && c <= '9'
		case 'A':
			ok = c >= 'A' && c <= 'Z'
		case 'a':
			ok = c >= 'a' && c <= 'z'
		default:
			ok = c == form[i]
		}
		if !ok {
			return false
		}
	}
	return true
}
