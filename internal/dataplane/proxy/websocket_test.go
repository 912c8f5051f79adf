// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

const (
	opening  = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	accepted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

// messages calls each for every message that comes, pings left out, until the peer ends or each says so.
func messages(r io.Reader, each func(op byte, text string) bool) {
	on := true
	f := tap.Frames{Max: 1 << 20, Each: func(f *tap.Frame) {
		if on && f.Op != tap.OpPong {
			on = each(f.Op, string(f.Data))
		}
	}}
	buf := make([]byte, 4096)
	for on {
		n, err := r.Read(buf)
		if f.Feed(buf[:n]) != nil || err != nil {
			return
		}
	}
}

// serverFrame is a message without a mask, as servers send it.
func serverFrame(op byte, text string) string {
	return string([]byte{0x80 | op, byte(len(text))}) + text
}

// chat greets, and answers every text with a price and its number; it ends when the client does.
func chat(price string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, accepted+serverFrame(tap.OpText, `{"hello":"you"}`)+serverFrame(tap.OpPing, "are you there"))
		n := 0
		messages(rw, func(op byte, text string) bool {
			switch op {
			case tap.OpClose:
				io.WriteString(nc, serverFrame(tap.OpClose, text))
				return false
			case tap.OpText:
				n++
				io.WriteString(nc, serverFrame(tap.OpText, fmt.Sprintf(`{"to":%s,"n":%d,"price":%s}`, text, n, price)))
			}
			return true
		})
	}
}

// converse says each text when the one before it was answered, and closes; it returns what it heard.
func converse(t *testing.T, addr string, polite bool, texts ...string) (heard []string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(nc, opening)
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("%+v %v", resp, err)
	}
	messages(br, func(op byte, text string) bool {
		if op == tap.OpPing {
			nc.Write(tap.AppendFrame(nil, tap.OpPong, []byte(text), [4]byte{9, 8, 7, 6}))
			return true
		}
		heard = append(heard, fmt.Sprintf("%x %s", op, text))
		switch {
		case len(texts) > 0:
			nc.Write(tap.AppendFrame(nil, tap.OpText, []byte(texts[0]), [4]byte{1, 2, 3, byte(len(texts))}))
			texts = texts[1:]
		case op == tap.OpClose:
			return false
		case polite:
			nc.Write(tap.AppendFrame(nil, tap.OpClose, []byte("\x03\xe8"), [4]byte{}))
		default:
			return false
		}
		return true
	})
	return heard
}

func TestWebSocketsAreMirroredMessageByMessage(t *testing.T) {
	t.Parallel()
	for name, polite := range map[string]bool{"closed": true, "cut off": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, c := proxytest.Addr(t), proxytest.NewCollector()
			proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr,
				backend(t, chat("1")), backend(t, chat(`"1"`)), backend(t, chat("1")), blueprint.Shadow{}))
			heard := converse(t, addr, polite, `{"item":"a"}`, `{"item":"b"}`)
			if len(heard) < 3 || heard[2] != `1 {"to":{"item":"b"},"n":2,"price":1}` {
				t.Fatalf("heard %q", heard)
			}
			o := c.WaitFor(t, 1)[0]
			said, end := "[{\"json\":{\"item\":\"a\"}},\n{\"json\":{\"item\":\"b\"}}", "]"
			answer := func(price string) string {
				return fmt.Sprintf("[{\"json\":{\"hello\":\"you\"}},\n{\"json\":{\"to\":{\"item\":\"a\"},\"n\":1,\"price\":%[1]s}},\n"+
					"{\"json\":{\"to\":{\"item\":\"b\"},\"n\":2,\"price\":%[1]s}}%[2]s", price, end)
			}
			if polite {
				end = ",\n{\"close\":1000,\"reason\":\"\"}]"
			}
			if got := string(o.Baseline.Request.Body.Data); got != said+end {
				t.Errorf("said %s", got)
			}
			for who, x := range map[string]*exchange.Exchange{"baseline": &o.Baseline, "control": o.Control, "candidate": &o.Candidate} {
				want := answer("1")
				if who == "candidate" {
					want = answer(`"1"`)
				}
				if got := string(x.Response.Body.Data); got != want || x.Outcome != exchange.OK || x.Response.Status != 101 {
					t.Errorf("%s: %s %d %s\nwant %s", who, x.Outcome, x.Response.Status, got, want)
				}
			}
			c.Until(t, func() bool { return c.Received() == 1 })
		})
	}
}

func TestShadowsThatDoNotTakePartInAWebSocket(t *testing.T) {
	t.Parallel()
	silent := func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, accepted)
		io.Copy(io.Discard, rw)
	}
	rows := map[string]struct {
		shadow http.HandlerFunc
		status int
		heard  string
	}{
		"refuses": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, 403, ""},
		"silent":  {silent, 101, ""},
		"leaves": {func(w http.ResponseWriter, _ *http.Request) {
			if nc, _, err := http.NewResponseController(w).Hijack(); err == nil {
				io.WriteString(nc, accepted+serverFrame(tap.OpClose, "\x03\xf3gone"))
				nc.Close()
			}
		}, 101, "[{\"close\":1011,\"reason\":\"gone\"}]"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, c := proxytest.Addr(t), proxytest.NewCollector()
			proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr, backend(t, chat("1")), backend(t, row.shadow), "",
				blueprint.Shadow{Timeout: blueprint.Duration(400 * time.Millisecond)}))
			if heard := converse(t, addr, true, `{"item":"a"}`, `{"item":"b"}`, `{"item":"c"}`); len(heard) != 5 {
				t.Fatalf("heard %q", heard)
			}
			o := c.WaitFor(t, 1)[0]
			if got := string(o.Candidate.Response.Body.Data); o.Candidate.Response.Status != row.status || row.heard != got {
				t.Errorf("candidate: %s %d %s", o.Candidate.Outcome, o.Candidate.Response.Status, got)
			}
		})
	}
}

func TestConnectionsOfOtherProtocolsAreNotMirrored(t *testing.T) {
	t.Parallel()
	up := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(nc, rw)
	})
	addr, c := proxytest.Addr(t), proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr, up, up, "", blueprint.Shadow{}))
	got := talk(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nany bytes")
	if !strings.HasSuffix(got, "any bytes") {
		t.Errorf("got %q", got)
	}
	c.Until(t, func() bool { return c.Dropped()[observation.Upgraded] == 1 })
	// What a client says beyond the budget cannot be said again.
	addr, c = proxytest.Addr(t), proxytest.NewCollector()
	ws := backend(t, chat("1"))
	proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr, ws, ws, "", blueprint.Shadow{MaxBody: 50}))
	if heard := converse(t, addr, true, `{"item":"a"}`, `{"item":"`+strings.Repeat("b", 40)+`"}`); len(heard) != 4 {
		t.Errorf("heard %q", heard)
	}
	c.Until(t, func() bool { return c.Dropped()[observation.BodyTooLarge] == 1 })
}
