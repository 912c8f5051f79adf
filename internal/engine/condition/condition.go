// SPDX-License-Identifier: Apache-2.0

// Package condition finds out which requests a difference shows in: "when request.body.$.currency = "JPY"".
//
// A Profile holds a bounded, uniform sample of the different requests that an endpoint gets, as facts: parameters, leaves
// of bodies, a few headers, statuses of outgoing calls. Cases are the requests in which one difference showed. Explain
// searches conjunctions of predicates on facts that tell the two apart (subgroup discovery by beam search), on the
// requests of one half of the user sessions, and keeps what it finds only if the other half bears it out: the search looks
// at thousands of predicates, and some of them fit by accident.
//
// Sample and cases are chosen by the smallest hashes of requests, so they do not depend on the order of arrival, and two
// of them merge into what one would have held. The package is pure; values belong to one goroutine.
package condition

import (
	"fmt"
	"strings"
)

// The bounds of what is held.
const (
	sampleSize = 128  // different requests of an endpoint
	caseSize   = 64   // different requests that show one difference
	maxFacts   = 64   // of one request
	maxNames   = 512  // different names of facts at one endpoint
	maxValues  = 1024 // different values of facts at one endpoint
	maxName    = 120  // bytes
	maxValue   = 32   // bytes; of what is longer the length is kept
)

// Condition says in which requests a difference shows.
type Condition struct {
	Text string // "request.body.$.currency = "JPY" and request.body.$.items length ≥ 2"

	// What the half of the user sessions that the search did not see says of it: of the requests that show the difference
	// how many meet the condition, and likewise of those that do not show it.
	Held, Of          int
	OtherHeld, Others int
}

// Check says how the condition held where it was not learnt.
func (c Condition) Check() string {
	return fmt.Sprintf("on unseen sessions it holds for %d of %d requests that differ and for %d of %d that do not",
		c.Held, c.Of, c.OtherHeld, c.Others)
}

// Half is the half of the traffic that a user session belongs to, by the hash of its key.
type Half uint8

// The halves: one to learn from, one to check with.
const (
	Learn Half = iota
	Unseen
)

// HalfOf is the half for a hash.
func HalfOf(hash uint64) Half { return Half(hash >> 17 & 1) }

// Fact is one thing that is known of a request.
type Fact struct {
	Name  string // request.query.sort, request.body.$.items length
	Value string // as spelled in JSON: "JPY", 3, true, null; or what stands for a value that is not told apart: <uuid>
}

// opaque says whether a value only stands for many.
func opaque(v string) bool { return strings.HasPrefix(v, "<") }
