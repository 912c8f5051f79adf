// SPDX-License-Identifier: Apache-2.0

package route

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Delta is what turns one table into another. Within it, as in an encoded table, references to sessions have only their id.
type Delta struct {
	Schema        int        `json:"schema"`
	Base          uint64     `json:"base"`       // revision of the table that it changes
	BaseDigest    string     `json:"baseDigest"` // and its Digest
	Revision      uint64     `json:"revision"`   // of the table that it makes
	Digest        string     `json:"digest"`     // and its Digest
	Shadows       []*Shadow  `json:"shadows,omitempty"`
	GoneShadows   []string   `json:"goneShadows,omitempty"`
	Listeners     []Listener `json:"listeners,omitempty"` // new or changed
	GoneListeners []string   `json:"goneListeners,omitempty"`
	// Order has the ids of all listeners where changing in place and adding at the end would give another order.
	Order []string `json:"order,omitempty"`
}

// ErrBase is returned by Delta.Apply for a table that the delta was not made for, or that it does not lead to what it
// promised. A full table helps.
var ErrBase = errors.New("the delta is for another table")

// Diff is the delta from a to b.
func Diff(a, b *Table) (*Delta, error) {
	from, err := index(a)
	if err != nil {
		return nil, err
	}
	to, err := index(b)
	if err != nil {
		return nil, err
	}
	d := &Delta{
		Schema: Schema, Base: a.Revision, BaseDigest: from.digest, Revision: b.Revision, Digest: to.digest,
	}
	for _, s := range to.doc.Shadows {
		if !bytes.Equal(from.shadows[s.Session], to.shadows[s.Session]) {
			d.Shadows = append(d.Shadows, s)
		}
	}
	for _, s := range from.doc.Shadows {
		if to.shadows[s.Session] == nil {
			d.GoneShadows = append(d.GoneShadows, s.Session)
		}
	}
	for _, l := range to.doc.Listeners {
		if !bytes.Equal(from.listeners[l.ID], to.listeners[l.ID]) {
			d.Listeners = append(d.Listeners, l)
		}
	}
	for _, l := range from.doc.Listeners {
		if to.listeners[l.ID] == nil {
			d.GoneListeners = append(d.GoneListeners, l.ID)
		}
	}
	if order := ids(to.doc.Listeners); !slices.Equal(ids(d.changed(from.doc.Listeners)), order) {
		d.Order = order
	}
	return d, nil
}

// indexed is a table taken apart.
type indexed struct {
	doc                document
	digest             string
	shadows, listeners map[string][]byte // as encoded
}

func index(t *Table) (indexed, error) {
	out := indexed{shadows: map[string][]byte{}, listeners: map[string][]byte{}}
	whole, err := Encode(t)
	if err != nil {
		return out, err
	}
	out.digest = digest(whole)
	if err := json.Unmarshal(whole, &out.doc); err != nil {
		return out, fmt.Errorf("decode routes: %w", err)
	}
	for _, s := range out.doc.Shadows {
		if out.shadows[s.Session], err = json.Marshal(s); err != nil {
			return out, fmt.Errorf("encode routes: %w", err)
		}
	}
	for _, l := range out.doc.Listeners {
		if out.listeners[l.ID] != nil {
			return out, fmt.Errorf("encode routes: listener %s is there twice", l.ID)
		}
		if out.listeners[l.ID], err = json.Marshal(l); err != nil {
			return out, fmt.Errorf("encode routes: %w", err)
		}
	}
	return out, nil
}

func ids(ls []Listener) []string {
	out := make([]string, len(ls))
	for i := range ls {
		out[i] = ls[i].ID
	}
	return out
}

// changed is a list of listeners with those of the delta changed in place, gone, or added at the end.
func (d *Delta) changed(base []Listener) []Listener {
	news := map[string]Listener{}
	for _, l := range d.Listeners {
		news[l.ID] = l
	}
	var out []Listener
	for _, l := range base {
		if slices.Contains(d.GoneListeners, l.ID) {
			continue
		}
		if n, ok := news[l.ID]; ok {
			l = n
			delete(news, l.ID)
		}
		out = append(out, l)
	}
	for _, l := range d.Listeners {
		if _, left := news[l.ID]; left {
			out = append(out, l)
		}
	}
	return out
}

// DecodeDelta reads a delta as json.Marshal wrote it, in this or an earlier version. Unknown members are errors.
func DecodeDelta(b []byte) (*Delta, error) {
	var d Delta
	if err := strictly(b, &d); err != nil {
		return nil, fmt.Errorf("decode change of routes: %w", err)
	}
	if err := readable(d.Schema); err != nil {
		return nil, fmt.Errorf("decode change of routes: %w", err)
	}
	return &d, nil
}

// Apply gives the table that the delta makes of a, which stays as it is; the two share nothing that changes.
func (d *Delta) Apply(a *Table) (*Table, error) {
	from, err := index(a)
	if err != nil {
		return nil, err
	}
	if d.Base != a.Revision || d.BaseDigest != from.digest {
		return nil, fmt.Errorf("%w: it changes revision %d, and this is %d", ErrBase, d.Base, a.Revision)
	}
	doc := document{Schema: Schema, Revision: d.Revision, Listeners: d.changed(from.doc.Listeners)}
	if err := doc.reorder(d.Order); err != nil {
		return nil, err
	}
	for _, s := range from.doc.Shadows {
		changed := func(n *Shadow) bool { return n != nil && n.Session == s.Session }
		if !slices.Contains(d.GoneShadows, s.Session) && !slices.ContainsFunc(d.Shadows, changed) {
			doc.Shadows = append(doc.Shadows, s)
		}
	}
	doc.Shadows = append(doc.Shadows, d.Shadows...)
	t, err := doc.copied()
	if err != nil {
		return nil, fmt.Errorf("change routes: %w", err)
	}
	if got, err := Digest(t); err != nil || got != d.Digest {
		return nil, fmt.Errorf("%w: it promised revision %d and led to something else", ErrBase, d.Revision)
	}
	return t, nil
}

// reorder puts the listeners in an order that has each of them once.
func (d *document) reorder(order []string) error {
	if order == nil {
		return nil
	}
	byID := map[string]Listener{}
	for _, l := range d.Listeners {
		byID[l.ID] = l
	}
	if len(order) != len(d.Listeners) {
		return fmt.Errorf("%w: it orders %d listeners of %d", ErrBase, len(order), len(d.Listeners))
	}
	for i, id := range order {
		l, ok := byID[id]
		if !ok {
			return fmt.Errorf("%w: it orders listener %s, which is not there", ErrBase, id)
		}
		d.Listeners[i] = l
	}
	return nil
}

// copied is the document's table, which owns all of it: what the delta and the table before hold is not linked.
func (d *document) copied() (*Table, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	var own document
	if err := json.Unmarshal(b, &own); err != nil {
		return nil, err
	}
	return own.table()
}
