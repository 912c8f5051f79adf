// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
)

func xml(body string) *exchange.Exchange  { return answer(200, "application/xml", body) }
func html(body string) *exchange.Exchange { return answer(200, "text/html; charset=utf-8", body) }
func sse(body string) *exchange.Exchange  { return answer(200, "text/event-stream", body) }

func TestXML(t *testing.T) {
	t.Parallel()
	order := `<?xml version="1.0"?><order id="7" state="new"><item sku="a"><qty>1</qty></item><item sku="b"><qty>2</qty></item><note>hi</note></order>`
	swap := func(from, to string) *exchange.Exchange { return xml(strings.Replace(order, from, to, 1)) }
	for _, tc := range []struct {
		name string
		a, b *exchange.Exchange
		want []string
	}{
		{"order of attributes", xml(order), swap(`id="7" state="new"`, `state='new' id='7'`), []string{"body.value $ bytes other"}},
		{"white space and comments", xml(order), swap(`<item sku="a">`, "\n  <!-- x --><item sku=\"a\" >\n"), []string{"body.value $ bytes other"}},
		{"character references", xml(order), swap("hi", "&#104;<![CDATA[i]]>"), []string{"body.value $ bytes other"}},
		{"prefixes", xml(`<a:x xmlns:a="urn:1"><a:y/></a:x>`), xml(`<x xmlns="urn:1"><y></y></x>`), []string{"body.value $ bytes other"}},
		{"namespace", xml(`<x xmlns="urn:1"/>`), xml(`<x xmlns="urn:2"/>`), []string{"body.value $.x.@xmlns tolerant other"}},
		{"attribute", xml(order), swap(`sku="b"`, `sku="c"`), []string{"body.extra $.order.item presence extra", "body.missing $.order.item presence missing"}},
		{"attribute of one", xml(order), swap(`state="new"`, `state="old"`), []string{"body.value $.order.@state tolerant other"}},
		{"attribute gone", xml(order), swap(` state="new"`, ``), []string{"body.missing $.order.@state presence missing"}},
		{"text", xml(order), swap("<qty>2", "<qty>3"), []string{"body.value $.order.item.qty tolerant other number"}},
		{"text gone", xml(order), swap("hi", ""), []string{"body.missing $.order.note presence missing"}},
		{"element gone", xml(order), swap(`<note>hi</note>`, ``), []string{"body.missing $.order.note presence missing"}},
		{"one of several gone", xml(order), swap(`<item sku="a"><qty>1</qty></item>`, ``), []string{"body.missing $.order.item presence missing"}},
		{"order of one name", xml(order), xml(`<order id="7" state="new"><item sku="b"><qty>2</qty></item><item sku="a"><qty>1</qty></item><note>hi</note></order>`),
			[]string{"body.order $.order.item canonical order order"}},
		{"order of names", xml(`<a><b/><c/></a>`), xml(`<a><c/><b/></a>`), []string{"body.order $.a canonical order order"}},
		{"order within mixed content", xml(`<p>see <b>x</b> now</p>`), xml(`<p>see now <b>x</b></p>`),
			[]string{"body.missing $.p presence missing", "body.value $.p format other"}},
		{"broken", xml(`<a><b></a>`), xml(`<a></b></a>`), []string{"body.text body format other"}},
		{"entities are not expanded", xml(`<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>`), xml(`<!DOCTYPE a [<!ENTITY e "y">]><a>&e;</a>`),
			[]string{"body.text body format other"}},
		{"other character set", answer(200, "text/xml", "<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>"), answer(200, "text/xml", "<a>é</a>"),
			[]string{"body.value $ bytes other"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check(t, tc.a, tc.b, tc.want)
		})
	}
}

func TestHTML(t *testing.T) {
	t.Parallel()
	page := `<!DOCTYPE html><html><head><title>Shop</title><script nonce="abc">var a = 1;</script>` +
		`<script type="application/json">{"user":{"id":7,"plan":"free"}}</script></head>` +
		`<body><ul><li>One<li>Two</ul><p class="a  b">Total: <b>5</b> EUR<br><input name="q" value="x"></body></html>`
	swap := func(from, to string) *exchange.Exchange { return html(strings.Replace(page, from, to, 1)) }
	for _, tc := range []struct {
		name string
		a, b *exchange.Exchange
		want []string
	}{
		{"spelling", html(page), swap(`<li>One<li>Two</ul>`, "\n<LI>One</li>\n  <li>Two</li></UL>"), []string{"body.value $ bytes other"}},
		{"attributes and comments", html(page), swap(`<input name="q" value="x">`, `<!-- c --><input value=x name='q' />`), []string{"body.value $ bytes other"}},
		{"classes", html(page), swap(`"a  b"`, `"a b"`), []string{"body.value $ bytes other"}},
		{"text", html(page), swap("One", "Uno"), []string{"body.value $.html.body.ul.li tolerant other"}},
		{"attribute", html(page), swap(`value="x"`, `value="y"`), []string{"body.value $.html.body.p.input.@value tolerant other"}},
		{"script", html(page), swap("a = 1", "a = 2"), []string{"body.value $.html.head.script tolerant other"}},
		{"data in a script", html(page), swap("free", "paid"), []string{"body.value $.html.head.script.user.plan tolerant other"}},
		{"element gone", html(page), swap("<b>5</b>", ""), []string{
			"body.missing $.html.body.p presence missing", "body.missing $.html.body.p.b presence missing", "body.value $.html.body.p format other"}},
		{"old character set", html("<p>caf\xe9"), html("<p>café"), []string{"body.value $ bytes other"}},
		{"nothing but text", html("plain"), html("other"), []string{"body.value $ tolerant other"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check(t, tc.a, tc.b, tc.want)
		})
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	base := "id: 1\nevent: price\ndata: {\"sku\":\"a\",\"price\":5}\n\ndata: hello\ndata: you\n\n"
	for _, tc := range []struct {
		name, b string
		want    []string
	}{
		{"line ends and comments", ": hi\r\nevent:price\r\nid:1\r\ndata:{\"price\":5.0, \"sku\":\"a\"}\r\n\r\ndata:hello\r\ndata:you", []string{"body.value $[*].data.price bytes other"}},
		{"value in data", strings.Replace(base, "5}", "6}", 1), []string{"body.value $[*].data.price tolerant other number"}},
		{"text in data", strings.Replace(base, "you", "all", 1), []string{"body.value $[*].data tolerant other"}},
		{"type of event", strings.Replace(base, "event: price", "event: offer", 1), []string{"body.value $[*].event tolerant other"}},
		{"one less", base[:strings.Index(base, "data: hello")], []string{"body.missing $[*] presence missing"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check(t, sse(base), sse(tc.b), tc.want)
		})
	}
}

// upload writes parts, each as "name|filename|type|content", with a boundary.
func upload(boundary string, parts ...string) *exchange.Exchange {
	var b strings.Builder
	for _, p := range parts {
		f := strings.SplitN(p, "|", 4)
		b.WriteString("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + f[0] + "\"")
		if f[1] != "" {
			b.WriteString("; filename=\"" + f[1] + "\"")
		}
		if f[2] != "" {
			b.WriteString("\r\nContent-Type: " + f[2])
		}
		b.WriteString("\r\n\r\n" + f[3] + "\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return answer(200, "multipart/form-data; boundary="+boundary, b.String())
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	mediaType := "mediaType content-type tolerant other"
	for _, tc := range []struct {
		name string
		a, b *exchange.Exchange
		want []string
	}{
		{"boundary", upload("x", "a|||1", "b|||2"), upload("yy", "a|||1", "b|||2"), nil},
		{"order of parts", upload("x", "a|||1", "b|||2"), upload("x", "b|||2", "a|||1"), []string{"body.value $ bytes other"}},
		{"order of parts of one name", upload("x", "a|||1", "a|||2"), upload("x", "a|||2", "a|||1"), []string{"body.order $.a canonical order order"}},
		{"field", upload("x", "a|||1"), upload("x", "a|||2"), []string{"body.value $.a tolerant other number"}},
		{"field gone", upload("x", "a|||1", "b|||2"), upload("x", "a|||1"), []string{"body.missing $.b presence missing"}},
		{"file name", upload("x", "f|a.txt|text/plain|1"), upload("x", "f|b.txt|text/plain|1"), []string{"body.value $.f.@filename tolerant other"}},
		{"type", upload("x", "f|a|text/plain|1"), upload("x", "f|a|text/csv|1"), []string{"body.value $.f.@type tolerant other"}},
		{"json within", upload("x", `m||application/json|{"a":{"b":1}}`), upload("x", `m||application/json|{"a":{"b":2}}`),
			[]string{"body.value $.m.a.b tolerant other number"}},
		{"spelling of json within", upload("x", `m||application/json|{"a":1,"b":2}`), upload("x", `m||application/json|{"b":2.0,"a":1}`),
			[]string{"body.value $.m.b bytes other"}},
		{"bytes within", upload("x", "f|a|image/png|\x89PNG\x00"), upload("x", "f|a|image/png|\x89PNG\x01"), []string{"body.value $.f tolerant other"}},
		{"no end", answer(200, "multipart/form-data; boundary=x", "--x\r\n\r\n1"), answer(200, "multipart/form-data; boundary=x", "--x\r\n\r\n2"),
			[]string{"body.text body tolerant other text"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := show(diff.Exchanges(tc.a, tc.b, diff.Options{}))
			if tc.name == "boundary" { // the header says so, the body does not
				tc.want = []string{"body.value $ bytes other", mediaType}
			}
			if strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// message builds a protobuf message by hand.
type message []byte

func (m message) varint(n protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, n, protowire.VarintType), v)
}

func (m message) fixed64(n protowire.Number, v uint64) message {
	return protowire.AppendFixed64(protowire.AppendTag(m, n, protowire.Fixed64Type), v)
}

func (m message) bytes(n protowire.Number, v string) message {
	return protowire.AppendBytes(protowire.AppendTag(m, n, protowire.BytesType), []byte(v))
}

func proto(m message) *exchange.Exchange { return answer(200, "application/x-protobuf", string(m)) }

func frame(flags byte, m message) string {
	return string(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(m)))) + string(m)
}

func TestProtobufWithoutDescriptors(t *testing.T) {
	t.Parallel()
	line := func(sku string, n uint64) string { return string(message(nil).bytes(1, sku).varint(2, n)) }
	base := message(nil).varint(1, 7).bytes(2, "paid").bytes(3, line("a", 1)).bytes(3, line("b", 2)).fixed64(4, 0x4029000000000000)
	for _, tc := range []struct {
		name string
		a, b message
		want []string
	}{
		{"order of fields", base, message(nil).fixed64(4, 0x4029000000000000).bytes(3, line("a", 1)).bytes(2, "paid").bytes(3, line("b", 2)).varint(1, 7),
			[]string{"body.value $ bytes other"}},
		{"number", base, message(nil).varint(1, 8).bytes(2, "paid").bytes(3, line("a", 1)).bytes(3, line("b", 2)).fixed64(4, 0x4029000000000000),
			[]string{"body.value $.#1 tolerant other number"}},
		{"text", message(nil).bytes(2, "paid"), message(nil).bytes(2, "open"), []string{"body.value $.#2 tolerant other"}},
		{"within a message", base, message(nil).varint(1, 7).bytes(2, "paid").bytes(3, line("a", 1)).bytes(3, line("b", 5)).fixed64(4, 0x4029000000000000),
			[]string{"body.value $.#3.#2 tolerant other number"}},
		{"float", message(nil).fixed64(4, 0x4029000000000000), message(nil).fixed64(4, 0x4029800000000000), []string{"body.value $.#4 tolerant other number"}},
		{"field gone", base, base[2:], []string{"body.missing $.#1 presence missing"}},
		{"wire type", message(nil).varint(1, 7), message(nil).fixed64(1, 7), []string{"body.type $.#1 type type"}},
		{"guessed otherwise", message(nil).bytes(1, "\x08\x01"), message(nil).bytes(1, "hello"), []string{"body.value $.#1 format other"}},
		{"cut off", base, base[:len(base)-3], []string{"body.type body type type"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check(t, proto(tc.a), proto(tc.b), tc.want)
		})
	}
}

func zipped(t *testing.T, s string) message {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGRPC(t *testing.T) {
	t.Parallel()
	call := func(body string, headers ...string) *exchange.Exchange {
		return answer(200, "application/grpc", body, headers...)
	}
	one, two := frame(0, message(nil).varint(1, 7).bytes(2, "x")), frame(0, message(nil).varint(1, 8).bytes(2, "x"))
	for _, tc := range []struct {
		name string
		a, b *exchange.Exchange
		want []string
	}{
		{"message", call(one), call(two), []string{"body.value $.#1 tolerant other number"}},
		{"one of a stream", call(one + one), call(one + two), []string{"body.value $.#1 tolerant other number"}},
		{"one less", call(one + two), call(one), []string{"body.missing $ presence missing"}},
		{"order of a stream", call(one + two), call(two + one), []string{"body.order $ canonical order order"}},
		{"compressed or not", call(frame(1, zipped(t, one[5:])), "grpc-encoding: gzip"), call(one, "grpc-encoding: gzip"),
			[]string{"body.value $ bytes other"}},
		{"status in a web trailer", answer(200, "application/grpc-web+proto", one+frame(0x80, message("grpc-status: 0\r\n"))),
			answer(200, "application/grpc-web+proto", one+frame(0x80, message("Grpc-Status:5\r\n"))),
			[]string{"body.value $.trailer['grpc-status'] tolerant other number"}},
		{"web text", answer(200, "application/grpc-web-text", base64.StdEncoding.EncodeToString([]byte(one))+base64.StdEncoding.EncodeToString([]byte(one))),
			answer(200, "application/grpc-web-text", base64.StdEncoding.EncodeToString([]byte(one+one))), []string{"body.value $ bytes other"}},
		{"json", answer(200, "application/grpc+json", frame(0, message(`{"a":1}`))), answer(200, "application/grpc+json", frame(0, message(`{"a":2}`))),
			[]string{"body.value $.a tolerant other number"}},
		{"cut off", call(one), call(one[:7]), []string{"body.type body type type"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check(t, tc.a, tc.b, tc.want)
		})
	}
}
