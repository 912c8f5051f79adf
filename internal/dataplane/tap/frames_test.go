// SPDX-License-Identifier: Apache-2.0

package tap_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/dataplane/tap"
)

// found is what Frames finds in bytes that come in pieces of a size.
func found(data []byte, size, most int) (list []string, err error) {
	f := tap.Frames{Max: most, Each: func(f *tap.Frame) {
		list = append(list, fmt.Sprintf("%x deflated=%v cut=%v %q", f.Op, f.Deflated, f.Cut, f.Data))
	}}
	for len(data) > 0 && err == nil {
		n := min(size, len(data))
		err = f.Feed(data[:n])
		data = data[n:]
	}
	return list, err
}

func TestFrames(t *testing.T) {
	t.Parallel()
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	long := strings.Repeat("x", 70_000)
	rows := []struct {
		name, data string
		want       []string
	}{
		// The examples of RFC 6455, 5.7.
		{"text", "\x81\x05Hello", []string{`1 deflated=false cut=false "Hello"`}},
		{"masked", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", []string{`1 deflated=false cut=false "Hello"`}},
		{"fragments", "\x01\x03Hel\x80\x02lo", []string{`1 deflated=false cut=false "Hello"`}},
		{"ping in the middle", "\x01\x03Hel\x89\x02hi\x80\x02lo", []string{`9 deflated=false cut=false "hi"`, `1 deflated=false cut=false "Hello"`}},
		{"empty", "\x82\x00\x8a\x00\x88\x00", []string{`2 deflated=false cut=false ""`, `a deflated=false cut=false ""`, `8 deflated=false cut=false ""`}},
		{"compressed", "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", []string{`1 deflated=true cut=false "\xf2H\xcd\xc9\xc9\a\x00"`}},
		{"two lengths", string(tap.AppendFrame(tap.AppendFrame(nil, tap.OpBinary, []byte(long[:200]), key), tap.OpText, []byte(long[:126]), key)),
			[]string{fmt.Sprintf("2 deflated=false cut=false %q", long[:200]), fmt.Sprintf("1 deflated=false cut=false %q", long[:126])}},
		{"longer than is kept", string(tap.AppendFrame(nil, tap.OpText, []byte(long), key)) + "\x81\x01y",
			[]string{fmt.Sprintf("1 deflated=false cut=true %q", long[:1000]), `1 deflated=false cut=false "y"`}},
	}
	for _, row := range rows {
		for _, size := range []int{1, 3, 1 << 20} {
			if got, err := found([]byte(row.data), size, 1000); err != nil || !cmp.Equal(got, row.want) {
				t.Errorf("%s, %d at a time: got %v, %v; want %v", row.name, size, got, err, row.want)
			}
		}
	}
	for name, data := range map[string]string{
		"reserved bit": "\xa1\x00", "reserved opcode": "\x83\x00", "reserved control": "\x8b\x00", "continues nothing": "\x80\x00",
		"begins twice": "\x01\x01a\x01\x01b", "control in fragments": "\x09\x00", "long control": "\x89\x7e\x00\x7e",
		"negative length": "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		if got, err := found([]byte(data), 1, 10); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// conversation captures a WebSocket in which what the client and the server send comes in turns, the client's at even places.
func conversation(maxBody int64, turns ...string) *tap.Capture {
	c := tap.New(time.Now(), []byte("GET /chat HTTP/1.1\r\nHost: a\r\n\r\n"), maxBody, nil)
	c.Answered([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n"), time.Now())
	s := c.Upgraded()
	for i, p := range turns {
		if i%2 == 0 {
			s.Client([]byte(p))
		} else {
			s.Server([]byte(p))
		}
	}
	return c
}

func TestMessagesAreKeptAsADocument(t *testing.T) {
	t.Parallel()
	text := func(s string) string { return string(tap.AppendFrame(nil, tap.OpText, []byte(s), [4]byte{1, 2, 3, 4})) }
	c := conversation(1<<20,
		"", "\x81\x07welcome",
		text(`{"a": 1.50}`)+text("not json\n"), "\x81\x03[1]\x89\x00\x82\x02\x00\xff",
		"\x8a\x00"+text(`"quoted"`), "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00", // RFC 7692, 7.2.3.2
		"\x88\x82\x00\x00\x00\x00\x03\xe8", "\x88\x05\x03\xe8bye")
	defer c.Release()
	e := c.Exchange()
	const said = `[{"json":{"a": 1.50}},
{"text":"not json\n"},
{"text":"\"quoted\""},
{"close":1000,"reason":""}]`
	const heard = `[{"text":"welcome"},
{"json":[1]},
{"binary":"AP8="},
{"text":"Hello"},
{"text":"Hello"},
{"close":1000,"reason":"bye"}]`
	if got := string(e.Request.Body.Data); got != said || e.Request.Body.Messages != 4 {
		t.Errorf("said %s", got)
	}
	if got := string(e.Response.Body.Data); got != heard || e.Response.Body.Messages != 6 || e.Response.Status != 101 {
		t.Errorf("heard %s", got)
	}
	data, turns, server := c.Socket.Talk()
	if fmt.Sprint(turns, server) != "[1 1 3 5] 6" {
		t.Errorf("turns %v of %d", turns, server)
	}
	ms, err := tap.ParseMessages(data)
	var back []string
	for _, m := range ms {
		back = append(back, fmt.Sprintf("%x %s", m.Op, m.Data))
	}
	if want := []string{`1 {"a": 1.50}`, "1 not json\n", `1 "quoted"`, "8 \x03\xe8"}; err != nil || !cmp.Equal(back, want) {
		t.Errorf("read back %q, %v", back, err)
	}
}

func TestWhatCannotBeReadEndsTheDocument(t *testing.T) {
	t.Parallel()
	c := conversation(1<<20, "", "\x81\x01a\xc1\x02\xff\xff\x81\x01b")
	defer c.Release()
	if got := string(c.Exchange().Response.Body.Data); got != "[{\"text\":\"a\"},\n{\"unreadable\":\"//8=\"}]" {
		t.Errorf("heard %s", got)
	}
	long := conversation(10, "", "\x81\x08abcdefgh\x81\x08ijklmnop")
	defer long.Release()
	b := long.Exchange().Response.Body
	if !b.Truncated || b.Length != 20 || b.Hash == 0 || string(b.Data) != `[{"text":"abcdefgh"}]` {
		t.Errorf("kept %+v %s", b, b.Data)
	}
	if long.Request.Whole() != true {
		t.Error("what the client said was cut")
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x81\x05Hello\x01\x03Hel\x89\x02hi\x80\x02lo"))
	f.Add([]byte("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x88\x02\x03\xe8"))
	f.Add([]byte("\x82\xfe\x00\x7e\x01\x02\x03\x04" + strings.Repeat("z", 126)))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, errA := found(data, len(data)+1, 64)
		b, errB := found(data, 1, 64)
		if (errA == nil) != (errB == nil) || !cmp.Equal(a, b) {
			t.Fatalf("%q: whole %v %v, byte by byte %v %v", data, a, errA, b, errB)
		}
		c := conversation(1<<20, string(data), string(data))
		defer c.Release()
		e := c.Exchange()
		ms, err := tap.ParseMessages(e.Request.Body.Data)
		if err != nil || len(ms) > e.Request.Body.Messages || e.Request.Body.Messages-len(ms) > 1 {
			t.Fatalf("%q: %d of %d messages read back from %s: %v", data, len(ms), e.Request.Body.Messages, e.Request.Body.Data, err)
		}
		again := conversation(1<<20, string(data))
		defer again.Release()
		if x := again.Exchange(); !bytes.Equal(x.Request.Body.Data, e.Request.Body.Data) {
			t.Fatalf("%q: %s and %s", data, x.Request.Body.Data, e.Request.Body.Data)
		}
	})
}
