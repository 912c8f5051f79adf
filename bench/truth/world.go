// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// The three sides. Noise is drawn for each alike: they run the same program, unless a change is put into the candidate.
const (
	baseline = iota
	control
	candidate
	sides
)

// How a field varies.
const (
	steady   = iota // never
	flips           // holds another of a few values in some of the answers
	counts          // a number that is off by a little in some of the answers
	vanishes        // is missing in some
	nulls           // is null in some
	shuffles        // an array in another order in some
	unique          // another identifier in every answer
	clock           // the time of day
)

// field is one member of an endpoint's answer.
type field struct {
	name   string
	kind   int
	rate   float64 // share of answers, on each side alike, in which it is odd
	sticky bool    // what is odd stays so for the whole user session
}

// route is one endpoint.
type route struct {
	service, method, target string
	fields                  []field
	failing                 float64 // share of answers, on each side alike, that are a 503
	uneven                  float64 // spread of durations: 0.5 is half the typical one
}

// world makes observations of a made-up application, reproducibly.
type world struct {
	r      *rand.Rand
	seed   uint64
	routes []route
	length float64 // mean requests of a user session; 1: each request is its own
	users  []user
	nextID uint64
	n      int
	start  time.Time
	// edit changes what the candidate answers with, before noise is laid over it; nil: it is unchanged.
	edit func(r *rand.Rand, at int, values []string) string
}

// user is a session that is going on.
type user struct {
	id   uint64
	left int
}

func newWorld(seed uint64, routes []route, length float64) *world {
	return &world{
		r: rand.New(rand.NewPCG(seed, 0x7b1e)), seed: seed, routes: routes, length: length,
		start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// noiseRates are the rates of noise, from one in a thousand to three in ten.
func noiseRates() []float64 { return []float64{.001, .003, .01, .03, .05, .1, .2, .3} }

// manyRoutes are endpoints of two services with fields of every kind and rate of noise, half of them by session.
func manyRoutes(n int) []route {
	kinds, rates := []int{flips, counts, vanishes, nulls, shuffles}, noiseRates()
	routes := make([]route, n)
	for i := range routes {
		rt := route{
			service: []string{"orders", "catalog"}[i%2], method: "GET", target: "/" + word(i), uneven: []float64{.05, .5, 1.5}[i%3],
			failing: []float64{0, .001, .005}[i%3],
		}
		if i%5 == 4 {
			rt.method = "POST"
		}
		rt.fields = append(rt.fields, field{name: "name"}, field{name: "requestId", kind: unique}, field{name: "at", kind: clock},
			field{name: "total"})
		for k := range 8 {
			rt.fields = append(rt.fields, field{
				name: "f" + strconv.Itoa(k), kind: kinds[(i+k)%len(kinds)], rate: rates[(3*i+k)%len(rates)], sticky: (i+k)%2 == 0,
			})
		}
		routes[i] = rt
	}
	return routes
}

// word is a name without digits, so that it is no identifier.
func word(i int) string {
	return "part" + string([]byte{'a' + byte(i/26%26), 'a' + byte(i%26)})
}

// oddWord is one of a few values that no answer has otherwise.
func oddWord(r *rand.Rand) string {
	return strconv.Quote("oddly" + string([]byte{'a' + byte(r.IntN(4))}))
}

// next is one observation with its tally.
func (w *world) next() (*observation.Observation, observation.Tally) {
	return w.at(w.r.IntN(len(w.routes)))
}

// at is an observation of one route.
func (w *world) at(i int) (*observation.Observation, observation.Tally) {
	w.n++
	rt := &w.routes[i]
	u, own := w.session()
	at := w.start.Add(time.Duration(w.n) * 50 * time.Millisecond)
	o := &observation.Observation{
		ID: "obs_" + strconv.Itoa(w.n), Session: "ses_truth", Service: rt.service, At: at,
		Unit: strconv.FormatUint(u, 36), OwnUnit: own, Lane: true, CallsTraced: true,
	}
	usual := w.usual(rt, i)
	n := w.exchange(rt, i, usual, u, control, at)
	o.Control = &n
	o.Baseline = w.exchange(rt, i, usual, u, baseline, at)
	o.Candidate = w.exchange(rt, i, usual, u, candidate, at)
	return o, observation.Tally{Session: o.Session, At: at, Received: 1, Mirrored: 1}
}

// session picks the user of the next request among those who are there.
func (w *world) session() (id uint64, own bool) {
	if w.length <= 1 {
		w.nextID++
		return w.nextID, true
	}
	for len(w.users) < 40 {
		w.nextID++
		w.users = append(w.users, user{id: w.nextID, left: 1 + int(w.r.ExpFloat64()*(w.length-.5))})
	}
	k := w.r.IntN(len(w.users))
	u := w.users[k].id
	if w.users[k].left--; w.users[k].left <= 0 {
		w.users[k] = w.users[len(w.users)-1]
		w.users = w.users[:len(w.users)-1]
	}
	return u, false
}

// usual is what a program without noise answers: the same on all sides, and its own in each request.
func (w *world) usual(rt *route, at int) []string {
	v := make([]string, len(rt.fields))
	for i, f := range rt.fields {
		switch f.kind {
		case counts:
			v[i] = strconv.Itoa(100 + w.r.IntN(900))
		case shuffles:
			v[i] = `["red","green","blue"]`
		case unique, clock:
		default:
			v[i] = strconv.Quote(word(at*31 + i))
		}
	}
	return v
}

// odd says whether a field is odd on one side: by the session where it is sticky, else by the request.
func (w *world) odd(f *field, at, i int, u uint64, side int) bool {
	if f.rate == 0 {
		return false
	}
	if !f.sticky {
		return w.r.Float64() < f.rate
	}
	var b [40]byte
	for k, x := range []uint64{w.seed, u, uint64(side), uint64(at), uint64(i)} {
		binary.LittleEndian.PutUint64(b[8*k:], x)
	}
	return float64(xxhash.Sum64(b[:])>>11)/(1<<53) < f.rate
}

func (w *world) exchange(rt *route, at int, usual []string, u uint64, side int, t time.Time) exchange.Exchange {
	took := time.Duration(float64(5*time.Millisecond) * (1 + rt.uneven*w.r.ExpFloat64()))
	x := exchange.Exchange{
		Start: t, FirstByte: took / 2, Duration: took, Outcome: exchange.OK,
		Request: exchange.Request{Method: rt.method, Target: rt.target, Proto: "HTTP/1.1"},
		Response: exchange.Response{Status: 200, Proto: "HTTP/1.1", Headers: []exchange.Header{
			{Name: "Content-Type", Value: "application/json"}, {Name: "Date", Value: t.Format(time.RFC1123)},
		}},
	}
	body := ""
	if rt.failing > 0 && w.r.Float64() < rt.failing {
		x.Response.Status, body = 503, `{"error":"busy"}`
	} else {
		values := append([]string(nil), usual...)
		extra := ""
		if side == candidate && w.edit != nil {
			extra = w.edit(w.r, at, values)
		}
		body = w.body(rt, at, append(values, extra), u, side, t)
	}
	x.Response.Body = exchange.Body{Data: []byte(body), Length: int64(len(body))}
	return x
}

// body writes the answer with one side's noise. The last of the values is what comes after the fields.
func (w *world) body(rt *route, at int, values []string, u uint64, side int, t time.Time) string {
	b := make([]byte, 0, 512)
	b = append(b, '{')
	for i := range rt.fields {
		f, v := &rt.fields[i], values[i]
		odd := w.odd(f, at, i, u, side)
		switch {
		case f.kind == unique:
			v = fmt.Sprintf(`"%08x-1111-4111-8111-%012x"`, w.r.Uint32(), w.r.Uint64()>>16)
		case f.kind == clock:
			v = strconv.Quote(t.Add(time.Duration(w.r.IntN(900)) * time.Millisecond).Format(time.RFC3339Nano))
		case !odd:
		case f.kind == flips:
			v = oddWord(w.r)
		case f.kind == counts:
			n, _ := strconv.Atoi(v) // what is no number counts from nothing
			v = strconv.Itoa(n + 1 + w.r.IntN(3))
		case f.kind == vanishes:
			continue
		case f.kind == nulls:
			v = "null"
		case f.kind == shuffles:
			v = `["green","red","blue"]`
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(strconv.AppendQuote(b, f.name), ':')
		b = append(b, v...)
	}
	return string(append(append(b, values[len(rt.fields)]...), '}'))
}
