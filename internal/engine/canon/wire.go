// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxGuessed is how deep messages are guessed within messages: every level reads its bytes again.
const maxGuessed = 32

// wireField is one field as it is on the wire.
type wireField struct {
	num protowire.Number
	typ protowire.Type
	val uint64 // of a varint or a fixed one
	raw []byte // of bytes, and the inside of a group
}

// wireFields reads a message, at most limit fields of it. The fields are ordered by number, those of one number as they are.
func wireFields(data []byte, limit int) ([]wireField, error) {
	var out []wireField
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		data = data[n:]
		f := wireField{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.val, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			f.val = uint64(v)
		case protowire.Fixed64Type:
			f.val, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			f.raw, n = protowire.ConsumeBytes(data)
		case protowire.StartGroupType:
			f.raw, n = protowire.ConsumeGroup(num, data)
		default:
			return nil, errors.New("end of a group that did not begin")
		}
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		data = data[n:]
		if out = append(out, f); len(out) > limit {
			return nil, fmt.Errorf("more than %d values", limit)
		}
	}
	slices.SortStableFunc(out, func(x, y wireField) int { return int(x.num) - int(y.num) })
	return out, nil
}

// wire adds a message's fields to the open element, each under # and its number, without knowing its type.
func (b *builder) wire(data []byte, guessed int) error {
	fields, err := wireFields(data, b.lim.Nodes-len(b.t.nodes))
	if err != nil {
		return err
	}
	for i := range fields {
		if err := b.wireValue(&fields[i], guessed); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) wireValue(f *wireField, guessed int) error {
	name := "#" + strconv.Itoa(int(f.num))
	switch f.typ {
	case protowire.VarintType:
		if f.val>>63 != 0 { // a negative number takes all ten bytes
			return b.leaf(name, Number, TagVarint, strconv.AppendInt(nil, int64(f.val), 10))
		}
		return b.leaf(name, Number, TagVarint, strconv.AppendUint(nil, f.val, 10))
	case protowire.Fixed32Type:
		return b.leaf(name, Number, TagFixed32, fixed(f.val, float64(math.Float32frombits(uint32(f.val))), 32))
	case protowire.Fixed64Type:
		return b.leaf(name, Number, TagFixed64, fixed(f.val, math.Float64frombits(f.val), 64))
	case protowire.StartGroupType:
		return b.wireMessage(name, TagGroup, f.raw, guessed)
	default: // bytes: the end of a group is none
	}
	switch {
	case readable(f.raw):
		return b.leaf(name, String, TagBytes, f.raw)
	case guessed < maxGuessed && len(b.open) < b.lim.Depth && isMessage(f.raw):
		return b.wireMessage(name, TagBytes, f.raw, guessed+1)
	}
	return b.leaf(name, String, TagBytes, base64.StdEncoding.AppendEncode(nil, f.raw))
}

func (b *builder) wireMessage(name string, tag Tag, data []byte, guessed int) error {
	if err := b.begin(name, Element, tag); err != nil {
		return err
	}
	if err := b.wire(data, guessed); err != nil {
		return err
	}
	return b.end()
}

// fixed writes a fixed-width value as a float when that is of an everyday size, else as an integer.
func fixed(bits uint64, f float64, width int) []byte {
	if size := math.Abs(f); size >= 1e-9 && size < 1e15 {
		return strconv.AppendFloat(nil, f, 'g', -1, width)
	}
	if width == 64 && bits>>63 != 0 {
		return strconv.AppendInt(nil, int64(bits), 10)
	}
	return strconv.AppendUint(nil, bits, 10)
}

// readable says whether bytes are text. A line feed first is the tag of field 1, and would be odd in front of a text.
func readable(data []byte) bool {
	if len(data) > 0 && data[0] == '\n' && isMessage(data) {
		return false
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n < 2 || unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
		i += n
	}
	return true
}

// isMessage says whether bytes can be read as fields to the end. Numbers that nobody gives and groups speak against it.
func isMessage(data []byte) bool {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 || num > 1<<16 || typ == protowire.StartGroupType || typ == protowire.EndGroupType {
			return false
		}
		m := protowire.ConsumeFieldValue(num, typ, data[n:])
		if m < 0 {
			return false
		}
		data = data[n+m:]
	}
	return true
}
