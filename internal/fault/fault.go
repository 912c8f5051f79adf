// SPDX-License-Identifier: Apache-2.0

// Package fault is how this program says what went wrong: a kind that decides exit codes and HTTP statuses, the
// operation that failed, the cause, a hint that tells the user how to mend it, and, for files, every place that is wrong.
//
// Every layer may use it and it imports nothing of ours. Values are immutable after construction and safe to share.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Kind is the class of an error. The list only grows: kinds travel over the wire.
type Kind string

// The kinds of error.
const (
	Invalid     Kind = "invalid"     // the caller's input is wrong; repeating it will not help
	NotFound    Kind = "notFound"    // what was named does not exist
	Conflict    Kind = "conflict"    // it exists, but its state forbids the operation
	Unavailable Kind = "unavailable" // something this program needs is not there; repeating may help
	Canceled    Kind = "canceled"    // the caller gave up
	Internal    Kind = "internal"    // a defect of this program
)

// Place is one wrong place in a file a user wrote.
type Place struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`   // from 1; 0 when unknown
	Column  int    `json:"column,omitempty"` // from 1; 0 when unknown
	Path    string `json:"path,omitempty"`   // e.g. services[0].ports[1].protocol
	Rule    string `json:"rule"`             // stable rule id, e.g. unknown-field
	Message string `json:"message"`
	Warning bool   `json:"warning,omitempty"` // true: worth saying, but no reason to refuse
}

// String is file:line:column: message (rule), leaving out what is unknown.
func (p Place) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteString(" ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Message)
	if p.Rule != "" {
		b.WriteString(" [" + p.Rule + "]")
	}
	return b.String()
}

// Error is an error with a kind. Build one with E and the With methods, which copy.
type Error struct {
	Op     string // what was being done: "create baseline"
	Kind   Kind
	Err    error
	Hint   string // what the user can do; may be empty
	Places []Place
}

// E wraps err as an error of the given kind that happened while doing op. A nil err stays nil in Err.
func E(op string, kind Kind, err error) *Error { return &Error{Op: op, Kind: kind, Err: err} }

// Errorf is E with a formatted cause; %w works as in fmt.Errorf.
func Errorf(op string, kind Kind, format string, args ...any) *Error {
	return E(op, kind, fmt.Errorf(format, args...))
}

// WithHint returns a copy that tells the user what to do.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// WithPlaces returns a copy that carries the wrong places of a file.
func (e *Error) WithPlaces(places []Place) *Error {
	c := *e
	c.Places = append([]Place(nil), places...)
	return &c
}

// Error is "op: cause".
func (e *Error) Error() string {
	switch {
	case e.Err == nil && e.Op == "":
		return string(e.Kind)
	case e.Err == nil:
		return e.Op
	case e.Op == "":
		return e.Err.Error()
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the outermost Error in err's chain; Canceled for context errors without one; Internal otherwise.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Canceled
	}
	return Internal
}

// Is says whether err has the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// HintOf is the first hint found from the outside in, or "".
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// PlacesOf are the places of the first Error in the chain that has any.
func PlacesOf(err error) []Place {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return nil
		}
		if len(e.Places) > 0 {
			return append([]Place(nil), e.Places...)
		}
		err = e.Err
	}
	return nil
}
