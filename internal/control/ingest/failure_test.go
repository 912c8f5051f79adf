// SPDX-License-Identifier: Apache-2.0

package ingest_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/control/ingest"
	"microstax/internal/evidence"
)

func TestARestartInTheMiddleSettlesWhatWasInFlight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.ingest(ingest.Limits{})
	b.handle(first, received(testSession, 10))
	for i := range 6 {
		b.handle(first, changed(testSession, i))
	}
	b.flush(first)
	if got := b.stored(testSession).Traffic; got.InFlight != 4 {
		t.Fatalf("before: got %+v", got)
	}
	b.handle(first, changed(testSession, 6)) // not flushed: lost with the process

	second := b.ingest(ingest.Limits{})
	b.handle(second, received(testSession, 2), changed(testSession, 20))
	b.flush(second)
	got := b.stored(testSession)
	tr := got.Traffic
	if tr.Received != 12 || tr.Compared != 7 || tr.Dropped["crash"] != 4 || tr.InFlight != 1 {
		t.Fatalf("after: got %+v", tr)
	}
	if n := len(b.kept(testSession)); n != 7 {
		t.Errorf("kept: got %d, want 7", n)
	}
}

func TestSessionsWithoutTrafficAreSettledWhenTheServerStarts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.ingest(ingest.Limits{})
	b.handle(first, received(testSession, 5))
	b.flush(first)

	second := b.ingest(ingest.Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	written, err := second.Changed(t.Context(), testSession)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- second.Run(ctx) }()
	<-written
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if tr := b.stored(testSession).Traffic; tr.Dropped["crash"] != 5 || tr.InFlight != 0 {
		t.Fatalf("got %+v", tr)
	}
	open, err := b.store.Count(t.Context(), evidence.Query{Kind: evidence.Analysis, Labels: map[string]string{"open": "1"}})
	if err != nil || open != 0 {
		t.Fatalf("sessions that the next start would look at: got %d, %v", open, err)
	}
}

func TestCountsSurviveAStoreThatFailsForAWhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{Pending: 4})
	b.handle(in, received(testSession, 30))
	b.flush(in)
	b.store.set(func(f *flaky) { f.refuse = true })
	for i := range 30 {
		b.handle(in, changed(testSession, i))
		if err := in.Flush(t.Context()); err == nil {
			t.Fatal("a write that was refused gives no error")
		}
	}
	s := in.Stats()
	if s.Pending > 4 || s.KeptDropped == 0 || !s.Failing || s.FlushErrors != 30 {
		t.Errorf("while it fails: %+v", s)
	}
	b.store.set(func(f *flaky) { f.refuse = false })
	b.flush(in)
	if tr := b.stored(testSession).Traffic; tr.Compared != 30 || tr.InFlight != 0 {
		t.Errorf("afterwards: got %+v", tr)
	}
	if n := len(b.kept(testSession)); n == 0 || n > 4 || n != b.blobCount() {
		t.Errorf("kept: got %d, blobs %d", n, b.blobCount())
	}
	if s := in.Stats(); s.Pending != 0 || s.PendingBytes != 0 || s.Failing {
		t.Errorf("afterwards: %+v", s)
	}
	if failed, well := b.log.count("cannot be stored"), b.log.count("stored again"); failed != 1 || well != 1 {
		t.Errorf("log lines: %d of failure, %d of recovery, want one each", failed, well)
	}
}

func TestCountsAreStoredWhereBytesCannotBe(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	b.blobs.set(true)
	b.handle(in, received(testSession, 1), changed(testSession, 1))
	if err := in.Flush(t.Context()); err == nil {
		t.Fatal("bytes that were refused give no error")
	}
	if tr := b.stored(testSession).Traffic; tr.Compared != 1 {
		t.Errorf("counts: got %+v", tr)
	}
	if n := len(b.kept(testSession)); n != 0 {
		t.Errorf("records without bytes: %d", n)
	}
	b.blobs.set(false)
	b.flush(in)
	if n := len(b.kept(testSession)); n != 1 {
		t.Errorf("kept afterwards: got %d, want 1", n)
	}
}

func TestWhatLosesItsPlaceWhileItIsWrittenIsDeleted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{PerFinding: 2, PerEndpoint: 1})
	b.handle(in, received(testSession, 10), changed(testSession, 1), changed(testSession, 2))
	b.blobs.during = func() {
		for i := 3; i < 8; i++ { // each takes the place of the one before
			b.handle(in, changed(testSession, i))
		}
	}
	b.flush(in)
	b.flush(in)
	b.flush(in)
	if n, blobs := len(b.kept(testSession)), b.blobCount(); n != blobs || n > 4 {
		t.Errorf("kept: got %d records, %d blobs", n, blobs)
	}
}

func TestASessionIsWaitedForWhileTheStoreCannotBeRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	b.store.set(func(f *flaky) { f.refuseReads = true })
	synctest.Test(t, func(t *testing.T) {
		done := make(chan error, 1)
		go func() { done <- in.Handle(t.Context(), received(testSession, 3)) }()
		time.Sleep(time.Minute) // of the bubble's clock
		b.store.set(func(f *flaky) { f.refuseReads = false })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
	b.flush(in)
	if tr := b.stored(testSession).Traffic; tr.Received != 3 {
		t.Errorf("got %+v", tr)
	}
	if s := in.Stats(); s.ReadErrors < 5 || s.ReadErrors > 20 {
		t.Errorf("attempts in a minute: got %d", s.ReadErrors)
	}
}

func TestRunWritesSoonAndNotTooOften(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		takes    time.Duration
		min, max int
	}{
		{name: "a quick store: four times a second", takes: time.Millisecond, min: 38, max: 42},
		{name: "a slow store: a tenth of the time", takes: 100 * time.Millisecond, min: 8, max: 11},
		{name: "a very slow store: every two seconds all the same", takes: time.Second, min: 3, max: 5},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			before := b.store.applied
			synctest.Test(t, func(t *testing.T) {
				in := b.ingest(ingest.Limits{})
				b.store.set(func(f *flaky) { f.slow = func() { time.Sleep(c.takes) } })
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- in.Run(ctx) }()
				for range 1000 { // ten seconds of traffic
					b.handle(in, received(testSession, 1))
					time.Sleep(10 * time.Millisecond)
				}
				cancel()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			})
			if n := b.store.applied - before; n < c.min || n > c.max {
				t.Errorf("writes in ten seconds: got %d, want %d to %d", n, c.min, c.max)
			}
			if tr := b.stored(testSession).Traffic; tr.Received != 1000 {
				t.Errorf("after the end: got %d received", tr.Received)
			}
		})
	}
}

func TestIdleSessionsLeaveMemoryAndComeBackUnharmed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	synctest.Test(t, func(t *testing.T) {
		in := b.ingest(ingest.Limits{})
		b.handle(in, received(testSession, 5), changed(testSession, 1))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- in.Run(ctx) }()
		time.Sleep(time.Hour) // of the bubble's clock
		if s := in.Stats(); s.Sessions != 0 {
			t.Errorf("sessions in memory after an hour without traffic: %d", s.Sessions)
		}
		b.handle(in, changed(testSession, 2))
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
	// The same process had the rest in flight: nothing crashed.
	if tr := b.stored(testSession).Traffic; tr.Compared != 2 || tr.InFlight != 3 || tr.Dropped["crash"] != 0 {
		t.Errorf("got %+v", tr)
	}
}

func TestARestartKeepsWhatWasKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := ingest.Limits{PerFinding: 8, PerEndpoint: 3}
	first := b.ingest(limits)
	b.handle(first, received(testSession, 200))
	for i := range 100 {
		b.handle(first, seen(testSession, i, `{"total":"12","pad":"`+strings.Repeat("x", (i*7919)%5000)+`"}`))
	}
	for i := range 64 {
		b.handle(first, same(testSession, 100+i))
	}
	b.flush(first)
	b.flush(first)
	before := ids(b.kept(testSession))
	second := b.ingest(limits)
	b.handle(second, received(testSession, 1))
	b.flush(second)
	b.flush(second)
	after := ids(b.kept(testSession))
	if d := cmp.Diff(before, after); d != "" || len(before) < 8 {
		t.Fatalf("%d kept (-before the restart +after):\n%s", len(before), d)
	}
}

func ids(recs []evidence.Record) []string {
	out := make([]string, 0, len(recs))
	for _, r := range recs {
		out = append(out, r.ID)
	}
	return out
}
