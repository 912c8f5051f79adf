// SPDX-License-Identifier: Apache-2.0

package canon_test

import (
	"bytes"
	"compress/zlib"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"microstax/internal/engine/canon"
	"microstax/internal/exchange"
)

func body(data string) exchange.Body {
	return exchange.Body{Data: []byte(data), Length: int64(len(data))}
}

func typed(media string) []exchange.Header {
	return []exchange.Header{{Name: "Content-Type", Value: media}}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, media, data string
		want              canon.Kind
		mark              string
	}{
		{"nothing", "application/json", "", canon.Empty, ""},
		{"json", "application/json; charset=utf-8", `{"a":1}`, canon.JSON, ""},
		{"byte order mark", "application/json", "\xef\xbb\xbf{}", canon.JSON, ""},
		{"plus json", "application/problem+json", `{"a":[1,{"b":null}]}`, canon.JSON, ""},
		{"json scalar", "application/json", ` "x" `, canon.JSON, ""},
		{"json without a type", "", `[1,2]`, canon.JSON, ""},
		{"json as text", "text/plain", " {\"a\": true}\n", canon.JSON, ""},
		{"text that starts like json", "text/plain", "[info] well", canon.Text, ""},
		{"json lines", "application/x-ndjson", "{\"a\":1}\n{\"a\":2}\n", canon.JSONLines, ""},
		{"form", "application/x-www-form-urlencoded", "a=1&b=%20x", canon.Form, ""},
		{"text", "text/csv", "a,b", canon.Text, ""},
		{"html", "Text/HTML", "<p>", canon.HTML, ""},
		{"xml", "image/svg+xml", "<svg/>", canon.XML, ""},
		{"events", "text/event-stream", "data: 1\n\n", canon.Events, ""},
		{"image", "image/png", "\x89PNG", canon.Binary, ""},
		{"unknown text", "application/x-foo", "abc", canon.Text, ""},
		{"unknown bytes", "application/x-foo", "\xff\x00", canon.Binary, ""},
		{"broken json", "application/json", `{"a":`, canon.Text, "unexpected EOF"},
		{"two documents", "application/json", `{} {}`, canon.Text, "more than one document"},
		{"duplicate member", "application/json", `{"b":1,"a":1,"a":2}`, canon.Text, "duplicate member"},
		{"invalid utf-8", "application/json", "{\"a\":\"\xff\"}", canon.Binary, "UTF-8"},
		{"too deep", "application/json", strings.Repeat("[", 201) + strings.Repeat("]", 201), canon.Text, "deep"},
		{"too many", "application/json", "[" + strings.Repeat("0,", 20_000) + "0]", canon.Text, "more than 20000"},
		{"form with bad utf-8", "application/x-www-form-urlencoded", "a=%ff", canon.Text, "UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := canon.Decode(body(tc.data), typed(tc.media), canon.Limits{})
			if got.Kind != tc.want || !strings.Contains(got.Mark, tc.mark) || tc.mark == "" && got.Mark != "" {
				t.Fatalf("got %v with mark %q, want %v with %q", got.Kind, got.Mark, tc.want, tc.mark)
			}
			if (got.Tree != nil) != (tc.want > canon.Empty && tc.want < canon.Text) {
				t.Fatalf("tree is %v for %v", got.Tree, got.Kind)
			}
		})
	}
}

func pack(t testing.TB, coding string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w interface {
		Write([]byte) (int, error)
		Close() error
	}
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "deflate":
		w = zlib.NewWriter(&out)
	case "raw":
		f, err := flate.NewWriter(&out, 5)
		if err != nil {
			t.Fatal(err)
		}
		w = f
	case "br":
		w = brotli.NewWriter(&out)
	case "zstd":
		z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func coded(coding string) []exchange.Header {
	return append(typed("application/json"), exchange.Header{Name: "content-encoding", Value: coding})
}

func TestContentCodingsAreUndone(t *testing.T) {
	t.Parallel()
	plain := []byte(`{"a":[1,2,3]}`)
	for coding, data := range map[string][]byte{
		"gzip": pack(t, "gzip", plain), "X-GZip": pack(t, "gzip", plain), "deflate": pack(t, "deflate", plain),
		"Deflate": pack(t, "raw", plain), "br": pack(t, "br", plain), "zstd": pack(t, "zstd", plain),
		"gzip, identity, br": pack(t, "br", pack(t, "gzip", plain)), "identity": plain,
		"zstd, deflate, gzip": pack(t, "gzip", pack(t, "deflate", pack(t, "zstd", plain))),
		// Several members, or frames, one after the other are one body (RFC 1952, 2.2; RFC 8878, 3.1).
		"gzip ":  append(pack(t, "gzip", plain[:5]), pack(t, "gzip", plain[5:])...),
		" zstd ": append(pack(t, "zstd", plain[:5]), pack(t, "zstd", plain[5:])...),
	} {
		got := canon.Decode(body(string(data)), coded(coding), canon.Limits{})
		if got.Kind != canon.JSON || !bytes.Equal(got.Data, plain) {
			t.Errorf("%s: got %v %q, mark %q", coding, got.Kind, got.Data, got.Mark)
		}
	}
}

func TestBombsAndRubbishAreMarked(t *testing.T) {
	t.Parallel()
	zeroes := make([]byte, 16<<20)
	for _, tc := range []struct{ name, coding, data, mark string }{
		{"gzip bomb", "gzip", string(pack(t, "gzip", zeroes)), "decoded"},
		{"zstd bomb", "zstd", string(pack(t, "zstd", zeroes)), ""},
		{"brotli bomb", "br", string(pack(t, "br", zeroes)), "decoded"},
		{"not gzip", "gzip", "hello", "undo content encoding"},
		{"cut gzip", "gzip", string(pack(t, "gzip", zeroes[:1000])[:12]), "undo content encoding"},
		{"unknown", "x-mine", "hello", "unknown coding"},
		{"too many", "gzip,gzip,gzip,gzip", "hello", "stacked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := canon.Decode(body(tc.data), coded(tc.coding), canon.Limits{})
			if got.Kind != canon.Whole || got.Mark == "" || !strings.Contains(got.Mark, tc.mark) {
				t.Fatalf("got %v, mark %q, want whole with %q", got.Kind, got.Mark, tc.mark)
			}
			if len(got.Data) != len(tc.data) {
				t.Fatalf("kept %d bytes, want the %d encoded ones", len(got.Data), len(tc.data))
			}
		})
	}
	long := bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz"), 1000)
	if got := canon.Decode(body(string(pack(t, "gzip", long))), coded("gzip"), canon.Limits{Bytes: 30_000, Ratio: 1e6}); got.Kind != canon.Whole {
		t.Fatalf("longer than the limit: got %v", got.Kind)
	}
}

func TestEqualBodies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":[true,null,"x"]}`, "{ \"b\" : [true, null, \"\\u0078\"],\n\"a\": 1.0 }", true},
		{`1`, `1e0`, true},
		{`100`, `1.00E+2`, true},
		{`0.00012`, `1.2e-4`, true},
		{`-0`, `0.0e7`, true},
		{`123456789012345678901234567890`, `123456789012345678901234567890.0`, true},
		{`123456789012345678901234567890`, `123456789012345678901234567891`, false},
		{`1e400`, `1e401`, false},
		{`1e999999999999999999999`, `1e999999999999999999999`, true},
		{`1e999999999999999999999`, `10e999999999999999999998`, false}, // beyond what is computed: spelling decides
		{`1`, `-1`, false},
		{`"K"`, "\"\u212a\"", true}, // Kelvin sign normalises to K
		{`"e\u0301"`, `"é"`, true},
		{`"a"`, `"A"`, false},
		{`[1,2]`, `[2,1]`, false},
		{`{"a":{"b":1}}`, `{"a":{"c":1}}`, false},
		{`null`, `false`, false},
		{`[]`, `{}`, false},
	} {
		a := canon.Decode(body(tc.a), typed("application/json"), canon.Limits{})
		b := canon.Decode(body(tc.b), typed("application/json"), canon.Limits{})
		if got := canon.Equal(&a, &b); got != tc.want {
			t.Errorf("Equal(%s, %s) = %v", tc.a, tc.b, got)
		}
		if same := a.Fingerprint() == b.Fingerprint(); same != tc.want {
			t.Errorf("same fingerprint of %s and %s: %v", tc.a, tc.b, same)
		}
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	tree, err := canon.Parse([]byte(`{"z":[1,"t\tb"],"a":{"q":2},"m":null}`), canon.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range tree.Children(0) {
		names = append(names, string(tree.Key(c)))
	}
	if got := strings.Join(names, " "); got != "a m z" {
		t.Fatalf("members are %q", got)
	}
	z := tree.Member(0, []byte("z"))
	if got := string(tree.Raw(z)); got != `[1,"t\tb"]` {
		t.Fatalf("raw z is %s", got)
	}
	if s := tree.Children(z)[1]; string(tree.Text(s)) != "t\tb" || string(tree.Raw(s)) != `"t\tb"` {
		t.Fatalf("string is %q, spelled %s", tree.Text(s), tree.Raw(s))
	}
	if tree.Member(0, []byte("n")) != -1 {
		t.Fatal("found a member that is not there")
	}
	form, err := canon.ParseForm([]byte("b=2&a=x+y&b=%33&c=%zz&&d"), canon.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	b := form.Member(0, []byte("b"))
	if form.Type(b) != canon.Array || string(form.Text(form.Children(b)[1])) != "3" {
		t.Fatal("repeated name is not an array in order")
	}
	if string(form.Text(form.Member(0, []byte("a")))) != "x y" || string(form.Text(form.Member(0, []byte("c")))) != "%zz" {
		t.Fatal("escapes")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("application/json", "", []byte(`{"a":[1,2.50,"x\u00e9",null,true,{"b":{}}]}`))
	f.Add("application/json", "gzip", pack(f, "gzip", []byte(`[1]`)))
	f.Add("application/json", "br", pack(f, "br", []byte(`[1]`)))
	f.Add("text/plain", "zstd", pack(f, "zstd", []byte(`a`)))
	f.Add("application/x-www-form-urlencoded", "", []byte(`a=1&a=%41&&=&b`))
	f.Add("application/x-ndjson", "deflate", []byte("{}\n[]\n1"))
	f.Add("application/json-seq", "", []byte("\x1e{}\n\x1e[]"))
	f.Add("text/xml", "", []byte(`<?xml version="1.0"?><a:b xmlns:a="u" c='1'>t<d/><!-- c --><![CDATA[x]]>&amp;</a:b>`))
	f.Add("text/xml", "", []byte(`<?xml version="1.0" encoding="latin1"?><a>`+"\xe9</a>"))
	f.Add("text/html", "", []byte(`<!doctype html><p class="a b">x<b>y<ul><li>1<li>2</ul><script type="application/json">{"a":1}</script><br>`))
	f.Add("text/event-stream", "", []byte("id: 1\nevent: a\ndata: {\"x\":1}\ndata\n\r\n: c\rretry: 5\n\n"))
	f.Add("multipart/form-data; boundary=x", "", []byte("--x\r\nContent-Disposition: form-data; name=\"a\"; filename=b\r\nContent-Type: application/json\r\n\r\n{}\r\n--x--"))
	f.Add("multipart/mixed; boundary=x", "", []byte("--x\nContent-Type: multipart/mixed; boundary=y\nContent-Transfer-Encoding: base64\n\nLS15Cg==\n--x--"))
	f.Add("application/x-protobuf", "", []byte("\x08\x01\x12\x03abc\x1a\x02\x08\x05\x25\x00\x00\x80\x3f\x2b\x08\x01\x2c"))
	f.Add("application/x-protobuf; encoding=delimited", "", []byte("\x02\x08\x01\x02\x08\x02"))
	f.Add("application/grpc", "", []byte("\x00\x00\x00\x00\x02\x08\x01"))
	f.Add("application/grpc-web+json", "", []byte("\x00\x00\x00\x00\x02{}\x80\x00\x00\x00\x03a:b"))
	f.Add("application/grpc-web-text", "", []byte("AAAAAAIIAQ=="))
	f.Fuzz(func(t *testing.T, media, coding string, data []byte) {
		headers := []exchange.Header{{Name: "content-type", Value: media}, {Name: "content-encoding", Value: coding}}
		lim := canon.Limits{Bytes: 1 << 20, Nodes: 500, Depth: 20}
		b := canon.Decode(body(string(data)), headers, lim)
		if len(b.Data) > max(1<<20, len(data)) {
			t.Fatalf("decoded to %d bytes", len(b.Data))
		}
		again := canon.Decode(body(string(data)), headers, lim)
		if !canon.Equal(&b, &again) || b.Fingerprint() != again.Fingerprint() {
			t.Fatal("a body is not equal to itself")
		}
		if b.Tree != nil {
			walk(t, b.Tree, 0)
		}
		if b.Tree != nil {
			_ = b.Tree.Show(0)
		}
		canon.Sniff(data)
		canon.Class(string(data))
		canon.Mask(string(data))
	})
}

func walk(t *testing.T, tree *canon.Tree, i int32) int32 {
	next := i + 1
	_, _, _, _ = tree.Raw(i), tree.Text(i), tree.Key(i), tree.ClassOf(i)
	seen := map[int32]bool{}
	for _, c := range tree.Children(i) {
		if seen[c] || c <= i || int(c) >= tree.Len() {
			t.Fatalf("child %d of %d", c, i)
		}
		seen[c] = true
		next = max(next, walk(t, tree, c))
	}
	return next
}
