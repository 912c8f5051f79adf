// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"microstax/internal/engine/canon"
)

// seg is one step of a path into a tree: an element of an array, or a member of an object.
type seg struct {
	name  []byte
	class string // set when the name is an identifier itself, so that the path generalises over it
	index int32
	array bool
	// A step that a path need not name: the place among elements of one name, and the text that an element has.
	silent bool
	lone   bool // the only element of its name on both sides: not even the concrete path has its index
}

// element is the place in an array, or with silent that among elements of one name.
func element(index int32, silent bool) seg { return seg{index: index, array: true, silent: silent} }

func member(name []byte) seg { return seg{name: name, class: nameClass(name)} }

// named is a member of an element: its name is never data.
func named(name []byte) seg { return seg{name: name, silent: string(name) == canon.TextName} }

// nameClass is the class of a member name that is data rather than schema, or "".
func nameClass(name []byte) string {
	// All of these have a digit among their first bytes, or are long: most names are settled by this.
	if len(name) < 16 && (len(name) == 0 || name[0] < '0' || name[0] > '9') {
		return ""
	}
	switch c := canon.Class(string(name)); c {
	case canon.ClassUUID, canon.ClassULID, canon.ClassKSUID, canon.ClassObjectID, canon.ClassHex, canon.ClassDate:
		return c
	case canon.ClassInt, canon.ClassEpochS, canon.ClassEpochMS, canon.ClassEpochUS, canon.ClassEpochNS:
		return canon.ClassInt
	case canon.ClassRFC3339:
		return "time"
	}
	return ""
}

// random says whether names of the class are made up afresh each time, so that other names need not be other members.
func random(class string) bool {
	switch class {
	case canon.ClassUUID, canon.ClassULID, canon.ClassKSUID, canon.ClassObjectID, canon.ClassHex, "time":
		return true
	}
	return false
}

// general writes the path that all elements of an array share: $.items[*].price.
func general(segs []seg) string {
	var b strings.Builder
	b.WriteByte('$')
	for i := range segs {
		switch s := &segs[i]; {
		case s.silent:
		case s.array:
			b.WriteString("[*]")
		case s.class != "":
			b.WriteString("[{" + s.class + "}]")
		default:
			writeName(&b, s.name)
		}
	}
	return b.String()
}

// concrete writes the very place: $.items[2].price.
func concrete(segs []seg) string {
	var b strings.Builder
	b.WriteByte('$')
	for i := range segs {
		switch s := &segs[i]; {
		case s.lone, s.silent && !s.array:
		case s.array:
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(int(s.index)))
			b.WriteByte(']')
		default:
			writeName(&b, s.name)
		}
	}
	return b.String()
}

// maxName is how much of a member name a path shows; what is longer ends in a hash, so that it stays distinct.
const maxName = 64

func writeName(b *strings.Builder, name []byte) {
	plain := len(name) > 0 && len(name) <= maxName
	for i := 0; i < len(name) && plain; i++ {
		c := name[i]
		plain = c == '_' || i == 0 && (c == '@' || c == '#') && len(name) > 1 || 'a' <= c|0x20 && c|0x20 <= 'z' || i > 0 && '0' <= c && c <= '9'
	}
	if plain {
		b.WriteByte('.')
		b.Write(name)
		return
	}
	b.WriteString("['")
	for _, r := range clip(name) {
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			b.WriteString(`\u00` + hex.EncodeToString([]byte{byte(r)}))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString("']")
}

// clip is a name short enough for a path.
func clip(name []byte) string {
	if len(name) <= maxName {
		return string(name)
	}
	head := name[:maxName-10]
	for len(head) > 0 && !utf8.RuneStart(name[len(head)]) {
		head = head[:len(head)-1]
	}
	sum := binary.BigEndian.AppendUint64(nil, xxhash.Sum64(name))
	return string(head) + "…" + hex.EncodeToString(sum[:4])
}

// maxShown is how many bytes of a value a difference shows.
const maxShown = 160

// shorten makes a value fit for people: bounded, valid UTF-8, cut with a mark.
func shorten(v []byte) string {
	s := v
	cut := len(s) > maxShown
	if cut {
		s = s[:maxShown]
		for len(s) > maxShown-utf8.UTFMax && !utf8.RuneStart(v[len(s)]) {
			s = s[:len(s)-1]
		}
	}
	out := strings.ToValidUTF8(string(s), "\uFFFD")
	if cut {
		out += "…"
	}
	return out
}
