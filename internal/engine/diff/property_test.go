// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
)

// doc is a document that can be written in many ways.
type doc struct {
	scalar string // as JSON; "" for containers
	num    int    // for numbers, which have more than one spelling
	isNum  bool
	elems  []doc
	names  []string // for objects
	object bool
}

func genDoc(depth int) *rapid.Generator[doc] {
	return rapid.Custom(func(t *rapid.T) doc {
		kind := rapid.IntRange(0, 7).Draw(t, "kind")
		if depth == 0 {
			kind %= 5
		} else if depth >= 3 {
			kind = 5 + kind%3 // a document of one scalar is soon exhausted
		}
		switch kind {
		case 0:
			return doc{scalar: "null"}
		case 1:
			return doc{scalar: strconv.FormatBool(rapid.Bool().Draw(t, "bool"))}
		case 2, 3:
			return doc{isNum: true, num: rapid.IntRange(-20, 20).Draw(t, "num")}
		case 4:
			return doc{scalar: strconv.Quote(rapid.StringMatching(`[a-c]{0,3}|[a-f0-9]{16}`).Draw(t, "text"))}
		case 5:
			return doc{elems: rapid.SliceOfN(genDoc(depth-1), 0, 5).Draw(t, "elems")}
		}
		d := doc{object: true}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"id", "a", "b", "c d", "17",
			"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "a81d4fae-7dec-11d0-a765-00a0c91e6bf6"}), 0, 5, rapid.ID).Draw(t, "names") {
			d.names = append(d.names, name)
			d.elems = append(d.elems, genDoc(depth-1).Draw(t, "member"))
		}
		return d
	})
}

// write writes the document; with other spelling, members backwards, white space, numbers as floats.
func (d doc) write(b *strings.Builder, other bool) {
	space := ""
	if other {
		space = " \n"
	}
	switch {
	case d.isNum && other:
		fmt.Fprintf(b, "%d.0E0", d.num)
	case d.isNum:
		fmt.Fprint(b, d.num)
	case d.scalar != "":
		b.WriteString(d.scalar)
	case d.object:
		b.WriteString("{" + space)
		for k := range d.names {
			i := k
			if other {
				i = len(d.names) - 1 - k
			}
			if k > 0 {
				b.WriteString(space + ",")
			}
			b.WriteString(strconv.Quote(d.names[i]) + space + ":")
			d.elems[i].write(b, other)
		}
		b.WriteString("}")
	default:
		b.WriteString("[")
		for i, e := range d.elems {
			if i > 0 {
				b.WriteString("," + space)
			}
			e.write(b, other)
		}
		b.WriteString("]")
	}
}

func (d doc) json(other bool) string {
	var b strings.Builder
	d.write(&b, other)
	return b.String()
}

func TestSpellingIsOnlyBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := genDoc(4).Draw(t, "doc")
		for _, x := range diff.Exchanges(json(d.json(false)), json(d.json(true)), diff.Options{}) {
			if x.Levels != diff.UpTo(diff.Bytes) {
				t.Fatalf("%+v between %s and %s", x, d.json(false), d.json(true))
			}
		}
		if got := diff.Exchanges(json(d.json(false)), json(d.json(false)), diff.Options{}); len(got) > 0 {
			t.Fatalf("against itself: %+v", got)
		}
	})
}

func TestPathsAreSymmetric(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := genDoc(4).Draw(t, "a").json(false), genDoc(4).Draw(t, "b").json(false)
		there, back := paths(json(a), json(b)), paths(json(b), json(a))
		if d := cmp.Diff(there, back); d != "" {
			t.Fatalf("%s\n%s\n(-there +back)\n%s", a, b, d)
		}
		if len(there) == 0 && a != b {
			t.Fatalf("no difference between %s and %s", a, b)
		}
	})
}

func TestShuffledArrayIsOneDifference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		elems := rapid.SliceOfN(genDoc(2), 2, 8).Draw(t, "elems")
		order := rapid.Permutation(elems).Draw(t, "order")
		a, b := doc{elems: elems}.json(false), doc{elems: order}.json(false)
		got := show(diff.Exchanges(json(a), json(b), diff.Options{}))
		if len(got) > 1 || len(got) == 1 && got[0] != "body.order $ canonical order order" {
			t.Fatalf("%s\n%s\n%v", a, b, got)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[{"id":1,"x":[1,2.5]},{"id":2}],"b":null}`), []byte(`{"a":[{"id":2},{"id":1,"x":[2.5,1]}],"b":1e9}`))
	f.Add([]byte(`[{"f81d4fae-7dec-11d0-a765-00a0c91e6bf6":[]}]`), []byte(`[{"a81d4fae-7dec-11d0-a765-00a0c91e6bf6":{}}]`))
	f.Add([]byte(`1e99999999999`), []byte(`-0.0`))
	f.Fuzz(func(t *testing.T, a, b []byte) { both(t, json(string(a)), json(string(b)), "$") })
}

func FuzzExchanges(f *testing.F) {
	f.Add("text/html", "a: b\nSet-Cookie: x=1; Path=/", []byte("<p>1"), "application/json", "Vary: a, b\ncontent-encoding: gzip", []byte("{}"), "$.a[*]..b")
	f.Add("", "Date: Sun, 22 Nov 2026 10:00:00 GMT", []byte("a\nb"), "text/plain", "date: x", []byte("b\n a"), "$['x'][3][{uuid}]")
	f.Add("application/x-www-form-urlencoded", "", []byte("a=1&b"), "application/x-www-form-urlencoded", "", []byte("b&a=%31"), "$..")
	f.Add("", ": nameless", []byte{}, "", "", []byte{}, "body")
	f.Add("text/xml", "", []byte(`<a x="1"><b>1</b><b>2</b><c/></a>`), "text/xml", "", []byte(`<a><c/><b x="2">2</b>t</a>`), "$.a.b[*].@x")
	f.Add("text/html", "", []byte(`<p>a<b>c</b>d<p>e`), "text/html", "", []byte(`<p>e<p>a d<b>c<i>f`), "$.p")
	f.Add("text/event-stream", "", []byte("data: {\"a\":1}\n\nid: 1\n\n"), "text/event-stream", "", []byte("id: 1\n\ndata: [1]\n\n"), "$[*].data")
	f.Add("multipart/form-data; boundary=x", "", []byte("--x\nContent-Disposition: form-data; name=a\n\n1\n--x--"),
		"multipart/form-data; boundary=y", "", []byte("--y\nContent-Disposition: form-data; name=a\nContent-Type: application/json\n\n{\"b\":2}\n--y--"), "$.a")
	f.Add("application/x-protobuf", "", []byte("\x08\x01\x12\x03abc\x1a\x02\x08\x05"), "application/x-protobuf", "", []byte("\x1a\x02ab\x08\x02\x12\x04abcd"), "$.*")
	f.Add("application/grpc", "", []byte("\x00\x00\x00\x00\x02\x08\x01"), "application/grpc", "", []byte("\x00\x00\x00\x00\x02\x08\x02\x00\x00\x00\x00\x00"), "$..")
	f.Fuzz(func(t *testing.T, mediaA, headA string, a []byte, mediaB, headB string, b []byte, path string) {
		both(t, answer(200, mediaA, string(a), strings.Split(headA, "\n")...), answer(200, mediaB, string(b), strings.Split(headB, "\n")...), path)
	})
}

// both checks what must hold for any two exchanges.
func both(t *testing.T, a, b *exchange.Exchange, path string) {
	o := diff.Options{Ignore: ignore(path)}
	for _, e := range []*exchange.Exchange{a, b} {
		again := *e
		if got := diff.Exchanges(e, &again, diff.Options{}); len(got) > 0 {
			t.Fatalf("against itself: %+v", got)
		}
	}
	got := diff.Exchanges(a, b, diff.Options{})
	if len(got) > diff.MaxDifferences+1 {
		t.Fatalf("%d differences", len(got))
	}
	for _, d := range got {
		if _, ok := d.Levels.Weakest(); !ok || d.Kind == "" || d.Path == "" || d.Class == "" || d.Count < 1 || len(d.Was) > 600 || len(d.Is) > 600 {
			t.Fatalf("ill-formed: %+v", d)
		}
	}
	if len(got) <= diff.MaxDifferences {
		if d := cmp.Diff(paths(a, b), paths(b, a)); d != "" {
			t.Fatalf("not symmetric (-there +back)\n%s", d)
		}
	}
	if less := diff.Exchanges(a, b, o); len(less) > len(got) {
		t.Fatalf("a rule adds differences: %+v over %+v", less, got)
	}
}
