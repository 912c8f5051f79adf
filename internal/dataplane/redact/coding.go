// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"microstax/internal/exchange"
)

const (
	// maxDecoded bounds what a body may grow to when its coding is undone, in bytes. A bigger one cannot be looked into.
	maxDecoded = 16 << 20
	// maxCodings bounds how often a body may be coded.
	maxCodings = 3
	// zstdWindow is what RFC 9659 allows for HTTP.
	zstdWindow = 8 << 20
)

var errCoding = errors.New("content coding is not known")

// codings are a message's content codings in the order in which they were applied (RFC 9110, 8.4).
func codings(headers []exchange.Header) []string {
	var out []string
	for _, h := range headers {
		if !exchange.EqualFold(h.Name, "content-encoding") {
			continue
		}
		for c := range strings.SplitSeq(h.Value, ",") {
			if c = strings.ToLower(strings.TrimSpace(c)); c != "" && c != "identity" {
				out = append(out, c)
			}
		}
	}
	return out
}

// decode undoes the content coding, once; false when that cannot be done.
func (b *body) decode() bool {
	if b.decoded || b.opaque {
		return b.decoded
	}
	data, err := decode(b.to.Data, b.codings)
	if err != nil {
		b.opaque = true
		return false
	}
	b.data, b.decoded = data, true
	return true
}

func decode(data []byte, codings []string) ([]byte, error) {
	if len(codings) > maxCodings {
		return nil, errCoding
	}
	for i := len(codings) - 1; i >= 0; i-- {
		r, err := reader(codings[i], data)
		if err != nil {
			return nil, fmt.Errorf("undo %s: %w", codings[i], err)
		}
		data, err = io.ReadAll(io.LimitReader(r, maxDecoded+1))
		if c, ok := r.(io.Closer); ok {
			err = errors.Join(err, c.Close())
		}
		if err != nil {
			return nil, fmt.Errorf("undo %s: %w", codings[i], err)
		}
		if len(data) > maxDecoded {
			return nil, fmt.Errorf("undo %s: more than %d bytes", codings[i], maxDecoded)
		}
	}
	return data, nil
}

func reader(coding string, data []byte) (io.Reader, error) {
	in := bytes.NewReader(data)
	switch coding {
	case "gzip", "x-gzip":
		return gzip.NewReader(in)
	case "deflate": // in the zlib format, RFC 9110, 8.4.1.2
		return zlib.NewReader(in)
	case "br":
		return brotli.NewReader(in), nil
	case "zstd":
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return nil, errCoding
}

// encode applies the codings again, so that the body stays what its headers say. Equal data gives equal bytes.
func encode(data []byte, codings []string) ([]byte, error) {
	for _, coding := range codings {
		var out bytes.Buffer
		w, err := writer(coding, &out)
		if err != nil {
			return nil, err
		}
		_, err = w.Write(data)
		if err := errors.Join(err, w.Close()); err != nil {
			return nil, fmt.Errorf("apply %s: %w", coding, err)
		}
		data = out.Bytes()
	}
	return data, nil
}

func writer(coding string, out io.Writer) (io.WriteCloser, error) {
	switch coding {
	case "gzip", "x-gzip":
		return gzip.NewWriterLevel(out, gzip.BestSpeed)
	case "deflate":
		return zlib.NewWriterLevel(out, zlib.BestSpeed)
	case "br":
		return brotli.NewWriterLevel(out, brotli.BestSpeed), nil
	case "zstd":
		return zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstdWindow/8))
	}
	return nil, errCoding
}
