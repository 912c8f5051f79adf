// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/wI2L/jsondiff"

	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
)

// bodySize is about how large the compared documents are.
const bodySize = 10 << 10

// document is a JSON document with a list of things; the price of one is given.
func document(price string) []byte {
	var b strings.Builder
	b.WriteString(`{"items":[`)
	const each = 156
	for i := range bodySize / each {
		if i > 0 {
			b.WriteByte(',')
		}
		p := "12.50"
		if i == bodySize/each/2 {
			p = price
		}
		fmt.Fprintf(&b, `{"id":%d,"name":"thing number %d","price":%s,"currency":"EUR","tags":["a","b"],"stock":{"here":%d,"ordered":%d},"description":"Neither wind nor %d"}`,
			1000+i, i, p, i%7, i%11, i)
	}
	b.WriteString(`],"total":65}`)
	return []byte(b.String())
}

func answer(body []byte) *exchange.Exchange {
	return &exchange.Exchange{
		Outcome: exchange.OK, Request: exchange.Request{Method: "GET", Target: "/items", Proto: "HTTP/1.1"},
		Response: exchange.Response{
			Status: 200, Proto: "HTTP/1.1", Headers: []exchange.Header{{Name: "Content-Type", Value: "application/json"}},
			Body: exchange.Body{Data: body, Length: int64(len(body))},
		},
	}
}

// cost measures the comparison of two documents on one core, beside what people use.
func cost(o options) (*section, error) {
	s := &section{name: "cost", title: "What comparing costs"}
	base, twin, other := answer(document("12.50")), answer(document("12.50")), answer(document("13.50"))
	a, b := base.Response.Body.Data, other.Response.Body.Data
	s.note("Two documents of %.1f KiB: equal to the byte, and with one price changed. Rates are bytes of one of the two over the "+
		"processor time that a comparison takes, the best of five rounds; the collector's share is in it.", float64(len(a))/1024)
	if !diff.Equal(base, twin) || diff.Equal(base, other) {
		return nil, errors.New("documents are not what they should be")
	}
	if ds := diff.Exchanges(base, other, diff.Options{}); len(ds) == 0 {
		return nil, errors.New("the changed price is not found")
	}
	budget := 200 * time.Millisecond
	if o.quick {
		budget = 20 * time.Millisecond
	}
	equal := perSecond(len(a), budget, func() { sink(diff.Equal(base, twin)) })
	ours := perSecond(len(a), budget, func() { sink(len(diff.Exchanges(base, other, diff.Options{})) > 0) })
	deep := perSecond(len(a), budget, func() { sink(decodeAndDeepEqual(a, b)) })
	lib := perSecond(len(a), budget, func() {
		p, err := jsondiff.CompareJSON(a, b)
		sink(err == nil && len(p) > 0)
	})
	s.add("comparison of identical 10 KiB bodies", "≥ 2 GB/s", throughput(equal), "", equal >= 2e9)
	s.add("comparison of JSON with one difference, all of it told with its place", "≥ 300 MB/s", throughput(ours), "", ours >= 300e6)
	s.add("the same, against decoding both into `any` and `reflect.DeepEqual`, which only says whether", "≥ 8 ×", fmt.Sprintf("%.1f ×", ours/deep), "", ours >= 8*deep)
	s.head = []string{"10 KiB, one difference", "rate", "ours is"}
	s.line("MicroStax: what differs, where and at which levels", throughput(ours), "1 ×")
	s.line("encoding/json into any, reflect.DeepEqual: whether", throughput(deep), fmt.Sprintf("%.1f ×", ours/deep))
	s.line("github.com/wI2L/jsondiff v0.7.1: an RFC 6902 patch", throughput(lib), fmt.Sprintf("%.1f ×", ours/lib))
	s.line("MicroStax, equal to the byte", throughput(equal), "")
	return s, nil
}

func decodeAndDeepEqual(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// sink keeps a result in use.
//
//go:noinline
func sink(bool) {}

// processorTime is what this program has used so far, on all cores: unlike the time of day it does not tell of other
// programs' work.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return time.Duration(time.Now().UnixNano())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perSecond is bytes a second of processor time: the best of five rounds, each of a fifth of the budget at least.
func perSecond(size int, budget time.Duration, f func()) float64 {
	best := 0.0
	n := 1
	for round := 0; round < 5; {
		start := processorTime()
		for range n {
			f()
		}
		took := processorTime() - start
		if took < budget/5 {
			n *= 2
			continue
		}
		best = max(best, float64(size)*float64(n)/took.Seconds())
		round++
	}
	return best
}

func throughput(bytes float64) string {
	if bytes >= 1e9 {
		return fmt.Sprintf("%.1f GB/s", bytes/1e9)
	}
	return fmt.Sprintf("%.0f MB/s", bytes/1e6)
}
