// SPDX-License-Identifier: Apache-2.0

package pairing

import (
	"bytes"
	"encoding/hex"
	"net/url"
	"strings"

	"github.com/cespare/xxhash/v2"

	"microstax/internal/engine/canon"
	"microstax/internal/exchange"
)

// OperationMark stands between an endpoint and the operation that its requests name in their bodies:
// POST /graphql#GetOrder.
const OperationMark = "#"

const (
	// maxLooked is how much of a body is looked at for the marks of an operation.
	maxLooked = 4096
	// maxOperation is how long an operation's name may be; a longer one is a hash.
	maxOperation = 64
)

// MayName says whether a request may name its operation, at next to no cost: for most it is false.
func MayName(method, target string, body []byte) bool {
	path := pathOf(target)
	switch {
	case method != "POST" && method != "GET":
		return false
	case containsFold(path, "graphql") || containsFold(path, "/gql"):
		return true
	case method == "GET" || len(body) == 0:
		return false
	}
	head := body[:min(len(body), maxLooked)]
	switch head = bytes.TrimLeft(head, " \t\r\n"); {
	case len(head) == 0:
		return false
	case head[0] == '{' || head[0] == '[':
		return bytes.Contains(head, []byte(`"jsonrpc"`)) || bytes.Contains(head, []byte(`"operationName"`))
	}
	return head[0] == '<' && bytes.Contains(head, []byte("Envelope"))
}

func containsFold(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

// Operation is what a request asks for where method and path do not say it: the operation of GraphQL, by its name or else by
// a hash of its query without literals, the method of JSON-RPC, and what stands in the body of SOAP; "" elsewhere.
func Operation(r *exchange.Request) string {
	if !MayName(r.Method, r.Target, r.Body.Data) {
		return ""
	}
	if r.Method == "GET" {
		_, query, _ := strings.Cut(r.Target, "?")
		q, err := url.ParseQuery(query)
		if err != nil {
			return ""
		}
		return graphql(q.Get("operationName"), q.Get("query"), q.Get("extensions"))
	}
	b := canon.Decode(r.Body, r.Headers, canon.Limits{})
	switch {
	case b.Tree == nil && b.Media == "application/graphql":
		return graphql("", string(b.Data), "")
	case b.Tree == nil:
		return ""
	case b.Kind == canon.XML:
		return soap(b.Tree)
	case b.Kind == canon.JSON && b.Tree.Type(0) == canon.Array:
		return "batch"
	case b.Kind == canon.JSON && b.Tree.Type(0) == canon.Object:
		if text(b.Tree, "jsonrpc") != "" {
			return plainName(text(b.Tree, "method"))
		}
		return graphql(text(b.Tree, "operationName"), text(b.Tree, "query"), text(b.Tree, "extensions"))
	}
	return ""
}

// text is what a member of the root is, or "".
func text(t *canon.Tree, name string) string {
	if m := t.Member(0, []byte(name)); m >= 0 && t.Type(m) == canon.String {
		return string(t.Text(m))
	} else if m >= 0 && !t.Scalar(m) {
		return string(t.Raw(m))
	}
	return ""
}

// soap is the name of the first element in the body.
func soap(t *canon.Tree) string {
	at := int32(0)
	for _, name := range [...]string{"Envelope", "Body"} {
		if at = t.Member(at, []byte(name)); at < 0 || t.Type(at) != canon.Element {
			return ""
		}
	}
	for _, c := range t.Children(at) {
		if t.Type(c) == canon.Element {
			return plainName(string(t.Key(c)))
		}
	}
	return ""
}

// graphql names an operation by its name, its document, or by what else tells which document it is.
func graphql(name, query, extensions string) string {
	switch {
	case name != "":
		return plainName(name)
	case query != "":
		return document(query)
	case extensions != "":
		return "persisted" + hash(xxhash.Sum64String(extensions))
	}
	return ""
}

// plainName is a name that can stand in an endpoint; what cannot is a hash.
func plainName(s string) string {
	plain := len(s) <= maxOperation
	for i := 0; i < len(s) && plain; i++ {
		c := s[i]
		plain = 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("_.-/:", c) >= 0
	}
	if s == "" || plain {
		return s
	}
	return hash(xxhash.Sum64String(s))
}

func hash(h uint64) string {
	return "~" + hex.EncodeToString([]byte{byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h)})
}

// document names a GraphQL document: by the name of its first operation, else by that one's kind and a hash of all that is neither
// white space, comment nor literal (GraphQL, 2.1).
func document(src string) string {
	sum, kind, depth, last, before := xxhash.New(), "", 0, "", ""
	for tok, rest := lexeme(src); tok != ""; tok, rest = lexeme(rest) {
		if depth == 0 && before != "fragment" && (last == "query" || last == "mutation" || last == "subscription") {
			if tok[0] == '_' || tok[0]|0x20 >= 'a' && tok[0]|0x20 <= 'z' {
				return plainName(tok)
			}
			kind = last
		}
		switch tok {
		case "{", "(", "[":
			depth++
		case "}", ")", "]":
			depth--
		}
		if tok != last || tok != "0" { // a list of literals is as one, however long
			_, _ = sum.WriteString(tok + " ")
		}
		before, last = last, tok
	}
	if kind == "" {
		kind = "query"
	}
	return kind + hash(sum.Sum64())
}

// lexeme is the next token of a GraphQL document, "" at its end; every literal is 0.
func lexeme(s string) (tok, rest string) {
	for s != "" {
		switch c := s[0]; {
		case c == '#':
			i := strings.IndexAny(s, "\r\n")
			if i < 0 {
				return "", ""
			}
			s = s[i:]
		case strings.IndexByte(" \t\r\n,\uFEFF", c) >= 0:
			s = s[1:]
		case c == '"':
			return "0", s[literalEnd(s):]
		case c == '-' || c >= '0' && c <= '9':
			return "0", strings.TrimLeft(s, "-+.eE0123456789")
		default:
			n := 0
			for n < len(s) && (s[n] == '_' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' || s[n] >= '0' && s[n] <= '9') {
				n++
			}
			n = max(n, 1)
			return s[:n], s[n:]
		}
	}
	return "", ""
}

// literalEnd is where a string ends that begins with s.
func literalEnd(s string) int {
	if strings.HasPrefix(s, `"""`) {
		if i := strings.Index(s[3:], `"""`); i >= 0 {
			return i + 6
		}
		return len(s)
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"', '\n':
			return i + 1
		}
	}
	return len(s)
}
