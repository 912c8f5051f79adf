// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"container/list"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"microstax/internal/exchange"
)

// The bounds of the memory of earlier answers.
const (
	maxBaselines     = 4_096
	maxBaselineBytes = 32 << 20
)

// baselines remembers the last baseline exchange of each identical request. Where no control runs, an earlier answer to
// the same request stands in for it. It is not part of the state: after a restart it fills again.
type baselines struct {
	byKey map[uint64]*list.Element
	order *list.List // of kept, newest first
	bytes int64
}

type kept struct {
	key uint64
	x   *exchange.Exchange
}

func newBaselines() *baselines {
	return &baselines{byKey: map[uint64]*list.Element{}, order: list.New()}
}

// swap remembers an exchange and returns the one that it takes the place of, or nil.
func (b *baselines) swap(service string, x *exchange.Exchange) *exchange.Exchange {
	key := requestHash(service, &x.Request)
	var past *exchange.Exchange
	if e, known := b.byKey[key]; known {
		past = e.Value.(kept).x
		b.drop(e)
	}
	b.byKey[key] = b.order.PushFront(kept{key, x})
	b.bytes += size(x)
	for b.order.Len() > maxBaselines || b.bytes > maxBaselineBytes {
		b.drop(b.order.Back())
	}
	return past
}

func (b *baselines) drop(e *list.Element) {
	k := e.Value.(kept)
	b.bytes -= size(k.x)
	delete(b.byKey, k.key)
	b.order.Remove(e)
}

// size is about how many bytes an exchange takes.
func size(x *exchange.Exchange) int64 {
	n := 512 + len(x.Request.Target) + len(x.Request.Body.Data) + len(x.Response.Body.Data)
	for _, hs := range [][]exchange.Header{x.Request.Headers, x.Response.Headers} {
		for _, h := range hs {
			n += 32 + len(h.Name) + len(h.Value)
		}
	}
	return int64(n)
}

// requestHash identifies a request: service, method, target and body.
func requestHash(service string, r *exchange.Request) uint64 {
	h := xxhash.New()
	for _, s := range []string{service, r.Method, r.Target} {
		h.WriteString(s)      //nolint:errcheck // a hash never fails
		h.Write([]byte{0x1f}) //nolint:errcheck // likewise
	}
	h.Write(r.Body.Data)                                                              //nolint:errcheck // likewise
	h.Write(binary.LittleEndian.AppendUint64(nil, r.Body.Hash^uint64(r.Body.Length))) //nolint:errcheck // likewise
	return h.Sum64()
}
