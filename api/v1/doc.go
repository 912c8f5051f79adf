// SPDX-License-Identifier: Apache-2.0

// Package v1 is the wire contract: the documents of the HTTP API, which are also what `-o json` prints. It imports
// nothing of ours and changes additively only: fields are added, never renamed, retyped or removed.
package v1

// Envelope wraps every successful answer.
type Envelope[T any] struct {
	Data T    `json:"data"`
	Meta Meta `json:"meta"`
}

// Meta is about the answer, not the thing.
type Meta struct {
	RequestID  string `json:"requestId"`
	NextCursor string `json:"nextCursor,omitempty"`
}

// Problem is an RFC 9457 error document.
type Problem struct {
	Type      string  `json:"type"`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Detail    string  `json:"detail,omitempty"`
	Hint      string  `json:"hint,omitempty"`
	Kind      string  `json:"kind,omitempty"` // invalid, notFound, conflict, unavailable, canceled, internal
	RequestID string  `json:"requestId"`
	Errors    []Place `json:"errors,omitempty"`
}

// Place is one wrong place in a file.
type Place struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path,omitempty"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
	Warning bool   `json:"warning,omitempty"`
}
