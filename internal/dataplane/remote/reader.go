// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Reader reads a spool's frames in order. One goroutine uses it.
type Reader struct {
	s    *Spool
	next uint64 // number of the next frame to read
	from uint64 // first frame of the segment that offset is in; 0: not known
	at   int64  // offset of next in that segment
}

// NewReader reads from a frame on; a number before the oldest one means that.
func (s *Spool) NewReader(from uint64) *Reader {
	r := &Reader{s: s}
	r.Seek(from)
	return r
}

// Seek goes to a frame; a number before the oldest one means that, one after the newest the next one.
func (r *Reader) Seek(to uint64) {
	oldest := r.s.Oldest()
	_, next := r.s.Grown()
	r.next, r.from, r.at = min(max(to, oldest), next), 0, 0
}

// Next is the number of the frame that Read begins with.
func (r *Reader) Next() uint64 { return r.next }

// Read gives frames as AppendFrame wrote them: at least one if there is one, and no more than limit bytes unless the
// first is larger. It moves on behind them. Nothing is io.EOF.
func (r *Reader) Read(limit int64) ([]byte, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.closed {
		return nil, io.EOF
	}
	seg, err := r.find()
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(max(limit, frameHead), seg.size-r.at))
	if _, err := seg.file.ReadAt(b, r.at); err != nil {
		return nil, fmt.Errorf("read spool: %w", err)
	}
	n, count := whole(b)
	if count == 0 { // larger than the limit
		b = make([]byte, n)
		if r.at+n > seg.size {
			return nil, fmt.Errorf("read spool: %w: frame %d goes beyond its segment", ErrTorn, r.next)
		}
		if _, err := seg.file.ReadAt(b, r.at); err != nil {
			return nil, fmt.Errorf("read spool: %w", err)
		}
		count = 1
	}
	r.at += n
	r.next += count
	return b[:n], nil
}

// whole is how many bytes the whole frames at the start of b take, and how many they are; where the first is not whole,
// how many it takes.
func whole(b []byte) (size int64, count uint64) {
	for size+frameHead <= int64(len(b)) {
		n := frameHead + int64(binary.BigEndian.Uint32(b[size:]))
		if size+n > int64(len(b)) {
			if count == 0 {
				return n, 0
			}
			break
		}
		size += n
		count++
	}
	return size, count
}

// find is the segment that has the next frame, with r.at at it. The caller holds mu.
func (r *Reader) find() (*segment, error) {
	for _, seg := range r.s.segments {
		if seg.next <= r.next || seg.next == seg.first {
			continue // it ends before
		}
		if seg.first > r.next {
			r.next = seg.first // what was between is damaged, or given up
		}
		if r.from != seg.first {
			r.from, r.at = seg.first, 0
			for n := seg.first; n < r.next; n++ {
				var head [4]byte
				if _, err := seg.file.ReadAt(head[:], r.at); err != nil {
					return nil, fmt.Errorf("read spool: %w", err)
				}
				r.at += frameHead + int64(binary.BigEndian.Uint32(head[:]))
			}
		}
		return seg, nil
	}
	return nil, io.EOF
}
