// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// stored is a profile as JSON; requests are packed.
type stored struct {
	Names    []string `json:"n,omitempty"`
	Values   []string `json:"v,omitempty"`
	Requests []byte   `json:"r,omitempty"`
	Sample   int      `json:"s,omitempty"` // how many of the requests, which come first
	Dropped  int64    `json:"d,omitempty"`
	Full     bool     `json:"f,omitempty"`
}

// MarshalJSON writes the profile compactly.
func (p *Profile) MarshalJSON() ([]byte, error) {
	s := stored{Names: p.names, Values: p.values, Sample: len(p.sample), Dropped: p.dropped, Full: p.full}
	order := slices.Clone(p.sample)
	var others []uint64
	for h := range p.requests {
		if _, sampled := slices.BinarySearch(p.sample, h); !sampled {
			others = append(others, h)
		}
	}
	slices.Sort(others)
	for _, h := range append(order, others...) {
		r := p.requests[h]
		s.Requests = binary.LittleEndian.AppendUint64(s.Requests, h)
		s.Requests = appendAll(s.Requests, uint64(r.seen[0]), uint64(r.seen[1]), uint64(len(r.facts)))
		for _, f := range r.facts {
			s.Requests = appendAll(s.Requests, uint64(f.Name), uint64(f.Value))
		}
	}
	return json.Marshal(s)
}

var errDamaged = errors.New("the packed requests are damaged")

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Profile) UnmarshalJSON(b []byte) error {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("read profile: %w", err)
	}
	*p = *NewProfile()
	p.names, p.values, p.dropped, p.full = s.Names, s.Values, s.Dropped, s.Full
	for i, n := range s.Names {
		p.nameOf[n] = uint16(i)
	}
	for i, v := range s.Values {
		p.valueOf[v] = uint16(i)
	}
	u := unpacker{b: s.Requests}
	for len(u.b) > 0 {
		r := &request{hash: u.word()}
		r.seen = [2]uint32{u.next(1 << 32), u.next(1 << 32)}
		for range u.next(maxFacts + 1) {
			r.facts = append(r.facts, pair{uint16(u.next(uint64(len(s.Names)))), uint16(u.next(uint64(len(s.Values))))})
		}
		if u.failed || p.requests[r.hash] != nil {
			return errDamaged
		}
		p.requests[r.hash] = r
		if len(p.sample) < s.Sample {
			p.sample = append(p.sample, r.hash)
		}
	}
	if len(p.sample) != s.Sample || !slices.IsSorted(p.sample) || len(s.Names) > maxNames || len(s.Values) > maxValues+1 {
		return errDamaged
	}
	return nil
}

// MarshalJSON writes the cases compactly.
func (c *Cases) MarshalJSON() ([]byte, error) {
	b := appendAll(nil, uint64(0))
	if c.full {
		b[0] = 1
	}
	for _, f := range c.list {
		b = binary.LittleEndian.AppendUint64(b, f.hash)
		b = appendAll(b, uint64(f.count[0]), uint64(f.count[1]), uint64(f.levels))
	}
	return json.Marshal(b)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Cases) UnmarshalJSON(b []byte) error {
	var packed []byte
	if err := json.Unmarshal(b, &packed); err != nil {
		return fmt.Errorf("read cases: %w", err)
	}
	u := unpacker{b: packed}
	c.full, c.list = u.next(2) == 1, nil
	for len(u.b) > 0 {
		f := failure{hash: u.word()}
		f.count = [2]uint32{u.next(1 << 32), u.next(1 << 32)}
		f.levels = uint8(u.next(256))
		if u.failed || len(c.list) > 0 && c.list[len(c.list)-1].hash >= f.hash || len(c.list) >= caseSize {
			return errDamaged
		}
		c.list = append(c.list, f)
	}
	if u.failed {
		return errDamaged
	}
	return nil
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

func (u *unpacker) word() uint64 {
	if len(u.b) < 8 {
		u.failed, u.b = true, nil
		return 0
	}
	x := binary.LittleEndian.Uint64(u.b)
	u.b = u.b[8:]
	return x
}

// next reads a number below limit.
func (u *unpacker) next(limit uint64) uint32 {
	x, n := binary.Uvarint(u.b)
	if n <= 0 || x >= limit {
		u.failed, u.b = true, nil
		return 0
	}
	u.b = u.b[n:]
	return uint32(x)
}
