// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"testing"
	"time"

	"microstax/internal/observation"
)

var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(ms int) time.Time { return origin.Add(time.Duration(ms) * time.Millisecond) }

func TestOnlyWhatWasAnsweredBeforeComesBefore(t *testing.T) {
	t.Parallel()
	var o order
	o.init()
	turn := func(key string, start, end int) (*task, bool) {
		x := &task{end: at(end), order: []sequence{{session: key}, {session: key + "'s address"}}}
		return x, o.enter(at(start), x)
	}
	first, now := turn("u", 0, 10)
	if !now {
		t.Fatal("the first waits")
	}
	overlapping, now := turn("u", 5, 20)
	if !now {
		t.Fatal("what overlapped waits")
	}
	after, now := turn("u", 25, 30)
	if now {
		t.Fatal("what came after both does not wait")
	}
	stranger, now := turn("v", 40, 50)
	if !now {
		t.Fatal("another session waits")
	}
	if ready := o.leave(first); len(ready) != 0 {
		t.Fatal("came before all that were before it had left")
	}
	if ready := o.leave(overlapping); len(ready) != 1 || ready[0] != after {
		t.Fatalf("%d are ready", len(ready))
	}
	o.leave(after)
	o.leave(stranger)
	if len(o.open) != 0 {
		t.Fatalf("%d sessions are remembered", len(o.open))
	}
}

func TestLimiterFollowsItsBound(t *testing.T) {
	t.Parallel()
	l := newLimiter(1)
	if !l.take() {
		t.Fatal("first place is taken")
	}
	if l.take() || !l.full() {
		t.Fatal("a place beyond the bound")
	}
	l.set(2)
	<-l.wake
	if !l.take() {
		t.Fatal("raised bound has no effect")
	}
	if l.take() {
		t.Fatal("a place beyond the raised bound")
	}
	l.release()
	<-l.wake
	if !l.take() {
		t.Fatal("released place is not given on")
	}
	l.release()
	l.release()
	if !l.idle() {
		t.Fatal("not idle when all is released")
	}
}

func TestCountsAreExactWhenFatesOverflow(t *testing.T) {
	t.Parallel()
	c := newCounters()
	const n = maxFates + 1000
	for range n {
		c.received.Add(1)
		c.drop("svc", "GET", "/x", observation.QueueFull)
	}
	var received, dropped int64
	for {
		tally, any := c.tally("ses", origin)
		if !any {
			break
		}
		received += tally.Received
		for _, g := range tally.Dropped {
			dropped += g.Count
		}
	}
	if received != n || dropped != n {
		t.Fatalf("received %d, dropped %d, want %d", received, dropped, n)
	}
}

func TestCallsBelongToTheirTraceOrToTheOnlyRequest(t *testing.T) {
	t.Parallel()
	var s scenes
	s.init()
	if s.find("t1") != nil {
		t.Fatal("a call without any request under way found one")
	}
	one, two := &scene{trace: "t1"}, &scene{trace: "t2"}
	s.add(one)
	if s.find("") != one {
		t.Fatal("the only request under way is not taken")
	}
	s.add(two)
	if s.find("t2") != two || one.muddled() {
		t.Fatal("a trace does not find its request")
	}
	if s.find("") != nil || !one.muddled() || !two.muddled() {
		t.Fatal("a call that could be either's leaves them judged")
	}
	if s.traced() {
		t.Fatal("lanes are left although traces get lost")
	}
}

func TestPatienceShrinksWithAShadowThatHangs(t *testing.T) {
	t.Parallel()
	var s scenes
	for range patienceAfter {
		if s.patience(10*time.Second) != 10*time.Second {
			t.Fatal("impatient too soon")
		}
		s.answered(false)
	}
	if s.patience(10*time.Second) != shortPatience {
		t.Fatal("still patient")
	}
	s.answered(true)
	if s.patience(10*time.Second) != 10*time.Second {
		t.Fatal("an answer does not restore patience")
	}
}
