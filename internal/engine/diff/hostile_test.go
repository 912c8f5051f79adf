// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"microstax/internal/engine/canon"
	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
)

// hostile are bodies that were made to cost much. Each is compared with one that begins with another byte of value.
func hostile(t *testing.T) map[string][2]*exchange.Exchange {
	t.Helper()
	many := func(n int, form string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, form, i)
		}
		return b.String()
	}
	nest := func(n int, open, mid, end string) string {
		return strings.Repeat(open, n) + mid + strings.Repeat(end, n)
	}
	nested := message(nil).varint(1, 1)
	for range 5000 {
		nested = message(nil).bytes(1, string(nested))
	}
	multipart := func(b string) string { return "--b\r\n" + b + "\r\n--b--" }
	out := map[string][2]*exchange.Exchange{}
	add := func(name, media, a, b string) {
		out[name] = [2]*exchange.Exchange{answer(200, media, a), answer(200, media, b)}
	}
	add("json depth", "application/json", nest(1_000_000, "[", "1", "]"), nest(1_000_000, "[", "2", "]"))
	add("json depth of objects", "application/json", nest(60_000, `{"a":`, "1", "}"), nest(60_000, `{"a":`, "2", "}"))
	add("json digits", "application/json", "[1"+strings.Repeat("0", 2<<20)+"]", "[2"+strings.Repeat("0", 2<<20)+"]")
	add("json digits and a point", "application/json", "[0."+strings.Repeat("0", 2<<20)+"1]", "[0."+strings.Repeat("0", 2<<20)+"2]")
	add("json exponent", "application/json", "[1e"+strings.Repeat("9", 1<<20)+"]", "[2e"+strings.Repeat("9", 1<<20)+"]")
	add("json invalid utf-8", "application/json", "\""+strings.Repeat("\xff", 1<<20)+"\"", "\""+strings.Repeat("\xfe", 1<<20)+"\"")
	add("json names", "application/json", `{"x":1`+many(60_000, `,"k%d":1`)+"}", `{"x":2`+many(60_000, `,"k%d":1`)+"}")
	add("json same names", "application/json", `{"x":1`+strings.Repeat(`,"a":1`, 100_000)+"}", `{"x":2`+strings.Repeat(`,"a":1`, 100_000)+"}")
	add("json names just within", "application/json", `{"x":1`+many(15_000, `,"k%d":1`)+"}", `{"x":2`+many(15_000, `,"k%d":2`)+"}")
	add("json combining marks", "application/json", "\"a"+strings.Repeat("\u0301\u0327", 1<<18)+"\"", "\"b"+strings.Repeat("\u0327\u0301", 1<<18)+"\"")
	add("json retreats", "application/json", nest(199, `[[1],{"a":`, `1`, `,"b":1}]`), nest(199, `[[1],{"a":`, `2`, `,"c":1}]`))
	add("json relations", "application/json", `{"a":11,"b":12`+many(900, `,"k%d":{"a":11,"b":22,"c":33,"d":44,"e":55,"f":66,"g":77,"h":88}`)+"}",
		`{"a":12,"b":13`+many(900, `,"k%d":{"a":12,"b":23,"c":34,"d":45,"e":56,"f":67,"g":78,"h":89}`)+"}")
	add("json relations at many places", "application/json", `{"a":11,"b":12`+many(15_000, `,"k%d":{}`)+"}", `{"a":12,"b":13`+many(15_000, `,"k%d":{}`)+"}")
	add("json arrays", "application/json", "["+many(19_000, "%d,")+"1]", "["+many(19_000, "9%d,")+"1]")
	add("xml entities", "text/xml", `<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">`+many(20, `<!ENTITY b%d "&a;&a;&a;&a;">`)+`]><a>&b19;</a>`, "<a/>")
	add("xml depth", "text/xml", nest(300_000, "<a>", "1", "</a>"), nest(300_000, "<a>", "2", "</a>"))
	add("xml attributes", "text/xml", "<a "+many(100_000, `a%d="1" `)+"/>", "<b "+many(100_000, `a%d="1" `)+"/>")
	add("xml attributes just within", "text/xml", "<a "+many(15_000, `a%d="1" `)+"/>", "<a "+many(15_000, `a%d="2" `)+"/>")
	add("xml namespaces", "text/xml", "<a "+many(100_000, `xmlns:a%d="u%[1]d" `)+"/>", "<b/>")
	add("xml siblings", "text/xml", "<a>"+many(6_000, "<b>%d</b>")+"</a>", "<a>"+many(6_000, "<b>9%d</b>")+"</a>")
	add("html depth", "text/html", strings.Repeat("<div>", 200_000), strings.Repeat("<p><b>", 100_000))
	add("html formatting", "text/html", many(2000, "<b a=%d>")+strings.Repeat("<p>x", 100_000), many(2000, "<b a=%d>")+strings.Repeat("<p>y", 100_000))
	add("html attributes", "text/html", "<a "+many(100_000, "a%d=1 ")+">", "<b "+many(100_000, "a%d=1 ")+">")
	add("html open comment", "text/html", strings.Repeat("<!--", 1_000_000), strings.Repeat("<!-", 1_000_000))
	add("html tables", "text/html", strings.Repeat("<table>", 60_000), strings.Repeat("<table><a>", 60_000))
	add("events", "text/event-stream", strings.Repeat("data:1\n\n", 100_000), strings.Repeat("data:2\n\n", 100_000))
	add("event of many lines", "text/event-stream", strings.Repeat("data:1\n", 100_000), strings.Repeat("data:2\n", 100_000))
	add("parts", "multipart/form-data; boundary=b", strings.Repeat("--b\r\n\r\n\r\n", 300_000)+"--b--", strings.Repeat("--b\r\n\r\n1\r\n", 300_000)+"--b--")
	add("boundaries", "multipart/form-data; boundary=b", strings.Repeat("--b", 1_000_000), strings.Repeat("--b-", 1_000_000))
	add("part headers", "multipart/form-data; boundary=b", multipart(strings.Repeat("a: b\r\n", 100_000)), multipart(strings.Repeat("a: c\r\n", 100_000)))
	add("part parameters", "multipart/form-data; boundary=b", multipart("Content-Disposition: form-data"+many(1000, ";a%d=1")+"\r\n\r\n1"), multipart("\r\n1"))
	add("parts within parts", "multipart/mixed; boundary=b", nest(5000, "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n", "1", "\r\n--b--"), multipart("\r\n1"))
	add("protobuf depth", "application/x-protobuf", string(nested), string(nested[:len(nested)-1])+"\x02")
	add("protobuf groups", "application/x-protobuf", strings.Repeat("\x0b", 1_000_000)+strings.Repeat("\x0c", 1_000_000), strings.Repeat("\x13", 1_000_000)+strings.Repeat("\x14", 1_000_000))
	add("protobuf fields", "application/x-protobuf", strings.Repeat("\x08\x01", 300_000), strings.Repeat("\x08\x02", 300_000))
	add("protobuf fields just within", "application/x-protobuf", strings.Repeat("\x08\x01", 19_000), strings.Repeat("\x08\x02", 19_000))
	add("grpc frames", "application/grpc", strings.Repeat("\x00\x00\x00\x00\x00", 1_000_000), strings.Repeat("\x00\x00\x00\x00\x02\x08\x01", 700_000))
	add("grpc length", "application/grpc", "\x00\xff\xff\xff\xff\x00", "\x00\x7f\xff\xff\xff\x00")
	add("form", "application/x-www-form-urlencoded", strings.Repeat("a&", 300_000), strings.Repeat("b&", 300_000))
	add("lines", "application/x-ndjson", strings.Repeat("{}\n", 1_000_000), strings.Repeat("[]\n", 1_000_000))
	add("text lines", "text/plain", many(100_000, "%d\n"), many(100_000, "x%d\n"))
	zeroes := make([]byte, 16<<20)
	for name, packed := range bombs(t, zeroes) {
		out["bomb "+name] = [2]*exchange.Exchange{
			answer(200, "application/json", string(packed), "Content-Encoding: "+name), answer(200, "application/json", "{}"),
		}
		out["grpc bomb "+name] = [2]*exchange.Exchange{
			answer(200, "application/grpc", strings.Repeat(frame(1, packed), 20), "grpc-encoding: "+name), answer(200, "application/grpc", frame(0, nil)),
		}
	}
	return out
}

func bombs(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	var g, br bytes.Buffer
	gz := gzip.NewWriter(&g)
	bw := brotli.NewWriter(&br)
	for _, err := range []error{write(gz.Write, data), gz.Close(), write(bw.Write, data), bw.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"gzip": g.Bytes(), "br": br.Bytes(), "zstd": z.EncodeAll(data, nil)}
}

func write(w func([]byte) (int, error), data []byte) error {
	_, err := w(data)
	return err
}

// Whatever comes in, comparing takes memory within a multiple of what came in, and finds what is different.
//
//nolint:paralleltest // what it measures is of the whole process
func TestHostileBodies(t *testing.T) {
	for name, pair := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			size := len(pair[0].Response.Body.Data) + len(pair[1].Response.Body.Data)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := diff.Compare(pair[0], pair[1], diff.Options{})
			runtime.ReadMemStats(&after)
			if len(r.Differences) == 0 || len(r.Differences) > diff.MaxDifferences+1 {
				t.Errorf("%d differences", len(r.Differences))
			}
			if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(20*size)+128<<20 {
				t.Errorf("took %d MiB for %d bytes", spent>>20, size)
			}
			same := *pair[0]
			same.Response.Headers = append([]exchange.Header{{Name: "X", Value: "y"}}, same.Response.Headers...)
			if ds := diff.Exchanges(pair[0], &same, diff.Options{}); len(ds) != 1 {
				t.Errorf("against itself: %+v", ds)
			}
			canon.Decode(pair[0].Response.Body, pair[0].Response.Headers, canon.Limits{})
		})
	}
}
