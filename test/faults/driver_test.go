// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"microstax/test/faults/answers"
)

// The kinds of request that a driver sends, in turn.
const (
	getItem   = iota // orders alone
	postEcho         // orders alone
	postOrder        // orders writes to stock
	getPage          // front, orders and stock read
	kinds
)

// failure is a request that did not get what it should.
type failure struct {
	kind       int
	begin, end time.Time
	refused    bool // the connection could not be made or broke: there was no answer
	why        string
}

// driver is users: workers in closed loops, each request checked against what the baseline answers.
type driver struct {
	w       *world
	name    string
	cancel  context.CancelFunc
	done    sync.WaitGroup
	ok      atomic.Int64
	perKind [kinds]atomic.Int64

	mu       sync.Mutex // guards what follows
	failures []failure
	ordered  map[string]bool // orders whose answer said that they were taken
	tried    map[string]bool // all orders
	slowest  time.Duration
}

const (
	workers = 4
	// pace is the time between two requests of a worker: real users, not a benchmark; shadows keep up with it.
	pace = 8 * time.Millisecond
	// perUser is after how many requests a worker becomes another user.
	perUser = 5
)

// drive starts the users. They go on until stop.
func (w *world) drive(name string) *driver {
	ctx, cancel := context.WithCancel(w.t.Context())
	d := &driver{w: w, name: name, cancel: cancel, ordered: map[string]bool{}, tried: map[string]bool{}}
	for n := range workers {
		d.done.Go(func() { d.work(ctx, n) })
	}
	w.t.Cleanup(d.stop)
	return d
}

// stop lets every request finish.
func (d *driver) stop() {
	d.cancel()
	d.done.Wait()
}

func (d *driver) work(ctx context.Context, worker int) {
	tr := &http.Transport{MaxIdleConnsPerHost: 2, DisableCompression: true}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: patience}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		d.one(c, worker, n)
	}
}

// one sends one request. It is not cancelled when the users go: what was begun is finished.
func (d *driver) one(c *http.Client, worker, n int) {
	kind := n % kinds
	id := fmt.Sprintf("%s-%d-%d", d.name, worker, n)
	method, url, body, status, want := d.letter(kind, id)
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		d.w.t.Error(err)
		return
	}
	req.Header.Set("X-User", fmt.Sprintf("%s-%d-%d", d.name, worker, n/perUser))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if kind == postOrder {
		d.mu.Lock()
		d.tried[id] = true
		d.mu.Unlock()
	}
	f := failure{kind: kind, begin: time.Now()}
	resp, err := c.Do(req)
	if err == nil {
		var said []byte
		said, err = io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck,gosec // read
		if err == nil && (resp.StatusCode != status || string(said) != want) {
			f.why = fmt.Sprintf("%s %s: %d %s; want %d %s", method, url, resp.StatusCode, said, status, want)
		}
	}
	f.end = time.Now()
	if err != nil {
		f.refused, f.why = broken(err), err.Error()
	}
	d.note(f, id)
}

func (d *driver) note(f failure, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slowest = max(d.slowest, f.end.Sub(f.begin))
	if f.why != "" {
		d.failures = append(d.failures, f)
		return
	}
	if f.kind == postOrder {
		d.ordered[id] = true
	}
	d.perKind[f.kind].Add(1)
	d.ok.Add(1)
}

// letter is a request and the answer that the baseline gives.
func (d *driver) letter(kind int, id string) (method, url, body string, status int, want string) {
	switch kind {
	case getItem:
		status, want = answers.Item(id)
		return http.MethodGet, "http://" + d.w.orders + "/item/" + id, "", status, want
	case postEcho:
		body = fmt.Sprintf(`{"text":"%s %s"}`, id, strings.Repeat("x", len(id)*37%3000))
		return http.MethodPost, "http://" + d.w.orders + "/echo", body, 200, answers.Echoed([]byte(body))
	case postOrder:
		return http.MethodPost, "http://" + d.w.orders + "/order/" + id, "", 200, answers.Ordered(id)
	default:
		return http.MethodGet, "http://" + d.w.front + "/page/" + id, "", 200, answers.Full(id)
	}
}

// broken says whether a connection was refused, reset or closed: there was nobody at its other end any more.
func broken(err error) bool {
	var op *net.OpError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op)
}

// more waits until n more requests have got their answers.
func (d *driver) more(n int64) {
	d.w.t.Helper()
	until := d.ok.Load() + n
	d.w.await(fmt.Sprintf("%d more answers", n), func() error {
		if got := d.ok.Load(); got < until {
			return fmt.Errorf("%d of %d", got, until)
		}
		return nil
	})
}

// none fails the test when any request failed.
func (d *driver) none() {
	d.w.t.Helper()
	d.only(func(failure) bool { return false })
}

// only fails the test for every failure that is not allowed.
func (d *driver) only(allowed func(failure) bool) {
	d.w.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	bad := 0
	for _, f := range d.failures {
		if allowed(f) {
			continue
		}
		if bad++; bad <= 5 {
			d.w.t.Errorf("kind %d, %s to %s: %s", f.kind, f.begin.Format("05.000"), f.end.Format("05.000"), f.why)
		}
	}
	if bad > 0 {
		d.w.t.Errorf("%d requests failed that the baseline alone would have answered", bad)
	}
	d.w.t.Logf("%d answers, %d failures of which %d allowed, slowest %s", d.ok.Load(), len(d.failures), len(d.failures)-bad,
		d.slowest.Round(time.Millisecond))
}

// written checks what stock was made to do: every order that was confirmed once, no order twice, and none that nobody
// gave. No shadow's write may be among them.
func (d *driver) written() {
	d.w.t.Helper()
	text, err := os.ReadFile(d.w.journal)
	if err != nil {
		d.w.t.Fatal(err)
	}
	times := map[string]int{}
	for id := range strings.FieldsSeq(string(text)) {
		times[id]++
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, n := range times {
		if strings.HasPrefix(id, d.name+"-") && (n != 1 || !d.tried[id]) {
			d.w.t.Errorf("order %s was carried out %d times, ordered: %v", id, n, d.tried[id])
		}
	}
	for id := range d.ordered {
		if times[id] == 0 {
			d.w.t.Errorf("order %s was confirmed, and never carried out", id)
		}
	}
}
