// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"strconv"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/engine/canon"
	"microstax/internal/exchange"
)

// Options are how two exchanges are compared.
type Options struct {
	// Ignore are the rules that hold for the endpoint; the caller has left out those for others.
	Ignore []blueprint.Ignore
	// Limits bound the decoding of bodies; zero fields mean the defaults.
	Limits canon.Limits
	// Descriptors say what protobuf messages mean; without them they are compared as they are on the wire.
	Descriptors *canon.Descriptors
	// Tolerance is how far numbers at a path, and times in seconds, vary by themselves; 0 where that is not known. What
	// differs by no more than that differs at no level beyond Canonical. It must not have been learned from the candidate, nor from the exchanges that are
	// compared.
	Tolerance func(path string) float64
}

// Result is all that a comparison tells.
type Result struct {
	Differences []Difference
	Masked      []int    // for each rule of Options.Ignore, how many differences it hid altogether; nil when none did
	Marks       []string // why bodies were compared more coarsely than usual
}

// Exchanges is every difference between the baseline's exchange and another's, in a fixed order. There are at most
// MaxDifferences of them, and one more that says so when there would be more.
func Exchanges(base, other *exchange.Exchange, o Options) []Difference {
	return Compare(base, other, o).Differences
}

// Compare is Exchanges with what the rules hid.
func Compare(base, other *exchange.Exchange, o Options) Result {
	if Equal(base, other) {
		return Result{}
	}
	c := newCollector(o.Ignore)
	c.learned = o.Tolerance
	if !base.Start.IsZero() && !other.Start.IsZero() {
		c.came = [2]time.Time{base.End(), other.End()}
	}
	var marks []string
	if c.outcomes(base, other) && c.statuses(&base.Response, &other.Response) {
		c.heads(base, other)
		if base.Request.Method != "HEAD" {
			a, b := answer(base), answer(other)
			marks = c.bodies(a, b, &o)
			c.tag(a, b)
		}
		c.trailers(base.Response.Trailers, other.Response.Trailers)
	}
	return Result{Differences: c.done(), Masked: c.hidden(), Marks: marks}
}

func answer(e *exchange.Exchange) side {
	return side{body: &e.Response.Body, headers: e.Response.Headers, target: e.Request.Target}
}

// Bodies compares the bodies of two requests alone, with the headers that describe them; of the headers only the media type is compared.
func Bodies(base, other exchange.Body, baseHeaders, otherHeaders []exchange.Header, o Options) []Difference {
	c := newCollector(o.Ignore)
	a, b := groups(baseHeaders), groups(otherHeaders)
	c.mediaType(find(a, "content-type"), find(b, "content-type"))
	c.bodies(side{body: &base, headers: baseHeaders, request: true}, side{body: &other, headers: otherHeaders, request: true}, &o)
	return c.done()
}

// Queries compares two query strings, without their question marks, as forms: $.page, $.tag[*].
func Queries(base, other string, o Options) []Difference {
	if base == other {
		return nil
	}
	c := newCollector(o.Ignore)
	a, errA := canon.ParseForm([]byte(base), o.Limits)
	b, errB := canon.ParseForm([]byte(other), o.Limits)
	if errA != nil || errB != nil {
		c.atBody(KindValue, UpTo(Tolerant), found{class: "other", was: []byte(base), is: []byte(other)})
		return c.done()
	}
	c.trees(a, b)
	c.layout(0, []byte(base), []byte(other))
	return c.done()
}

// outcomes compares how the exchanges ended, and says whether both have an answer to compare.
func (c *collector) outcomes(base, other *exchange.Exchange) bool {
	a, b := ended(base), ended(other)
	if a == b {
		return a == exchange.OK
	}
	f := found{class: string(b), was: []byte(saying(base)), is: []byte(saying(other))}
	levels := UpTo(Presence)
	switch {
	case b == exchange.OK:
		f.class = "answered"
	case a != exchange.OK:
		levels = UpTo(Type) // neither answered, in different ways
	}
	c.plain(KindError, "answer", "answer", levels, f)
	return false
}

func ended(e *exchange.Exchange) exchange.Outcome {
	if e.Outcome == "" {
		return exchange.OK
	}
	return e.Outcome
}

// saying is an exchange's end for people: its status, or how it failed.
func saying(e *exchange.Exchange) string {
	switch {
	case ended(e) == exchange.OK:
		return strconv.Itoa(e.Response.Status)
	case e.Error != "":
		return string(e.Outcome) + ": " + e.Error
	}
	return string(e.Outcome)
}

// statuses compares the status codes, and says whether the rest of the answers is worth comparing: an error's body and
// a success's differ by nature, in every place.
func (c *collector) statuses(a, b *exchange.Response) bool {
	if a.Status == b.Status {
		return true
	}
	levels, same := UpTo(Canonical), a.Status/100 == b.Status/100
	if !same {
		levels = UpTo(Type)
	}
	c.plain(KindStatus, "status", "status", levels,
		found{class: "other", was: strconv.AppendInt(nil, int64(a.Status), 10), is: strconv.AppendInt(nil, int64(b.Status), 10)})
	return same
}
