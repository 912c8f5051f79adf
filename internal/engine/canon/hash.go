// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/text/unicode/norm"
)

// Hashes gives each node a hash of its canonical value: equal subtrees have equal hashes, of whatever spelling. The
// converse must be verified with EqualNodes, since whoever makes a body could make a collision.
func (t *Tree) Hashes() []uint64 {
	out := make([]uint64, len(t.nodes))
	var buf []byte
	// Children stand behind their parent, so that backwards they are ready when it is reached.
	for i := int32(len(t.nodes)) - 1; i >= 0; i-- {
		buf = append(buf[:0], byte(t.nodes[i].typ), byte(t.nodes[i].tag))
		switch t.nodes[i].typ {
		case Number:
			buf = appendNumber(buf, t.Text(i))
		case String:
			if s := t.Text(i); ascii(s) {
				buf = append(buf, s...)
			} else {
				buf = norm.NFC.Append(buf, s...)
			}
		case Array, Object:
			for _, c := range t.Children(i) {
				if t.nodes[i].typ == Object {
					buf = binary.LittleEndian.AppendUint64(buf, xxhash.Sum64(t.Key(c)))
				}
				buf = binary.LittleEndian.AppendUint64(buf, out[c])
			}
		case Element:
			c := i + 1
			for range t.nodes[i].n {
				buf = binary.LittleEndian.AppendUint64(buf, xxhash.Sum64(t.Key(c)))
				buf = binary.LittleEndian.AppendUint64(buf, out[c])
				c = t.Next(c)
			}
		default:
			buf = append(buf, t.Text(i)...)
		}
		out[i] = xxhash.Sum64(buf)
	}
	return out
}

// Fingerprint is a hash of the body's canonical value: bodies for which Equal holds have the same one.
func (b *Body) Fingerprint() uint64 {
	if b.Tree != nil {
		return b.Tree.Hashes()[0]
	}
	return xxhash.Sum64(b.Data)
}
