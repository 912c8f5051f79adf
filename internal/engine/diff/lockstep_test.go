// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"microstax/internal/engine/diff"
)

// sameAsTrees checks that reading in lock-step finds what comparing whole trees finds.
func sameAsTrees(t interface {
	Helper()
	Fatalf(string, ...any)
}, a, b string,
) {
	t.Helper()
	want, ok := diff.ByTrees([]byte(a), []byte(b))
	if !ok {
		return
	}
	got := diff.Exchanges(json(a), json(b), diff.Options{})
	if len(got) > diff.MaxDifferences || len(want) > diff.MaxDifferences {
		return
	}
	if d := cmp.Diff(show(want), show(got)); d != "" {
		t.Fatalf("%s\n%s\n(-trees +lock-step)\n%s", a, b, d)
	}
}

func TestLockstep(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, a, b string }{
		{"one number", `{"a":1,"b":{"c":[1,2,3]}}`, `{"a":1,"b":{"c":[1,2,4]}}`},
		{"longer number", `{"a":1}`, `{"a":12}`},
		{"longer number at the end", `1`, `12`},
		{"number and more of it", `[1,2]`, `[1,2.0]`},
		{"string and longer", `{"a":"x","b":1}`, `{"a":"xy","b":1}`},
		{"white space in a run", `{"a" : 1 , "b":2}`, `{"a":1,"b":3}`},
		{"white space around", " [1]\n", "[2]"},
		{"white space in the middle of sameness", `{"a":  1}`, `{"a": 1}`},
		{"order of members", `{"a":1,"b":2,"c":3}`, `{"b":2,"a":1,"c":4}`},
		{"member gone", `{"x":{"a":1,"b":2},"y":1}`, `{"x":{"a":1},"y":2}`},
		{"element gone", `{"x":[1,2,3],"y":1}`, `{"x":[1,3],"y":1}`},
		{"two elements", `{"x":[{"v":1},{"v":2}]}`, `{"x":[{"v":2},{"v":1}]}`},
		{"element of another identity", `[{"id":1,"v":1},{"id":2,"v":2}]`, `[{"id":1,"v":1},{"id":3,"v":3}]`},
		{"several with an id", `[{"id":1,"v":1},{"id":2,"v":2},{"id":3,"v":3}]`, `[{"id":1,"v":7},{"id":2,"v":2},{"id":3,"v":8}]`},
		{"several with an id, one without", `[{"id":1,"v":1},{"v":2},{"id":3,"v":3}]`, `[{"id":1,"v":7},{"v":2},{"id":3,"v":8}]`},
		{"several with an id, the last without", `[{"id":1,"v":1},{"id":3,"v":3},{"v":2}]`, `[{"id":1,"v":7},{"id":3,"v":8},{"v":2}]`},
		{"ids that occur twice", `[{"id":1,"v":1},{"id":1,"v":2},{"id":3,"v":3}]`, `[{"id":1,"v":2},{"id":1,"v":1},{"id":3,"v":3}]`},
		{"ids that are the same number", `[{"id":1,"v":1},{"id":1.0,"v":2}]`, `[{"id":1,"v":2},{"id":1.0,"v":1}]`},
		{"ids deeper down", `[{"a":{"id":1},"v":1},{"a":{"id":2},"v":2}]`, `[{"a":{"id":1},"v":2},{"a":{"id":2},"v":1}]`},
		{"other names with an id", `[{"id":1,"name":"a"},{"id":2,"name":"b"}]`, `[{"id":1,"name":"b"},{"id":2,"name":"c"}]`},
		{"lists in lists", `[{"id":1,"l":[{"id":"a","v":1},{"id":"b","v":1}]},{"id":2,"l":[{"id":"a","v":1},{"id":"b","v":1}]}]`,
			`[{"id":1,"l":[{"id":"a","v":2},{"id":"b","v":2}]},{"id":2,"l":[{"id":"b","v":1},{"id":"a","v":2}]}]`},
		{"identity gone", `[{"id":1,"v":1},{"id":2,"v":2}]`, `[{"id":1,"v":1},{"v":2}]`},
		{"escaped names", `{"\u0061":1,"b":2}`, `{"a":1,"b":3}`},
		{"escaped strings", `{"a":"\u0041","b":"\ud83d\ude00x"}`, `{"a":"A","b":"😀y"}`},
		{"another type", `{"a":[1],"b":1}`, `{"a":{"0":1},"b":2}`},
		{"deep", strings.Repeat(`{"a":[`, 60) + "1" + strings.Repeat(`]}`, 60), strings.Repeat(`{"a":[`, 60) + "2" + strings.Repeat(`]}`, 60)},
		{"empty containers", `{"a":{},"b":[],"c":1}`, `{"a":{},"b":[],"c":2}`},
		{"containers that fill", `{"a":{},"b":[]}`, `{"a":{"x":1},"b":[1]}`},
		{"mark at the start", "\xef\xbb\xbf[1]", "[2]"},
		{"words", `[true,false,null]`, `[true,true,null]`},
		{"fresh names", `{"f81d4fae-7dec-11d0-a765-00a0c91e6bf6":{"a":1}}`, `{"a81d4fae-7dec-11d0-a765-00a0c91e6bf6":{"a":2}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, ok := diff.ByTrees([]byte(tc.a), []byte(tc.b)); !ok {
				t.Fatal("not JSON")
			}
			sameAsTrees(t, tc.a, tc.b)
			sameAsTrees(t, tc.b, tc.a)
		})
	}
}

func TestLockstepFindsWhatTreesFind(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := genDoc(4).Draw(t, "a")
		b := a
		if rapid.Bool().Draw(t, "other") {
			b = genDoc(4).Draw(t, "b")
		} else {
			b = change(t, a)
		}
		sameAsTrees(t, a.json(rapid.Bool().Draw(t, "spelling a")), b.json(rapid.Bool().Draw(t, "spelling b")))
	})
}

// change is a document with one value changed, at any depth.
func change(t *rapid.T, d doc) doc {
	if len(d.elems) == 0 || rapid.IntRange(0, 5).Draw(t, "here") == 0 {
		return genDoc(1).Draw(t, "changed")
	}
	out := d
	out.elems = append([]doc(nil), d.elems...)
	i := rapid.IntRange(0, len(d.elems)-1).Draw(t, "at")
	out.elems[i] = change(t, d.elems[i])
	return out
}

// What is wrong with a document must be found whether it lies in what is the same or in what differs.
func TestLockstepRefusesWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, a, b string }{
		{"name twice", `{"a":1,"a":2,"b":1}`, `{"a":1,"a":2,"b":2}`},
		{"name twice where it differs", `{"a":1,"x":2,"a":3}`, `{"a":1,"x":2,"a":4}`},
		{"name twice far behind", `{"b":1,"c":{"a":1,"a":2}}`, `{"b":2,"c":{"a":1,"a":2}}`},
		{"open", `{"a":1,"b":[1`, `{"a":2,"b":[1`},
		{"comma at the end", `{"a":1,}`, `{"a":2,}`},
		{"more than one", `{"a":1} {}`, `{"a":2} {}`},
		{"leading zero", `{"a":1,"b":01}`, `{"a":2,"b":01}`},
		{"lone surrogate", `{"a":1,"b":"\ud800"}`, `{"a":2,"b":"\ud800"}`},
		{"control character", "{\"a\":1,\"b\":\"\x01\"}", "{\"a\":2,\"b\":\"\x01\"}"},
		{"bad escape", `{"a":1,"b":"\x"}`, `{"a":2,"b":"\x"}`},
		{"bad word", `{"a":1,"b":tru}`, `{"a":2,"b":tru}`},
		{"no colon", `{"a" 1,"b":1}`, `{"a" 2,"b":1}`},
		{"deep", `[1,` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `]`, `[2,` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `]`},
		{"more than one scalar", "1 2", "1 3"},
		{"nothing but space", " ", "  "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := diff.Compare(json(tc.a), json(tc.b), diff.Options{})
			if len(r.Marks) == 0 || len(r.Differences) != 1 || r.Differences[0].Path != "body" {
				t.Fatalf("%+v", r)
			}
		})
	}
}

func FuzzLockstep(f *testing.F) {
	f.Add(`{"a":[{"id":1,"x":[1,2.5]},{"id":2}],"b":null}`, `{"a":[{"id":1,"x":[1,2.6]},{"id":2}],"b":null}`)
	f.Add(`[{"x":{"a":1,"b":2}},[],"\u0041"]`, `[{"x":{"b":2,"a":1}},[ ],"A"]`)
	f.Add("{\"a\" :1 ,\n\"b\":[{},{\"id\":3}]}", `{"a":1,"b":[{},{"id":4}]}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		sameAsTrees(t, a, b)
		sameAsTrees(t, a, a)
	})
}
