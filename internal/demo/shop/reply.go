// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// reply is an answer that is ready and not yet sent.
type reply struct {
	r      *http.Request // Pattern says which endpoint
	status int
	head   http.Header
	body   bytes.Buffer
	pieces bool // send the body in pieces of unknown number
	broken bool // send half of the body, and break the connection
}

// Header implements http.ResponseWriter.
func (x *reply) Header() http.Header { return x.head }

// WriteHeader implements http.ResponseWriter.
func (x *reply) WriteHeader(status int) { x.status = status }

// Write implements http.ResponseWriter.
func (x *reply) Write(b []byte) (int, error) { return x.body.Write(b) }

func (x *reply) send(w http.ResponseWriter) {
	if x.broken {
		breakOff(w, x.status, x.body.Bytes())
	}
	w.WriteHeader(x.status)
	if x.pieces {
		_ = http.NewResponseController(w).Flush() //nolint:errcheck // the caller has gone
	}
	if x.status != http.StatusNotModified {
		_, _ = w.Write(x.body.Bytes()) // the caller has gone
	}
}

// at says whether the answer is one of an endpoint with a status.
func (x *reply) at(endpoint string, status int) bool {
	return x.r.Pattern == endpoint && x.status == status
}

// order says whether the answer shows an order.
func (x *reply) order() bool {
	return (x.r.Pattern == postOrder || x.r.Pattern == getOrder) && x.status < 300
}

// edit changes the document that the answer is. An answer that is none stays as it is.
func (x *reply) edit(change func(doc *object)) {
	doc, err := parseObject(x.body.Bytes())
	if err != nil {
		return
	}
	change(doc)
	x.write(doc)
}

// write makes a document the body.
func (x *reply) write(doc any) {
	b, err := plainJSON(doc)
	if err != nil {
		return
	}
	x.body.Reset()
	x.body.Write(b)
}

// plainJSON is a document as JSON, with a line end.
func plainJSON(doc any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(doc)
	return b.Bytes(), err
}

// breakOff sends half of a body that was announced whole, and breaks the connection. A connection that breaks before the
// answer begins is no failure that a caller has to see: what may be asked again is asked again.
func breakOff(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+2))
	w.WriteHeader(status)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush() //nolint:errcheck // the caller has gone
	panic(http.ErrAbortHandler)               // how net/http breaks a connection
}
