// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/engine/calls"
	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// call is one call to a dependency that takes from ms 10·at to 10·at+9.
func call(at int, dependency, method, target, body string) observation.Call {
	c := observation.Call{Caller: "orders", Dependency: dependency, Tier: observation.Exact, Effect: observation.Replayed, Matched: -1}
	c.Exchange = exchange.Exchange{Start: time.Unix(0, 0).Add(time.Duration(at) * 10 * time.Millisecond), Duration: 9 * time.Millisecond, Outcome: exchange.OK}
	c.Exchange.Request = exchange.Request{Method: method, Target: target, Body: exchange.Body{Data: []byte(body), Length: int64(len(body))}}
	if body != "" {
		c.Exchange.Request.Headers = []exchange.Header{{Name: "Content-Type", Value: "application/json"}}
	}
	return c
}

func as(c observation.Call, tier observation.Tier, matched int, effect observation.Effect) observation.Call {
	c.Tier, c.Matched, c.Effect = tier, matched, effect
	return c
}

func stock(at, id int) observation.Call {
	return call(at, "inventory", "GET", fmt.Sprintf("/stock/%d", id), "")
}
func charge(at int, body string) observation.Call {
	return call(at, "payments", "POST", "/charge", body)
}
func list(cs ...observation.Call) []observation.Call { return cs }

// show writes flags as "kind path class side".
func show(fs []calls.Flag) []string {
	out := []string{}
	for _, f := range fs {
		s := fmt.Sprintf("%s | %s | %s |", f.Kind, f.Path, f.Class)
		if f.Candidate {
			s += " candidate"
		}
		if f.Control {
			s += " control"
		}
		if (f.CandidateLevels != 0) != f.Candidate || (f.ControlLevels != 0) != f.Control {
			s += " LEVELS"
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestCompare(t *testing.T) {
	t.Parallel()
	base := list(stock(0, 1), stock(1, 2), charge(2, `{"amount":5,"at":"2026-11-22T10:00:00Z"}`))
	keyed := func(at int, key, body string) observation.Call {
		c := charge(at, body)
		c.Exchange.Request.Headers = append(c.Exchange.Request.Headers, exchange.Header{Name: "Idempotency-Key", Value: key})
		return c
	}
	long := stock(0, 1)
	long.Exchange.Duration = time.Second
	for _, tc := range []struct {
		name               string
		base               []observation.Call
		traced             bool
		control, candidate []observation.Call
		alone              bool
		want               []string
	}{
		{name: "nothing"},
		{name: "same", base: base, traced: true, control: base, candidate: base},
		{name: "missing", base: base, traced: true, control: base, candidate: base[:2],
			want: []string{"call.missing | payments POST /charge | missing | candidate"}},
		{name: "missing in both", base: base, traced: true, control: base[:2], candidate: base[:2],
			want: []string{"call.missing | payments POST /charge | missing | candidate control"}},
		{name: "missing, baseline not traced", base: base, control: base[:2], candidate: base[:2]},
		{name: "other than the control, baseline not traced", control: base, candidate: base[:2],
			want: []string{"call.extra | payments POST /charge | extra | control", "call.missing | payments POST /charge | missing | candidate"}},
		{name: "no control, baseline not traced", base: base, candidate: base[:2], alone: true,
			want: []string{"call.missing | payments POST /charge | missing | candidate"}},
		{name: "extra", base: base[:2], traced: true, control: base[:2], candidate: list(stock(0, 1), stock(1, 2), call(2, "mail", "GET", "/ping", "")),
			want: []string{"call.extra | mail GET /ping | extra | candidate"}},
		{name: "repeated", base: base[:1], traced: true, control: base[:1], candidate: list(stock(0, 1), stock(1, 1)),
			want: []string{"call.repeated | inventory GET /stock/{id} | repeated | candidate"}},
		{name: "one for each", base: base[:1], traced: true, control: base[:1], candidate: list(stock(0, 1), stock(1, 2), stock(2, 3)),
			want: []string{"call.repeated | inventory GET /stock/{id} | n+1 | candidate"}},
		{name: "order", base: base, traced: true, control: base, candidate: list(charge(0, `{}`), stock(1, 1), stock(2, 2)),
			want: []string{"call.order | inventory GET /stock/{id} → payments POST /charge | order | candidate"}},
		{name: "overlapping in the baseline", base: list(long, charge(2, `{}`)), traced: true, control: base[:0], candidate: list(charge(0, `{}`), stock(1, 1)), alone: true},
		{name: "same operation in another order", base: base[:2], traced: true, control: base[:2], candidate: list(stock(0, 2), stock(1, 1))},
		{name: "arguments", base: base, traced: true, control: base, candidate: list(stock(0, 1), stock(1, 2),
			as(charge(2, `{"amount":"5","at":"2026-11-22T11:00:00Z"}`), observation.Near, 2, observation.Replayed)),
			want: []string{"call.arguments | payments POST /charge $.amount | type | candidate", "call.arguments | payments POST /charge $.at | other | candidate"}},
		{name: "arguments that vary", base: base, traced: true,
			control:   list(stock(0, 1), stock(1, 2), as(charge(2, `{"amount":5,"at":"2026-11-22T12:00:00Z"}`), observation.Near, 2, observation.Replayed)),
			candidate: list(stock(0, 1), stock(1, 2), as(charge(2, `{"amount":5,"at":"2026-11-22T11:00:00Z"}`), observation.Near, 2, observation.Replayed)),
			want:      []string{"call.arguments | payments POST /charge $.at | other | candidate control"}},
		{name: "path and query", base: list(call(0, "search", "GET", "/q/7?page=1&n=5", "")), traced: true, alone: true,
			candidate: list(as(call(0, "search", "GET", "/q/8?n=5&page=2", ""), observation.Similar, 0, observation.Replayed)),
			want:      []string{"call.arguments | search GET /q/{id} ?page | other | candidate", "call.arguments | search GET /q/{id} path | other | candidate"}},
		{name: "unmatched write with a counterpart", base: base, traced: true, control: base,
			candidate: list(stock(0, 1), stock(1, 2), as(charge(2, `{"amount":null}`), observation.None, -1, observation.Fenced)),
			want: []string{"call.arguments | payments POST /charge $.amount | null | candidate", "call.arguments | payments POST /charge $.at | missing | candidate",
				"effect.fenced | payments POST /charge | fenced | candidate"}},
		{name: "second charge, matched first", base: base, traced: true, control: base,
			candidate: list(stock(0, 1), stock(1, 2), as(charge(2, `{"amount":5}`), observation.Exact, 2, observation.Replayed),
				as(charge(3, `{ "amount": 5.0 }`), observation.None, -1, observation.Fenced)),
			want: []string{"call.repeated | payments POST /charge | repeated | candidate", "effect.fenced | payments POST /charge | duplicate | candidate"}},
		{name: "second charge with its key", base: base[:2], traced: true, control: base[:2],
			candidate: list(stock(0, 1), stock(1, 2), as(keyed(2, "k", `{"n":1}`), observation.None, -1, observation.Fenced), as(keyed(3, "k", `{"n":2}`), observation.None, -1, observation.Fenced)),
			want: []string{"call.extra | payments POST /charge | extra | candidate", "effect.fenced | payments POST /charge | duplicate | candidate",
				"effect.fenced | payments POST /charge | fenced | candidate"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.want == nil {
				tc.want = []string{}
			}
			got := calls.Compare(tc.base, tc.traced, tc.control, tc.candidate, !tc.alone)
			if d := cmp.Diff(tc.want, show(got)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			mirror := calls.Compare(tc.base, tc.traced, tc.candidate, tc.control, !tc.alone)
			if !tc.alone && len(mirror) != len(got) {
				t.Errorf("with the sides exchanged: %v", show(mirror))
			}
		})
	}
}

func TestFlagSaysWhereAndWhat(t *testing.T) {
	t.Parallel()
	base := list(charge(0, `{"amount":5}`))
	got := calls.Compare(base, true, base, list(as(charge(0, `{"amount":"5"}`), observation.Near, 0, observation.Replayed), charge(1, `{"amount":5}`)), true)
	all := diff.UpTo(diff.Presence)
	want := []calls.Flag{
		{Kind: diff.KindCallArguments, Path: "payments POST /charge $.amount", Candidate: true, CandidateLevels: diff.UpTo(diff.Type), Class: "type",
			Was: "5", Is: `"5"`, At: "payments POST /charge #1 $.amount"},
		{Kind: diff.KindCallRepeated, Path: "payments POST /charge", Candidate: true, CandidateLevels: all, Class: "repeated", Was: "1 call", Is: "2 calls",
			Turn: 1, At: "payments POST /charge #2"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	got := calls.Rates(list(charge(0, "{}"), stock(1, 7), stock(2, 8)))
	want := []calls.Rate{{"inventory", "GET /stock/{id}", 2}, {"payments", "POST /charge", 1}}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestManyCallsAreBounded(t *testing.T) {
	t.Parallel()
	var a, b []observation.Call
	for i := range 3000 {
		a = append(a, call(i, fmt.Sprintf("d%d", i), "POST", "/x", `{"a":1}`))
		b = append(b, as(call(3000-i, fmt.Sprintf("e%d", i), "POST", "/x", `{"a":2}`), observation.None, -1, observation.Fenced))
	}
	if got := calls.Compare(a, true, a, b, true); len(got) == 0 || len(got) > 200 {
		t.Fatalf("%d flags", len(got))
	}
}
