// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// member is one member of an object.
type member struct {
	name  string
	value any // *object, []any, json.Number, string, bool or nil
}

// object is a JSON object whose members keep their order, so that a behaviour changes what it names and nothing else.
type object struct{ members []member }

// parseObject reads a document that is an object.
func parseObject(b []byte) (*object, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := parseValue(d)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*object)
	if !ok {
		return nil, fmt.Errorf("read document: %T is no object", v)
	}
	return o, nil
}

func parseValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	switch t {
	case json.Delim('{'):
		o := &object{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, fmt.Errorf("read document: %w", err)
			}
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			o.members = append(o.members, member{name.(string), v}) //nolint:forcetypeassert // names are strings
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

// MarshalJSON writes the members in their order, and escapes no more than JSON asks for.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o.members {
		if i > 0 {
			b.WriteByte(',')
		}
		for _, v := range []any{m.name, m.value} {
			if err := e.Encode(v); err != nil {
				return nil, err
			}
			b.Truncate(b.Len() - 1) // the encoder's line end
			b.WriteByte(':')
		}
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (o *object) at(name string) int {
	return slices.IndexFunc(o.members, func(m member) bool { return m.name == name })
}

func (o *object) get(name string) any {
	if i := o.at(name); i >= 0 {
		return o.members[i].value
	}
	return nil
}

func (o *object) has(name string) bool { return o.at(name) >= 0 }

// set replaces a member, or adds it at the end.
func (o *object) set(name string, v any) {
	if i := o.at(name); i >= 0 {
		o.members[i].value = v
		return
	}
	o.members = append(o.members, member{name, v})
}

func (o *object) drop(name string) {
	if i := o.at(name); i >= 0 {
		o.members = slices.Delete(o.members, i, i+1)
	}
}

func (o *object) rename(name, to string) {
	if i := o.at(name); i >= 0 {
		o.members[i].name = to
	}
}

// text is a member that is a string, else "".
func (o *object) text(name string) string {
	s, _ := o.get(name).(string)
	return s
}

// whole is a member that is an integer, else 0.
func (o *object) whole(name string) int64 {
	n, _ := o.get(name).(json.Number)
	i, _ := n.Int64() //nolint:errcheck // 0 then
	return i
}

// list is a member that is an array, else nil.
func (o *object) list(name string) []any {
	l, _ := o.get(name).([]any)
	return l
}
