// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loadResult is what the generator found. Latencies are in microseconds, from the time at which a request was to be sent.
type loadResult struct {
	Requests, OK, Failed int // of the measured part; a request without an answer at the end failed
	P50, P99, P999, Max  float64
}

// load is an open-loop generator: requests leave when it is their time, whether or not earlier ones were answered, and
// one that has to wait for a free connection waits on the record. It is one thread on raw epoll with a timer of
// nanoseconds, because the runtime's timers are up to a millisecond late.
type load struct {
	addr           *unix.SockaddrInet4
	every          int64 // ns between two requests
	total, skip    int   // requests, and how many of the first are not measured
	epoll          int
	conns          []caller
	idle           []int32  // in the order in which they became free
	get, post      [][]byte // by user
	begin          int64
	next, answered int
	late           []int64 // ns, by request; -1 not answered, -2 failed
}

// caller is one connection.
type caller struct {
	fd   int
	n    int // the request under way, or -1
	buf  []byte
	want int // bytes of the whole answer once its head is known
}

const (
	unanswered = -1
	failed     = -2
	grace      = time.Second // for answers after the last request
)

func loadMain(args []string, out io.Writer) error {
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	addr := f.String("addr", "", "address")
	rate := f.Int("rate", 2000, "requests a second")
	conns := f.Int("conns", 64, "connections")
	warm := f.Duration("warm", time.Second, "not measured")
	d := f.Duration("d", 3*time.Second, "measured")
	users := f.Int("users", 0, "how many users send them, each with a session cookie; 0: requests carry none")
	if err := f.Parse(args); err != nil {
		return err
	}
	ap, err := netip.ParseAddrPort(*addr)
	if err != nil {
		return err
	}
	l := &load{addr: &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}, every: int64(time.Second) / int64(*rate)}
	l.skip = int(int64(*warm) / l.every)
	l.total = l.skip + int(int64(*d)/l.every)
	l.late = slices.Repeat([]int64{unanswered}, l.total)
	for u := range max(*users, 1) {
		cookie := ""
		if *users > 0 {
			cookie = fmt.Sprintf("Cookie: sid=user%06d\r\n", u)
		}
		const rest = "Host: bench\r\nUser-Agent: load\r\n"
		l.get = append(l.get, []byte("GET / HTTP/1.1\r\n"+rest+cookie+"\r\n"))
		l.post = append(l.post, []byte("POST / HTTP/1.1\r\n"+rest+cookie+"Content-Type: application/json\r\nContent-Length: 1024\r\n\r\n"+
			strings.Repeat("a", 1024)))
	}
	runtime.LockOSThread()
	if err := l.open(*conns); err != nil {
		return err
	}
	l.run()
	return json.NewEncoder(out).Encode(l.result())
}

func nanos() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) //nolint:errcheck,gosec // cannot fail
	return t.Nano()
}

func (l *load) open(n int) (err error) {
	if l.epoll, err = unix.EpollCreate1(0); err != nil {
		return err
	}
	l.conns = make([]caller, n)
	for i := range l.conns {
		l.conns[i].buf = make([]byte, 0, 8<<10)
		if err := l.dial(i); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) dial(i int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, l.addr); err != nil {
		unix.Close(fd) //nolint:errcheck,gosec // of no use
		return fmt.Errorf("connect: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	c := &l.conns[i]
	c.fd, c.n, c.want, c.buf = fd, -1, 0, c.buf[:0]
	l.idle = append(l.idle, int32(i))                                                                           //nolint:gosec // few
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}) //nolint:gosec // likewise
}

// due is when request n is to be sent.
func (l *load) due(n int) int64 { return l.begin + int64(n)*l.every }

func (l *load) run() {
	l.begin = nanos() + int64(50*time.Millisecond)
	end := l.due(l.total) + int64(grace)
	events := make([]unix.EpollEvent, 128)
	for l.answered < l.total {
		now := nanos()
		if now >= end {
			break
		}
		for l.next < l.total && l.due(l.next) <= now && len(l.idle) > 0 {
			i := l.idle[0]
			l.idle = l.idle[1:]
			l.send(int(i))
		}
		wake := end
		if l.next < l.total && len(l.idle) > 0 {
			wake = l.due(l.next)
		}
		n := wait(l.epoll, events, max(wake-nanos(), 0))
		for _, e := range events[:n] {
			l.receive(int(e.Fd))
		}
	}
	now := nanos()
	for n := range l.late {
		if l.late[n] == unanswered { // at its age
			l.late[n] = max(now-l.due(n), 0)
		}
	}
}

// wait is epoll_pwait2, without telling Go's scheduler: it may not come between.
func wait(epoll int, events []unix.EpollEvent, ns int64) int {
	t := unix.NsecToTimespec(ns)
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&t)), 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n) //nolint:gosec // at most 128
}

func (l *load) send(i int) {
	c := &l.conns[i]
	c.n, c.want, c.buf = l.next, 0, c.buf[:0]
	l.next++
	data := l.get[c.n%len(l.get)]
	if c.n%2 == 1 {
		data = l.post[c.n%len(l.post)]
	}
	if n, err := unix.Write(c.fd, data); err != nil || n < len(data) {
		l.broken(i)
	}
}

func (l *load) receive(i int) {
	c := &l.conns[i]
	free := c.buf[len(c.buf):cap(c.buf)]
	n, err := unix.Read(c.fd, free)
	if err == unix.EAGAIN || err == unix.EINTR { //nolint:errorlint // raw errno
		return
	}
	if err != nil || n <= 0 {
		l.broken(i)
		return
	}
	c.buf = c.buf[:len(c.buf)+n]
	if c.want == 0 {
		at := bytes.Index(c.buf, []byte("\r\n\r\n"))
		if at < 0 {
			return
		}
		c.want = at + 4 + contentLength(c.buf[:at])
	}
	if len(c.buf) < c.want || c.n < 0 {
		return
	}
	if bytes.HasPrefix(c.buf, []byte("HTTP/1.1 200")) {
		l.late[c.n] = nanos() - l.due(c.n)
	} else {
		l.late[c.n] = failed
	}
	l.answered++
	c.n, c.want, c.buf = -1, 0, c.buf[:0]
	l.idle = append(l.idle, int32(i)) //nolint:gosec // few
}

func contentLength(head []byte) int {
	const name = "content-length:"
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			n, _ := strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))) //nolint:errcheck // then there is none
			return n
		}
	}
	return 0
}

// broken counts the request under way as failed, and connects anew.
func (l *load) broken(i int) {
	c := &l.conns[i]
	unix.Close(c.fd) //nolint:errcheck,gosec // of no more use
	if c.n >= 0 {
		l.late[c.n] = failed
		l.answered++
	} else {
		l.idle = slices.DeleteFunc(l.idle, func(x int32) bool { return int(x) == i })
	}
	l.dial(i) //nolint:errcheck,gosec // without it there is one connection less, and the record shows it
}

func (l *load) result() loadResult {
	measured := l.late[l.skip:]
	r := loadResult{Requests: len(measured)}
	var ok []int64
	limit := int64(grace)
	for _, v := range measured {
		switch {
		case v == failed:
			r.Failed++
		case v >= limit:
			r.Failed++ // not answered, or so late that nobody waits for it
			ok = append(ok, v)
		default:
			r.OK++
			ok = append(ok, v)
		}
	}
	slices.Sort(ok)
	at := func(q float64) float64 {
		if len(ok) == 0 {
			return 0
		}
		return float64(ok[min(int(q*float64(len(ok))), len(ok)-1)]) / 1e3
	}
	r.P50, r.P99, r.P999, r.Max = at(0.5), at(0.99), at(0.999), at(1)
	return r
}

// drive runs the generator against addr.
func (r *run) drive(addr string, users int, warm, d time.Duration) (res loadResult, err error) {
	p, err := r.procs.start("load", r.priority(2), []string{"GODEBUG=asyncpreemptoff=1", "GOGC=off"}, r.self, "load",
		"-addr", addr, "-warm", warm.String(), "-d", d.String(), "-users", strconv.Itoa(users))
	if err != nil {
		return res, err
	}
	defer p.stop(9, 0)
	select {
	case <-p.done:
	case <-r.ctx.Done():
		return res, r.ctx.Err()
	case <-time.After(warm + d + 30*time.Second):
		return res, fmt.Errorf("the generator did not end")
	}
	if err := json.Unmarshal(p.out.Bytes(), &res); err != nil {
		return res, fmt.Errorf("generator: %w: %s", err, p.out.String())
	}
	return res, nil
}

// priority is the round-robin priority to use for latency: 1 for everything, 2 for the generator.
func (r *run) priority(n int) int {
	if r.fair {
		return n
	}
	return 0
}
