// SPDX-License-Identifier: Apache-2.0

package passive

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"microstax/internal/dataplane/http1"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// said is one exchange as it really was.
type said struct {
	id         int
	up, down   []byte // raw
	request    string // body
	response   string
	endsByFIN  bool
	interimEnd int // how much of up goes before the interim answer, and of down that answer takes; 0: there is none
	interimLen int
}

// passing is one packet on its way past the tap.
type passing struct {
	seg      segment
	toServer bool
}

// talker makes conversations.
type talker struct{ *rand.Rand }

// trap is content that looks like messages.
const trap = "GET /trap HTTP/1.1\r\nHost: trap\r\n\r\nHTTP/1.1 200 OK\r\nX-Id: 99999\r\nContent-Length: 4\r\n\r\ntrap"

func (r talker) content() string {
	switch r.IntN(6) {
	case 0:
		return ""
	case 1:
		return strings.Repeat(trap, 1+r.IntN(3))
	case 2:
		return strings.Repeat(strconv.Itoa(r.IntN(1e6)), 500+r.IntN(4000))
	default:
		return strings.Repeat("x"+strconv.Itoa(r.IntN(1e6)), 1+r.IntN(30))
	}
}

func (r talker) chunked(body string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(len(body), 1+r.IntN(2000))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n")
	if r.IntN(3) == 0 {
		b.WriteString("X-Sum: 1\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

func (r talker) exchange(id int, last bool) said {
	e := said{id: id}
	method := []string{"GET", "GET", "POST", "PUT", "HEAD"}[r.IntN(5)]
	head := fmt.Sprintf("%s /x/%d HTTP/1.1\r\nHost: a\r\nX-Id: %d\r\n", method, id, id)
	if method == "POST" || method == "PUT" {
		e.request = r.content()
		expect := r.IntN(4) == 0
		if expect {
			head += "Expect: 100-continue\r\n"
		}
		framed := e.request
		if r.IntN(2) == 0 {
			head += "Transfer-Encoding: chunked\r\n\r\n"
			framed = r.chunked(e.request)
		} else {
			head += fmt.Sprintf("Content-Length: %d\r\n\r\n", len(e.request))
		}
		e.up = []byte(head + framed)
		if expect && len(framed) > 0 {
			const interim = "HTTP/1.1 100 Continue\r\n\r\n"
			e.interimEnd, e.interimLen = len(head), len(interim)
			e.down = []byte(interim)
		}
	} else {
		e.up = []byte(head + "\r\n")
	}
	status := []string{"200 OK", "200 OK", "404 Not Found", "204 No Content", "304 Not Modified"}[r.IntN(5)]
	answer := fmt.Sprintf("HTTP/1.1 %s\r\nX-Id: %d\r\n", status, id)
	body := r.content()
	none := method == "HEAD" || status[0] == '3' || status[:3] == "204"
	switch kind := r.IntN(3); {
	case none:
		if method == "HEAD" {
			answer += fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
		answer += "\r\n"
		body = ""
	case kind == 0:
		answer += "Transfer-Encoding: chunked\r\n\r\n" + r.chunked(body)
	case kind == 1 && last:
		answer += "Connection: close\r\n\r\n" + body
		e.endsByFIN = true
	default:
		answer += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	e.response = body
	e.down = append(e.down, answer...)
	return e
}

// conversation is all packets of one connection.
func (r talker) conversation(client netip.AddrPort, es []said, depth int) []passing {
	server := netip.MustParseAddrPort("10.0.0.1:80")
	up, down := uint32(r.Uint64()), uint32(r.Uint64())
	if r.IntN(2) == 0 {
		up, down = -uint32(r.IntN(3000)), -uint32(r.IntN(3000)) // soon over the wrap-around
	}
	var out []passing
	send := func(toServer bool, flags uint8, data []byte) {
		s := segment{src: client, dst: server, seq: up, ack: down, flags: flags, data: data, length: len(data)}
		if !toServer {
			s = segment{src: server, dst: client, seq: down, ack: up, flags: flags, data: data, length: len(data)}
		}
		n := uint32(len(data))
		if flags&(flagSYN|flagFIN) != 0 {
			n++
		}
		if toServer {
			up += n
		} else {
			down += n
		}
		out = append(out, passing{s, toServer})
	}
	say := func(toServer bool, data []byte) {
		for len(data) > 0 {
			n := min(len(data), 1+r.IntN(1448))
			if r.IntN(4) == 0 {
				n = min(len(data), 1448*(1+r.IntN(20))) // segmentation offload
			}
			send(toServer, flagACK, data[:n])
			data = data[n:]
			if r.IntN(3) == 0 {
				send(!toServer, flagACK, nil)
			}
		}
	}
	send(true, flagSYN, nil)
	send(false, flagSYN|flagACK, nil)
	send(true, flagACK, nil)
	for len(es) > 0 {
		n := min(len(es), 1+r.IntN(depth))
		var ups []byte
		for _, e := range es[:n] {
			if e.interimEnd > 0 && n == 1 {
				say(true, e.up[:e.interimEnd])
				send(false, flagACK, e.down[:e.interimLen])
				say(true, e.up[e.interimEnd:])
				continue
			}
			ups = append(ups, e.up...)
		}
		say(true, ups)
		for _, e := range es[:n] {
			if e.interimEnd > 0 && n == 1 {
				say(false, e.down[e.interimLen:])
			} else {
				say(false, e.down)
			}
		}
		es = es[n:]
	}
	send(false, flagFIN|flagACK, nil)
	send(true, flagACK, nil)
	send(true, flagFIN|flagACK, nil)
	send(false, flagACK, nil)
	return out
}

// audience is a watcher that checks what it is told.
type audience struct {
	t             *testing.T
	real          map[int]said
	whole, missed map[int]int
	ended         map[observation.DropReason]int
	unknown       int64
	budget        *tap.Budget
}

func newAudience(t *testing.T) *audience {
	t.Helper()
	return &audience{
		t: t, real: map[int]said{}, whole: map[int]int{}, missed: map[int]int{}, ended: map[observation.DropReason]int{},
		budget: tap.NewBudget(1 << 30),
	}
}

type heard struct {
	a  *audience
	id int
	c  *tap.Capture
}

func (a *audience) Begin(_ netip.AddrPort, _ uint64, h *http1.Head, at time.Time) Copy {
	id, err := strconv.Atoi(string(h.Get("x-id")))
	if err != nil {
		a.t.Errorf("a request that nobody sent: %q", h.Raw)
	}
	return &heard{a, id, tap.New(at, h.Raw, 1<<20, a.budget)}
}

func (a *audience) Missed(n int64)              { a.unknown += n }
func (a *audience) Counted(observation.Capture) {}

func (h *heard) Capture() *tap.Capture { return h.c }

func (h *heard) End(why observation.DropReason) {
	defer h.c.Release()
	h.a.ended[why]++
	if why != "" {
		h.a.missed[h.id]++
		return
	}
	h.a.whole[h.id]++
	e, real := h.c.Exchange(), h.a.real[h.id]
	id, _ := exchange.Get(e.Response.Headers, "x-id")
	if id != strconv.Itoa(h.id) {
		h.a.t.Errorf("request %d got the answer to %q", h.id, id)
	}
	if string(e.Request.Body.Data) != real.request {
		h.a.t.Errorf("request %d: body of %d bytes, sent were %d", h.id, len(e.Request.Body.Data), len(real.request))
	}
	if string(e.Response.Body.Data) != real.response {
		h.a.t.Errorf("answer %d: body of %d bytes, sent were %d", h.id, len(e.Response.Body.Data), len(real.response))
	}
	if e.FirstByte < 0 || e.Duration < e.FirstByte || e.Outcome != exchange.OK {
		h.a.t.Errorf("exchange %d: first byte %v, duration %v, %s", h.id, e.FirstByte, e.Duration, e.Outcome)
	}
}

// noise is what happens to packets on their way to the tap.
type noise struct {
	late, twice, again, lost float64 // shares of packets
	skip                     float64 // share of conversations that began before
	depth                    int     // how many requests a client sends without waiting
	counted                  float64 // share of what is lost that has to be counted
}

// disturb changes the order and the number of packets.
func (r talker) disturb(ps []passing, n noise) []passing {
	var out []passing
	for i, p := range ps {
		if p.seg.has(flagSYN) || i > 0 && ps[i-1].seg.has(flagSYN) {
			out = append(out, p)
			continue
		}
		if len(p.seg.data) > 0 && r.Float64() < n.lost {
			continue
		}
		out = append(out, p)
		if r.Float64() < n.twice {
			out = append(out, p)
		}
		if r.Float64() < n.again && i > 0 { // sent again, cut another way
			q := ps[i-1]
			if len(q.seg.data) > 1 && q.toServer == p.toServer && len(p.seg.data) > 0 {
				cut := r.IntN(len(q.seg.data))
				s := q.seg
				s.seq += uint32(cut)
				s.data = append(bytes.Clone(q.seg.data[cut:]), p.seg.data[:r.IntN(len(p.seg.data))]...)
				s.length = len(s.data)
				out = append(out, passing{s, q.toServer})
			}
		}
	}
	for i := range out {
		if r.Float64() < n.late && !out[i].seg.has(flagSYN) && (i == 0 || !out[i-1].seg.has(flagSYN)) {
			j := min(i+1+r.IntN(8), len(out)-1)
			moved := out[i]
			copy(out[i:j], out[i+1:j+1])
			out[j] = moved
		}
	}
	return out
}

// play lets conversations pass a tap, some at the same time, and gives what it counted.
func (r talker) play(a *audience, conns, exchanges int, n noise, l Limits) (observation.Capture, int) {
	t := newTable(80, func(netip.Addr) bool { return true }, a, l)
	if n.late > 0 {
		t.grace = graceElsewhere
	}
	total := 0
	var lines [][]passing
	for c := range conns {
		var es []said
		for i := range exchanges {
			e := r.exchange(c*1000+i, i == exchanges-1)
			a.real[e.id] = e
			es = append(es, e)
		}
		total += exchanges
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1, 2}), uint16(20000+c))
		ps := r.conversation(client, es, max(n.depth, 1))
		if r.Float64() < n.skip {
			ps = ps[r.IntN(len(ps)):]
		}
		lines = append(lines, r.disturb(ps, n))
	}
	at := time.Unix(1_700_000_000, 0)
	for len(lines) > 0 {
		i := r.IntN(len(lines))
		seg := lines[i][0].seg
		seg.data = bytes.Clone(seg.data)
		t.packet(&seg, at)
		clear(seg.data) // as the kernel does with its ring
		at = at.Add(100 * time.Microsecond)
		if r.IntN(200) == 0 {
			t.sweep(at)
		}
		if lines[i] = lines[i][1:]; len(lines[i]) == 0 {
			lines = append(lines[:i], lines[i+1:]...)
		}
	}
	for range 60 {
		at = at.Add(100 * time.Millisecond)
		t.sweep(at)
	}
	t.close(at)
	if t.held != 0 {
		a.t.Errorf("%d bytes are still held", t.held)
	}
	return t.counts, total
}

// deaf is a watcher that wants everything and looks at nothing.
type deaf struct{ begun, ended, missed int64 }

type deafCopy struct {
	d *deaf
	c *tap.Capture
}

func (d *deaf) Begin(_ netip.AddrPort, _ uint64, h *http1.Head, at time.Time) Copy {
	d.begun++
	return &deafCopy{d, tap.New(at, h.Raw, 1<<10, nil)}
}
func (d *deaf) Missed(n int64)              { d.missed += n }
func (d *deaf) Counted(observation.Capture) {}
func (c *deafCopy) Capture() *tap.Capture   { return c.c }
func (c *deafCopy) End(observation.DropReason) {
	c.d.ended++
	c.c.Release()
}

// fuzzTable cuts data into segments with numbers that a seed makes up.
func fuzzTable(t *testing.T, data []byte, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	d := &deaf{}
	table := newTable(80, func(netip.Addr) bool { return true }, d, Limits{Flows: 3, Held: 1 << 12, Head: 1 << 10})
	at := time.Unix(1_700_000_000, 0)
	server := netip.MustParseAddrPort("10.0.0.1:80")
	for len(data) > 0 {
		n := min(len(data), 1+r.IntN(40))
		client := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), 1000+uint16(r.IntN(4)))
		s := segment{src: client, dst: server, seq: uint32(r.IntN(80)), ack: uint32(r.IntN(80)), flags: flagACK, data: data[:n], length: n}
		if r.IntN(2) == 0 {
			s.src, s.dst = server, client
		}
		switch r.IntN(12) {
		case 0:
			s.flags |= flagFIN
		case 1:
			s.flags |= flagRST
		case 2, 3:
			s.flags, s.data, s.length = flagSYN, nil, 0
		case 4:
			s.length += r.IntN(5)
		}
		table.packet(&s, at)
		at = at.Add(time.Duration(r.IntN(500)) * time.Millisecond)
		if r.IntN(5) == 0 {
			table.sweep(at)
		}
		data = data[n:]
	}
	table.close(at)
	if d.begun != d.ended {
		t.Errorf("%d exchanges began, %d ended", d.begun, d.ended)
	}
	if table.held != 0 || len(table.suspects) != 0 || table.order.Len() != 0 {
		t.Errorf("%d bytes held, %d suspects, %d connections left", table.held, len(table.suspects), table.order.Len())
	}
}
