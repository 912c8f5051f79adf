// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The backend's modes: how it treats a request.
const (
	modeOK     = "ok"
	modeSlow   = "slow"   // answers after slowBy
	modeHang   = "hang"   // reads, and never answers
	modeReset  = "rst"    // sends half a body, then resets the connection
	modeNoRead = "noread" // accepts, and never reads
	modeRefuse = "refused"
)

const slowBy = 500 * time.Millisecond

// backend is a service that costs as little as one can in Go, so that the proxies are what is measured.
type backend struct {
	mode                  string
	requests, connections atomic.Int64
	answer                atomic.Pointer[[]byte]
}

// backendStats is what a backend counted; a second listener tells it.
type backendStats struct{ Requests, Connections int64 }

func backendMain(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("backend", flag.ContinueOnError)
	addr := f.String("addr", "", "address")
	stats := f.String("stats", "", "address that tells counts")
	b := &backend{}
	f.StringVar(&b.mode, "mode", modeOK, "how to answer")
	if err := f.Parse(args); err != nil {
		return err
	}
	b.dated(time.Now())
	var lc net.ListenConfig
	told, err := lc.Listen(ctx, "tcp", *stats)
	if err != nil {
		return err
	}
	ln, err := lc.Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	go b.serve(told, b.tell)
	go b.serve(ln, b.talk)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			b.dated(now)
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *backend) serve(ln net.Listener, talk func(net.Conn)) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		go talk(nc)
	}
}

func (b *backend) tell(nc net.Conn) {
	defer nc.Close()                                                                                         //nolint:errcheck // done with it
	json.NewEncoder(nc).Encode(backendStats{Requests: b.requests.Load(), Connections: b.connections.Load()}) //nolint:errcheck,gosec // the asker may be gone
}

// dated makes the usual answer: 1,024 bytes of JSON, with a date as servers send it.
func (b *backend) dated(now time.Time) {
	body := `{"data":"` + strings.Repeat("x", 1024-11) + `"}`
	a := []byte("HTTP/1.1 200 OK\r\nServer: bench\r\nDate: " + now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") +
		"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	b.answer.Store(&a)
}

func (b *backend) talk(nc net.Conn) {
	defer nc.Close() //nolint:errcheck // done with it
	b.connections.Add(1)
	if b.mode == modeNoRead {
		select {}
	}
	rd := bufio.NewReaderSize(nc, 16<<10)
	for {
		q, err := readQuestion(rd)
		if err != nil {
			return
		}
		if err := b.respond(nc, rd, q); err != nil {
			return
		}
	}
}

// question is as much of a request as the backend needs.
type question struct {
	path    string
	length  int64
	chunked bool
}

func readQuestion(rd *bufio.Reader) (q question, err error) {
	for n := 0; ; n++ {
		line, err := rd.ReadSlice('\n')
		if err != nil {
			return q, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return q, nil
		}
		if n == 0 {
			if _, rest, ok := bytes.Cut(line, []byte(" ")); ok && !bytes.HasPrefix(rest, []byte("/ ")) {
				path, _, _ := bytes.Cut(rest, []byte(" "))
				q.path = string(path)
			}
			continue
		}
		switch {
		case len(line) > 15 && (line[0]|0x20) == 'c' && bytes.EqualFold(line[:15], []byte("content-length:")):
			q.length, err = strconv.ParseInt(string(bytes.TrimSpace(line[15:])), 10, 64)
			if err != nil {
				return q, err
			}
		case len(line) > 18 && (line[0]|0x20) == 't' && bytes.EqualFold(line[:18], []byte("transfer-encoding:")):
			q.chunked = true
		}
	}
}

func (b *backend) respond(nc net.Conn, rd *bufio.Reader, q question) error {
	var seen int64
	if q.length > 0 {
		if _, err := rd.Peek(1); err != nil {
			return err
		}
		seen = time.Now().UnixNano()
		if _, err := io.CopyN(io.Discard, rd, q.length); err != nil {
			return err
		}
	}
	b.requests.Add(1)
	switch b.mode {
	case modeHang:
		select {}
	case modeSlow:
		time.Sleep(slowBy)
	case modeReset:
		a := *b.answer.Load()
		nc.Write(a[:len(a)-512]) //nolint:errcheck,gosec // it is reset anyway
		if tc, ok := nc.(*net.TCPConn); ok {
			tc.SetLinger(0) //nolint:errcheck,gosec // likewise
		}
		return errors.New("reset")
	}
	switch {
	case strings.HasPrefix(q.path, "/big/"):
		n, err := strconv.ParseInt(q.path[len("/big/"):], 10, 64)
		if err != nil {
			return err
		}
		return sendBig(nc, n)
	case strings.HasPrefix(q.path, "/upload"):
		body := strconv.FormatInt(seen, 10)
		_, err := fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		return err
	case strings.HasPrefix(q.path, "/events"):
		return sendEvents(nc)
	}
	_, err := nc.Write(*b.answer.Load())
	return err
}

// sendBig says when the body's first byte was sent, in the body's first line.
func sendBig(nc net.Conn, n int64) error {
	if _, err := fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%020d\n",
		n, time.Now().UnixNano()); err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for left := n - 21; left > 0; {
		k, err := nc.Write(buf[:min(left, int64(len(buf)))])
		if err != nil {
			return err
		}
		left -= int64(k)
	}
	return nil
}

// Events of the stream that is measured.
const (
	eventCount = 5
	eventEvery = 200 * time.Millisecond
)

// sendEvents sends events which say when they were sent.
func sendEvents(nc net.Conn) error {
	if _, err := io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
		return err
	}
	for range eventCount {
		event := fmt.Sprintf("data: %020d\n\n", time.Now().UnixNano())
		if _, err := fmt.Fprintf(nc, "%x\r\n%s\r\n", len(event), event); err != nil {
			return err
		}
		time.Sleep(eventEvery)
	}
	_, err := io.WriteString(nc, "0\r\n\r\n")
	return err
}

// server is a backend that runs.
type server struct {
	*proc
	addr, stats string
}

// backend starts one. In mode refused nothing runs, and nothing listens at its address.
func (r *run) backend(mode string, priority int) (*server, error) {
	s := &server{}
	var err error
	if s.addr, err = r.procs.addr(r.ctx); err != nil || mode == modeRefuse {
		return s, err
	}
	if s.stats, err = r.procs.addr(r.ctx); err != nil {
		return nil, err
	}
	s.proc, err = r.procs.start("backend "+mode, priority, nil, r.self, "backend", "-addr", s.addr, "-stats", s.stats, "-mode", mode)
	if err != nil {
		return nil, err
	}
	return s, s.ready(r.ctx, s.addr)
}

func (s *server) end() {
	if s.proc != nil {
		s.stop(15, time.Second)
	}
}

// counts asks what the backend counted; nothing when it does not run.
func (s *server) counts(ctx context.Context) (c backendStats) {
	if s.proc == nil {
		return c
	}
	d := net.Dialer{Timeout: time.Second}
	nc, err := d.DialContext(ctx, "tcp", s.stats)
	if err != nil {
		return c
	}
	defer nc.Close()               //nolint:errcheck // done with it
	json.NewDecoder(nc).Decode(&c) //nolint:errcheck,gosec // then nothing is known
	return c
}
