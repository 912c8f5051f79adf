// SPDX-License-Identifier: Apache-2.0

package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"microstax/internal/engine/canon"
	"microstax/internal/exchange"
)

// The bounds of one check.
const (
	maxChecked  = 1 << 20 // bytes of a body
	maxDepth    = 200
	maxBreaches = 20
	maxDetail   = 200
)

// secret begins what stands for a redacted value: it says nothing of the value's own form.
const secret = "tok_"

// Check says in what an answer breaks the description. What can't be looked at, such as a body that was cut, breaks
// nothing.
func (d *Description) Check(x *exchange.Exchange) []Breach {
	if x.Outcome != exchange.OK {
		return nil
	}
	p, operation := d.find(x.Request.Method, x.Request.Target)
	switch {
	case p == nil:
		return []Breach{{Rule: "operation", Detail: "no path is described that matches"}}
	case operation == nil:
		return []Breach{{Rule: "operation", Detail: x.Request.Method + " " + p.template + " is not described"}}
	}
	status := x.Response.Status
	response := described(operation.Responses, status)
	if response == nil {
		return []Breach{{Rule: "status", Detail: strconv.Itoa(status) + " is not described"}}
	}
	if len(response.Content) == 0 || x.Request.Method == "HEAD" || status == 204 || status == 304 {
		return nil
	}
	contentType, _ := exchange.Get(x.Response.Headers, "content-type")
	media := response.Content.Get(contentType)
	if media == nil {
		return []Breach{{Rule: "mediaType", Detail: fmt.Sprintf("%q is not described for %d", canon.MediaType(contentType), status)}}
	}
	if media.Schema == nil || media.Schema.Value == nil {
		return nil
	}
	value, ok := document(x)
	if !ok {
		return nil
	}
	return broken(media.Schema.Value.VisitJSON(value, openapi3.MultiErrors(), openapi3.VisitAsResponse()))
}

// described is the answer that the description has for a status: exact, by class, or the default.
func described(all *openapi3.Responses, status int) *openapi3.Response {
	if all == nil {
		return nil
	}
	for _, key := range []string{strconv.Itoa(status), strconv.Itoa(status/100) + "XX", "default"} {
		if r := all.Value(key); r != nil && r.Value != nil {
			return r.Value
		}
	}
	return nil
}

// document is the body as a JSON value, and false where it is none that could be looked at.
func document(x *exchange.Exchange) (any, bool) {
	b := canon.Decode(x.Response.Body, x.Response.Headers, canon.Limits{Bytes: maxChecked, Depth: maxDepth})
	if b.Kind != canon.JSON || len(b.Data) > maxChecked {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(b.Data))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil, false
	}
	return v, true
}

// broken lists what a schema says against a value, by place and rule.
func broken(err error) []Breach {
	var out []Breach
	seen := map[Breach]bool{}
	var walk func(error)
	walk = func(err error) {
		var many openapi3.MultiError
		var one *openapi3.SchemaError
		switch {
		case err == nil || len(out) >= maxBreaches:
		case errors.As(err, &one):
			if s, text := one.Value.(string); text && strings.HasPrefix(s, secret) {
				return
			}
			key := Breach{Rule: one.SchemaField, Path: place(one.JSONPointer())}
			if !seen[key] {
				seen[key] = true
				key.Detail = clip(one.Reason)
				out = append(out, key)
			}
		case errors.As(err, &many):
			for _, e := range many {
				walk(e)
			}
		default:
			out = append(out, Breach{Rule: "schema", Detail: clip(err.Error())})
		}
	}
	var many openapi3.MultiError
	if errors.As(err, &many) {
		for _, e := range many {
			walk(e)
		}
		return out
	}
	walk(err)
	return out
}

// place writes a pointer as findings write paths; elements of arrays are one place.
func place(pointer []string) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, p := range pointer {
		if _, err := strconv.Atoi(p); err == nil {
			b.WriteString("[*]")
		} else {
			b.WriteString("." + p)
		}
	}
	return b.String()
}

func clip(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
