// SPDX-License-Identifier: Apache-2.0

package pairing_test

import (
	"strings"
	"testing"

	"microstax/internal/engine/pairing"
	"microstax/internal/exchange"
)

func post(target, media, body string) *exchange.Request {
	return &exchange.Request{
		Method: "POST", Target: target, Headers: []exchange.Header{{Name: "Content-Type", Value: media}},
		Body: exchange.Body{Data: []byte(body), Length: int64(len(body))},
	}
}

func TestOperation(t *testing.T) {
	t.Parallel()
	gql := func(body string) *exchange.Request { return post("/graphql", "application/json", body) }
	for _, tc := range []struct {
		name string
		req  *exchange.Request
		want string
	}{
		{"named", gql(`{"operationName":"GetOrder","query":"query GetOrder{order{id}}"}`), "GetOrder"},
		{"named in the document", gql(`{"query":"# a\nquery GetOrder($id: ID!) { order(id: $id) { id } }"}`), "GetOrder"},
		{"mutation", gql(`{"query":"mutation Pay { pay { ok } }","variables":{"a":[1,2]}}`), "Pay"},
		{"fragment first", gql(`{"query":"fragment query on T { id } query Q { t { ...query } }"}`), "Q"},
		{"a batch", gql(`[{"query":"{a}"},{"query":"{b}"}]`), "batch"},
		{"a document alone", post("/api/graphql", "application/graphql", "query X { a }"), "X"},
		{"by GET", &exchange.Request{Method: "GET", Target: "/graphql?query=query+Y+%7B+a+%7D"}, "Y"},
		{"elsewhere", post("/query", "application/json", `{"operationName":"Z","query":"query Z { a }"}`), "Z"},
		{"odd name", gql(`{"operationName":"a b","query":"{a}"}`), "~"},
		{"persisted", gql(`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}}}`), "persisted~"},
		{"json-rpc", post("/", "application/json", `{"jsonrpc":"2.0","id":1,"method":"orders.get","params":[1]}`), "orders.get"},
		{"soap", post("/ws", "text/xml", `<s:Envelope xmlns:s="urn:s"><s:Header/><s:Body><GetPrice xmlns="u"><a/></GetPrice></s:Body></s:Envelope>`), "GetPrice"},
		{"no operation", post("/orders", "application/json", `{"query":"x"}`), ""},
		{"broken", gql(`{"query":`), ""},
		{"put", &exchange.Request{Method: "PUT", Target: "/graphql"}, ""},
	} {
		got := pairing.Operation(tc.req)
		if prefix, isHash := strings.CutSuffix(tc.want, "~"); got != tc.want && (!isHash || !strings.HasPrefix(got, prefix+"~") || len(got) != len(prefix)+9) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestAnonymousOperationsAreToldApartByWhatTheyAsk(t *testing.T) {
	t.Parallel()
	op := func(query string) string { return pairing.Operation(post("/graphql", "application/graphql", query)) }
	same := op(`{ order(id: 5, tags: [1, 2]) { id name } }`)
	if !strings.HasPrefix(same, "query~") {
		t.Fatalf("got %q", same)
	}
	for _, q := range []string{
		"{order(id:17,tags:[3]){id,name}}", "# c\n{ order(id: \"a\\\"b\", tags: [\"x\"]) {\n id name } }", `{order(id:"""x"y""" tags:[-1.5e3]){id name}}`,
	} {
		if got := op(q); got != same {
			t.Errorf("%q is %s, want %s", q, got, same)
		}
	}
	for _, q := range []string{"{order(id:5,tags:[1]){id}}", "{orders(id:5,tags:[1]){id name}}", "mutation{order(id:5,tags:[1]){id name}}"} {
		if got := op(q); got == same {
			t.Errorf("%q is the same operation", q)
		}
	}
}

func FuzzOperation(f *testing.F) {
	f.Add("/graphql", `{"query":"query Q($a:Int=1){a(b:\"c\\\"\",d:[1,2]){...F}} # x"}`)
	f.Add("/graphql", `{"query":"\"\"\"x"}`)
	f.Add("/", `{"jsonrpc":"2.0","method":"a"}`)
	f.Add("/", `<Envelope><Body><x/></Body></Envelope>`)
	f.Fuzz(func(t *testing.T, target, body string) {
		for _, media := range []string{"application/json", "application/graphql", "text/xml", ""} {
			op := pairing.Operation(post(target, media, body))
			if len(op) > 80 || strings.ContainsAny(op, "# \n\x00{}") {
				t.Fatalf("operation %q", op)
			}
		}
	})
}
