// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxCodings is how many content codings may be stacked; more is nothing that a server does.
const maxCodings = 3

// ratioFloor is the length from which on the ratio is judged: short bodies of zeroes are legitimate.
const ratioFloor = 64 << 10

// undo reverses content codings, last applied first (RFC 9110, 8.4). Output is bounded for each of them.
func undo(data []byte, codings string, l Limits) ([]byte, error) {
	list := strings.Split(codings, ",")
	if len(list) > maxCodings {
		return nil, fmt.Errorf("content encoding: %d stacked codings, at most %d are undone", len(list), maxCodings)
	}
	for i := len(list) - 1; i >= 0; i-- {
		coding := strings.ToLower(strings.TrimSpace(list[i]))
		if coding == "" || coding == "identity" {
			continue
		}
		var err error
		if data, err = undoOne(data, coding, l); err != nil {
			return nil, fmt.Errorf("undo content encoding %.20q: %w", coding, err)
		}
	}
	return data, nil
}

func undoOne(data []byte, coding string, l Limits) (out []byte, err error) {
	// A decoder of somebody else's meets hostile input here; a bug of it must not end the comparison.
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("decoder gave up: %v", p)
		}
	}()
	var r io.Reader
	switch coding {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(data))
	case "deflate":
		// RFC 9110, 8.4.1.2 says zlib; some servers send the raw stream.
		if r, err = zlib.NewReader(bytes.NewReader(data)); err != nil {
			r, err = flate.NewReader(bufio.NewReader(bytes.NewReader(data))), nil
		}
	case "br":
		r = brotli.NewReader(bytes.NewReader(data))
	case "zstd":
		var d *zstd.Decoder
		d, err = zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(uint64(max(l.Bytes, 1<<20))))
		if err == nil {
			defer d.Close()
		}
		r = d
	default:
		return nil, errors.New("unknown coding")
	}
	if err != nil {
		return nil, err
	}
	return readBounded(r, len(data), l)
}

// readBounded reads all, up to the limits of length and ratio.
func readBounded(r io.Reader, encoded int, l Limits) ([]byte, error) {
	out := make([]byte, 0, min(max(4*encoded, 512), 256<<10))
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > l.Bytes:
			return nil, fmt.Errorf("more than %d bytes when decoded", l.Bytes)
		case len(out) > ratioFloor && len(out)/max(encoded, 1) > l.Ratio:
			return nil, fmt.Errorf("more than %d decoded bytes for each encoded one", l.Ratio)
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		}
	}
}
