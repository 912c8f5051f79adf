// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/mirror"
	"microstax/internal/dataplane/redact"
	"microstax/internal/dataplane/route"
	"microstax/internal/dataplane/tap"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// ledger adds up what a session publishes, and checks it at every envelope: that is where a scrape may look.
type ledger struct {
	mu                          sync.Mutex
	received, compared, dropped int64
	reasons                     map[observation.DropReason]int64
	least                       int64
	rng                         *mrand.Rand
}

func (l *ledger) Publish(_ context.Context, e observation.Envelope) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.Tally != nil:
		l.received += e.Tally.Received
		for _, g := range e.Tally.Dropped {
			l.dropped += g.Count
			l.reasons[g.Reason] += g.Count
		}
	case e.Alike != nil:
		l.compared += int64(len(e.Alike.List))
	default:
		l.compared++
	}
	l.least = min(l.least, l.received-l.compared-l.dropped)
	if l.rng.IntN(50) == 0 { // a judge that is slow at times
		<-time.After(time.Duration(l.rng.IntN(3000)) * time.Microsecond)
	}
	return nil
}

// moody is a shadow that answers, takes its time, breaks off or says nothing.
func moody(t *testing.T, seed uint64) string {
	t.Helper()
	var mu sync.Mutex
	rng := mrand.New(mrand.NewPCG(seed, 1))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		mood, pause := rng.IntN(20), time.Duration(rng.IntN(20))*time.Millisecond
		mu.Unlock()
		switch mood {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			io.Copy(io.Discard, r.Body) // or else nobody notices that the other side has gone
			select {
			case <-r.Context().Done(): // when the copy has timed out
			case <-time.After(2 * time.Second):
			}
		case 2, 3:
			<-time.After(pause)
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			fmt.Fprint(w, "answer")
		}
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// refusing is an address at which nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestSumsHold drives sessions at random: many users offer copies with and without calls, leave some out, record calls,
// with shadows in all moods, a small ring, a small budget and a small lag; and ends them at any moment, in order or not.
// At every moment what was told is part of what had been received; at the end it is all of it, and every byte is back.
func TestSumsHold(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			drive(t, seed)
		})
	}
}

func drive(t *testing.T, seed uint64) {
	rng := mrand.New(mrand.NewPCG(seed, 2))
	l := &ledger{reasons: map[observation.DropReason]int64{}, rng: mrand.New(mrand.NewPCG(seed, 3))}
	budget := tap.NewBudget(int64(1) << (14 + rng.IntN(8)))
	sh := &route.Shadow{Session: fmt.Sprint("ses_", seed), Services: []string{"svc"}, Control: true}
	entries := make([]*route.Entry, 3)
	for i := range entries {
		e := &route.Entry{Shadow: sh, Service: fmt.Sprint("svc", i), Candidate: []string{moody(t, seed)}, CallsOut: i == 1,
			Settings: blueprint.Shadow{Timeout: blueprint.Duration(50 * time.Millisecond), Concurrency: 1 + rng.IntN(80)}}
		switch rng.IntN(4) {
		case 0:
		case 1:
			e.Control = []string{refusing(t)}
		default:
			e.Control = []string{moody(t, seed+100)}
		}
		entries[i] = e
	}
	r := mirror.NewRunner(mirror.Options{
		Shadow: sh, Publisher: l, Redactor: redact.New(redact.Options{Key: []byte("k")}), Logger: slog.New(slog.DiscardHandler),
		Entropy: rand.Reader, Budget: budget, RingSize: 1 << rng.IntN(10), Lag: time.Duration(1+rng.IntN(50)) * time.Millisecond,
	})
	const each = 150
	var users sync.WaitGroup
	for u := range 8 {
		users.Go(func() { offer(r, entries, budget, mrand.New(mrand.NewPCG(seed, uint64(u)+10)), u, each) })
	}
	if rng.IntN(3) > 0 { // else it ends while they are at it
		users.Wait()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(500))*time.Millisecond)
	defer cancel()
	r.Close(ctx)
	users.Wait()
	after := int64(0) // offered when the session had told its last counts
	l.mu.Lock()
	defer l.mu.Unlock()
	after = 8*each - l.received
	if l.received != l.compared+l.dropped || l.least < 0 || after < 0 {
		t.Errorf("received %d, compared %d, dropped %d %v; %d in flight at the least; rerun with seed %d",
			l.received, l.compared, l.dropped, l.reasons, l.least, seed)
	}
	if used := budget.Fill(); used != 0 {
		t.Errorf("%v of the budget is not given back; rerun with seed %d", used, seed)
	}
}

// offer is one user.
func offer(r *mirror.Runner, entries []*route.Entry, budget *tap.Budget, rng *mrand.Rand, user, n int) {
	for i := range n {
		e := entries[rng.IntN(len(entries))]
		if rng.IntN(10) == 0 {
			r.Skip(e.Service, "GET", "/skipped", observation.Excluded)
			continue
		}
		level := r.Enter()
		session := fmt.Sprint("cookie:sid=", user, "-", i/10)
		if r.Shedding() && r.Choose(session, false, mirror.Whole) == mirror.ShedSession {
			r.Skip(e.Service, "GET", "/shed", observation.Shed)
			r.Leave()
			continue
		}
		c := tap.New(time.Now().Add(-time.Duration(rng.IntN(20))*time.Millisecond), fmt.Appendf(nil, "POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n", i), 1<<10, budget)
		c.Request.Content([]byte("body"))
		c.Answered([]byte("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"), time.Now())
		c.Response.Content([]byte("answer"))
		c.Finished(time.Now(), exchange.OK, "")
		if rng.IntN(5) == 0 {
			c.Retain()
			r.Record(mirror.Called{Caller: e.Service, Dependency: "dep", Capture: c})
		}
		if c.Lost() {
			r.Skip(e.Service, "POST", "/lost", observation.OverBudget)
			c.Release()
		} else if !r.Offer(mirror.Job{Entry: e, Capture: c, Session: session, OwnUnit: rng.IntN(4) == 0, Conn: uint64(user), Level: level}) {
			c.Release()
		}
		r.Leave()
		if rng.IntN(20) == 0 {
			<-time.After(time.Duration(rng.IntN(5)) * time.Millisecond)
		}
	}
}
