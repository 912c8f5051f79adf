// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"slices"

	"microstax/internal/engine"
)

// keeper decides which of the observations that the engine proposes are kept whole. Each finding has a bounded shelf, and
// so has what is ordinary at each endpoint: for the first ones, which stay, for the newest, and for the shortest, by the
// engine's own rule for the best example. An observation stays as long as one shelf holds it.
//
// A keeper can be built again from what is stored: offering the stored observations in order fills the same shelves.
type keeper struct {
	limits  Limits
	shelves map[string]*shelf // by finding id, or endpoint and reason
	held    map[string]*hold
}

// hold is one kept observation.
type hold struct {
	on     []string // the shelves that hold it
	digest string   // of the blob, once it is stored
}

// place names a kept observation that lost its last place.
type place struct{ id, digest string }

type shelf struct {
	first, newest []string
	best          string
	size          int64 // of the best
}

// better is the engine's rule for examples: to take another's place one has to be a fifth shorter.
func (s *shelf) better(size int64) bool { return s.best == "" || size < s.size-s.size/5 }

func (s *shelf) has(id string) bool {
	return s.best == id || slices.Contains(s.first, id) || slices.Contains(s.newest, id)
}

func newKeeper(l Limits) *keeper {
	return &keeper{limits: l, shelves: map[string]*shelf{}, held: map[string]*hold{}}
}

// offer says whether the observation is to be kept, and which ones lose their place to it. The size is what shown gives.
func (k *keeper) offer(id string, j engine.Judged, size int64) (bool, []place) {
	if !j.Keep || k.held[id] != nil { // or it was delivered twice
		return false, nil
	}
	h := &hold{}
	k.held[id] = h
	var lost []place
	for _, f := range j.Findings {
		lost = append(lost, k.put(id, h, f, k.limits.PerFinding, size)...)
	}
	if len(j.Findings) == 0 {
		lost = append(lost, k.put(id, h, j.Endpoint+"\x00"+j.Why, k.limits.PerEndpoint, size)...)
	}
	if len(h.on) == 0 {
		delete(k.held, id)
		return false, lost
	}
	return true, lost
}

// put offers the observation a place on a shelf with so much room, half of it for the first ones.
func (k *keeper) put(id string, h *hold, name string, room int, size int64) []place {
	s := k.shelves[name]
	if s == nil {
		s = &shelf{}
		k.shelves[name] = s
	}
	// In a full session an observation may take the place of another, and a new shelf gets one: there are only as many
	// shelves as the engine allows.
	full := len(k.held) > k.limits.PerSession
	firsts := max(1, room/2)
	newest := room - firsts - 1
	var out []string
	if room > 1 && s.better(size) {
		out = append(out, s.best)
		s.best, s.size = id, size
	}
	switch {
	case len(s.first) < firsts && (!full || len(s.first) == 0):
		s.first = append(s.first, id)
	case newest > 0 && (!full || len(s.newest) > 0):
		s.newest = append(s.newest, id)
		if len(s.newest) > newest || full {
			out = append(out, s.newest[0])
			s.newest = slices.Delete(s.newest, 0, 1)
		}
	}
	if s.has(id) {
		h.on = append(h.on, name)
	}
	var lost []place
	for _, o := range out {
		if o != "" && !s.has(o) {
			lost = k.release(o, name, lost)
		}
	}
	return lost
}

func (k *keeper) release(id, name string, lost []place) []place {
	h := k.held[id]
	if h == nil {
		return lost
	}
	h.on = slices.DeleteFunc(h.on, func(s string) bool { return s == name })
	if len(h.on) > 0 {
		return lost
	}
	delete(k.held, id)
	return append(lost, place{id: id, digest: h.digest})
}

// stored notes where a kept observation lies.
func (k *keeper) stored(id, digest string) {
	if h := k.held[id]; h != nil {
		h.digest = digest
	}
}

// forget gives up an observation that could not be kept, and frees its places.
func (k *keeper) forget(id string) {
	h := k.held[id]
	if h == nil {
		return
	}
	delete(k.held, id)
	for _, name := range h.on {
		s := k.shelves[name]
		s.first = slices.DeleteFunc(s.first, func(o string) bool { return o == id })
		s.newest = slices.DeleteFunc(s.newest, func(o string) bool { return o == id })
		if s.best == id {
			s.best = "" // whichever comes next
		}
	}
}
