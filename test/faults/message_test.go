// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"microstax/test/faults/answers"
)

// malformed are requests that no two parsers would read alike, or that are none.
func malformed() map[string]string {
	post := "POST /echo HTTP/1.1\r\nHost: x\r\n"
	get := "GET /item/a HTTP/1.1\r\nHost: x\r\n"
	return map[string]string{
		"length and chunks":    post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":          post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"list of lengths":      post + "Content-Length: 5, 6\r\n\r\nhello!",
		"negative length":      post + "Content-Length: -1\r\n\r\n",
		"signed length":        post + "Content-Length: +5\r\n\r\nhello",
		"hexadecimal length":   post + "Content-Length: 0x5\r\n\r\nhello",
		"empty length":         post + "Content-Length:\r\n\r\n",
		"immense length":       post + "Content-Length: 99999999999999999999999\r\n\r\n",
		"unknown coding":       post + "Transfer-Encoding: gzip\r\n\r\n",
		"coding twice":         post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked not last":     post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"coding with a tab":    post + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
		"chunks in HTTP/1.0":   "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"space before colon":   get + "X-A : b\r\n\r\n",
		"folded line":          get + "X-A: b\r\n c\r\n\r\n",
		"folded first line":    "GET /item/a HTTP/1.1\r\n Host: x\r\n\r\n",
		"no colon":             get + "nonsense\r\n\r\n",
		"empty name":           get + ": b\r\n\r\n",
		"bare line feeds":      "GET /item/a HTTP/1.1\nHost: x\n\n",
		"one bare line feed":   "GET /item/a HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n",
		"bare carriage return": get + "X-A: b\rX-B: c\r\n\r\n",
		"NUL in a value":       get + "X-A: b\x00c\r\n\r\n",
		"NUL in a name":        get + "X\x00A: b\r\n\r\n",
		"no host":              "GET /item/a HTTP/1.1\r\n\r\n",
		"two hosts":            get + "Host: y\r\n\r\n",
		"no target":            "GET HTTP/1.1\r\nHost: x\r\n\r\n",
		"space in target":      "GET /item/a b HTTP/1.1\r\nHost: x\r\n\r\n",
		"control in target":    "GET /item/\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
		"bad method":           "G(T /item/a HTTP/1.1\r\nHost: x\r\n\r\n",
		"no protocol":          "GET /item/a\r\nHost: x\r\n\r\n",
		"future protocol":      "GET /item/a HTTP/9.9\r\nHost: x\r\n\r\n",
		"lower-case protocol":  "GET /item/a http/1.1\r\nHost: x\r\n\r\n",
		"TLS":                  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 64) + "\r\n\r\n",
		"bytes":                strings.Repeat("\x80\xff\x00\x7f", 100) + "\r\n\r\n",
		"empty lines only":     strings.Repeat("\r\n", 20),
		"head without an end":  "GET /item/a HTTP/1.1\r\nX-A: " + strings.Repeat("a", 80<<10),
		"line without an end":  strings.Repeat("A", 80<<10),
		"many small headers":   get + strings.Repeat("A: b\r\n", 20_000) + "\r\n",
		"tunnel":               "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
	}
}

// brokenBodies are requests whose head is proper and whose body is not: they reach the baseline, which must not take them
// for whole.
func brokenBodies() map[string]string {
	post := "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	return map[string]string{
		"no size":         post + "\r\nhello\r\n0\r\n\r\n",
		"bad size":        post + "zz\r\nhello\r\n0\r\n\r\n",
		"negative size":   post + "-5\r\nhello\r\n0\r\n\r\n",
		"immense size":    post + "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
		"too long a data": post + "5\r\nhello!\r\n0\r\n\r\n",
		"bare line feed":  post + "5\nhello\n0\n\n",
	}
}

func TestMalformedRequestsReachNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	d := w.drive("storm")
	const rounds = 6
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range rounds {
				for name, said := range malformed() {
					got, err := talk(t, w.orders, said, true)
					status, _, _ := strings.Cut(strings.TrimPrefix(got, "HTTP/1.1 "), " ")
					if got != "" && !strings.Contains("400 431 501", status) || strings.Count(got, "HTTP/1.1 ") > 1 {
						t.Errorf("%s: got %q, %v", name, got, err)
					}
				}
			}
		})
	}
	wg.Wait()
	d.more(50)
	d.stop()
	d.none()
	d.written()
	if _, live := w.state(w.base.ID, "orders", primary); live != n+d.ok.Load() {
		t.Errorf("orders got %d requests, users sent %d", live, n+d.ok.Load())
	}
	w.all(n+d.ok.Load(), before)
	for name, said := range brokenBodies() {
		if got, err := talk(t, w.orders, said, true); strings.Contains(got, "HTTP/1.1 200 ") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	r := w.report(n + d.ok.Load())
	if r.Traffic.Compared > n+d.ok.Load() {
		t.Errorf("a broken request was mirrored: %+v", r.Traffic)
	}
}

func TestHugeHeads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	_, body := answers.Item("h")
	const rounds = 20
	for range rounds {
		for kib, want := range map[int]string{60: body, 70: "431", 900: "431"} {
			said := "GET /item/h HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Big: " + strings.Repeat("b", kib<<10) + "\r\n\r\n"
			if got, err := talk(t, w.orders, said, false); !strings.Contains(got, want) {
				t.Errorf("%d KiB: got %q, %v", kib, got, err)
			}
		}
	}
	w.all(n+rounds, before)
}

func TestPipelinedClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	const requests = 60
	for _, step := range []int{1 << 20, 7} { // all at once, and a few bytes at a time
		var said strings.Builder
		var want []string
		for i := range requests {
			id := fmt.Sprintf("p-%d", i)
			if i%3 == 0 {
				body := strings.Repeat(id, i)
				fmt.Fprintf(&said, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				want = append(want, "200 "+answers.Echoed([]byte(body)))
				continue
			}
			fmt.Fprintf(&said, "GET /item/%s HTTP/1.1\r\nHost: x\r\n\r\n", id)
			status, body := answers.Item(id)
			want = append(want, fmt.Sprintf("%d %s", status, body))
		}
		nc := dial(t, w.orders)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for text := said.String(); text != ""; {
				k := min(step, len(text))
				if _, err := io.WriteString(nc, text[:k]); err != nil {
					t.Error(err)
					return
				}
				text = text[k:]
			}
		}()
		r := bufio.NewReader(nc)
		for i := range requests {
			if got, err := answered(r, "GET"); got != want[i] {
				t.Errorf("answer %d: got %q, %v; want %q", i, got, err, want[i])
			}
		}
		<-sent
		nc.Close() //nolint:errcheck // all was read
	}
	w.all(n+2*requests, before)
}

func TestOddAnswersPassAsTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	direct := w.primaryAddr()
	end := "Host: x\r\nConnection: close\r\n"
	odd := map[string]string{
		"HEAD":                "HEAD /odd/length HTTP/1.1\r\n" + end + "\r\n",
		"HEAD of a page":      "HEAD /item/a HTTP/1.1\r\n" + end + "\r\n",
		"204":                 "GET /odd/nocontent HTTP/1.1\r\n" + end + "\r\n",
		"304":                 "GET /odd/notmodified HTTP/1.1\r\n" + end + "\r\n",
		"103":                 "GET /odd/hints HTTP/1.1\r\n" + end + "\r\n",
		"trailer":             "GET /odd/trailer HTTP/1.1\r\n" + end + "\r\n",
		"chunks":              "POST /echo HTTP/1.1\r\n" + end + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\n",
		"HTTP/1.0":            "GET /item/a HTTP/1.0\r\n\r\n",
		"continue":            "POST /echo HTTP/1.1\r\n" + end + "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
		"refused with a body": "POST /odd/refuse HTTP/1.1\r\n" + end + "Content-Length: 3\r\n\r\nabc",
		"absolute target":     "GET http://x/item/a HTTP/1.1\r\n" + end + "\r\n",
	}
	var sent int64
	for name, said := range odd {
		for _, halfClose := range []bool{false, true} {
			want, err := talk(t, direct, said, halfClose)
			if err != nil || want == "" {
				t.Errorf("%s, half-close %v, direct: got %q, %v", name, halfClose, want, err)
			}
			got, err := talk(t, w.orders, said, halfClose)
			if got != want || err != nil {
				t.Errorf("%s, half-close %v: got %q, %v; want %q", name, halfClose, got, err, want)
			}
			sent++
		}
	}
	w.expect(t)
	r := w.report(n + sent + 2)
	if r.Traffic.Received != n+sent+2 || r.Traffic.Compared != r.Traffic.Received {
		t.Errorf("of %d: %+v", n+sent+2, r.Traffic)
	}
	w.noLeak(before)
}

// expect sends heads that ask before they send a body: to one that wants it, and to one that refuses.
func (w *world) expect(t *testing.T) {
	t.Helper()
	nc := dial(t, w.orders)
	defer nc.Close() //nolint:errcheck // read
	r := bufio.NewReader(nc)
	fmt.Fprint(nc, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if line, err := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(nc, "hello")
	if got, err := answered(r, "POST"); got != "200 "+answers.Echoed([]byte("hello")) {
		t.Errorf("got %q, %v", got, err)
	}
	fmt.Fprint(nc, "POST /odd/refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n")
	if got, err := answered(r, "POST"); !strings.HasPrefix(got, "413 ") {
		t.Errorf("got %q, %v", got, err)
	}
}
