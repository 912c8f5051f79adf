// SPDX-License-Identifier: Apache-2.0

package openapi_test

import (
	"strings"
	"testing"

	"microstax/internal/engine/openapi"
	"microstax/internal/exchange"
	"microstax/internal/fault"
)

const shop = `
openapi: 3.1.0
info: {title: shop, version: "1"}
servers: [{url: "https://shop.example/api"}]
paths:
  /orders/{orderId}:
    get:
      responses:
        "200":
          description: an order
          content:
            application/json:
              schema: {$ref: "#/components/schemas/Order"}
        "4XX": {description: refused}
  /orders/search:
    get: {responses: {default: {description: any}}}
  /files/{name}.json:
    get: {responses: {"204": {description: none}}}
components:
  schemas:
    Order:
      type: object
      required: [id, total]
      properties:
        id: {type: string}
        total: {type: number}
        state: {type: string, enum: [open, paid]}
        items: {type: array, items: {type: object, properties: {qty: {type: integer}}}}
        note: {type: [string, "null"]}
`

func parsed(t *testing.T) *openapi.Description {
	t.Helper()
	d, err := openapi.Parse([]byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	d := parsed(t)
	for target, want := range map[string]string{
		"/orders/17?x=1":     "GET /orders/{orderId}",
		"/api/orders/17":     "GET /api/orders/{orderId}",
		"/orders/search?q=1": "GET /orders/search",
		"/files/a.json":      "GET /files/{name}.json",
		"/files/.json":       "",
		"/orders":            "",
		"/orders/17/items":   "",
	} {
		if got, _ := d.Endpoint("get", target); got != want {
			t.Errorf("%s is %q, want %q", target, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	d := parsed(t)
	for name, c := range map[string]struct {
		method, target, media, body string
		status                      int
		want                        string
	}{
		"whole":            {"GET", "/orders/1", "application/json; charset=utf-8", `{"id":"1","total":12.5,"state":"open","items":[{"qty":1}],"note":null}`, 200, ""},
		"a string total":   {"GET", "/orders/1", "application/json", `{"id":"1","total":"12"}`, 200, "type $.total"},
		"nothing required": {"GET", "/orders/1", "application/json", `{"id":"1"}`, 200, "required $.total"},
		"another state":    {"GET", "/orders/1", "application/json", `{"id":"1","total":1,"state":"lost"}`, 200, "enum $.state"},
		"in an element":    {"GET", "/orders/1", "application/json", `{"id":"1","total":1,"items":[{"qty":1},{"qty":"x"},{"qty":"y"}]}`, 200, "type $.items[*].qty"},
		"two at once":      {"GET", "/orders/1", "application/json", `{"id":1,"total":"1"}`, 200, "type $.id,type $.total"},
		"a secret":         {"GET", "/orders/1", "application/json", `{"id":"1","total":"tok_abc"}`, 200, ""},
		"a status class":   {"GET", "/orders/1", "text/plain", `no`, 404, ""},
		"a status":         {"GET", "/orders/1", "application/json", `{}`, 500, "status "},
		"a media type":     {"GET", "/orders/1", "text/html", `<p>`, 200, "mediaType "},
		"a method":         {"PUT", "/orders/1", "application/json", `{}`, 200, "operation "},
		"a path":           {"GET", "/nothing", "application/json", `{}`, 200, "operation "},
		"not JSON at all":  {"GET", "/orders/1", "application/json", `{"id":`, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := exchange.Exchange{Outcome: exchange.OK, Request: exchange.Request{Method: c.method, Target: c.target}}
			x.Response = exchange.Response{
				Status: c.status, Headers: []exchange.Header{{Name: "Content-Type", Value: c.media}},
				Body: exchange.Body{Data: []byte(c.body), Length: int64(len(c.body))},
			}
			var got []string
			for _, b := range d.Check(&x) {
				if b.Detail == "" {
					t.Errorf("%s says nothing", b)
				}
				got = append(got, b.Rule+" "+b.Path)
			}
			if s := strings.Join(got, ","); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

func TestWhatIsNoDescriptionIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "not YAML": "a: [", "swagger": "swagger: '2.0'\npaths: {/a: {get: {responses: {}}}}", "no paths": "openapi: 3.0.0\npaths: {}",
		"elsewhere": "openapi: 3.0.0\npaths: {/a: {$ref: 'http://127.0.0.1:1/x.yaml'}}",
	} {
		if _, err := openapi.Parse([]byte(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	d, err := openapi.Parse([]byte(shop))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/orders/1", []byte(`{"id":1,"items":[{"qty":1e400}]}`))
	f.Fuzz(func(_ *testing.T, target string, body []byte) {
		x := exchange.Exchange{Outcome: exchange.OK, Request: exchange.Request{Method: "GET", Target: target}}
		x.Response = exchange.Response{Status: 200, Headers: []exchange.Header{{Name: "Content-Type", Value: "application/json"}}, Body: exchange.Body{Data: body, Length: int64(len(body))}}
		d.Check(&x)
	})
}
