// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"fmt"
	"strings"
	"testing"

	"microstax/internal/dataplane/identity"
	"microstax/internal/exchange"
)

// answered is an exchange with a JSON answer and headers.
func answered(method, target string, status int, body string, headers ...string) *exchange.Exchange {
	e := &exchange.Exchange{
		Outcome: exchange.OK, Request: exchange.Request{Method: method, Target: target},
		Response: exchange.Response{Status: status, Body: exchange.Body{Data: []byte(body), Length: int64(len(body))}},
	}
	for i := 0; i+1 < len(headers); i += 2 {
		e.Response.Headers = append(e.Response.Headers, exchange.Header{Name: headers[i], Value: headers[i+1]})
	}
	return e
}

const (
	uuidB = "8b1f1d0c-6f0a-4c59-9d6e-0d0a6f6f7a11"
	uuidC = "0e37df36-f698-4c59-9d6e-aaaaaaaaaaaa"
)

func TestRequestsAskTheShadowForItsOwnThings(t *testing.T) {
	t.Parallel()
	type req struct{ target, body, cookie string }
	cases := []struct {
		name     string
		mine     *exchange.Exchange
		theirs   *exchange.Exchange
		in, want req
	}{
		{
			"a uuid in path, query and body",
			answered("POST", "/carts", 201, `{"id":"`+uuidB+`"}`), answered("POST", "/carts", 201, `{"id":"`+uuidC+`"}`),
			req{"/carts/" + uuidB + "/items?of=" + uuidB, `{"cart":"` + uuidB + `","qty":17}`, ""},
			req{"/carts/" + uuidC + "/items?of=" + uuidC, `{"cart":"` + uuidC + `","qty":17}`, ""},
		},
		{
			"a counted id, only where its name stands",
			answered("POST", "/orders", 201, `{"id":17,"total":17}`), answered("POST", "/orders", 201, `{"id":3,"total":17}`),
			req{"/orders/17/items/17?orderId=17&qty=17", `{"order_id":17,"qty":17,"items":[{"orderId":"17"}]}`, ""},
			req{"/orders/3/items/17?orderId=3&qty=17", `{"order_id":3,"qty":17,"items":[{"orderId":"3"}]}`, ""},
		},
		{
			"a nested counted id",
			answered("POST", "/checkout", 200, `{"order":{"id":"1001"}}`), answered("POST", "/checkout", 200, `{"order":{"id":"1"}}`),
			req{"/orders/1001", "", ""}, req{"/orders/1", "", ""},
		},
		{
			"a location",
			answered("POST", "/users", 201, "", "Location", "http://h/users/41"), answered("POST", "/users", 201, "", "Location", "http://h/users/9"),
			req{"/users/41/posts", "", ""}, req{"/users/9/posts", "", ""},
		},
		{
			"a session cookie",
			answered("POST", "/login", 200, "", "Set-Cookie", "sid=abc123def456; Path=/"), answered("POST", "/login", 200, "", "Set-Cookie", "sid=zzz999yyy888; Path=/"),
			req{"/me", "", "a=b; sid=abc123def456"}, req{"/me", "", "a=b; sid=zzz999yyy888"},
		},
		{
			"nothing from a failed answer",
			answered("POST", "/carts", 500, `{"id":"`+uuidB+`"}`), answered("POST", "/carts", 500, `{"id":"`+uuidC+`"}`),
			req{"/carts/" + uuidB, "", ""}, req{"/carts/" + uuidB, "", ""},
		},
		{
			"nothing from the places of a list",
			answered("GET", "/carts", 200, `[{"id":"`+uuidB+`"}]`), answered("GET", "/carts", 200, `[{"id":"`+uuidC+`"}]`),
			req{"/carts/" + uuidB, "", ""}, req{"/carts/" + uuidB, "", ""},
		},
		{
			"no times, no prices",
			answered("POST", "/a", 200, `{"at":"2026-11-22T10:00:00Z","price":12,"n":1795385501}`), answered("POST", "/a", 200, `{"at":"2026-11-22T10:00:01Z","price":13,"n":1795385502}`),
			req{"/a/12?n=1795385501", `{"at":"2026-11-22T10:00:00Z"}`, ""}, req{"/a/12?n=1795385501", `{"at":"2026-11-22T10:00:00Z"}`, ""},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var m identity.Map
			m.Learn(tc.mine, tc.theirs)
			rewrite := func(f func(*exchange.Request) (exchange.Request, bool), r req) (req, bool) {
				out, changed := f(&exchange.Request{
					Method: "POST", Target: r.target, Headers: []exchange.Header{{Name: "Cookie", Value: r.cookie}},
					Body: exchange.Body{Data: []byte(r.body), Length: int64(len(r.body))},
				})
				return req{out.Target, string(out.Body.Data), out.Headers[0].Value}, changed
			}
			got, changed := rewrite(m.Rewrite, tc.in)
			if got != tc.want || changed != (tc.in != tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
			if back, _ := rewrite(m.Restore, got); back != tc.in {
				t.Errorf("back %+v\nwant %+v", back, tc.in)
			}
		})
	}
}

func TestAValueKeepsItsFirstMeaning(t *testing.T) {
	t.Parallel()
	var m identity.Map
	m.Learn(answered("POST", "/o", 200, `{"id":1}`), answered("POST", "/o", 200, `{"id":5}`))
	m.Learn(answered("POST", "/o", 200, `{"id":1}`), answered("POST", "/o", 200, `{"id":6}`))
	m.Learn(answered("POST", "/o", 200, `{"id":2}`), answered("POST", "/o", 200, `{"id":5}`))
	out, _ := m.Rewrite(&exchange.Request{Target: "/o/1"})
	other, changed := m.Rewrite(&exchange.Request{Target: "/o/2"})
	if out.Target != "/o/5" || changed || other.Target != "/o/2" || m.Conflicts() != 2 {
		t.Fatalf("%s, %s, %d conflicts", out.Target, other.Target, m.Conflicts())
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var m identity.Map
	for i := range 200_000 {
		b, c := fmt.Sprintf("base-%012d-x", i), fmt.Sprintf("cand-%012d-x", i)
		m.Learn(answered("POST", "/o", 200, `{"id":"`+b+`"}`), answered("POST", "/o", 200, `{"id":"`+c+`"}`))
	}
	if m.Len() > 140_000 {
		t.Fatalf("%d entries", m.Len())
	}
	if out, _ := m.Rewrite(&exchange.Request{Target: fmt.Sprintf("/o/base-%012d-x", 199_999)}); !strings.HasPrefix(out.Target, "/o/cand-") {
		t.Fatalf("the newest is forgotten: %s", out.Target)
	}
}

// FuzzMap: whatever answers and requests look like, nothing breaks, and what is rewritten can be restored when the map
// holds one pair.
func FuzzMap(f *testing.F) {
	f.Add(`{"id":17}`, `{"id":3}`, "/o/17?oId=17", `{"o_id":17}`)
	f.Add(`{"id":"abcdef123456"}`, `{"id":"fedcba654321"}`, "/o/abcdef123456", "[[[")
	f.Fuzz(func(t *testing.T, mine, theirs, target, body string) {
		var m identity.Map
		m.Learn(answered("POST", "/o", 200, mine, "Location", mine), answered("POST", "/o", 200, theirs, "Location", theirs))
		r := exchange.Request{Target: target, Body: exchange.Body{Data: []byte(body), Length: int64(len(body))}}
		out, changed := m.Rewrite(&r)
		if !changed && (out.Target != target || string(out.Body.Data) != body) {
			t.Fatal("changed, and does not say so")
		}
		m.Restore(&out)
	})
}
