// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/blueprint"
	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
)

// answer makes an exchange: status, media type, body, then more headers as "name: value".
func answer(status int, media, body string, headers ...string) *exchange.Exchange {
	e := &exchange.Exchange{Outcome: exchange.OK}
	e.Request = exchange.Request{Method: "GET", Target: "/"}
	e.Response = exchange.Response{Status: status, Body: exchange.Body{Data: []byte(body), Length: int64(len(body))}}
	if media != "" {
		e.Response.Headers = append(e.Response.Headers, exchange.Header{Name: "Content-Type", Value: media})
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		e.Response.Headers = append(e.Response.Headers, exchange.Header{Name: name, Value: value})
	}
	return e
}

func json(body string) *exchange.Exchange { return answer(200, "application/json", body) }

// show writes differences as "kind path weakest-level class[ model]", sorted.
func show(ds []diff.Difference) []string {
	out := []string{}
	for _, d := range ds {
		l, ok := d.Levels.Weakest()
		if !ok {
			l = diff.Levels
		}
		s := fmt.Sprintf("%s %s %s %s", d.Kind, d.Path, l.Name(), d.Class)
		if d.Model != "" {
			s += " " + d.Model
		}
		if d.Levels != diff.UpTo(l) {
			s += fmt.Sprintf(" %06b", d.Levels)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, a, b string
		want       []string
	}{
		{"same", `{"a":1}`, `{"a":1}`, nil},
		{"white space", `{"a":1}`, `{ "a": 1 }`, []string{"body.value $ bytes other"}},
		{"key order", `{"a":1,"b":2}`, `{"b":2,"a":1}`, []string{"body.value $ bytes other"}},
		{"number spelling", `{"a":1.0}`, `{"a":1}`, []string{"body.value $.a bytes other"}},
		{"string spelling", `{"a":"\u0041"}`, `{"a":"A"}`, []string{"body.value $.a bytes other"}},
		{"number", `{"a":15}`, `{"a":16}`, []string{"body.value $.a tolerant other number"}},
		{"last digits of a float", `{"a":0.30000000000000004}`, `{"a":0.3}`, []string{"body.value $.a canonical precision number"}},
		{"big integers", `{"a":9007199254740993}`, `{"a":9007199254740992}`, []string{"body.value $.a tolerant other number"}},
		{"sign", `{"a":5}`, `{"a":-5}`, []string{"body.value $.a format sign number"}},
		{"precision", `{"a":10.005}`, `{"a":10.01}`, []string{"body.value $.a tolerant precision number"}},
		{"magnitude", `{"a":10}`, `{"a":1000000}`, []string{"body.value $.a format other number"}},
		{"null", `{"a":1}`, `{"a":null}`, []string{"body.type $.a type null"}},
		{"type", `{"price":5}`, `{"price":"5"}`, []string{"body.type $.price type type"}},
		{"bool", `{"a":true}`, `{"a":false}`, []string{"body.value $.a tolerant other"}},
		{"container", `{"a":{}}`, `{"a":[]}`, []string{"body.type $.a type type"}},
		{"missing and extra", `{"a":1,"b":2}`, `{"a":1,"c":2}`, []string{"body.extra $.c presence extra", "body.missing $.b presence missing"}},
		{"missing subtree is one", `{"a":{"b":{"c":1}}}`, `{}`, []string{"body.missing $.a presence missing"}},
		{"uuid", `{"id":"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}`, `{"id":"a81d4fae-7dec-11d0-a765-00a0c91e6bf6"}`,
			[]string{"body.value $.id tolerant other uuid"}},
		{"timestamp", `{"at":"2026-11-22T10:00:00Z"}`, `{"at":"2026-11-22T10:00:01.5Z"}`, []string{"body.value $.at format other timestamp"}},
		{"epoch", `{"at":1760000000123}`, `{"at":1760000000456}`, []string{"body.value $.at tolerant other timestamp"}},
		{"class", `{"id":"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}`, `{"id":"none"}`, []string{"body.value $.id format other"}},
		{"case", `{"a":"Paid"}`, `{"a":"PAID"}`, []string{"body.value $.a format case"}},
		{"truncated", `{"a":"a long text"}`, `{"a":"a lo"}`, []string{"body.value $.a format truncated"}},
		{"values in a text", `{"m":"took 12 ms"}`, `{"m":"took 7 ms"}`, []string{"body.value $.m tolerant other"}},
		{"emptied", `{"a":"x"}`, `{"a":""}`, []string{"body.value $.a format other"}},
		{"odd names", `{"a b":1,"it's":1,"ok_1":1,"é":1}`, `{"a b":2,"it's":2,"ok_1":2,"é":2}`, []string{
			"body.value $.ok_1 tolerant other number", "body.value $['a b'] tolerant other number",
			`body.value $['it\'s'] tolerant other number`, "body.value $['é'] tolerant other number"}},
		{"names that are numbers", `{"u":{"17":{"n":1},"18":{"n":1}}}`, `{"u":{"17":{"n":2},"18":{"n":2}}}`,
			[]string{"body.value $.u[{int}].n tolerant other number"}},
		{"names made up afresh", `{"u":{"f81d4fae-7dec-11d0-a765-00a0c91e6bf6":{"n":1}}}`, `{"u":{"a81d4fae-7dec-11d0-a765-00a0c91e6bf6":{"n":2}}}`,
			[]string{"body.value $.u[{uuid}] tolerant other uuid", "body.value $.u[{uuid}].n tolerant other number"}},
		{"numbered name gone", `{"u":{"1":1,"2":1}}`, `{"u":{"1":1}}`, []string{"body.missing $.u[{int}] presence missing"}},
		{"root scalar", `1`, `"1"`, []string{"body.type $ type type"}},
		{"broken", `{"a":1}`, `{"a":`, []string{"body.type body type type"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check(t, json(tc.a), json(tc.b), tc.want)
		})
	}
}

func TestArrays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, a, b string
		want       []string
	}{
		{"order of scalars", `{"a":[1,2,3]}`, `{"a":[3,1,2]}`, []string{"body.order $.a canonical order order"}},
		{"order of objects", `[{"x":1},{"x":2}]`, `[{"x":2},{"x":1}]`, []string{"body.order $ canonical order order"}},
		{"scalar changed", `[1,2,3]`, `[1,5,3]`, []string{"body.value $[*] tolerant other number"}},
		{"scalar gone", `["a","b","c"]`, `["a","c"]`, []string{"body.missing $[*] presence missing"}},
		{"scalars come", `[1]`, `[1,2,3]`, []string{"body.extra $[*] presence extra"}},
		{"emptied", `{"a":[1,2]}`, `{"a":[]}`, []string{"body.missing $.a[*] presence missing"}},
		{"keyed", `{"items":[{"id":1,"p":5},{"id":2,"p":6}]}`, `{"items":[{"id":2,"p":6},{"id":1,"p":7}]}`, []string{
			"body.order $.items canonical order order", "body.value $.items[*].p tolerant other number"}},
		{"keyed, one gone, one new", `[{"sku":"a","n":1},{"sku":"b","n":1}]`, `[{"sku":"b","n":1},{"sku":"c","n":1}]`,
			[]string{"body.extra $[*] presence extra", "body.missing $[*] presence missing"}},
		{"a key nobody knew", `[{"ref":"k1","v":1},{"ref":"k2","v":1},{"ref":"k3","v":1}]`, `[{"ref":"k3","v":2},{"ref":"k2","v":1},{"ref":"k1","v":1}]`,
			[]string{"body.order $ canonical order order", "body.value $[*].v tolerant other number"}},
		{"ids made up afresh", `[{"id":"f81d4fae-7dec-11d0-a765-00a0c91e6bf6","n":"a","v":1},{"id":"f81d4fae-7dec-11d0-a765-00a0c91e6bf7","n":"b","v":1}]`,
			`[{"id":"081d4fae-7dec-11d0-a765-00a0c91e6bf6","n":"b","v":2},{"id":"181d4fae-7dec-11d0-a765-00a0c91e6bf7","n":"a","v":1}]`,
			[]string{"body.order $ canonical order order", "body.value $[*].id tolerant other uuid", "body.value $[*].v tolerant other number"}},
		{"type in one element", `{"l":[{"sku":"a","price":1},{"sku":"b","price":2}]}`, `{"l":[{"sku":"a","price":1},{"sku":"b","price":"2"}]}`,
			[]string{"body.type $.l[*].price type type"}},
		{"nested", `[[1,2],[3]]`, `[[1,2],[4]]`, []string{"body.value $[*][*] tolerant other number"}},
		{"spelling within", `[{"a":1.0}]`, `[{"a":1}]`, []string{"body.value $[*].a bytes other"}},
		{"length beyond the cap", long(2500), long(2400), []string{"body.length $ format other"}},
		{"value beyond the cap", long(2500), strings.Replace(long(2500), ",2499]", ",1]", 1), []string{"body.value $[*] format other number"}},
		{"values beyond the cap", long(2500), strings.Replace(long(2500), ",2498,2499]", ",1,1]", 1), []string{"body.value $[*] tolerant other"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check(t, json(tc.a), json(tc.b), tc.want)
		})
	}
}

// long is an array of numbers from 0.
func long(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",%d", i)
	}
	return "[" + b.String()[1:] + "]"
}

func check(t *testing.T, a, b *exchange.Exchange, want []string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	slices.Sort(want)
	if d := cmp.Diff(want, show(diff.Exchanges(a, b, diff.Options{}))); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := diff.Exchanges(a, a, diff.Options{}); len(d) > 0 {
		t.Errorf("against itself: %v", d)
	}
	if d := cmp.Diff(paths(a, b), paths(b, a)); d != "" {
		t.Errorf("not symmetric (-there +back)\n%s", d)
	}
}

func paths(a, b *exchange.Exchange) []string {
	var out []string
	for _, d := range diff.Exchanges(a, b, diff.Options{}) {
		out = append(out, d.Path)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestPlaceOfADifference(t *testing.T) {
	t.Parallel()
	got := diff.Exchanges(json(`{"l":[{"sku":"a","price":1},{"sku":"b","price":2.5}]}`),
		json(`{"l":[{"sku":"b","price":"2.50"},{"sku":"a","price":"1"}]}`), diff.Options{})
	want := []diff.Difference{
		{Kind: diff.KindOrder, Path: "$.l", At: "$.l", Levels: diff.UpTo(diff.Canonical), Class: "order", Model: "order",
			Was: `{"sku":"a","price":1}`, Is: `{"sku":"b","price":"2.50"}`, Count: 1},
		{Kind: diff.KindType, Path: "$.l[*].price", At: "$.l[0].price", Levels: diff.UpTo(diff.Type), Class: "type", Was: "1", Is: `"1"`, Count: 2},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestOtherBodies(t *testing.T) {
	t.Parallel()
	cut := func(data string, length int64, hash uint64) *exchange.Exchange {
		e := answer(200, "application/json", data)
		e.Response.Body.Length, e.Response.Body.Truncated, e.Response.Body.Hash = length, true, hash
		return e
	}
	text := func(s string) *exchange.Exchange { return answer(200, "text/plain", s) }
	raw := func(s string) *exchange.Exchange { return answer(200, "image/png", s) }
	for _, tc := range []struct {
		name string
		a, b *exchange.Exchange
		want []string
	}{
		{"body gone", text("a"), text(""), []string{"body.missing body presence missing"}},
		{"body come", text(""), text("a"), []string{"body.extra body presence extra"}},
		{"white space", text("a b\n"), text("a  b"), []string{"body.text body bytes other"}},
		{"lines in another order", text("a\nb\n"), text("b\na\n"), []string{"body.text body canonical order order"}},
		{"volatile values", text("at 2026-11-22T10:00:00Z: 5 left"), text("at 2026-11-22T11:00:00Z: 7 left"), []string{"body.text body tolerant other text"}},
		{"words", text("all well"), text("all lost"), []string{"body.text body format other"}},
		{"more lines", text("a\n"), text("a\nb\n"), []string{"body.text body format other"}},
		{"case", text("Hello"), text("hello"), []string{"body.text body format case"}},
		{"cut off", text("Hello you"), text("Hello"), []string{"body.text body format truncated"}},
		{"html", answer(200, "text/html", "<p>1</p>"), answer(200, "text/html", "<p>2</p>"), []string{"body.value $.p tolerant other number"}},
		{"binary value", raw("\x89abc"), raw("\x89abd"), []string{"body.value body tolerant other token"}},
		{"binary length", raw("\x89abc"), raw("\x89abde"), []string{"body.length body tolerant other number"}},
		{"lines of json", answer(200, "application/x-ndjson", "{\"a\":1}\n{\"a\":2}\n"), answer(200, "application/x-ndjson", "{\"a\":1}\n{\"a\":3}\n"),
			[]string{"body.value $[*].a tolerant other number"}},
		{"form", answer(200, "application/x-www-form-urlencoded", "a=1&b=2&b=3"), answer(200, "application/x-www-form-urlencoded", "b=2&b=4&a=%31"),
			[]string{"body.value $.b[*] tolerant other number"}},
		{"form spelling", answer(200, "application/x-www-form-urlencoded", "a=1&b=+"), answer(200, "application/x-www-form-urlencoded", "b=%20&a=1"),
			[]string{"body.value $ bytes other"}},
		{"json without a type", answer(200, "", `{"a":1}`), answer(200, "", `{"a":2}`), []string{"body.value $.a tolerant other number"}},
		{"text and sniffed json", text("[1]"), text("[1"), []string{"body.text body format truncated"}},
		{"media type", json(`{"a":1}`), text(`{"a":1}`), []string{"mediaType content-type type other"}},
		{"html error page", json(`{"a":1}`), answer(200, "text/html", "<p>"), []string{"body.type body type type", "mediaType content-type type other"}},
		{"truncated, same", cut("{", 100, 7), cut("{", 100, 7), nil},
		{"truncated, other hash", cut("{", 100, 7), cut("{", 100, 8), []string{"body.value body tolerant other token"}},
		{"truncated, other length", cut("{", 100, 7), cut("{", 300, 8), []string{"body.length body format other number"}},
		{"one truncated", cut("{", 100, 7), json("{}"), []string{"body.length body format truncated number"}},
		{"not what it is encoded in", answer(200, "application/json", "[]"), answer(200, "application/json", "[]", "Content-Encoding: gzip"),
			[]string{"body.type body type type", "header content-encoding presence extra"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check(t, tc.a, tc.b, tc.want)
		})
	}
}

func TestHeads(t *testing.T) {
	t.Parallel()
	with := func(hs ...string) *exchange.Exchange { return answer(200, "", "", hs...) }
	head := func(hs ...string) *exchange.Exchange {
		e := with(hs...)
		e.Request.Method = "HEAD"
		return e
	}
	failed := func(o exchange.Outcome) *exchange.Exchange { return &exchange.Exchange{Outcome: o, Error: "because"} }
	trailer := func(v string) *exchange.Exchange {
		e := with()
		e.Response.Trailers = []exchange.Header{{Name: "Grpc-Status", Value: v}}
		return e
	}
	for _, tc := range []struct {
		name string
		a, b *exchange.Exchange
		want []string
	}{
		{"status in its class", answer(200, "", ""), answer(201, "", ""), []string{"status status canonical other"}},
		{"status class hides the rest", json(`{"a":1}`), answer(500, "text/plain", "oh", "X-A: 1"), []string{"status status type other"}},
		{"failed", json("1"), failed(exchange.Timeout), []string{"error answer presence timeout"}},
		{"answered", failed(exchange.Reset), json("1"), []string{"error answer presence answered"}},
		{"both failed", failed(exchange.Reset), failed(exchange.Refused), []string{"error answer type refused"}},
		{"both failed alike", failed(exchange.Reset), failed(exchange.Reset), nil},
		{"case of a name, order of lines", with("X-A: 1", "X-B: 2"), with("x-b: 2", "x-a: 1"), nil},
		{"header gone and come", with("X-A: 1"), with("X-B: 1"), []string{"header x-a presence missing", "header x-b presence extra"}},
		{"value", with("X-A: yes"), with("X-A: not"), []string{"header x-a tolerant other"}},
		{"white space", with("X-A: yes"), with("X-A:  yes "), []string{"header x-a bytes other"}},
		{"request id", with("X-Id: f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), with("X-Id: a81d4fae-7dec-11d0-a765-00a0c91e6bf6"), []string{"header x-id tolerant other uuid"}},
		{"dates", with("Date: Sun, 22 Nov 2026 10:00:00 GMT"), with("Date: Sun, 22 Nov 2026 10:00:01 GMT"), nil},
		{"old date", with("Date: Sun, 22 Nov 2026 10:00:00 GMT"), with("Date: Sunday, 22-Nov-26 10:00:00 GMT"), nil},
		{"no date", with("Date: Sun, 22 Nov 2026 10:00:00 GMT"), with("Date: today"), []string{"header date format other"}},
		{"date gone", with("Date: Sun, 22 Nov 2026 10:00:00 GMT"), with(), []string{"header date presence missing"}},
		{"framing", with("Connection: close", "Content-Length: 5", "Keep-Alive: 1"), with("Transfer-Encoding: chunked"), nil},
		{"length of nothing", head("Content-Length: 5"), head("Content-Length: 6"), []string{"header content-length tolerant other number"}},
		{"no length of nothing", head("Content-Length: 5"), head(), nil},
		{"list in another order", with("Vary: Accept, Origin"), with("Vary: origin,accept"), []string{"header vary bytes order"}},
		{"list over lines", with("Vary: Accept", "Vary: Origin"), with("Vary: Accept, Origin"), []string{"header vary bytes order"}},
		{"list with one less", with("Vary: Accept, Origin"), with("Vary: Accept"), []string{"header vary format other"}},
		{"directive", with("Cache-Control: no-cache, max-age=5"), with("Cache-Control: max-age=9, no-cache"), []string{"header cache-control tolerant other"}},
		{"weak tag", with(`ETag: "a"`), with(`ETag: W/"a"`), []string{"header etag bytes other"}},
		{"charset", with("Content-Type: text/plain; charset=utf-8"), with("Content-Type: text/plain; charset=latin1"), []string{"mediaType content-type tolerant other"}},
		{"charset spelling", with("Content-Type: text/plain; charset=utf-8"), with(`Content-Type: text/plain;charset="UTF-8"`), []string{"mediaType content-type bytes other"}},
		{"trailer", trailer("0"), trailer("5"), []string{"trailer trailer[grpc-status] tolerant other number"}},
		{"trailer gone", trailer("0"), with(), []string{"trailer trailer[grpc-status] presence missing"}},
		{"cookie value", with("Set-Cookie: sid=abc1; Path=/"), with("Set-Cookie: sid=xyz2; Path=/"), []string{"header set-cookie[sid] tolerant other"}},
		{"cookie path", with("Set-Cookie: a=1"), with("Set-Cookie: a=1; Path=/"), []string{"header set-cookie[a].path presence extra"}},
		{"cookie flag", with("Set-Cookie: a=1; HttpOnly; Secure"), with("Set-Cookie: a=1; secure"), []string{"header set-cookie[a].httponly presence missing"}},
		{"cookie order", with("Set-Cookie: a=1; Path=/; Secure", "Set-Cookie: b=1"), with("Set-Cookie: b=1", "Set-Cookie: a=1; Secure; Path=/"),
			[]string{"header set-cookie[a] bytes order"}},
		{"cookie expiry", with("Set-Cookie: a=1; Expires=Sun, 22 Nov 2026 10:00:00 GMT"), with("Set-Cookie: a=1; Expires=Sun, 22 Nov 2026 11:00:00 GMT"),
			[]string{"header set-cookie[a].expires tolerant other timestamp"}},
		{"cookie gone", with("Set-Cookie: a=1", "Set-Cookie: b=1"), with("Set-Cookie: b=1"), []string{"header set-cookie[a] presence missing"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check(t, tc.a, tc.b, tc.want)
		})
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	tenth := 0.1
	for _, tc := range []struct {
		name   string
		rule   blueprint.Ignore
		a, b   *exchange.Exchange
		want   []string
		masked []int
	}{
		{"value", blueprint.Ignore{Path: "$.at"}, json(`{"at":1}`), json(`{"at":2}`), nil, []int{1}},
		{"type still shows", blueprint.Ignore{Path: "$.at"}, json(`{"at":1}`), json(`{"at":null}`), []string{"body.type $.at type null 010000"}, nil},
		{"presence still shows", blueprint.Ignore{Path: "$.at"}, json(`{"at":1}`), json(`{}`), []string{"body.missing $.at presence missing 110000"}, nil},
		{"all within", blueprint.Ignore{Path: "$.debug"}, json(`{"debug":{"a":1,"b":2}}`), json(`{"debug":{"a":[]}}`), nil, []int{2}},
		{"elements", blueprint.Ignore{Path: "$.items[*].at"}, json(`{"items":[{"id":1,"at":1,"n":1}]}`), json(`{"items":[{"id":1,"at":2,"n":2}]}`),
			[]string{"body.value $.items[*].n tolerant other number"}, []int{1}},
		{"within tolerance", blueprint.Ignore{Path: "$.s", Tolerance: &tenth}, json(`{"s":1.5}`), json(`{"s":1.6}`), nil, []int{1}},
		{"beyond tolerance", blueprint.Ignore{Path: "$.s", Tolerance: &tenth}, json(`{"s":1.5}`), json(`{"s":1.7}`),
			[]string{"body.value $.s tolerant other number 000100"}, nil},
		{"tolerance of text", blueprint.Ignore{Path: "$.s", Tolerance: &tenth}, json(`{"s":"1.50"}`), json(`{"s":"1.55"}`), nil, []int{1}},
		{"tolerance of a type", blueprint.Ignore{Path: "$.s", Tolerance: &tenth}, json(`{"s":1.5}`), json(`{"s":"1.5"}`), []string{"body.type $.s type type"}, nil},
		{"order", blueprint.Ignore{Path: "$.tags", Order: "any"}, json(`{"tags":[1,2]}`), json(`{"tags":[2,1]}`), nil, []int{1}},
		{"order by element", blueprint.Ignore{Path: "$.tags[*]", Order: "any"}, json(`{"tags":[1,2]}`), json(`{"tags":[2,1]}`), nil, []int{1}},
		{"order is not value", blueprint.Ignore{Path: "$.tags", Order: "any"}, json(`{"tags":[1,2]}`), json(`{"tags":[3,1]}`),
			[]string{"body.value $.tags[*] tolerant other number"}, nil},
		{"any depth", blueprint.Ignore{Path: "$..at"}, json(`{"a":{"at":1},"at":1}`), json(`{"a":{"at":2},"at":2}`), nil, []int{2}},
		{"any member", blueprint.Ignore{Path: "$.m.*"}, json(`{"m":{"a":1}}`), json(`{"m":{"a":2}}`), nil, []int{1}},
		{"quoted", blueprint.Ignore{Path: "$['a b']"}, json(`{"a b":1}`), json(`{"a b":2}`), nil, []int{1}},
		{"class of name", blueprint.Ignore{Path: "$[{int}].n"}, json(`{"17":{"n":1}}`), json(`{"17":{"n":2}}`), nil, []int{1}},
		{"index", blueprint.Ignore{Path: "$[1]"}, json(`[[1],[2]]`), json(`[[3],[2]]`), []string{"body.value $[*][*] tolerant other number"}, nil},
		{"whole body", blueprint.Ignore{Path: "$"}, answer(200, "text/plain", "a"), answer(200, "text/plain", "b"), nil, []int{1}},
		{"header", blueprint.Ignore{Header: "X-Served-By"}, answer(200, "", "", "x-served-by: a1"), answer(200, "", "", "x-served-by: b2"), nil, []int{1}},
		{"header gone", blueprint.Ignore{Header: "x-served-by"}, answer(200, "", "", "x-served-by: a1"), answer(200, "", ""),
			[]string{"header x-served-by presence missing 110000"}, nil},
		{"header tolerance", blueprint.Ignore{Header: "x-n", Tolerance: &tenth}, answer(200, "", "", "x-n: 1.05"), answer(200, "", "", "x-n: 1.1"), nil, []int{1}},
		{"cookies", blueprint.Ignore{Header: "set-cookie"}, answer(200, "", "", "Set-Cookie: a=1; Max-Age=5"), answer(200, "", "", "Set-Cookie: a=2; Max-Age=6"), nil, []int{2}},
		{"one cookie", blueprint.Ignore{Header: "set-cookie[b]"}, answer(200, "", "", "Set-Cookie: a=1"), answer(200, "", "", "Set-Cookie: a=2"),
			[]string{"header set-cookie[a] tolerant other number"}, nil},
		{"another path", blueprint.Ignore{Path: "$.b"}, json(`{"a":1}`), json(`{"a":2}`), []string{"body.value $.a tolerant other number"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := diff.Compare(tc.a, tc.b, diff.Options{Ignore: []blueprint.Ignore{tc.rule}})
			if tc.want == nil {
				tc.want = []string{}
			}
			if d := cmp.Diff(tc.want, show(got.Differences)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if d := cmp.Diff(tc.masked, got.Masked); d != "" {
				t.Errorf("masked (-want +got)\n%s", d)
			}
		})
	}
}

func TestTooManyDifferencesEndInAMark(t *testing.T) {
	t.Parallel()
	var a, b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&a, `,"m%d":1`, i)
		fmt.Fprintf(&b, `,"m%d":2`, i)
	}
	got := diff.Exchanges(json("{"+a.String()[1:]+"}"), json("{"+b.String()[1:]+"}"), diff.Options{})
	if len(got) != diff.MaxDifferences+1 {
		t.Fatalf("got %d differences", len(got))
	}
	if last := got[diff.MaxDifferences]; last.Class != "truncated" || last.Levels != diff.UpTo(diff.Bytes) {
		t.Fatalf("last is %+v", last)
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	got := show(diff.Queries("page=1&tag=a&tag=b", "tag=b&tag=a&page=2", diff.Options{}))
	want := []string{"body.order $.tag canonical order order", "body.value $.page tolerant other number"}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

// Times are compared with when their answers came, where that is known.
func TestTimesMoveWithTheClock(t *testing.T) {
	t.Parallel()
	at := func(came, value string) *exchange.Exchange {
		e := json(`{"at":` + value + `}`)
		start, err := time.Parse(time.RFC3339, came)
		if err != nil {
			t.Fatal(err)
		}
		e.Start = start
		return e
	}
	const one, two = "2026-11-22T10:00:00Z", "2026-11-22T10:00:07Z"
	for _, tc := range []struct {
		name string
		a, b *exchange.Exchange
		want []string
	}{
		{"now", at(one, `"2026-11-22T10:00:00.1Z"`), at(two, `"2026-11-22T10:00:07.2Z"`), []string{"body.value $.at canonical other timestamp"}},
		{"in an hour", at(one, `"2026-11-22T11:00:00Z"`), at(two, `"2026-11-22T11:00:07Z"`), []string{"body.value $.at canonical other timestamp"}},
		{"an hour off", at(one, `"2026-11-22T10:00:00Z"`), at(two, `"2026-11-22T11:00:07Z"`), []string{"body.value $.at tolerant other timestamp"}},
		{"zone of another form", at(one, `"2026-11-22T10:00:00Z"`), at(two, `"2026-11-22T10:00:07+00:00"`), []string{"body.value $.at format other timestamp"}},
		{"seconds", at(one, `1795341600`), at(two, `1795341607`), []string{"body.value $.at canonical other timestamp"}},
		{"milliseconds", at(one, `1795341600123`), at(two, `1795345207456`), []string{"body.value $.at tolerant other timestamp"}},
		{"dates at midnight", at("2026-11-22T23:59:59Z", `"2026-11-22"`), at("2026-11-23T00:00:01Z", `"2026-11-23"`), []string{"body.value $.at canonical other timestamp"}},
		{"dates in the past", at(one, `"2020-01-01"`), at(two, `"2020-01-02"`), []string{"body.value $.at tolerant other timestamp"}},
		{"words", at(one, `"Sun, 22 Nov 2026 10:00:00 GMT"`), at(two, `"Sun, 22 Nov 2026 10:00:07 GMT"`), []string{"body.value $.at canonical other timestamp"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check(t, tc.a, tc.b, tc.want)
		})
	}
}

func TestLearnedTolerance(t *testing.T) {
	t.Parallel()
	o := diff.Options{Tolerance: func(path string) float64 {
		if path == "$.load" || path == "x-load" {
			return 3
		}
		return 0
	}}
	got := diff.Exchanges(answer(200, "application/json", `{"load":9,"n":1}`, "X-Load: 5"), answer(200, "application/json", `{"load":11,"n":2}`, "X-Load: 9"), o)
	want := []string{"body.value $.load canonical other number", "body.value $.n tolerant other number", "header x-load tolerant other number"}
	if d := cmp.Diff(want, show(got)); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
	for _, d := range got {
		if d.Path == "$.load" && d.Delta != 2 || d.Path == "x-load" && d.Delta != 4 {
			t.Errorf("delta of %s is %v", d.Path, d.Delta)
		}
	}
}
