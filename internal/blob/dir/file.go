// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"microstax/internal/blob"
)

// The head is a skippable frame: magic, little endian length of what follows, and our eight bytes.
const (
	headSize  = 16
	skipMagic = 0x184D2A50
	skipSize  = 8
	// window bounds what a reader or a writer holds of a blob in memory.
	window = 1 << 20
)

func head(size int64) []byte {
	b := make([]byte, 0, headSize)
	b = binary.LittleEndian.AppendUint32(b, skipMagic)
	b = binary.LittleEndian.AppendUint32(b, skipSize)
	return binary.BigEndian.AppendUint64(b, uint64(size)) //nolint:gosec // a size is not negative
}

// fill writes the file of a blob and syncs it.
func fill(f *os.File, r io.Reader) (digest string, size int64, err error) {
	if _, err := f.Write(head(0)); err != nil { // the size is known at the end
		return "", 0, err
	}
	enc, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithEncoderCRC(false))
	if err != nil {
		return "", 0, fmt.Errorf("make compressor: %w", err)
	}
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(enc, sum), r)
	if err := errors.Join(err, enc.Close()); err != nil {
		return "", 0, err
	}
	if _, err := f.WriteAt(head(size), 0); err != nil {
		return "", 0, err
	}
	if err := f.Sync(); err != nil {
		return "", 0, err
	}
	return prefix + hex.EncodeToString(sum.Sum(nil)), size, nil
}

// sizeOf is the blob's size as its file's head tells it, or -1 where the head is damaged.
func sizeOf(path string) (int64, error) {
	f, err := os.Open(path) //nolint:gosec // a file of ours
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	size, err := readHead(f)
	if errors.Is(err, blob.ErrCorrupt) {
		return -1, nil
	}
	return size, err
}

func readHead(r io.Reader) (int64, error) {
	var b [headSize]byte
	_, err := io.ReadFull(r, b[:])
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return 0, blob.ErrCorrupt
	case err != nil:
		return 0, err
	}
	size := int64(binary.BigEndian.Uint64(b[8:])) //nolint:gosec // checked below
	if binary.LittleEndian.Uint32(b[:]) != skipMagic || binary.LittleEndian.Uint32(b[4:]) != skipSize || size < 0 {
		return 0, blob.ErrCorrupt
	}
	return size, nil
}

// content reads a blob and checks it on the way.
type content struct {
	ctx    context.Context //nolint:containedctx // lives as long as the open blob
	f      *os.File
	dec    *zstd.Decoder // nil until the first Read
	sum    hash.Hash
	digest string
	left   int64
	err    error // what every further Read gives
}

func newContent(ctx context.Context, f *os.File, digest string) *content {
	return &content{ctx: ctx, f: f, digest: digest, sum: sha256.New()}
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	if c.err == nil && c.dec == nil {
		c.err = c.start()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.dec.Read(p)
	c.sum.Write(p[:n])
	c.left -= int64(n)
	switch {
	case c.left < 0:
		n, c.err = 0, c.corrupt("longer than it was stored")
	case errors.Is(err, io.EOF):
		if c.err = c.end(); !errors.Is(c.err, io.EOF) {
			n = 0
		}
	case err != nil:
		c.err = c.corrupt(err.Error())
	}
	return n, c.err
}

func (c *content) start() error {
	size, err := readHead(c.f)
	if errors.Is(err, blob.ErrCorrupt) {
		return c.corrupt("damaged head")
	}
	if err != nil {
		return fmt.Errorf("read blob %s: %w", c.digest, err)
	}
	c.left = size
	c.dec, err = zstd.NewReader(c.f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(2*window), zstd.WithDecoderLowmem(true))
	if err != nil {
		return fmt.Errorf("make decompressor: %w", err)
	}
	return nil
}

func (c *content) end() error {
	if c.left != 0 {
		return c.corrupt("shorter than it was stored")
	}
	if got := prefix + hex.EncodeToString(c.sum.Sum(nil)); got != c.digest {
		return c.corrupt("content has digest " + got)
	}
	return io.EOF
}

func (c *content) corrupt(why string) error {
	return fmt.Errorf("read blob %s: %w: %s", c.digest, blob.ErrCorrupt, why)
}

// Close implements io.Closer.
func (c *content) Close() error {
	if c.dec != nil {
		c.dec.Close()
	}
	if c.err == nil {
		c.err = os.ErrClosed
	}
	return c.f.Close()
}
