// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"microstax/test/faults/answers"
)

// hostile is a client of HTTP/2 that does not keep to the rules. Errors of writing are nothing to it: the server may have
// ended the connection.
type hostile struct {
	*http2.Framer
	nc     net.Conn
	fields bytes.Buffer
	enc    *hpack.Encoder
}

// block is a compressed header block of name and value by turns.
func (h *hostile) block(fields ...string) []byte {
	h.fields.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		h.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) //nolint:errcheck // into memory
	}
	return bytes.Clone(h.fields.Bytes())
}

// request begins a stream.
func (h *hostile) request(stream uint32, ends bool, more ...string) {
	fields := append([]string{":method", "GET", ":scheme", "http", ":authority", "x", ":path", "/item/h2"}, more...)
	h.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: h.block(fields...), EndStream: ends, EndHeaders: true}) //nolint:errcheck,gosec // see hostile
}

// raw writes bytes as they are.
func (h *hostile) raw(s string) { io.WriteString(h.nc, s) } //nolint:errcheck // see hostile

// offences are what it does behind a proper preface. Nothing of it is a whole proper request, but in the floods.
func offences() map[string]func(h *hostile) { //nolint:funlen // a table
	const flood = 2000
	only := func(fields ...string) func(h *hostile) {
		return func(h *hostile) {
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.block(fields...), EndStream: true, EndHeaders: true}) //nolint:errcheck,gosec // see hostile
		}
	}
	return map[string]func(h *hostile){
		"noise":                  func(h *hostile) { h.raw(strings.Repeat("\xde\xad\xbe\xef", 5000)) },
		"half a frame":           func(h *hostile) { h.raw("\x00\x00\x40\x01\x04\x00\x00\x00\x01half") },
		"too large a frame":      func(h *hostile) { h.raw("\xff\xff\xff\x00\x00\x00\x00\x00\x01") },
		"unknown frames":         func(h *hostile) { h.WriteRawFrame(0xfa, 0xff, 77, []byte("?")) },        //nolint:errcheck // see hostile
		"data on an idle stream": func(h *hostile) { h.WriteData(9, true, []byte("x")) },                   //nolint:errcheck // see hostile
		"data on the connection": func(h *hostile) { h.WriteRawFrame(http2.FrameData, 0, 0, []byte("x")) }, //nolint:errcheck // see hostile
		"headers on an even one": func(h *hostile) { h.request(2, true) },
		"streams backwards":      func(h *hostile) { h.request(5, false); h.request(3, false) },
		"headers that are none": func(h *hostile) {
			h.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, []byte("\xff\xff\xff\xff\x0f"))
		}, //nolint:errcheck // see hostile
		"index out of the table": func(h *hostile) {
			h.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, []byte("\xfe\xfe\x01"))
		}, //nolint:errcheck // see hostile
		"padding beyond the frame": func(h *hostile) { h.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 1, []byte("\xffx")) }, //nolint:errcheck // see hostile
		"lone continuation":        func(h *hostile) { h.WriteContinuation(1, true, nil) },                                          //nolint:errcheck // see hostile
		"interrupted headers": func(h *hostile) {
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.block(":method", "GET")}) //nolint:errcheck,gosec // see hostile
			h.WritePing(false, [8]byte{})                                                                  //nolint:errcheck,gosec // see hostile
		},
		"endless continuation": func(h *hostile) {
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.block(":method", "GET")}) //nolint:errcheck,gosec // see hostile
			for range flood {
				if h.WriteContinuation(1, false, h.block("x-pad", strings.Repeat("p", 2000))) != nil {
					return
				}
			}
		},
		"window of zero":          func(h *hostile) { h.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, []byte{0, 0, 0, 0}) },               //nolint:errcheck // see hostile
		"window that overflows":   func(h *hostile) { h.WriteWindowUpdate(0, 1<<31-1); h.WriteWindowUpdate(0, 1<<31-1) },                 //nolint:errcheck,gosec // see hostile
		"settings of odd size":    func(h *hostile) { h.WriteRawFrame(http2.FrameSettings, 0, 0, []byte("abcde")) },                      //nolint:errcheck // see hostile
		"settings on a stream":    func(h *hostile) { h.WriteRawFrame(http2.FrameSettings, 0, 3, nil) },                                  //nolint:errcheck // see hostile
		"settings out of range":   func(h *hostile) { h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}) }, //nolint:errcheck // see hostile
		"ping of odd size":        func(h *hostile) { h.WriteRawFrame(http2.FramePing, 0, 0, []byte("short")) },                          //nolint:errcheck // see hostile
		"reset of an idle stream": func(h *hostile) { h.WriteRSTStream(11, http2.ErrCodeCancel) },                                        //nolint:errcheck // see hostile
		"push by the client": func(h *hostile) {
			h.WriteRawFrame(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, []byte{0, 0, 0, 2})
		}, //nolint:errcheck // see hostile
		"priority of itself":      func(h *hostile) { h.WritePriority(3, http2.PriorityParam{StreamDep: 3}) }, //nolint:errcheck // see hostile
		"upper-case name":         func(h *hostile) { h.request(1, true, "X-Upper", "1") },
		"field of HTTP/1.1":       func(h *hostile) { h.request(1, true, "connection", "close", "transfer-encoding", "chunked") },
		"line break in a value":   func(h *hostile) { h.request(1, true, "x-a", "b\r\nx-smuggled: 1") },
		"pseudo field behind":     func(h *hostile) { h.request(1, true, "x-a", "b", ":path", "/admin") },
		"pseudo field twice":      func(h *hostile) { h.request(1, true, ":method", "POST") },
		"pseudo field unknown":    only(":method", "GET", ":scheme", "http", ":path", "/", ":proto", "x"),
		"no path":                 only(":method", "GET", ":scheme", "http", ":authority", "x"),
		"no method":               only(":scheme", "http", ":authority", "x", ":path", "/"),
		"length that is not kept": func(h *hostile) { h.request(1, false, "content-length", "3"); h.WriteData(1, true, []byte("hello")) }, //nolint:errcheck,gosec // see hostile
		"data behind the end":     func(h *hostile) { h.request(1, true, "x-odd", "1"); h.WriteData(1, true, []byte("x")) },               //nolint:errcheck,gosec // see hostile
		"farewell, and on it goes": func(h *hostile) {
			h.WriteGoAway(0, http2.ErrCodeNo, []byte("bye"))
			h.raw("\x00\x00\x01\x09\x04\x00\x00\x00\x01\x82")
		}, //nolint:errcheck,gosec // see hostile
		"flood of pings": func(h *hostile) {
			for i := 0; i < flood && h.WritePing(false, [8]byte{1}) == nil; i++ {
			}
		}, //nolint:revive // the condition does it
		"flood of settings": func(h *hostile) {
			for i := 0; i < flood && h.WriteSettings() == nil; i++ {
			}
		}, //nolint:revive // likewise
		"flood of empty data": func(h *hostile) {
			h.request(1, false)
			for i := 0; i < flood && h.WriteData(1, false, nil) == nil; i++ {
			} //nolint:revive // likewise
		},
		"rapid resets": func(h *hostile) {
			for i := range uint32(flood) {
				h.request(2*i+1, true)
				if h.WriteRSTStream(2*i+1, http2.ErrCodeCancel) != nil {
					return
				}
			}
		},
	}
}

// offend opens a connection and does something to it, reading what comes until the server ends it.
func (w *world) offend(addr string, preface string, do func(h *hostile)) {
	nc := dial(w.t, addr)
	defer nc.Close() //nolint:errcheck // done with it
	h := &hostile{Framer: http2.NewFramer(nc, nc), nc: nc}
	h.AllowIllegalWrites = true
	h.enc = hpack.NewEncoder(&h.fields)
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(io.Discard, nc) //nolint:errcheck // ends by a close or a reset
	}()
	h.raw(preface)
	do(h)
	nc.CloseWrite() //nolint:errcheck // the server may have been faster
	<-read
}

func TestMalformedFramesOfHTTP2HarmNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, before := w.calm()
	was := w.metrics()["microstax_dataplane_malformed_total"]
	first, second := w.drive("first"), second(w)
	const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	var wg sync.WaitGroup
	for _, do := range offences() {
		wg.Go(func() { w.offend(w.orders, http2.ClientPreface+settings, do) })
	}
	for _, preface := range []string{http2.ClientPreface[:20], http2.ClientPreface, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings} {
		wg.Go(func() { w.offend(w.orders, preface, func(*hostile) {}) })
	}
	wg.Wait()
	first.more(100)
	second()
	first.stop()
	first.none()
	first.written()
	if n := w.metrics()["microstax_dataplane_malformed_total"] - was; n < 10 { // some end a stream or the connection without being counted as malformed
		t.Errorf("%v of %d offences were counted", n, len(offences()))
	}
	w.report(first.ok.Load())
	before.descriptors += keptConnections
	before.goroutines += 2 * keptConnections // net/http has two for each: floods made many requests at the same time
	w.noLeak(before)
}

// second is users that speak HTTP/2 properly, on one connection, meanwhile; the function stops them and looks at what they
// got.
func second(w *world) (stop func()) {
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p}
	c := &http.Client{Transport: tr, Timeout: patience}
	status, body := answers.Item("second")
	quit, done := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				done <- nil
				return
			case <-tick.C:
			}
			resp, err := c.Get("http://" + w.orders + "/item/second") //nolint:noctx // bounded by the client's timeout
			if err != nil {
				done <- err
				return
			}
			said, err := io.ReadAll(resp.Body)
			resp.Body.Close() //nolint:errcheck,gosec // read
			if err != nil || resp.StatusCode != status || string(said) != body || resp.ProtoMajor != 2 {
				done <- fmt.Errorf("got %s %d %s, %w", resp.Proto, resp.StatusCode, said, err)
				return
			}
		}
	}()
	return func() {
		close(quit)
		if err := <-done; err != nil {
			w.t.Errorf("a user of HTTP/2 noticed: %v", err)
		}
		tr.CloseIdleConnections()
	}
}
