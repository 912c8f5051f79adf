// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"microstax/internal/dataplane/route"
)

// filler fills every exported field of a value, those that are added later too: one that does not travel fails the test.
type filler struct {
	*rand.Rand
	shadows []*route.Shadow
}

func (f filler) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case *route.Shadow:
		if len(f.shadows) > 0 {
			v.Set(reflect.ValueOf(f.shadows[f.IntN(len(f.shadows))]))
		}
		return
	case *route.TLS:
		if f.IntN(2) == 0 {
			v.Set(reflect.ValueOf(&route.TLS{CertificateFile: f.word(), KeyFile: f.word()}))
		}
		return
	case route.Kind:
		v.SetString([]string{"gateway", "outgoing"}[f.IntN(2)])
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.Type() == reflect.TypeFor[*route.Effect]() && (len(f.shadows) == 0 || f.IntN(2) == 0) {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Slice:
		if needsShadow(v.Type()) && len(f.shadows) == 0 {
			return
		}
		n := f.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range f.IntN(3) {
			e := reflect.New(v.Type().Elem()).Elem()
			f.fill(e)
			v.SetMapIndex(reflect.ValueOf(f.word()), e)
		}
	default:
		f.plain(v)
	}
}

func (f filler) plain(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.word())
	case reflect.Bool:
		v.SetBool(f.IntN(2) == 0)
	case reflect.Float64:
		v.SetFloat(float64(f.IntN(100)) / 10)
	case reflect.Uint64:
		v.SetUint(f.Uint64N(1000))
	default:
		v.SetInt(f.Int64N(1 << 30))
	}
}

func needsShadow(t reflect.Type) bool {
	return t.Elem() == reflect.TypeFor[*route.Shadow]() || t.Elem() == reflect.TypeFor[*route.Entry]()
}

func (f filler) word() string { return fmt.Sprintf("w%d<é\n", f.IntN(50)) }

func (f filler) shadow(id string) *route.Shadow {
	s := &route.Shadow{}
	f.fill(reflect.ValueOf(s).Elem())
	s.Session = id
	return s
}

// table makes one whose ids come from so few that two tables have many in common.
func (f filler) table(revision uint64) *route.Table {
	t := &route.Table{Revision: revision, Shadows: map[string]*route.Shadow{}}
	f.shadows = nil
	for i := range 4 {
		if f.IntN(2) == 0 {
			id := fmt.Sprintf("ses_%d", i)
			t.Shadows[id] = f.shadow(id)
			f.shadows = append(f.shadows, t.Shadows[id])
		}
	}
	for _, i := range f.Perm(6)[:f.IntN(6)] {
		var l route.Listener
		f.fill(reflect.ValueOf(&l).Elem())
		l.ID = fmt.Sprintf("l%d", i)
		t.Listeners = append(t.Listeners, l)
	}
	return t
}

// evolved is a table that differs in little.
func (f filler) evolved(a *route.Table) *route.Table {
	b, err := route.Encode(a)
	if err != nil {
		panic(err)
	}
	t, err := route.Decode(b)
	if err != nil {
		panic(err)
	}
	t.Revision++
	for _, s := range t.Shadows {
		f.shadows = append(f.shadows, s)
	}
	if len(f.shadows) > 0 && f.IntN(2) == 0 {
		f.shadows[0].QueueSize++
	}
	switch n := len(t.Listeners); {
	case n == 0:
	case f.IntN(3) == 0:
		t.Listeners = slices.Delete(t.Listeners, 0, 1)
	case f.IntN(2) == 0:
		t.Listeners[n-1].Service += "x"
	default:
		slices.Reverse(t.Listeners)
	}
	return t
}

func generator(seed uint64) filler { return filler{Rand: rand.New(rand.NewPCG(seed, 7))} } //nolint:gosec // reproducible

func same(a, b *route.Table) string { return cmp.Diff(a, b, cmpopts.EquateEmpty()) }

func TestTablesTravelWhole(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		in := generator(seed).table(seed)
		b, err := route.Encode(in)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		out, err := route.Decode(b)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if d := same(in, out); d != "" {
			t.Fatalf("seed %d (-sent +got):\n%s", seed, d)
		}
		again, err := route.Encode(out)
		if err != nil || string(again) != string(b) {
			t.Fatalf("seed %d: encoded twice: %v\n%s\n%s", seed, err, b, again)
		}
		linked(t, out)
	}
}

// linked looks whether everything that refers to a session means the table's own.
func linked(t *testing.T, tab *route.Table) {
	t.Helper()
	for _, l := range tab.Listeners {
		targets := []*route.Target{l.Default}
		for _, k := range l.Keys {
			targets = append(targets, k)
		}
		for _, target := range targets {
			for _, e := range target.Mirror {
				if e.Shadow != tab.Shadows[e.Shadow.Session] {
					t.Fatalf("an entry of %s has a session of its own", l.ID)
				}
			}
			for _, s := range target.Record {
				if s != tab.Shadows[s.Session] {
					t.Fatalf("a record of %s has a session of its own", l.ID)
				}
			}
			if e := target.Effect; e != nil && e.Shadow != tab.Shadows[e.Shadow.Session] {
				t.Fatalf("an effect of %s has a session of its own", l.ID)
			}
		}
	}
}

func TestDeltaLeadsFromOneTableToTheOther(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		f := generator(seed)
		a := f.table(1)
		for _, b := range []*route.Table{f.evolved(a), f.table(2), a} {
			before, err := route.Encode(a)
			if err != nil {
				t.Fatal(err)
			}
			got, err := travel(a, b)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if d := same(b, got); d != "" {
				t.Fatalf("seed %d: apply(delta(a, b), a) is not b (-b +got):\n%s", seed, d)
			}
			linked(t, got)
			if after, err := route.Encode(a); err != nil || string(after) != string(before) {
				t.Fatalf("seed %d: the base was changed: %v", seed, err)
			}
		}
	}
}

// travel makes b of a by what goes over the wire.
func travel(a, b *route.Table) (*route.Table, error) {
	d, err := route.Diff(a, b)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	if d, err = route.DecodeDelta(raw); err != nil {
		return nil, err
	}
	return d.Apply(a)
}

func TestSmallChangeMakesSmallDelta(t *testing.T) {
	t.Parallel()
	a := &route.Table{Revision: 1}
	for i := range 1000 {
		a.Listeners = append(a.Listeners, route.Listener{ID: fmt.Sprint(i), Addr: "127.0.0.1:1", Kind: route.Gateway, Default: &route.Target{}})
	}
	b := &route.Table{Revision: 2, Listeners: slices.Clone(a.Listeners)}
	b.Listeners[500].Default = &route.Target{Addrs: []string{"127.0.0.1:2"}}
	b.Listeners = append(b.Listeners, route.Listener{ID: "new", Addr: "127.0.0.1:3", Kind: route.Gateway})
	d, err := route.Diff(a, b)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Listeners) != 2 || len(raw) > 1000 {
		t.Errorf("%d listeners and %d bytes changed", len(d.Listeners), len(raw))
	}
}

func TestDeltaForAnotherTableIsRefused(t *testing.T) {
	t.Parallel()
	f := generator(3)
	a := f.table(1)
	b := f.evolved(a)
	d, err := route.Diff(a, b)
	if err != nil {
		t.Fatal(err)
	}
	other := &route.Table{Revision: 1} // of the same revision
	if _, err := d.Apply(other); !errors.Is(err, route.ErrBase) {
		t.Errorf("another table: %v", err)
	}
	d.Listeners = append(d.Listeners, route.Listener{ID: "more", Addr: "127.0.0.1:1", Kind: route.Gateway})
	if _, err := d.Apply(a); !errors.Is(err, route.ErrBase) {
		t.Errorf("a delta that leads elsewhere: %v", err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	l := func(edit func(*route.Listener)) *route.Table {
		one := route.Listener{ID: "a", Addr: "127.0.0.1:1", Kind: route.Gateway}
		edit(&one)
		return &route.Table{Listeners: []route.Listener{one}}
	}
	for want, tab := range map[string]*route.Table{
		"has no id":      l(func(l *route.Listener) { l.ID = "" }),
		"has no address": l(func(l *route.Listener) { l.Addr = "" }),
		"no known kind":  l(func(l *route.Listener) { l.Kind = "door" }),
		"without files":  l(func(l *route.Listener) { l.TLS = &route.TLS{Certificate: []byte("c"), Key: []byte("secret")} }),
		"no target":      l(func(l *route.Listener) { l.Keys = map[string]*route.Target{"k": nil} }),
		"belongs to no":  l(func(l *route.Listener) { l.Default = &route.Target{Effect: &route.Effect{}} }),
		"under another":  {Shadows: map[string]*route.Shadow{"a": {Session: "b"}}},
	} {
		if _, err := route.Encode(tab); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		``:                          "EOF",
		`{}`:                        "not a document",
		`{"schema":1} {"schema":1}`: "follows",
		`{"schema":99}`:             "newer",
		`{"schema":1,"what":2}`:     "unknown field",
		`{"schema":1,"listeners":[{"id":"a","addr":"b","kind":"gateway"},{"id":"a","addr":"b","kind":"gateway"}]}`:     "twice",
		`{"schema":1,"listeners":[{"id":"a","addr":"b","kind":"gateway","default":{"record":[{"session":"ses_1"}]}}]}`: "not there",
		`{"schema":1,"listeners":[{"id":"a","addr":"b","kind":"gateway","default":{"record":[null]}}]}`:                "no shadow session",
		`{"schema":1,"listeners":[{"id":"a","addr":"b","kind":"gateway","tls":{"certificateFile":"c"}}]}`:              "without files",
		`{"schema":1,"shadows":[{"session":"a"},{"session":"a"}]}`:                                                     "twice",
		`{"schema":1,"shadows":[null]}`: "no id",
		`{"schema":1,"listeners":[{"id":"a","addr":"b","kind":"gateway","keys":{"k":null}}]}`:                                    "no target",
		`{"schema":1,"listeners":[{"id":"a","addr":"b","kind":"gateway","default":{"mirror":[{"shadow":null,"service":"s"}]}}]}`: "no shadow session",
	} {
		if _, err := route.Decode([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", in, err, want)
		}
	}
	if _, err := route.Decode([]byte(`{"schema":99}`)); !errors.Is(err, route.ErrSchema) {
		t.Errorf("got %v", err)
	}
}

// FuzzDecode looks for a document that is read and does not come out the same, or a delta that breaks what applies it.
func FuzzDecode(f *testing.F) {
	for seed := range uint64(5) {
		g := generator(seed)
		a := g.table(seed)
		b, err := route.Encode(a)
		if err != nil {
			f.Fatal(err)
		}
		d, err := route.Diff(a, g.evolved(a))
		if err != nil {
			f.Fatal(err)
		}
		raw, err := json.Marshal(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, raw)
	}
	f.Fuzz(func(t *testing.T, doc, delta []byte) {
		tab, err := route.Decode(doc)
		if err != nil {
			return
		}
		b, err := route.Encode(tab)
		if err != nil {
			t.Fatalf("read, and not written: %v", err)
		}
		again, err := route.Decode(b)
		if err != nil {
			t.Fatalf("written, and not read: %v\n%s", err, b)
		}
		if d := same(tab, again); d != "" {
			t.Fatal(d)
		}
		d, err := route.DecodeDelta(delta)
		if err != nil {
			return
		}
		d.Base, d.BaseDigest = tab.Revision, digest(t, tab)
		if next, err := d.Apply(tab); err == nil && digest(t, next) != d.Digest {
			t.Fatal("a delta led to another table than it promised")
		}
	})
}

func digest(t *testing.T, tab *route.Table) string {
	t.Helper()
	d, err := route.Digest(tab)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
