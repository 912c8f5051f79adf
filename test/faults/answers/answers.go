// SPDX-License-Identifier: Apache-2.0

// Package answers says what the services of the fault suite answer. The services compute their answers from it, and the
// driver what it expects, so that a changed, lost or foreign byte shows. Pure.
package answers

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io"
)

// Item is the answer to GET /item/ID: some are not found.
func Item(id string) (status int, body string) {
	h := fnv.New32a()
	h.Write([]byte(id)) //nolint:errcheck // never fails
	n := h.Sum32()
	if n%9 == 0 {
		return 404, fmt.Sprintf(`{"error":"there is no item","id":%q}`, id)
	}
	return 200, fmt.Sprintf(`{"id":%q,"price":%d,"tags":["a%d","b%d"]}`, id, n%1000, n%7, n%5)
}

// Odd says whether the next version of the service answers differently for an item.
func Odd(id string) bool {
	h := fnv.New32a()
	h.Write([]byte(id)) //nolint:errcheck // never fails
	return h.Sum32()%16 == 1
}

// Stock is the answer to GET /stock/ID.
func Stock(id string) string { return fmt.Sprintf(`{"stock":%d,"of":%q}`, len(id), id) }

// Reserved is the answer to POST /reserve/ID.
func Reserved(id string) string { return fmt.Sprintf(`{"reserved":%q}`, id) }

// Full is the answer to GET /full/ID: the item with what stock says.
func Full(id string) string { return fmt.Sprintf(`{"id":%q,"stock":%s}`, id, Stock(id)) }

// Ordered is the answer to POST /order/ID.
func Ordered(id string) string { return fmt.Sprintf(`{"ordered":%q,"by":%s}`, id, Reserved(id)) }

// Echoed is the answer to POST /echo.
func Echoed(body []byte) string {
	sum := sha256.Sum256(body)
	return fmt.Sprintf(`{"length":%d,"sha256":%q}`, len(body), hex.EncodeToString(sum[:]))
}

// patternBlock is the distance between two numbers in the pattern.
const patternBlock = 32 << 10

// block is the n-th block of the pattern: its number, then bytes that are always the same.
func block(buf []byte, n int64) []byte {
	if len(buf) == 0 {
		buf = make([]byte, patternBlock)
		for i := range buf {
			buf[i] = byte('a' + i%23)
		}
	}
	binary.BigEndian.PutUint64(buf, uint64(n)) //nolint:gosec // it is never negative
	return buf
}

// Pattern is Left bytes that depend on their position.
type Pattern struct {
	Left  int64
	at    int64
	block []byte
}

// Read implements io.Reader.
func (r *Pattern) Read(p []byte) (int, error) {
	if r.Left == 0 {
		return 0, io.EOF
	}
	r.block = block(r.block, r.at/patternBlock)
	k := copy(p[:min(int64(len(p)), r.Left)], r.block[r.at%patternBlock:])
	r.at += int64(k)
	r.Left -= int64(k)
	return k, nil
}

// PatternCheck is a writer that compares what it gets with the pattern.
type PatternCheck struct {
	N     int64 // bytes so far
	block []byte
}

// Write implements io.Writer.
func (c *PatternCheck) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		c.block = block(c.block, c.N/patternBlock)
		want := c.block[c.N%patternBlock:]
		k := min(len(want), len(p)-done)
		if !bytes.Equal(want[:k], p[done:done+k]) {
			return done, fmt.Errorf("bytes differ near %d", c.N)
		}
		c.N += int64(k)
		done += k
	}
	return len(p), nil
}
