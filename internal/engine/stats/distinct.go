// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Distinct counts distinct 64-bit hashes: exactly up to its size, beyond it from the size smallest hashes, within
// about 1/√size. Merging is a union, so order never matters. Make one with NewDistinct.
type Distinct struct {
	size int
	min  []uint64 // the smallest hashes, ascending
}

// NewDistinct makes a counter that keeps the given number of hashes, 8 bytes each.
func NewDistinct(size int) Distinct { return Distinct{size: size} }

// Add counts a hash; adding one again changes nothing.
func (d *Distinct) Add(h uint64) {
	if len(d.min) == d.size && (d.size == 0 || h >= d.min[len(d.min)-1]) {
		return
	}
	i, found := slices.BinarySearch(d.min, h)
	if found {
		return
	}
	if len(d.min) == d.size {
		d.min = d.min[:len(d.min)-1]
	}
	d.min = slices.Insert(d.min, i, h)
}

// Merge adds what the other has counted.
func (d *Distinct) Merge(o Distinct) {
	for _, h := range o.min {
		d.Add(h)
	}
}

// Count is how many distinct hashes were added.
func (d Distinct) Count() int64 {
	if len(d.min) < d.size || d.size == 0 {
		return int64(len(d.min))
	}
	share := float64(d.min[len(d.min)-1]) / math.Exp2(64)
	return int64(math.Round(float64(d.size-1) / share))
}

// Jaccard estimates how much of the union both have: 1 for the same set, 0 for nothing in common or for two empty sets.
func (d Distinct) Jaccard(o Distinct) float64 {
	union := NewDistinct(min(d.size, o.size))
	union.Merge(d)
	union.Merge(o)
	both := 0
	for _, h := range union.min {
		_, a := slices.BinarySearch(d.min, h)
		_, b := slices.BinarySearch(o.min, h)
		if a && b {
			both++
		}
	}
	if len(union.min) == 0 {
		return 0
	}
	return float64(both) / float64(len(union.min))
}

// MarshalText writes the size and the kept hashes.
func (d Distinct) MarshalText() ([]byte, error) {
	b := binary.AppendUvarint(nil, uint64(d.size))
	last := uint64(0)
	for _, h := range d.min {
		b = binary.AppendUvarint(b, h-last)
		last = h
	}
	return []byte(base64.RawStdEncoding.EncodeToString(b)), nil
}

// UnmarshalText reads what MarshalText wrote.
func (d *Distinct) UnmarshalText(text []byte) error {
	b, err := base64.RawStdEncoding.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("read distinct count: %w", err)
	}
	size, n := binary.Uvarint(b)
	if n <= 0 || size > 1<<20 {
		return fmt.Errorf("read distinct count: bad size")
	}
	out := Distinct{size: int(size)}
	last := uint64(0)
	for b = b[n:]; len(b) > 0; b = b[n:] {
		var step uint64
		if step, n = binary.Uvarint(b); n <= 0 || len(out.min) >= out.size {
			return fmt.Errorf("read distinct count: bad hash")
		}
		last += step
		out.min = append(out.min, last)
	}
	*d = out
	return nil
}
