// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// ParseForm reads name=value pairs joined by & (a form body, or a query without its ?) into an object: one value is a
// string, several of one name are an array of strings in their order.
func ParseForm(data []byte, l Limits) (*Tree, error) { return parseForm(data, l.withDefaults()) }

type pair struct{ name, value span }

func parseForm(data []byte, l Limits) (*Tree, error) {
	t := &Tree{}
	var pairs []pair
	for len(data) > 0 {
		var one []byte
		one, data, _ = bytes.Cut(data, []byte{'&'})
		if len(one) == 0 {
			continue
		}
		name, value, _ := bytes.Cut(one, []byte{'='})
		p := pair{name: t.unescaped(name), value: t.unescaped(value)}
		pairs = append(pairs, p)
		if 2*len(pairs) > l.Nodes {
			return nil, fmt.Errorf("parse form: more than %d values", l.Nodes)
		}
	}
	if !utf8.Valid(t.aux) {
		return nil, errors.New("parse form: invalid UTF-8")
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return bytes.Compare(t.bytes(a.name), t.bytes(b.name)) })
	t.fill(pairs)
	return t, nil
}

// fill makes the nodes from pairs sorted by name.
func (t *Tree) fill(pairs []pair) {
	t.nodes = append(t.nodes, node{typ: Object})
	var members []int32
	for i := 0; i < len(pairs); {
		j := i + 1
		for j < len(pairs) && bytes.Equal(t.bytes(pairs[i].name), t.bytes(pairs[j].name)) {
			j++
		}
		at := int32(len(t.nodes))
		members = append(members, at)
		if j-i == 1 {
			t.addText(pairs[i].name, pairs[i].value)
		} else {
			t.nodes = append(t.nodes, node{typ: Array, key: pairs[i].name, raw: pairs[i].value, size: uint32(j - i + 1),
				n: uint32(j - i), ord: uint32(len(t.order))})
			for ; i < j; i++ {
				t.order = append(t.order, int32(len(t.nodes)))
				t.addText(span{}, pairs[i].value)
			}
		}
		i = j
	}
	root := &t.nodes[0]
	root.size, root.n, root.ord = uint32(len(t.nodes)), uint32(len(members)), uint32(len(t.order))
	t.order = append(t.order, members...)
}

func (t *Tree) addText(name, value span) {
	t.nodes = append(t.nodes, node{typ: String, key: name, text: value, raw: value, size: 1})
}

// unescaped appends s with + and %XX undone to aux. A broken escape stays as it is.
func (t *Tree) unescaped(s []byte) span {
	off := len(t.aux)
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			t.aux = append(t.aux, ' ')
		case s[i] == '%' && i+2 < len(s) && Unhex(s[i+1]) >= 0 && Unhex(s[i+2]) >= 0:
			t.aux = append(t.aux, byte(Unhex(s[i+1])<<4|Unhex(s[i+2])))
			i += 2
		default:
			t.aux = append(t.aux, s[i])
		}
	}
	return span{off: uint32(off), n: uint32(len(t.aux) - off), aux: true}
}

// Unhex is the value of a hex digit, or -1.
func Unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
