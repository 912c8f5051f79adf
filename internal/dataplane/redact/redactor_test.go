// SPDX-License-Identifier: Apache-2.0

package redact_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/redact"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

var key = []byte("the key of these tests")

func redactor(rules ...blueprint.Redact) *redact.Redactor {
	return redact.New(redact.Options{Key: key, Rules: rules})
}

func paths(ps ...string) []blueprint.Redact {
	out := make([]blueprint.Redact, len(ps))
	for i, p := range ps {
		out[i].Path = p
	}
	return out
}

// tok is the token that a secret text becomes.
func tok(value string) string { return redactor().Token("secret", value) }

func body(s string) exchange.Body { return exchange.Body{Data: []byte(s), Length: int64(len(s))} }

func headers(nameValue ...string) []exchange.Header {
	var out []exchange.Header
	for i := 0; i < len(nameValue); i += 2 {
		out = append(out, exchange.Header{Name: nameValue[i], Value: nameValue[i+1]})
	}
	return out
}

// redacted is the baseline exchange e of an observation, redacted.
func redacted(r *redact.Redactor, e exchange.Exchange) exchange.Exchange {
	return r.Observation(&observation.Observation{Baseline: e}).Baseline
}

// response is the redacted body of an answer.
func response(r *redact.Redactor, b exchange.Body, hs ...string) exchange.Body {
	return redacted(r, exchange.Exchange{Response: exchange.Response{Status: 200, Headers: headers(hs...), Body: b}}).Response.Body
}

func TestToken(t *testing.T) {
	t.Parallel()
	r := redactor()
	if got := r.Token("session", "abc"); !regexp.MustCompile(`^tok_[a-z2-7]{20}$`).MatchString(got) {
		t.Errorf("token: got %q", got)
	}
	same := r.Token("session", "abc") == redactor().Token("session", "abc")
	otherClass := r.Token("session", "abc") == r.Token("sessiona", "bc")
	otherKey := r.Token("session", "abc") == redact.New(redact.Options{Key: []byte("other")}).Token("session", "abc")
	keyless, another := redact.New(redact.Options{}), redact.New(redact.Options{})
	noKey := keyless.Token("session", "abc") == another.Token("session", "abc")
	if !same || otherClass || otherKey || noKey {
		t.Errorf("equal tokens: same %t, other class %t, other key %t, no key %t; want only the first", same, otherClass, otherKey, noKey)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, value, want string }{
		{"Authorization", "Bearer abc.def", "Bearer " + tok("abc.def")},
		{"authorization", "basic  dTpw", "basic  " + tok("dTpw")},
		{"PROXY-AUTHORIZATION", "Digest username=\"u\", response=\"x\"", "Digest " + tok("username=\"u\", response=\"x\"")},
		{"Authorization", "my secret", tok("my secret")},
		{"Authorization", "abc", tok("abc")},
		{"Authorization", "", ""},
		{"Cookie", "sid=abc; theme=dark;x=", "sid=" + tok("abc") + "; theme=" + tok("dark") + ";x="},
		{"Cookie", "a=b=c", "a=" + tok("b=c")},
		{"Cookie", "nameless", tok("nameless")},
		{"Set-Cookie", "sid=abc; Path=/; HttpOnly; SameSite=Lax", "sid=" + tok("abc") + "; Path=/; HttpOnly; SameSite=Lax"},
		{"Set-Cookie", "nameless; Path=/", tok("nameless") + "; Path=/"},
		{"X-Api-Key", "abc", tok("abc")},
		{"X-Card", "4111", tok("4111")},
		{"x-CARD", "4111", tok("4111")},
		{"Accept", "text/html", "text/html"},
		{"Location", "https://u:p@h/cb?token=a%62c&x=1#access_token=def", "https://" + tok("u:p") + "@h/cb?token=" + tok("abc") + "&x=1#access_token=" + tok("def")},
		{"Link", "<https://h/?page=2&token=abc>; rel=next, <http://h/?token=abc#top>", "<https://h/?page=2&token=" + tok("abc") + ">; rel=next, <http://h/?token=" + tok("abc") + "#top>"},
	}
	r := redactor(blueprint.Redact{Header: "X-Card"})
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.value, func(t *testing.T) {
			t.Parallel()
			e := exchange.Exchange{}
			e.Request.Headers = headers(tt.name, tt.value)
			e.Response.Headers, e.Response.Trailers = e.Request.Headers, e.Request.Headers
			got := redacted(r, e)
			for where, hs := range map[string][]exchange.Header{"request": got.Request.Headers, "response": got.Response.Headers, "trailer": got.Response.Trailers} {
				if d := cmp.Diff(headers(tt.name, tt.want), hs); d != "" {
					t.Errorf("%s (-want +got):\n%s", where, d)
				}
			}
		})
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	tests := []struct{ target, want string }{
		{"/", "/"},
		{"/a?x=1&y=2", "/a?x=1&y=2"},
		{"/a?access_token=abc&x=1", "/a?access_token=" + tok("abc") + "&x=1"},
		{"/a?API-Key=abc", "/a?API-Key=" + tok("abc")},
		{"/a?%74oken=a+b", "/a?%74oken=" + tok("a b")},
		{"/a?token=%zz", "/a?token=" + tok("%zz")},
		{"/a?token=", "/a?token="},
		{"/a?token", "/a?token"},
		{"/a?token=a=b?c;d#e", "/a?token=" + tok("a=b?c;d#e")},
		{"/a?x=1;token=abc;d", "/a?x=1;token=" + tok("abc;d")},
		{"/a?user[password]=abc&ids[]=7", "/a?user[password]=" + tok("abc") + "&ids[]=7"},
		{"/a?card=4111&card=4112", "/a?card=" + tok("4111") + "&card=" + tok("4112")},
		{"http://u:p@h/a?sig=abc", "http://" + tok("u:p") + "@h/a?sig=" + tok("abc")},
	}
	r := redactor(paths("$query.card")...)
	for _, tt := range tests {
		e := exchange.Exchange{Outcome: exchange.Refused, Error: `dial "http://h` + tt.target + `": refused`}
		e.Request.Target = tt.target
		got := redacted(r, e)
		if got.Request.Target != tt.want || got.Error != `dial "http://h`+tt.want+`": refused` {
			t.Errorf("%s: got %s and error %s, want %s", tt.target, got.Request.Target, got.Error, tt.want)
		}
	}
}

func TestJSONBodies(t *testing.T) {
	t.Parallel()
	r := redactor(paths("$.card.number", "$.items[*].secret", "$['odd name'][1]", "$.whole", "$.map.*")...)
	number := func(s string) string { return r.Token("number", s) }
	tests := []struct{ name, in, want string }{
		{"nothing to redact stays to the byte", "{ \"a\" : [1, 2.0 ,\"x\\u0041\"] }\r\n", "{ \"a\" : [1, 2.0 ,\"x\\u0041\"] }\r\n"},
		{"white space stays", "{ \"card\" :\t{\"number\" : \"4111\" , \"x\":1}}\n", "{ \"card\" :\t{\"number\" : \"" + tok("4111") + "\" , \"x\":1}}\n"},
		{"escapes are one value", `{"card":{"number":"\u0034111"}}`, `{"card":{"number":"` + tok("4111") + `"}}`},
		{"escaped names", `{"c\u0061rd":{"number":"4111"}}`, `{"c\u0061rd":{"number":"` + tok("4111") + `"}}`},
		{"names in another case", `{"Card":{"NUMBER":"4111"}}`, `{"Card":{"NUMBER":"` + tok("4111") + `"}}`},
		{"the same name twice", `{"card":{"number":"1111","number":"2222"}}`, `{"card":{"number":"` + tok("1111") + `","number":"` + tok("2222") + `"}}`},
		{"numbers and strings differ", `{"card":{"number":4111}}`, `{"card":{"number":"` + number("4111") + `"}}`},
		{"null and empty stay", `{"card":{"number":null},"items":[{"secret":""}]}`, `{"card":{"number":null},"items":[{"secret":""}]}`},
		{"stars in arrays", `{"items":[{"secret":"abcd","x":1},7,{"secret":"efgh"}]}`, `{"items":[{"secret":"` + tok("abcd") + `","x":1},7,{"secret":"` + tok("efgh") + `"}]}`},
		{"indexes and odd names", `{"odd name":["x","y","z"]}`, `{"odd name":["x","` + tok("y") + `","z"]}`},
		{"stars in objects", `{"map":{"a":"x","b":"y"}}`, `{"map":{"a":"` + tok("x") + `","b":"` + tok("y") + `"}}`},
		{"whole structures", `{"whole":{"b":[1, 2],"a":1}, "x":1}`, `{"whole":"` + r.Token("structure", `{"a":1,"b":[1,2]}`) + `", "x":1}`},
		{"long numbers in structures keep their digits", `{"whole":[9007199254740993]}`, `{"whole":"` + r.Token("structure", `[9007199254740993]`) + `"}`},
		{"lines of JSON", "{\"card\":{\"number\":\"4111\"}}\n{\"x\":1}\n", "{\"card\":{\"number\":\"" + tok("4111") + "\"}}\n{\"x\":1}\n"},
		{"a byte order mark", "\ufeff{\"card\":{\"number\":\"4111\"}}", "\ufeff{\"card\":{\"number\":\"" + tok("4111") + "\"}}"},
		{"another shape", `{"card":"4111","items":{"secret":"x"}}`, `{"card":"4111","items":{"secret":"x"}}`},
		{"scalars", `"4111"`, `"4111"`},
		{"a secret that moved", `{"card":{"number":"4111-2222"},"payment":{"card":"no 4111-2222!"},"4111-2222":1}`,
			`{"card":{"number":"` + tok("4111-2222") + `"},"payment":{"card":"no ` + tok("4111-2222") + `!"},"` + tok("4111-2222") + `":1}`},
		{"a short secret that moved", `{"card":{"number":"4111"},"pin":"4111","x":"41112","y":4111}`,
			`{"card":{"number":"` + tok("4111") + `"},"pin":"` + tok("4111") + `","x":"41112","y":"` + tok("4111") + `"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := body(tt.in)
			got := response(r, in, "Content-Type", "application/json")
			if string(got.Data) != tt.want || got.Length != int64(len(tt.want)) || got.Truncated {
				t.Errorf("got %d bytes, truncated %t:\n%s\nwant:\n%s", got.Length, got.Truncated, got.Data, tt.want)
			}
			if string(in.Data) != tt.in {
				t.Errorf("the input was changed: %s", in.Data)
			}
		})
	}
}

func TestBodiesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	path, form := redactor(paths("$.card.number")...), redactor(paths("$form.pin")...)
	broken := []*redact.Redactor{redactor(paths("card.number")...), redactor(paths("$.a[-1]")...), redactor(paths("$.a..b")...), redactor(paths("$query.")...), redactor(blueprint.Redact{})}
	whole := body(`{"card":{"number":"4111"}}`)
	cut := exchange.Body{Data: []byte(`{"card":{"num`), Length: 4000, Hash: 99, Truncated: true}
	type dropped struct {
		name string
		r    *redact.Redactor
		b    exchange.Body
		hs   []string
	}
	tests := []dropped{
		{"cut JSON", path, cut, []string{"Content-Type", "application/json"}},
		{"JSON cut where it looks whole", path, exchange.Body{Data: []byte("{\"card\":{}}\n12"), Length: 4000, Hash: 99, Truncated: true}, nil},
		{"not quite JSON", path, body(`{"card":{"number":"4111"},}`), []string{"Content-Type", "application/json"}},
		{"JSON with something behind it", path, body(`{"card":{}} and more`), nil},
		{"text", path, body("the card is 4111"), []string{"Content-Type", "text/plain"}},
		{"UTF-16", path, body("{\x00\"\x00a\x00\"\x00:\x001\x00}\x00"), []string{"Content-Type", "application/json"}},
		{"an unknown coding", path, whole, []string{"Content-Encoding", "rot13"}},
		{"a coding that is not there", path, whole, []string{"Content-Encoding", "gzip"}},
		{"too many codings", path, whole, []string{"Content-Encoding", "gzip, gzip", "content-encoding", "gzip, gzip"}},
		{"multipart with a rule for forms", form, body("--x\r\n\r\n4111\r\n--x--"), []string{"Content-Type", "multipart/form-data; boundary=x"}},
		{"no type with a rule for forms", form, body("pin=4111"), nil},
		{"a cut form", form, exchange.Body{Data: []byte("pin=41"), Length: 400, Hash: 99, Truncated: true}, []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"a cut form with a password", redactor(), exchange.Body{Data: []byte("password=41"), Length: 400, Hash: 99, Truncated: true}, []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"a coded form that is none", redactor(), body("password=41"), []string{"Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "br"}},
	}
	for i, r := range broken {
		tests = append(tests, dropped{fmt.Sprintf("broken rule %d", i), r, whole, []string{"Content-Type", "application/json"}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := response(tt.r, tt.b, tt.hs...)
			if got.Data != nil || !got.Truncated || got.Length != tt.b.Length || got.Hash == 0 || got.Hash == tt.b.Hash {
				t.Errorf("got %+v, want length %d, a keyed hash, and no data", got, tt.b.Length)
			}
			again, other := response(tt.r, tt.b, tt.hs...), tt.b
			other.Hash++
			other.Data = append([]byte("x"), tt.b.Data...)
			if differs := response(tt.r, other, tt.hs...); again.Hash != got.Hash || differs.Data == nil && differs.Hash == got.Hash {
				t.Errorf("hashes: got %d for equal bodies and %d for another, of %d", again.Hash, differs.Hash, got.Hash)
			}
		})
	}
}

func TestBodiesThatNoRuleReachesStay(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*redact.Redactor{"no rules": redactor(), "a rule for forms": redactor(paths("$form.pin", "$query.x")...)} {
		for _, b := range []exchange.Body{body("the card is 4111"), {Data: []byte("cut"), Length: 9, Hash: 7, Truncated: true}, {}} {
			if d := cmp.Diff(b, response(r, b, "Content-Type", "text/plain", "Content-Encoding", "rot13")); d != "" {
				t.Errorf("%s (-want +got):\n%s", name, d)
			}
		}
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	r := redactor(paths("$form.pin", "$.card.number", "$.top")...)
	in := "a=1&pin=12+34&PIN=5678&password=p%26q&top=abcd&payload=%7B%22card%22%3A1%7D&b"
	want := "a=1&pin=" + tok("12 34") + "&PIN=" + tok("5678") + "&password=" + tok("p&q") + "&top=" + tok("abcd") + "&payload=" + tok(`{"card":1}`) + "&b"
	got := response(r, body(in), "content-type", "application/x-www-form-urlencoded; charset=utf-8")
	if string(got.Data) != want || got.Length != int64(len(want)) {
		t.Errorf("got  %s\nwant %s", got.Data, want)
	}
}

func TestSidesStayComparable(t *testing.T) {
	t.Parallel()
	answer := func(s string) exchange.Exchange {
		return exchange.Exchange{Response: exchange.Response{Status: 200, Body: body(s)}}
	}
	control := answer(`{"token": "secret-1","n":1}`)
	o := &observation.Observation{
		Baseline: answer(`{"token":"secret-1","n":1}`), Control: &control, Candidate: answer(`{"token":"secret-2","n":1}`),
		CandidateCalls: []observation.Call{{Exchange: answer(`{"token":"secret-2","n":1}`)}},
	}
	got := redactor(paths("$.token")...).Observation(o)
	if string(got.Baseline.Response.Body.Data) == string(got.Control.Response.Body.Data) {
		t.Error("another format became equal")
	}
	if string(got.Candidate.Response.Body.Data) == string(got.Baseline.Response.Body.Data) {
		t.Error("another value became equal")
	}
	if string(got.Candidate.Response.Body.Data) != string(got.CandidateCalls[0].Exchange.Response.Body.Data) {
		t.Error("equal bodies became different")
	}
	if want := `{"token": "` + tok("secret-1") + `","n":1}`; string(got.Control.Response.Body.Data) != want {
		t.Errorf("got %s, want %s", got.Control.Response.Body.Data, want)
	}
}

// canary puts one secret at every place that a rule or a default knows, in all exchanges.
func canary(secret string) *observation.Observation {
	quoted, _ := json.Marshal(secret) //nolint:errcheck // a string can be written
	escaped := url.QueryEscape(secret)
	one := func() exchange.Exchange {
		e := exchange.Exchange{Outcome: exchange.Reset, Error: "after /pay?card=" + escaped + "&token=" + escaped + ": " + secret}
		e.Request = exchange.Request{
			Method: "POST", Target: "/pay?card=" + escaped + "&token=" + escaped,
			Headers: headers("Authorization", "Bearer "+secret, "Cookie", "a="+secret+"; b="+secret, "X-Card", secret, "X-Echo", "was "+secret, "Referer", "/?password="+escaped),
			Body:    body(`{"card":{"number":` + string(quoted) + `},"items":[{"secret":` + string(quoted) + `}],"moved":` + string(quoted) + `}`),
		}
		e.Response = exchange.Response{
			Status: 200, Reason: secret, Headers: headers("Set-Cookie", "s="+secret+"; Path=/", "Location", "/?token="+escaped),
			Trailers: headers("x-card", secret), Body: body(`[{"card":{}},{"moved":"to ` + string(quoted[1:]) + `}]`),
		}
		return e
	}
	coded := one()
	coded.Response.Headers = append(coded.Response.Headers, exchange.Header{Name: "Content-Encoding", Value: "gzip"})
	coded.Response.Body = body(string(pack("gzip", coded.Response.Body.Data)))
	cut := one()
	cut.Response.Body = exchange.Body{Data: []byte(`{"card":{"number":` + string(quoted)), Length: 1 << 20, Hash: 1, Truncated: true}
	form := one()
	form.Request.Headers = append(form.Request.Headers, exchange.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"})
	form.Request.Body = body("pin=" + escaped + "&password=" + escaped)
	control := one()
	return &observation.Observation{
		ID: "obs_1", Baseline: one(), Control: &control, Candidate: coded,
		BaselineCalls: []observation.Call{{Exchange: one()}}, ControlCalls: []observation.Call{{Exchange: cut}}, CandidateCalls: []observation.Call{{Exchange: form}},
	}
}

func canaryRules() []blueprint.Redact {
	return append(paths("$.card.number", "$.items[*].secret", "$query.card", "$form.pin"), blueprint.Redact{Header: "x-card"})
}

func TestCanary(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"canary-7f3a91c2-secret", "CANARY with spaces & ünïcode; \"quotes\"", "1234567890123456"} {
		in := canary(secret)
		before := encoded(t, in)
		out := redactor(canaryRules()...).Observation(in)
		leaks(t, out, secret)
		if encoded(t, in) != before {
			t.Errorf("%s: the observation that was given is changed", secret)
		}
		if !strings.Contains(before, "canary") && !strings.Contains(before, "CANARY") && !strings.Contains(before, "1234") {
			t.Fatal("the canary is not in the input: this test tests nothing")
		}
		plain := unpack(t, "gzip", out.Candidate.Response.Body.Data)
		if !strings.Contains(string(plain), "to "+tok(secret)) {
			t.Errorf("%s: coded body: got %s", secret, plain)
		}
	}
}

func encoded(t testing.TB, o *observation.Observation) string {
	t.Helper()
	out, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// leaks looks for the secret in everything that would be stored: raw, quoted, escaped, and in decoded bodies.
func leaks(t testing.TB, o *observation.Observation, secret string) {
	t.Helper()
	text := encoded(t, o)
	for _, data := range regexp.MustCompile(`"data":"([^"]*)"`).FindAllStringSubmatch(text, -1) {
		raw, err := base64.StdEncoding.DecodeString(data[1])
		if err != nil {
			t.Fatal(err)
		}
		text += "\n" + string(raw)
	}
	quoted, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{secret, string(quoted[1 : len(quoted)-1]), url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
		if at := strings.Index(text, form); at >= 0 {
			t.Errorf("the secret %q leaks: …%s…", secret, text[max(0, at-80):min(len(text), at+80)])
		}
	}
}
