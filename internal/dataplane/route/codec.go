// SPDX-License-Identifier: Apache-2.0

package route

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Schema is the version of the encoding of tables and deltas. It grows when an older reader would misread what is written.
const Schema = 1

// ErrSchema is returned for a table or delta that a newer version of this program wrote.
var ErrSchema = errors.New("routes were written by a newer version")

// document is a table as it travels: what refers to a shadow session has only its id, and listeners and sessions stand in
// one order for equal tables.
type document struct {
	Schema    int        `json:"schema"`
	Revision  uint64     `json:"revision"`
	Shadows   []*Shadow  `json:"shadows,omitempty"`
	Listeners []Listener `json:"listeners,omitempty"`
}

// Encode writes a table as one JSON document without line ends. Equal tables give equal bytes. A private key never
// travels: a listener whose TLS material has no files is refused.
func Encode(t *Table) ([]byte, error) {
	d := document{Schema: Schema, Revision: t.Revision}
	for _, id := range slices.Sorted(maps.Keys(t.Shadows)) {
		if s := t.Shadows[id]; s == nil || s.Session != id {
			return nil, fmt.Errorf("encode routes: shadow session %q is filed under another id", id)
		}
		d.Shadows = append(d.Shadows, t.Shadows[id])
	}
	for i := range t.Listeners {
		l := &t.Listeners[i]
		if err := l.check(); err != nil {
			return nil, fmt.Errorf("encode routes: %w", err)
		}
		d.Listeners = append(d.Listeners, l.unlinked())
	}
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode routes: %w", err)
	}
	return b, nil
}

// Digest names a table's content, revision included.
func Digest(t *Table) (string, error) {
	b, err := Encode(t)
	if err != nil {
		return "", err
	}
	return digest(b), nil
}

func digest(encoded []byte) string {
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// Decode reads what Encode wrote, in this or an earlier version. Unknown members, listeners without id, address or kind,
// two of the same id, and references to sessions that are not there are errors.
func Decode(b []byte) (*Table, error) {
	var d document
	if err := strictly(b, &d); err != nil {
		return nil, fmt.Errorf("decode routes: %w", err)
	}
	if err := readable(d.Schema); err != nil {
		return nil, fmt.Errorf("decode routes: %w", err)
	}
	t, err := d.table()
	if err != nil {
		return nil, fmt.Errorf("decode routes: %w", err)
	}
	return t, nil
}

func readable(schema int) error {
	if schema > Schema {
		return fmt.Errorf("%w: schema %d, this program reads up to %d", ErrSchema, schema, Schema)
	}
	if schema < 1 {
		return errors.New("not a document of routes")
	}
	return nil
}

// strictly reads one JSON value and nothing else.
func strictly(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

// table links a document's references. The table owns all of it.
func (d *document) table() (*Table, error) {
	t := &Table{Revision: d.Revision, Shadows: map[string]*Shadow{}, Listeners: d.Listeners}
	for _, s := range d.Shadows {
		if s == nil || s.Session == "" {
			return nil, errors.New("a shadow session has no id")
		}
		if t.Shadows[s.Session] != nil {
			return nil, fmt.Errorf("shadow session %s is there twice", s.Session)
		}
		t.Shadows[s.Session] = s
	}
	seen := map[string]bool{}
	for i := range t.Listeners {
		l := &t.Listeners[i]
		if err := l.check(); err != nil {
			return nil, err
		}
		if seen[l.ID] {
			return nil, fmt.Errorf("listener %s is there twice", l.ID)
		}
		seen[l.ID] = true
		if err := l.link(t.Shadows); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// check says what keeps a listener from travelling.
func (l *Listener) check() error {
	switch {
	case l.ID == "":
		return errors.New("a listener has no id")
	case l.Addr == "":
		return fmt.Errorf("listener %s has no address", l.ID)
	case l.Kind != Gateway && l.Kind != Outgoing && l.Kind != Tapped:
		return fmt.Errorf("listener %s is of no known kind: %q", l.ID, l.Kind)
	case l.TLS != nil && (l.TLS.CertificateFile == "" || l.TLS.KeyFile == ""):
		return fmt.Errorf("listener %s serves TLS without files of certificate and key", l.ID)
	}
	for key, t := range l.Keys {
		if t == nil {
			return fmt.Errorf("listener %s has no target for key %q", l.ID, key)
		}
	}
	for t := range l.targets() {
		if t.Effect != nil && t.Effect.Shadow == nil {
			return fmt.Errorf("an effect of listener %s belongs to no shadow session", l.ID)
		}
		if slices.Contains(t.Record, nil) {
			return fmt.Errorf("a record of listener %s belongs to no shadow session", l.ID)
		}
		for _, e := range t.Mirror {
			if e == nil || e.Shadow == nil {
				return fmt.Errorf("an entry of listener %s belongs to no shadow session", l.ID)
			}
		}
	}
	return nil
}

// targets are all that the listener can send a request to.
func (l *Listener) targets() func(yield func(*Target) bool) {
	return func(yield func(*Target) bool) {
		if l.Default != nil && !yield(l.Default) {
			return
		}
		for _, t := range l.Keys {
			if !yield(t) {
				return
			}
		}
	}
}

// unlinked is a copy in which references to sessions have the id alone.
func (l *Listener) unlinked() Listener {
	return l.copied(func(s *Shadow) *Shadow { return &Shadow{Session: s.Session} })
}

// copied is a copy of all that refers to sessions, with other references.
func (l *Listener) copied(shadow func(*Shadow) *Shadow) Listener {
	out := *l
	if l.Default != nil {
		out.Default = l.Default.copied(shadow)
	}
	if l.Keys != nil {
		out.Keys = make(map[string]*Target, len(l.Keys))
		for key, t := range l.Keys {
			out.Keys[key] = t.copied(shadow)
		}
	}
	return out
}

func (t *Target) copied(shadow func(*Shadow) *Shadow) *Target {
	out := *t
	out.Mirror, out.Record = nil, nil
	for _, e := range t.Mirror {
		entry := *e
		entry.Shadow = shadow(e.Shadow)
		out.Mirror = append(out.Mirror, &entry)
	}
	for _, s := range t.Record {
		out.Record = append(out.Record, shadow(s))
	}
	if t.Effect != nil {
		effect := *t.Effect
		effect.Shadow = shadow(t.Effect.Shadow)
		out.Effect = &effect
	}
	return &out
}

// link replaces the listener's references by the sessions that they name.
func (l *Listener) link(shadows map[string]*Shadow) error {
	var missing error
	found := func(s *Shadow) *Shadow {
		known := shadows[s.Session]
		if known == nil {
			missing = fmt.Errorf("listener %s refers to shadow session %q, which is not there", l.ID, s.Session)
		}
		return known
	}
	for t := range l.targets() {
		for _, e := range t.Mirror {
			e.Shadow = found(e.Shadow)
		}
		for i, s := range t.Record {
			t.Record[i] = found(s)
		}
		if t.Effect != nil {
			t.Effect.Shadow = found(t.Effect.Shadow)
		}
	}
	return missing
}
