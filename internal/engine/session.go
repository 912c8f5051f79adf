// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"container/list"
	"slices"

	"github.com/cespare/xxhash/v2"

	"microstax/internal/engine/diff"
	"microstax/internal/observation"
)

// mark is what one session has shown at one hypothesis so far.
type mark struct {
	place              uint32
	candidate, control diff.Set
}

// visit is one session at one endpoint.
type visit struct {
	endpoint  uint32
	counted   bool // in the pooled gate
	candidate bool // has differed above noise
	control   bool
	causes    []uint32 // hypotheses by which the candidate differed, ascending
}

// user is the state of one user's session.
type user struct {
	key      uint64
	poisoned bool   // it has gone its own way; what follows is aftermath
	by       uint32 // the hypothesis that sent it there, plus 1; 0 when it was the control's
	visits   []visit
	marks    []mark
	services []string
	told     bool // it has met a kind of request that nobody had met before
}

// users holds the sessions seen last.
type users struct {
	limit   int
	byKey   map[uint64]*list.Element
	order   *list.List // of *user, newest first
	evicted int64      // sessions forgotten; should they return, they count as new
	full    int64      // places and visits that a session could not remember
}

func newUsers(limit int) *users {
	return &users{limit: limit, byKey: map[uint64]*list.Element{}, order: list.New()}
}

// of finds or makes the session of an observation. A request that is its own session is not remembered.
func (u *users) of(o *observation.Observation) *user {
	if o.OwnUnit || o.Unit == "" {
		return &user{}
	}
	key := xxhash.Sum64String(o.Unit)
	if e, known := u.byKey[key]; known {
		u.order.MoveToFront(e)
		return e.Value.(*user)
	}
	s := &user{key: key}
	u.byKey[key] = u.order.PushFront(s)
	u.trim()
	return s
}

// trim forgets the session that was away longest, where there are too many.
func (u *users) trim() {
	if u.order.Len() > u.limit {
		last := u.order.Back()
		delete(u.byKey, last.Value.(*user).key)
		u.order.Remove(last)
		u.evicted++
	}
}

// visit finds or makes the session's visit to an endpoint; new says which. It is nil when the session can remember no
// more.
func (s *user) visit(endpoint int) (v *visit, isNew bool) {
	for i := range s.visits {
		if s.visits[i].endpoint == uint32(endpoint) {
			return &s.visits[i], false
		}
	}
	if len(s.visits) >= maxVisits {
		return nil, false
	}
	s.visits = append(s.visits, visit{endpoint: uint32(endpoint)})
	return &s.visits[len(s.visits)-1], true
}

// mark finds or makes the session's mark at a hypothesis, and nil when it can remember no more.
func (s *user) mark(place int) *mark {
	for i := range s.marks {
		if s.marks[i].place == uint32(place) {
			return &s.marks[i]
		}
	}
	if len(s.marks) >= maxMarks {
		return nil
	}
	s.marks = append(s.marks, mark{place: uint32(place)})
	return &s.marks[len(s.marks)-1]
}

// firstAt says whether the session reaches the service for the first time.
func (s *user) firstAt(service string) bool {
	if slices.Contains(s.services, service) {
		return false
	}
	s.services = append(s.services, service)
	return true
}
