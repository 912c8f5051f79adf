// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"microstax/internal/engine/diff"
	"microstax/internal/engine/noise"
	"microstax/internal/engine/pairing"
	"microstax/internal/engine/stats"
	"microstax/internal/fault"
)

// stateVersion changes whenever an older state can't be read any more.
const stateVersion = 5

// state is an Analysis as stored. Sessions are packed, since there may be many.
type state struct {
	Version   int                         `json:"version"`
	Rules     string                      `json:"rules"`
	Start     time.Time                   `json:"start,omitzero"`
	End       time.Time                   `json:"end,omitzero"`
	Traffic   traffic                     `json:"traffic"`
	Learners  map[string]*pairing.Learner `json:"learners,omitempty"`
	Endpoints []*endpoint                 `json:"endpoints,omitempty"`
	Places    []*hypothesis               `json:"places,omitempty"`
	Gates     map[string]*gate            `json:"gates,omitempty"`
	Headers   []headerState               `json:"headers,omitempty"`
	Calls     []callState                 `json:"calls,omitempty"`
	Breaches  []breachState               `json:"breaches,omitempty"`
	Users     []byte                      `json:"users,omitempty"`
	Evicted   int64                       `json:"evicted,omitempty"`
	Full      int64                       `json:"full,omitempty"`
	Cells     []cell                      `json:"cells,omitempty"`
	Unseen    stats.Unseen                `json:"unseen,omitzero"`
	Shards    int                         `json:"shards,omitempty"`
	Ranks     ranks                       `json:"ranks,omitzero"`
}

type headerState struct {
	Service string        `json:"s"`
	Header  string        `json:"h"`
	Counts  *noise.Counts `json:"c"`
}

type breachState struct {
	Endpoint int          `json:"e"`
	Rule     string       `json:"r"`
	Path     string       `json:"p,omitempty"`
	Count    *breachCount `json:"c"`
}

type callState struct {
	Endpoint   int        `json:"e"`
	Dependency string     `json:"d"`
	Operation  string     `json:"o"`
	Count      *callCount `json:"c"`
}

// State is the analysis as bytes, for Restore. Earlier answers, which stand in for a control where none runs, are left
// out: they are large and come back with the traffic.
func (a *Analysis) State() ([]byte, error) {
	kept := a.keptProfiles()
	endpoints := make([]*endpoint, len(a.endpoints))
	for i, ep := range a.endpoints {
		if ep.Profile != nil && !kept[i] {
			without := *ep
			without.Profile, ep = nil, &without
		}
		endpoints[i] = ep
	}
	s := state{
		Version: stateVersion, Rules: Rules, Start: a.start, End: a.end, Traffic: a.traffic, Learners: a.learners,
		Endpoints: endpoints, Places: a.places, Gates: a.gates, Users: a.users.pack(),
		Evicted: a.users.evicted, Full: a.users.full, Cells: a.unseen.list(), Unseen: a.unseen.rate, Ranks: a.ranks, Shards: a.shards,
	}
	for n, c := range a.headers {
		s.Headers = append(s.Headers, headerState{n.service, n.header, c})
	}
	for n, c := range a.calls {
		s.Calls = append(s.Calls, callState{n.endpoint, n.dependency, n.operation, c})
	}
	for n, c := range a.breaches {
		s.Breaches = append(s.Breaches, breachState{n.endpoint, n.rule, n.path, c})
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write analysis state: %w", err)
	}
	return b, nil
}

// Restore continues an analysis from its State. It fails with fault.Invalid for bytes that are no state, and with
// fault.Conflict for the state of another version.
func Restore(cfg Config, b []byte) (*Analysis, error) {
	const op = "restore analysis"
	s := state{Traffic: newTraffic()}
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fault.E(op, fault.Invalid, err)
	}
	if s.Version != stateVersion {
		return nil, fault.Errorf(op, fault.Conflict, "state has version %d, this program reads %d", s.Version, stateVersion).
			WithHint("start a new shadow session: microstax env shadow ENV --disable, then --enable")
	}
	a := New(cfg)
	a.start, a.end, a.traffic, a.endpoints, a.places, a.ranks, a.shards = s.Start, s.End, s.Traffic, s.Endpoints, s.Places, s.Ranks, max(s.Shards, 0)
	if s.Learners != nil {
		a.learners = s.Learners
	}
	if s.Gates != nil {
		a.gates = s.Gates
	}
	if err := a.index(s); err != nil {
		return nil, fault.E(op, fault.Invalid, err)
	}
	users, err := unpackUsers(s.Users, len(a.endpoints), len(a.places), a.serviceOf)
	if err != nil {
		return nil, fault.E(op, fault.Invalid, err)
	}
	a.users = users
	a.users.evicted, a.users.full = s.Evicted, s.Full
	return a, nil
}

// index rebuilds what is found by name.
func (a *Analysis) index(s state) error {
	if a.traffic.Dropped == nil {
		a.traffic.Dropped = map[string]int64{}
	}
	for i, ep := range a.endpoints {
		if ep == nil {
			return fmt.Errorf("endpoint %d is null", i)
		}
		if ep.Into < 0 || ep.Into > len(a.endpoints) {
			return fmt.Errorf("endpoint %d is part of none", i)
		}
		if ep.Profile != nil {
			a.profiled++
		}
		if ep.Into == 0 {
			a.byName[endpointName{ep.Service, ep.Name}] = i
		}
	}
	for i, h := range a.places {
		if h == nil || h.Endpoint < 0 || h.Endpoint >= len(a.endpoints) {
			return fmt.Errorf("place %d belongs to no endpoint", i)
		}
		if h.Into < 0 || h.Into > len(a.places) || h.Into == i+1 {
			return fmt.Errorf("place %d is part of none", i)
		}
		h.id = a.placeID(h)
		if h.Into != 0 {
			continue
		}
		a.byPlace[place{h.Endpoint, h.Kind, h.Path, h.Variant}] = i
	}
	if err := a.unseen.restore(s, len(a.endpoints)); err != nil {
		return err
	}
	for _, n := range s.Headers {
		a.headers[headerName{n.Service, n.Header}] = n.Counts
	}
	for _, b := range s.Breaches {
		if b.Endpoint < 0 || b.Endpoint >= len(a.endpoints) || b.Count == nil {
			return errors.New("breaches belong to no endpoint")
		}
		a.breaches[breachName{b.Endpoint, b.Rule, b.Path}] = b.Count
	}
	for _, c := range s.Calls {
		if c.Endpoint < 0 || c.Endpoint >= len(a.endpoints) || c.Count == nil {
			return errors.New("calls belong to no endpoint")
		}
		a.calls[callName{c.Endpoint, c.Dependency, c.Operation}] = c.Count
	}
	return nil
}

func (a *Analysis) serviceOf(endpoint uint32) string { return a.endpoints[endpoint].Service }

// The flags of a packed visit and session.
const (
	flagCounted = 1 << iota
	flagCandidate
	flagControl
	flagPoisoned
	flagTold
)

func flag(on bool, f uint64) uint64 {
	if on {
		return f
	}
	return 0
}

// pack writes the sessions, oldest first.
func (u *users) pack() []byte {
	var b []byte
	for e := u.order.Back(); e != nil; e = e.Prev() {
		s := e.Value.(*user)
		b = binary.LittleEndian.AppendUint64(b, s.key)
		b = appendAll(b, flag(s.poisoned, flagPoisoned)|flag(s.told, flagTold), uint64(s.by), uint64(len(s.visits)))
		for _, v := range s.visits {
			flags := flag(v.counted, flagCounted) | flag(v.candidate, flagCandidate) | flag(v.control, flagControl)
			b = appendAll(b, uint64(v.endpoint), flags, uint64(len(v.causes)))
			for _, c := range v.causes {
				b = appendAll(b, uint64(c))
			}
		}
		b = appendAll(b, uint64(len(s.marks)))
		for _, m := range s.marks {
			b = appendAll(b, uint64(m.place), uint64(m.candidate), uint64(m.control))
		}
	}
	return b
}

func appendAll(b []byte, xs ...uint64) []byte {
	for _, x := range xs {
		b = binary.AppendUvarint(b, x)
	}
	return b
}

// unpacker reads packed numbers; after the first failure it gives zeros.
type unpacker struct {
	b      []byte
	failed bool
}

// next reads a number below limit.
func (p *unpacker) next(limit int) uint64 {
	x, n := binary.Uvarint(p.b)
	if n <= 0 || x >= uint64(limit) {
		p.failed, p.b = true, nil
		return 0
	}
	p.b = p.b[n:]
	return x
}

func unpackUsers(b []byte, endpoints, places int, service func(uint32) string) (*users, error) {
	u := newUsers(maxSessions)
	p := unpacker{b: b}
	for len(p.b) > 0 && !p.failed {
		if len(p.b) < 8 {
			p.failed = true
			break
		}
		s := &user{key: binary.LittleEndian.Uint64(p.b)}
		p.b = p.b[8:]
		state := p.next(2 * flagTold)
		s.poisoned, s.told = state&flagPoisoned != 0, state&flagTold != 0
		s.by = uint32(p.next(places + 1))
		for range p.next(maxVisits + 1) {
			v := visit{endpoint: uint32(p.next(endpoints))}
			flags := p.next(flagPoisoned)
			v.counted, v.candidate, v.control = flags&flagCounted != 0, flags&flagCandidate != 0, flags&flagControl != 0
			for range p.next(maxCauses + 2) {
				v.causes = append(v.causes, uint32(p.next(places)))
			}
			if p.failed {
				break
			}
			s.visits = append(s.visits, v)
			s.firstAt(service(v.endpoint))
		}
		for range p.next(maxMarks + 1) {
			s.marks = append(s.marks, mark{uint32(p.next(places)), diff.Set(p.next(256)), diff.Set(p.next(256))})
		}
		u.byKey[s.key] = u.order.PushFront(s)
	}
	if p.failed || u.order.Len() > maxSessions {
		return nil, errors.New("the packed sessions are damaged")
	}
	return u, nil
}
