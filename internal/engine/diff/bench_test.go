// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	stdjson "encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"microstax/internal/blueprint"
	"microstax/internal/engine/diff"
)

func ignore(path string) []blueprint.Ignore { return []blueprint.Ignore{{Path: path}} }

// page is a list of orders of about 10 KiB.
func page(price string) string {
	var b strings.Builder
	b.WriteString(`{"orders":[`)
	for i := range 60 {
		if i > 0 {
			b.WriteByte(',')
		}
		p := "12.50"
		if i == 30 {
			p = price
		}
		fmt.Fprintf(&b, `{"id":%d,"sku":"sku-%d","price":%s,"currency":"EUR","at":"2026-11-22T10:00:%02dZ","customer":{"name":"Customer %d","email":"c%d@example.com"},"open":true}`,
			1000+i, i, p, i%60, i, i)
	}
	b.WriteString(`],"next":null}`)
	return b.String()
}

func BenchmarkIdentical10KiB(b *testing.B) {
	x, y := json(page("12.50")), json(page("12.50"))
	b.SetBytes(int64(len(x.Response.Body.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if len(diff.Exchanges(x, y, diff.Options{})) != 0 {
			b.Fatal("differ")
		}
	}
}

func BenchmarkOneDifference10KiB(b *testing.B) {
	x, y := json(page("12.50")), json(page("13.50"))
	b.SetBytes(int64(len(x.Response.Body.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if len(diff.Exchanges(x, y, diff.Options{})) != 1 {
			b.Fatal("not one")
		}
	}
}

func BenchmarkOneDifference300B(b *testing.B) {
	body := `{"id":17,"status":"paid","total":12.50,"currency":"EUR","customer":{"name":"Ann","email":"a@example.com"},"lines":[{"sku":"a","n":1},{"sku":"b","n":2}],"at":"2026-11-22T10:00:00Z"}`
	x, y := json(body), json(strings.Replace(body, "12.50", "13.50", 1))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if len(diff.Exchanges(x, y, diff.Options{})) != 1 {
			b.Fatal("not one")
		}
	}
}

// BenchmarkHostile is the worst case found: arrays just short of the cap of the best assignment, nothing alike.
func BenchmarkHostile(b *testing.B) {
	list := func(from int) string {
		var s strings.Builder
		for i := range 60 {
			fmt.Fprintf(&s, ",[")
			for j := range 64 {
				if j > 0 {
					s.WriteByte(',')
				}
				fmt.Fprintf(&s, `{"a":%d,"b":%d}`, from+i*64+j, from+j*j)
			}
			s.WriteByte(']')
		}
		return "[" + s.String()[1:] + "]"
	}
	x, y := json(list(0)), json(list(1e6))
	b.ReportAllocs()
	for b.Loop() {
		diff.Exchanges(x, y, diff.Options{})
	}
}

// BenchmarkDecodeAndDeepEqual10KiB is what a comparison costs that decodes both bodies: for the figures beside.
func BenchmarkDecodeAndDeepEqual10KiB(b *testing.B) {
	x, y := []byte(page("12.50")), []byte(page("13.50"))
	b.SetBytes(int64(len(x)))
	b.ReportAllocs()
	for b.Loop() {
		var v, w any
		if stdjson.Unmarshal(x, &v) != nil || stdjson.Unmarshal(y, &w) != nil || reflect.DeepEqual(v, w) {
			b.Fatal("equal")
		}
	}
}

// BenchmarkManyDifferences10KiB has one in every element, so that nearly everything has to be built as trees.
func BenchmarkManyDifferences10KiB(b *testing.B) {
	x, y := json(page("12.50")), json(strings.ReplaceAll(page("12.50"), "10:00:", "10:01:"))
	b.SetBytes(int64(len(x.Response.Body.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if len(diff.Exchanges(x, y, diff.Options{})) != 1 {
			b.Fatal("not one")
		}
	}
}
