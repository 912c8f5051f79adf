// SPDX-License-Identifier: Apache-2.0

package pairing

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	// maxLight is how many light constants may stand side by side; more are data.
	maxLight = 20
	// heavyShare is the share of a place's requests from which on a constant is a name of its own (1/heavyShare).
	heavyShare = 20
	// maxNodes bounds a learner; beyond it new paths are templated by their look alone.
	maxNodes = 20_000
	// maxFirst bounds the constants in first place, where nothing is merged.
	maxFirst = 1000
)

// Learner makes endpoints, and merges constants that turn out to be data: more than 20 light ones at one place become
// {id}. What merged is told by Renames. Its state is bounded, and is written and read as JSON.
type Learner struct {
	root    *place
	nodes   int
	renames map[string]string
	former  map[string][]string // the inverse of renames
}

// place is one prefix of paths.
type place struct {
	Hits    int64             `json:"n,omitempty"`
	Consts  map[string]*place `json:"c,omitempty"`
	Methods map[string]bool   `json:"m,omitempty"` // of requests whose path ends here
	Wild    *place            `json:"w,omitempty"` // {id}
	Merged  bool              `json:"x,omitempty"` // new constants are data
}

// NewLearner makes a learner that has seen nothing.
func NewLearner() *Learner { return &Learner{root: &place{}} }

// Endpoint counts a request, and gives its endpoint as far as is known by now.
func (l *Learner) Endpoint(method, target string) string {
	method = clipMethod(method)
	segs := segments(target)
	at := l.root
	at.Hits++
	for i, s := range segs {
		next, name := l.step(at, s, segs[:i])
		if next == nil { // no room: by its look, and without a trace of it
			if i == 0 {
				return method + " /" + rest
			}
			break
		}
		segs[i] = name
		at = next
		at.Hits++
		if i == len(segs)-1 {
			if at.Methods == nil {
				at.Methods = make(map[string]bool)
			}
			at.Methods[method] = at.Methods[method] || len(at.Methods) < 32
		}
	}
	return method + " " + join(segs)
}

// step is the place behind a segment, and the name under which it is known. nil when there is no room for it.
func (l *Learner) step(at *place, s string, before []string) (*place, string) {
	if next, ok := at.Consts[s]; ok {
		return next, s
	}
	if s == wild || at.Merged && !reserved(s) && !strings.Contains(s, wild) {
		if at.Wild == nil {
			if l.nodes >= maxNodes {
				return nil, ""
			}
			at.Wild = &place{}
			l.nodes++
		}
		return at.Wild, wild
	}
	first := at == l.root
	if l.nodes >= maxNodes || first && len(at.Consts) >= maxFirst {
		return nil, ""
	}
	if at.Consts == nil {
		at.Consts = make(map[string]*place)
	}
	next := &place{}
	at.Consts[s] = next
	l.nodes++
	if !first && len(at.Consts) > maxLight && l.merge(at, s, before) {
		return at.Wild, wild
	}
	return next, s
}

// merge makes the light constants at a place data, when there are too many, and says whether that took in the newest.
func (l *Learner) merge(at *place, newest string, before []string) bool {
	return slices.Contains(l.fold(at, before, false), newest)
}

// fold makes the light constants at a place data, when there are too many or always is set, and gives their names.
func (l *Learner) fold(at *place, before []string, always bool) []string {
	var light []string
	for name, p := range at.Consts {
		if p.Hits*heavyShare < at.Hits && !reserved(name) && name != rest && !strings.Contains(name, wild) && p.Wild == nil {
			light = append(light, name)
		}
	}
	if len(light) == 0 || !always && len(light) <= maxLight {
		return nil
	}
	slices.Sort(light)
	at.Merged = true
	if at.Wild == nil {
		at.Wild = &place{}
		l.nodes++
	}
	prefix := "/" + strings.Join(before, "/") + "/"
	for _, name := range light {
		p := at.Consts[name]
		delete(at.Consts, name)
		l.nodes--
		l.rename(p, prefix+name, prefix+wild)
		l.absorb(at.Wild, p)
	}
	return light
}

// Merge adds what other learners have seen; they stay as they are, and their order does not matter. What turns out to be
// data only now that all are known is told by Renames, under the names that any gave before.
func (l *Learner) Merge(others ...*Learner) {
	for _, o := range others {
		for old, now := range o.renames {
			l.renamed(old, now)
		}
		l.unite(l.root, o.root)
	}
	l.refold(l.root, nil)
}

// refold makes data of what is data now that more is known, from the ends of the paths on.
func (l *Learner) refold(at *place, before []string) {
	for _, name := range slices.Sorted(maps.Keys(at.Consts)) {
		l.refold(at.Consts[name], append(slices.Clip(before), name))
	}
	if at.Wild != nil {
		l.refold(at.Wild, append(slices.Clip(before), wild))
	}
	if at != l.root && (at.Merged || len(at.Consts) > maxLight) {
		l.fold(at, before, at.Merged)
	}
}

// unite adds a place of another learner to one of this.
func (l *Learner) unite(into, from *place) {
	into.Hits += from.Hits
	into.Merged = into.Merged || from.Merged
	for m, ok := range from.Methods {
		if into.Methods == nil {
			into.Methods = make(map[string]bool)
		}
		into.Methods[m] = into.Methods[m] || ok
	}
	for name, child := range from.Consts {
		next := into.Consts[name]
		if next == nil {
			if into.Consts == nil {
				into.Consts = make(map[string]*place)
			}
			next = &place{}
			into.Consts[name] = next
			l.nodes++
		}
		l.unite(next, child)
	}
	if from.Wild != nil {
		if into.Wild == nil {
			into.Wild = &place{}
			l.nodes++
		}
		l.unite(into.Wild, from.Wild)
	}
}

// absorb adds what was seen at one place to another.
func (l *Learner) absorb(into, p *place) {
	into.Hits += p.Hits
	into.Merged = into.Merged || p.Merged
	for m, ok := range p.Methods {
		if into.Methods == nil {
			into.Methods = make(map[string]bool)
		}
		into.Methods[m] = into.Methods[m] || ok
	}
	for name, child := range p.Consts {
		if known, ok := into.Consts[name]; ok {
			l.nodes--
			l.absorb(known, child)
			continue
		}
		if into.Consts == nil {
			into.Consts = make(map[string]*place)
		}
		into.Consts[name] = child
	}
	if p.Wild == nil {
		return
	}
	if into.Wild == nil {
		into.Wild = p.Wild
		return
	}
	l.nodes--
	l.absorb(into.Wild, p.Wild)
}

// rename notes that every endpoint under a place has another name now.
func (l *Learner) rename(p *place, from, to string) {
	for m := range p.Methods {
		l.renamed(m+" "+from, m+" "+to)
	}
	for name, child := range p.Consts {
		l.rename(child, from+"/"+name, to+"/"+name)
	}
	if p.Wild != nil {
		l.rename(p.Wild, from+"/"+wild, to+"/"+wild)
	}
}

func (l *Learner) renamed(from, to string) {
	if l.renames == nil {
		l.renames, l.former = make(map[string]string), make(map[string][]string)
	}
	old := append(l.former[from], from)
	delete(l.former, from)
	for _, name := range old {
		l.renames[name] = to
	}
	l.former[to] = append(l.former[to], old...)
}

// Renames is what endpoints that were given before are called now, since it was last asked; nil when nothing changed.
// Counters kept under a key must be added to those under its value.
func (l *Learner) Renames() map[string]string {
	out := l.renames
	l.renames, l.former = nil, nil
	return out
}

// state is a learner as JSON.
type state struct {
	Version int               `json:"version"`
	Root    *place            `json:"root"`
	Renames map[string]string `json:"renames,omitempty"`
}

const stateVersion = 1

// MarshalJSON writes the learner; equal learners are written alike.
func (l *Learner) MarshalJSON() ([]byte, error) {
	return json.Marshal(state{Version: stateVersion, Root: l.root, Renames: l.renames})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Learner) UnmarshalJSON(data []byte) error {
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("read learner: %w", err)
	}
	if s.Version != stateVersion || s.Root == nil {
		return fmt.Errorf("read learner: version %d is not known", s.Version)
	}
	nodes, err := s.Root.count(0)
	if err != nil {
		return fmt.Errorf("read learner: %w", err)
	}
	*l = Learner{root: s.Root, nodes: nodes - 1}
	for from, to := range s.Renames {
		l.renamed(from, to)
	}
	return nil
}

// count is the number of places at and under p.
func (p *place) count(depth int) (int, error) {
	if p == nil || depth > maxSegments+1 {
		return 0, errors.New("state is damaged")
	}
	n := 1
	for _, child := range p.Consts {
		m, err := child.count(depth + 1)
		if err != nil {
			return 0, err
		}
		n += m
	}
	if p.Wild != nil {
		m, err := p.Wild.count(depth + 1)
		if err != nil {
			return 0, err
		}
		n += m
	}
	return n, nil
}

// reserved says whether a word beside identifiers is usually a name: /users/me.
func reserved(s string) bool {
	switch strings.ToLower(s) {
	case "", "me", "self", "new", "search", "count", "export", "import", "health", "healthz", "ready", "readyz", "live", "livez",
		"status", "metrics", "version", "all", "latest", "current", "default", "batch", "bulk", "stats", "summary", "login", "logout",
		"info", "config", "settings", "list", "create", "update", "delete", "edit", "validate", "preview", "index.html",
		"openapi.json", "favicon.ico":
		return true
	}
	return false
}
