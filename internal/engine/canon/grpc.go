// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"microstax/internal/exchange"
)

// Flags of a frame: gRPC (PROTOCOL-HTTP2.md), gRPC-Web, and the Connect protocol, which frames streams alike.
const (
	frameCompressed = 1 << 0
	frameEndStream  = 1 << 1
	frameTrailer    = 1 << 7
	frameHead       = 5
)

// parseGRPC reads length-prefixed messages into one element, which has them under the name that is not written, and the
// trailer that gRPC-Web sends in the body as trailer.
func parseGRPC(data []byte, contentType string, headers []exchange.Header, ctx Context, l Limits) (*Tree, error) {
	b := newBuilder(nil, l)
	media := MediaType(contentType)
	g := &frames{builder: b, ctx: ctx, json: strings.HasSuffix(media, "+json"), contentType: contentType, budget: l.Bytes}
	g.coding, _ = exchange.Get(headers, "grpc-encoding")
	if c, ok := exchange.Get(headers, "connect-content-encoding"); ok {
		g.coding = c
	}
	err := error(nil)
	if strings.HasPrefix(media, "application/grpc-web-text") {
		data, err = base64Quanta(data)
	}
	if err == nil {
		err = g.all(data)
	}
	return b.tree("gRPC", err)
}

type frames struct {
	*builder
	ctx                 Context
	coding, contentType string
	json                bool
	budget              int // bytes that may still be decompressed
}

func (g *frames) all(data []byte) error {
	if err := g.begin("", Element, 0); err != nil {
		return err
	}
	for len(data) > 0 {
		if len(data) < frameHead || uint64(len(data)-frameHead) < uint64(binary.BigEndian.Uint32(data[1:])) {
			return io.ErrUnexpectedEOF
		}
		flags, end := data[0], frameHead+int(binary.BigEndian.Uint32(data[1:]))
		if err := g.frame(flags, data[frameHead:end]); err != nil {
			return err
		}
		data = data[end:]
	}
	return g.end()
}

func (g *frames) frame(flags byte, message []byte) error {
	if flags&^(frameCompressed|frameEndStream|frameTrailer) != 0 {
		return fmt.Errorf("unknown flags %02x of a frame", flags)
	}
	if flags&frameCompressed != 0 && g.coding != "" && g.coding != "identity" {
		l := g.lim
		l.Bytes = max(g.budget, 1)
		var err error
		if message, err = undoOne(message, strings.ToLower(g.coding), l); err != nil {
			return fmt.Errorf("undo %.20q: %w", g.coding, err)
		}
		if g.budget -= len(message); g.budget < 0 {
			return fmt.Errorf("more than %d bytes when decoded", g.lim.Bytes)
		}
	} else if flags&frameCompressed != 0 {
		return errors.New("a compressed message, and no header says how")
	}
	switch {
	case flags&frameTrailer != 0:
		return g.trailer(message)
	case flags&frameEndStream != 0:
		return g.within("trailer", "application/json", message, g.ctx)
	case g.json:
		return g.within(TextName, "application/json", message, g.ctx)
	}
	return g.message(TextName, 0, message, g.ctx.Descriptors.message(g.contentType, g.ctx), g.ctx.Descriptors)
}

// trailer reads header lines.
func (g *frames) trailer(lines []byte) error {
	if err := g.begin("trailer", Element, 0); err != nil {
		return err
	}
	for line := range bytes.SplitSeq(lines, []byte{'\n'}) {
		name, value, ok := strings.Cut(strings.ToValidUTF8(string(line), "\uFFFD"), ":")
		if !ok {
			continue
		}
		if err := g.text(strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	return g.end()
}

// base64Quanta decodes pieces of base64 that were written one after the other, each with its padding.
func base64Quanta(data []byte) ([]byte, error) {
	data = bytes.TrimSpace(data)
	out := make([]byte, 0, len(data)/4*3)
	for len(data) > 0 {
		n := len(data)
		if i := bytes.IndexByte(data, '='); i >= 0 {
			n = min(n, (i/4+1)*4)
		}
		var err error
		if out, err = base64.StdEncoding.AppendDecode(out, data[:n]); err != nil {
			return nil, err
		}
		data = data[n:]
	}
	return out, nil
}
