// SPDX-License-Identifier: Apache-2.0

// Package diff finds every place where two exchanges disagree, and at which levels of strictness. It is pure: two
// exchanges and options in, differences out; compare(x, x) is empty.
//
// A place is never ignored; what is allowed to vary is compared at a weaker level of the lattice
// bytes ⊂ canonical ⊂ tolerant ⊂ format ⊂ type ⊂ presence.
package diff

// Level is one level of strictness. A difference at a level is also a difference at every stricter one.
type Level uint8

// The levels, from the strictest to the weakest.
const (
	Bytes     Level = iota // any byte
	Canonical              // value, spelling aside: number form, white space, key order, cookie attribute order
	Tolerant               // beyond a tolerance, or in more than order (multiset)
	Format                 // class of value: uuid, timestamp, hex token, length class
	Type                   // JSON type, status class, media type
	Presence               // there or not there
	Levels                 // how many there are
)

// Name is the level's name in reports.
func (l Level) Name() string {
	return [...]string{"bytes", "canonical", "tolerant", "format", "type", "presence", "?"}[min(l, Levels)]
}

// Set is a set of levels.
type Set uint8

// With returns the set with l added.
func (s Set) With(l Level) Set { return s | 1<<l }

// Has says whether l is in the set.
func (s Set) Has(l Level) bool { return s&(1<<l) != 0 }

// UpTo is every level from Bytes to l: a difference that shows at l shows at all stricter ones.
func UpTo(l Level) Set { return 1<<(l+1) - 1 }

// Weakest is the weakest level in the set, and false when the set is empty.
func (s Set) Weakest() (Level, bool) {
	for l := Levels; l > 0; l-- {
		if s.Has(l - 1) {
			return l - 1, true
		}
	}
	return 0, false
}

// Kind is a finding kind of the report: status, header, body.value, …
type Kind string

// The kinds of difference between two answers, and between the calls behind them.
const (
	KindStatus        Kind = "status"
	KindHeader        Kind = "header"
	KindMediaType     Kind = "mediaType"
	KindMissing       Kind = "body.missing"
	KindExtra         Kind = "body.extra"
	KindType          Kind = "body.type"
	KindValue         Kind = "body.value"
	KindOrder         Kind = "body.order"
	KindLength        Kind = "body.length"
	KindText          Kind = "body.text"
	KindTrailer       Kind = "trailer"
	KindError         Kind = "error"
	KindLatency       Kind = "latency"
	KindCallMissing   Kind = "call.missing"
	KindCallExtra     Kind = "call.extra"
	KindCallRepeated  Kind = "call.repeated"
	KindCallOrder     Kind = "call.order"
	KindCallArguments Kind = "call.arguments"
	KindFenced        Kind = "effect.fenced"
)

// Difference is one place where an exchange disagrees with the baseline's.
type Difference struct {
	Kind   Kind
	Path   string  // general: $.items[*].price, status, a header's name in lower case, "payments POST /charge" for calls
	At     string  // concrete: $.items[2].price
	Levels Set     // levels at which the two differ; never empty
	Class  string  // what became of the value: missing, extra, type, null, case, precision, sign, order, truncated, other
	Model  string  // what the varying value looks like on both sides: timestamp, uuid, token, number, …; "" when plain
	Was    string  // the baseline's value, shortened for people
	Is     string  // the other's
	Count  int     // how many places of this path, kind and class differ; Levels is their union, the rest is of the one that differs most
	Delta  float64 // the farthest of a number from the baseline's, or of a time from where the clock would put it, in seconds; 0 when that cannot be said
}
