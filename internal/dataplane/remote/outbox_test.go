// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/dataplane/remote"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

func seen(session string, n int) observation.Envelope {
	return observation.Envelope{Observation: &observation.Observation{
		ID: fmt.Sprintf("obs_%d", n), Session: session, Service: "orders",
		Baseline: exchange.Exchange{Request: exchange.Request{Method: "GET", Target: "/a?secret=1"}},
	}}
}

func counted(session string, received int64) observation.Envelope {
	return observation.Envelope{Tally: &observation.Tally{Session: session, Received: received, Mirrored: received}}
}

// sums are what the frames of a spool say in all.
type sums struct {
	starts                      int
	received, compared, dropped int64
	first                       remote.Kind
	groups                      map[observation.Group]int64
	comparedBeforeItWasReceived bool
}

func (s *sums) read(t *testing.T, sp *remote.Spool) {
	t.Helper()
	s.groups = map[observation.Group]int64{}
	r := sp.NewReader(0)
	for {
		b, err := r.Read(1 << 20)
		if err != nil {
			return
		}
		for len(b) > 0 {
			f, after, err := remote.NextFrame(b)
			if err != nil {
				t.Fatal(err)
			}
			b = after
			s.add(t, f)
		}
	}
}

func (s *sums) add(t *testing.T, f remote.Frame) {
	t.Helper()
	if s.first == 0 {
		s.first = f.Kind
	}
	if f.Kind == remote.KindRestart {
		s.starts++
		return
	}
	e, err := f.Envelope()
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case e.Observation != nil:
		s.compared++
	case e.Alike != nil:
		s.compared += int64(len(e.Alike.List))
	default:
		s.received += e.Tally.Received
		for _, g := range e.Tally.Dropped {
			s.dropped += g.Count
			g.Count = 0
			s.groups[g]++
		}
	}
	if s.compared+s.dropped > s.received {
		s.comparedBeforeItWasReceived = true
	}
}

func TestOutboxKeepsEverythingInOrder(t *testing.T) {
	t.Parallel()
	sp := open(t, remote.SpoolOptions{Dir: t.TempDir()})
	o := remote.NewOutbox(sp, slog.New(slog.DiscardHandler))
	for i := range 1000 {
		publish(t, o, counted("ses_1", 3), seen("ses_1", i), observation.Envelope{Alike: &observation.AlikeBatch{
			Session: "ses_1", List: make([]observation.Alike, 2),
		}})
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if err := o.Publish(t.Context(), seen("ses_1", 0)); err == nil {
		t.Error("a closed outbox takes more")
	}
	var got sums
	got.read(t, sp)
	if got.starts != 1 || got.first != remote.KindRestart || got.received != 3000 || got.compared != 3000 || got.dropped != 0 ||
		got.comparedBeforeItWasReceived {
		t.Errorf("got %+v", got)
	}
}

func publish(t *testing.T, o *remote.Outbox, es ...observation.Envelope) {
	t.Helper()
	for _, e := range es {
		if err := o.Publish(t.Context(), e); err != nil {
			t.Error(err)
		}
	}
}

// TestFullSpool fills a spool from several sessions and empties it in between: whatever is lost is counted, and nothing
// else is.
func TestFullSpool(t *testing.T) {
	t.Parallel()
	sp := open(t, remote.SpoolOptions{Dir: t.TempDir(), Limit: 200_000, Segment: 4096})
	o := remote.NewOutbox(sp, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	var got sums
	var reading sync.WaitGroup
	reading.Go(func() { got.drain(ctx, t, sp) })
	const each, sessions = 3000, 4
	var wg sync.WaitGroup
	for s := range sessions {
		wg.Go(func() {
			for i := range each {
				publish(t, o, counted(fmt.Sprintf("ses_%d", s), 1), seen(fmt.Sprintf("ses_%d", s), i))
			}
		})
	}
	wg.Wait()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	cancel()
	reading.Wait()
	if got.received != each*sessions || got.compared+got.dropped != each*sessions || got.comparedBeforeItWasReceived {
		t.Errorf("%d published: %d received, %d compared, %d dropped", each*sessions, got.received, got.compared, got.dropped)
	}
	if got.dropped == 0 || o.Dropped() != got.dropped {
		t.Errorf("%d dropped, and the outbox counts %d", got.dropped, o.Dropped())
	}
	want := observation.Group{Service: "orders", Method: "GET", Path: "/a", Reason: observation.SpoolFull}
	for g := range got.groups {
		if g != want {
			t.Errorf("dropped as %+v", g)
		}
	}
}

// drain reads slowly, and gives up what it has read, as the server does.
func (s *sums) drain(ctx context.Context, t *testing.T, sp *remote.Spool) {
	t.Helper()
	s.groups = map[observation.Group]int64{}
	r := sp.NewReader(0)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last := false
	for {
		b, err := r.Read(8192)
		if err != nil {
			if last {
				return
			}
			last = ctx.Err() != nil
			<-tick.C
			continue
		}
		seq := uint64(0)
		for len(b) > 0 {
			f, after, err := remote.NextFrame(b)
			if err != nil {
				t.Error(err)
				return
			}
			b, seq = after, f.Seq
			s.add(t, f)
		}
		if err := sp.Release(seq); err != nil {
			t.Error(err)
		}
		<-tick.C
	}
}

func TestLargeObservationIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	sp := open(t, remote.SpoolOptions{Dir: t.TempDir(), Limit: 64 << 10})
	o := remote.NewOutbox(sp, slog.New(slog.DiscardHandler))
	big := seen("ses_1", 1)
	big.Observation.Baseline.Response.Body.Data = []byte(strings.Repeat("x", 100<<10))
	publish(t, o, counted("ses_1", 2), big, seen("ses_1", 2))
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	var got sums
	got.read(t, sp)
	if got.received != 2 || got.compared+got.dropped != 2 || got.dropped == 0 {
		t.Errorf("got %+v", got)
	}
}

// TestCountsThatFindNoPlaceAreAddedUp looks whether everything that a tally says is still said by the one that stands for
// several: a field that is forgotten in adding up comes out as zero.
func TestCountsThatFindNoPlaceAreAddedUp(t *testing.T) {
	t.Parallel()
	sp := open(t, remote.SpoolOptions{Dir: t.TempDir(), Limit: 64 << 10})
	if err := sp.Append([]remote.Frame{{Kind: remote.KindTally, Payload: make([]byte, 63<<10)}}); err != nil {
		t.Fatal(err)
	}
	o := remote.NewOutbox(sp, slog.New(slog.DiscardHandler))
	one := observation.Tally{Session: "ses_1", At: time.Unix(1, 0).UTC(), Capture: &observation.Capture{}}
	ones(reflect.ValueOf(&one).Elem())
	one.Dropped = []observation.Group{{Service: strings.Repeat("s", 2000), Reason: observation.QueueFull, Count: 1}} // too large
	publish(t, o, observation.Envelope{Tally: &one}, observation.Envelope{Tally: &one}, seen("ses_1", 1))
	limit := time.After(30 * time.Second)
	for o.Dropped() == 0 { // then both tallies, which came before, wait for room
		select {
		case <-time.After(time.Millisecond):
		case <-limit:
			t.Fatal("the spool never was full")
		}
	}
	if err := sp.Release(1); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := sp.NewReader(3).Read(1) // behind what filled it, and the start
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := remote.NextFrame(b)
	if err != nil {
		t.Fatal(err)
	}
	e, err := f.Envelope()
	if err != nil {
		t.Fatal(err)
	}
	got := *e.Tally
	got.Dropped = slices.DeleteFunc(got.Dropped, func(g observation.Group) bool { return g.Reason == observation.SpoolFull })
	want := one
	want.Received, want.Mirrored, want.ShedSessions = 2, 2, 2
	want.Dropped = []observation.Group{{Service: strings.Repeat("s", 2000), Reason: observation.QueueFull, Count: 2}}
	twice := *one.Capture
	twice.Add(*one.Capture)
	want.Capture = &twice
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// ones sets every number to one, also of fields that are added later.
func ones(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Int64:
			f.SetInt(1)
		case reflect.Float64:
			f.SetFloat(1)
		case reflect.Pointer:
			ones(f.Elem())
		default:
		}
	}
}
