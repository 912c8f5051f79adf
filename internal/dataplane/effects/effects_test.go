// SPDX-License-Identifier: Apache-2.0

package effects_test

import (
	"fmt"
	"testing"
	"time"

	"microstax/internal/dataplane/effects"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func request(method, target, body string) exchange.Request {
	return exchange.Request{
		Method: method, Target: target, Proto: "HTTP/1.1",
		Headers: []exchange.Header{{Name: "Content-Type", Value: "application/json"}},
		Body:    exchange.Body{Data: []byte(body), Length: int64(len(body))},
	}
}

// book records calls of orders one millisecond apart.
func book(trace string, calls ...exchange.Request) *effects.Book {
	b := &effects.Book{}
	for i, r := range calls {
		b.Add(effects.Record{Caller: "orders", Dependency: "payments", TraceID: trace, Exchange: exchange.Exchange{
			Start: origin.Add(time.Duration(i) * time.Millisecond), Duration: time.Millisecond, Outcome: exchange.OK,
			Request: r, Response: exchange.Response{Status: 200, Body: exchange.Body{Data: fmt.Appendf(nil, "%d", i)}},
		}})
	}
	return b
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	charge := func(body string) exchange.Request { return request("POST", "/charges", body) }
	type want struct {
		effect  observation.Effect
		tier    observation.Tier
		answer  string // of the recorded call; "" for none
		forward bool
		tainted bool
	}
	cases := []struct {
		name     string
		recorded []exchange.Request
		policy   effects.Policy
		calls    []exchange.Request
		want     []want
	}{
		{
			"the same call", []exchange.Request{charge(`{"a":1,"b":2}`)}, effects.Replay,
			[]exchange.Request{charge(` {"b": 2, "a": 1}`)},
			[]want{{observation.Replayed, observation.Exact, "0", false, false}},
		},
		{
			"equal calls are used in order, then the write is fenced",
			[]exchange.Request{charge(`{"a":1}`), charge(`{"a":1}`)}, effects.Replay,
			[]exchange.Request{charge(`{"a":1}`), charge(`{"a":1}`), charge(`{"a":1}`)},
			[]want{
				{observation.Replayed, observation.Exact, "0", false, false},
				{observation.Replayed, observation.Exact, "1", false, false},
				{observation.Fenced, observation.Repeat, "0", false, false},
			},
		},
		{
			"a random key does not spoil a match",
			[]exchange.Request{charge(`{"key":"8b1f1d0c-6f0a-4c59-9d6e-0d0a6f6f7a11","amount":5,"to":"x"}`)}, effects.Replay,
			[]exchange.Request{charge(`{"key":"0e37df36-f698-4c59-9d6e-aaaaaaaaaaaa","amount":5,"to":"x"}`)},
			[]want{{observation.Replayed, observation.Near, "0", false, false}},
		},
		{
			"another amount is a guess, and taints",
			[]exchange.Request{charge(`{"amount":5,"to":"x"}`)}, effects.Replay,
			[]exchange.Request{charge(`{"amount":6,"to":"x"}`)},
			[]want{{observation.Replayed, observation.Similar, "0", false, true}},
		},
		{
			"a write that nobody made is fenced",
			[]exchange.Request{charge(`{"amount":5}`)}, effects.Replay,
			[]exchange.Request{request("DELETE", "/charges/7", "")},
			[]want{{observation.Fenced, observation.None, "", false, true}},
		},
		{
			"a read that nobody made is asked", nil, effects.Replay,
			[]exchange.Request{request("GET", "/charges/7", "")},
			[]want{{observation.ReadThrough, observation.None, "", true, false}},
		},
		{
			"a repeated read gets the same answer", []exchange.Request{request("GET", "/charges/7", "")}, effects.Replay,
			[]exchange.Request{request("GET", "/charges/7", ""), request("GET", "/charges/7", "")},
			[]want{
				{observation.Replayed, observation.Exact, "0", false, false},
				{observation.Replayed, observation.Repeat, "0", false, false},
			},
		},
		{
			"the right one of several", []exchange.Request{request("GET", "/stock/1", ""), request("GET", "/stock/2", "")}, effects.Replay,
			[]exchange.Request{request("GET", "/stock/2", ""), request("GET", "/stock/1", "")},
			[]want{
				{observation.Replayed, observation.Exact, "1", false, false},
				{observation.Replayed, observation.Exact, "0", false, false},
			},
		},
		{
			"a call made again is no other call",
			[]exchange.Request{charge(`{"order":"ord_f80bdbf8ce2839aa1","amount":5,"a":1,"b":2,"c":3}`), charge(`{"order":"ord_0107aadc69e16f60d","amount":5,"a":1,"b":2,"c":3}`)},
			effects.Replay,
			[]exchange.Request{charge(`{"order":"ord_f80bdbf8ce2839aa1","amount":5,"a":1,"b":2,"c":3}`), charge(`{"order":"ord_f80bdbf8ce2839aa1","amount":5,"a":1,"b":2,"c":3}`)},
			[]want{
				{observation.Replayed, observation.Exact, "0", false, false},
				{observation.Fenced, observation.Repeat, "0", false, false},
			},
		},
		{
			"passthrough leaves", []exchange.Request{charge(`{"a":1}`)}, effects.Passthrough,
			[]exchange.Request{charge(`{"a":1}`)},
			[]want{{observation.Passed, observation.Exact, "", true, false}},
		},
		{
			"block does not", []exchange.Request{charge(`{"a":1}`)}, effects.Block,
			[]exchange.Request{charge(`{"a":1}`), request("GET", "/x", "")},
			[]want{
				{observation.Blocked, observation.Exact, "", false, true},
				{observation.Blocked, observation.None, "", false, true},
			},
		},
		{
			"garbage is matched as bytes", []exchange.Request{charge(`{"a":`)}, effects.Replay,
			[]exchange.Request{charge(`{"a":`), charge(`{"b":`)},
			[]want{
				{observation.Replayed, observation.Exact, "0", false, false},
				{observation.Fenced, observation.None, "", false, true},
			},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := book("t", tc.recorded...).Script("t", origin, origin.Add(time.Second))
			for i := range tc.calls {
				d := s.Decide(effects.Candidate, &tc.calls[i], "payments", false, tc.policy)
				got := want{effect: d.Effect, tier: d.Tier, forward: d.Forward, tainted: d.Tainted}
				if d.Answer != nil {
					got.answer = string(d.Answer.Body.Data)
				}
				if got != tc.want[i] {
					t.Errorf("call %d: got %+v, want %+v", i, got, tc.want[i])
				}
			}
		})
	}
}

func TestSidesUseTheRecordingEachForItself(t *testing.T) {
	t.Parallel()
	r := request("POST", "/charges", `{"a":1}`)
	s := book("t", r).Script("t", origin, origin.Add(time.Second))
	for _, side := range []effects.Side{effects.Control, effects.Candidate} {
		if d := s.Decide(side, &r, "payments", false, effects.Replay); d.Tier != observation.Exact {
			t.Errorf("side %d: %+v", side, d)
		}
	}
}

func TestScriptsHoldTheirTraceOrTheirTime(t *testing.T) {
	t.Parallel()
	calls := []exchange.Request{request("GET", "/a", ""), request("GET", "/b", ""), request("GET", "/c", ""), request("GET", "/d", "")}
	told := func(s *effects.Script) (n int) {
		for i := range calls {
			if s.Decide(effects.Control, &calls[i], "payments", false, effects.Replay).Tier == observation.Exact {
				n++
			}
		}
		return n
	}
	b := book("mine", calls...)
	if s := b.Script("mine", origin, origin.Add(time.Second)); told(s) != 4 || !s.Exact {
		t.Errorf("own trace: exact %v", s.Exact)
	}
	if s := b.Script("other", origin, origin.Add(time.Second)); told(s) != 0 {
		t.Error("answered from another trace")
	}
	b = book("", calls...)
	if s := b.Script("mine", origin.Add(time.Millisecond), origin.Add(2*time.Millisecond)); told(s) != 2 || s.Exact {
		t.Errorf("by time: exact %v", s.Exact)
	}
}

func TestTheStoryLeavesOutWhatMayBeAnybodys(t *testing.T) {
	t.Parallel()
	calls := []exchange.Request{request("GET", "/a", ""), request("GET", "/b", ""), request("GET", "/c", "")}
	for trace, want := range map[string]int{"t": 3, "": 1} {
		s := book(trace, calls...).Script("t", origin, origin.Add(time.Second))
		s.Begin(effects.Candidate)
		d := s.Decide(effects.Candidate, &calls[2], "payments", false, effects.Replay)
		s.End(effects.Candidate, observation.Call{Matched: d.Matched})
		baseline, control, candidate := s.Story()
		if len(baseline) != want || len(control) != 0 || baseline[candidate[0].Matched].Exchange.Request.Target != "/c" {
			t.Errorf("trace %q: %d baseline calls, candidate %+v", trace, len(baseline), candidate)
		}
	}
}

func TestFailedCallsFailAgain(t *testing.T) {
	t.Parallel()
	b := &effects.Book{}
	r := request("POST", "/charges", `{"a":1}`)
	b.Add(effects.Record{Dependency: "payments", TraceID: "t", Exchange: exchange.Exchange{
		Start: origin, Outcome: exchange.Refused, Request: r,
	}})
	d := b.Script("t", origin, origin).Decide(effects.Candidate, &r, "payments", false, effects.Replay)
	if d.Failed != exchange.Refused || d.Answer != nil || d.Forward {
		t.Fatalf("%+v", d)
	}
}

// FuzzDecide: no request, however odd, makes a write leave.
func FuzzDecide(f *testing.F) {
	f.Add("POST", "/charges?a=b", `{"a":[1,{"b":null}]}`, `{"a":2}`)
	f.Add("PATCH", "/%zz/\x00", "\xff", "[")
	f.Fuzz(func(t *testing.T, method, target, recorded, body string) {
		s := book("t", request(method, target, recorded)).Script("t", origin, origin.Add(time.Second))
		r := request(method, target, body)
		for range 3 {
			if d := s.Decide(effects.Candidate, &r, "payments", false, effects.Replay); d.Forward && !effects.Safe(method) {
				t.Fatalf("%s %q left: %+v", method, target, d)
			}
		}
	})
}
