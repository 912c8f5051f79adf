// SPDX-License-Identifier: Apache-2.0

package redact_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"microstax/internal/engine/canon"
)

func pack(coding string, data []byte) []byte {
	var out bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&out)
	case "deflate":
		w = zlib.NewWriter(&out)
	case "br":
		w = brotli.NewWriter(&out)
	case "zstd":
		z, err := zstd.NewWriter(&out)
		if err != nil {
			panic(err) // no options, no error
		}
		w = z
	}
	w.Write(data) //nolint:errcheck // into memory
	w.Close()     //nolint:errcheck // into memory
	return out.Bytes()
}

func unpack(t *testing.T, coding string, data []byte) []byte {
	t.Helper()
	d := canon.Decode(body(string(data)), headers("Content-Encoding", coding), canon.Limits{})
	if d.Mark != "" {
		t.Fatalf("the judgement cannot read the body: %s", d.Mark)
	}
	return d.Data
}

func TestCodedBodies(t *testing.T) {
	t.Parallel()
	plain := `{"card":{"number":"4111"},"pad":"` + strings.Repeat("x", 2000) + `"}`
	want := strings.ReplaceAll(plain, "4111", tok("4111"))
	r := redactor(paths("$.card.number")...)
	for _, coding := range []string{"gzip", "x-gzip", "deflate", "br", "zstd", "identity"} {
		t.Run(coding, func(t *testing.T) {
			t.Parallel()
			in := []byte(plain)
			if coding != "identity" {
				in = pack(coding, in)
			}
			got := response(r, body(string(in)), "Content-Encoding", coding)
			if d := unpack(t, coding, got.Data); string(d) != want || got.Length != int64(len(got.Data)) || got.Truncated {
				t.Errorf("got %s, length %d of %d, truncated %t", d, got.Length, len(got.Data), got.Truncated)
			}
			again := response(r, body(string(in)), "Content-Encoding", coding)
			if !bytes.Equal(got.Data, again.Data) {
				t.Error("equal bodies became different")
			}
		})
	}
	t.Run("stacked", func(t *testing.T) {
		t.Parallel()
		got := response(r, body(string(pack("br", pack("gzip", []byte(plain))))), "Content-Encoding", "gzip", "content-encoding", "br")
		if d := unpack(t, "gzip, br", got.Data); string(d) != want {
			t.Errorf("got %s", d)
		}
	})
	t.Run("without a secret it stays to the byte", func(t *testing.T) {
		t.Parallel()
		in := pack("gzip", []byte(`{"card":{}}`))
		if got := response(r, body(string(in)), "Content-Encoding", "gzip"); !bytes.Equal(got.Data, in) {
			t.Errorf("got %x, want %x", got.Data, in)
		}
	})
	t.Run("a bomb is dropped", func(t *testing.T) {
		t.Parallel()
		bomb := pack("gzip", append(append([]byte(`"`), bytes.Repeat([]byte("x"), 17<<20)...), '"'))
		if got := response(r, body(string(bomb)), "Content-Encoding", "gzip"); got.Data != nil || !got.Truncated {
			t.Errorf("got %d bytes, want none", len(got.Data))
		}
	})
}
