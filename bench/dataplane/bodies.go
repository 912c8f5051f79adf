// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	mib        = 1 << 20
	idleConns  = 1000
	firstPiece = 64 << 10
)

// memory measures 1,000 connections that were used once, and 64 busy ones beside them.
func (r *run) memory() error {
	for _, name := range []string{nginxMirror, haproxyPlain, oursForward, oursShadow} {
		if err := r.memoryOf(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (r *run) memoryOf(name string) error {
	up, _, end, err := r.backends(name, modeOK, 0)
	if err != nil {
		return err
	}
	defer end()
	s, err := r.serve(name, up, 0)
	if err != nil {
		return err
	}
	defer s.end() //nolint:errcheck // its report is not needed here
	start := s.usage()
	var conns []net.Conn
	defer func() {
		for _, nc := range conns {
			nc.Close() //nolint:errcheck,gosec // done with it
		}
	}()
	for range idleConns {
		nc, err := ask(r.ctx, s.addr)
		if err != nil {
			return err
		}
		conns = append(conns, nc)
	}
	s.settled(r.ctx)
	idle := s.usage()
	samples := s.watch(500*time.Millisecond, nil)
	_, d := r.rateFor()
	_, err = r.drive(s.addr, 0, time.Second, 2*d)
	r.memoryRow(name, start, idle, highest(samples()))
	return err
}

// ask opens a connection and sends one request on it.
func ask(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close() //nolint:errcheck,gosec // read whole
	return nc, err
}

// flow is one large body: when its first byte arrived after it was sent, how long all took, and how the proxy grew.
type flow struct {
	first, whole time.Duration
	grown        float64
}

// streaming passes large bodies both ways, and events.
func (r *run) streaming() error {
	large := int64(1 << 30)
	if r.quick {
		large = 128 * mib
	}
	table := map[string]map[string]flow{}
	for _, name := range []string{direct, nginxPlain, oursForward, oursShadow} {
		table[name] = map[string]flow{}
		for _, size := range []int64{10 * mib, large} {
			for _, up := range []bool{false, true} {
				list := make([]flow, 0, r.rounds)
				rounds := r.rounds
				if size == large {
					rounds = 1
				}
				for range rounds {
					f, err := r.body(name, size, up)
					if err != nil {
						return fmt.Errorf("%s, %d MiB: %w", name, size/mib, err)
					}
					list = append(list, f)
				}
				table[name][bodyKey(size, up)] = medianFlow(list)
			}
		}
		f, err := r.events(name)
		if err != nil {
			return fmt.Errorf("%s, events: %w", name, err)
		}
		table[name]["events"] = f
	}
	r.streamingTable(large, table)
	return nil
}

func bodyKey(size int64, up bool) string {
	return fmt.Sprintf("%d MiB %s", size/mib, map[bool]string{true: "up", false: "down"}[up])
}

func medianFlow(list []flow) flow {
	var f flow
	var first, whole, grown []float64
	for _, x := range list {
		first, whole, grown = append(first, float64(x.first)), append(whole, float64(x.whole)), append(grown, x.grown)
	}
	f.first, f.whole, f.grown = time.Duration(median(first)), time.Duration(median(whole)), median(grown)
	return f
}

// one starts a contender, warms it, and measures what do does.
func (r *run) one(name string, do func(addr string) (flow, error)) (flow, error) {
	up, _, end, err := r.backends(name, modeOK, 0)
	if err != nil {
		return flow{}, err
	}
	defer end()
	s, err := r.serve(name, up, 0)
	if err != nil {
		return flow{}, err
	}
	defer s.end() //nolint:errcheck // its report is not needed here
	for range 20 {
		nc, err := ask(r.ctx, s.addr)
		if err != nil {
			return flow{}, err
		}
		nc.Close() //nolint:errcheck,gosec // done with it
	}
	if s.proc == nil {
		return do(s.addr)
	}
	before := s.usage()
	samples := s.watch(20*time.Millisecond, nil)
	f, err := do(s.addr)
	f.grown = max(highest(samples()).pss-before.pss, 0)
	return f, err
}

func (r *run) body(name string, size int64, up bool) (flow, error) {
	return r.one(name, func(addr string) (flow, error) {
		if up {
			return upload(r.ctx, addr, size)
		}
		return download(r.ctx, addr, size)
	})
}

func dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return nc, nc.SetDeadline(time.Now().Add(2 * time.Minute))
}

// download asks for a body whose first line says when it was sent.
func download(ctx context.Context, addr string, size int64) (f flow, err error) {
	nc, err := dial(ctx, addr)
	if err != nil {
		return f, err
	}
	defer nc.Close() //nolint:errcheck // done with it
	began := time.Now()
	if _, err := fmt.Fprintf(nc, "GET /big/%d HTTP/1.1\r\nHost: bench\r\n\r\n", size); err != nil {
		return f, err
	}
	rd := bufio.NewReaderSize(nc, firstPiece)
	resp, err := http.ReadResponse(rd, nil)
	if err != nil {
		return f, err
	}
	defer resp.Body.Close() //nolint:errcheck // read whole
	stamp := make([]byte, 21)
	if _, err := io.ReadFull(resp.Body, stamp); err != nil {
		return f, err
	}
	f.first = since(string(stamp), time.Now())
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n+21 != size {
		err = fmt.Errorf("%d of %d bytes came", n+21, size)
	}
	f.whole = time.Since(began)
	return f, err
}

// upload sends a first piece, pauses, and sends the rest; the backend tells when it saw the first byte. A proxy that
// collects the body shows the pause.
func upload(ctx context.Context, addr string, size int64) (f flow, err error) {
	nc, err := dial(ctx, addr)
	if err != nil {
		return f, err
	}
	defer nc.Close() //nolint:errcheck // done with it
	piece := make([]byte, firstPiece)
	began := time.Now()
	head := fmt.Sprintf("POST /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n", size)
	if _, err := nc.Write(append([]byte(head), piece...)); err != nil {
		return f, err
	}
	time.Sleep(100 * time.Millisecond)
	for left := size - firstPiece; left > 0; {
		n, err := nc.Write(piece[:min(left, firstPiece)])
		if err != nil {
			return f, err
		}
		left -= int64(n)
	}
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return f, err
	}
	defer resp.Body.Close() //nolint:errcheck // read whole
	seen, err := io.ReadAll(resp.Body)
	if err != nil {
		return f, err
	}
	f.whole = time.Since(began)
	f.first = -since(string(seen), began)
	return f, nil
}

// since is how long before now a time in nanoseconds was.
func since(stamp string, now time.Time) time.Duration {
	n, err := strconv.ParseInt(strings.TrimSpace(stamp), 10, 64)
	if err != nil {
		return time.Hour // shows
	}
	return time.Duration(now.UnixNano() - n)
}

// events measures the delay of the slowest of some server-sent events.
func (r *run) events(name string) (flow, error) {
	return r.one(name, func(addr string) (f flow, err error) {
		nc, err := dial(r.ctx, addr)
		if err != nil {
			return f, err
		}
		defer nc.Close() //nolint:errcheck // done with it
		if _, err := io.WriteString(nc, "GET /events HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
			return f, err
		}
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			return f, err
		}
		defer resp.Body.Close() //nolint:errcheck // read whole
		lines := bufio.NewScanner(resp.Body)
		n := 0
		for lines.Scan() {
			if stamp, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				f.first = max(f.first, since(stamp, time.Now()))
				n++
			}
		}
		if n != eventCount {
			return f, fmt.Errorf("%d of %d events came", n, eventCount)
		}
		return f, lines.Err()
	})
}
