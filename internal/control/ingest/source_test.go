// SPDX-License-Identifier: Apache-2.0

package ingest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	v1 "microstax/api/v1"
	"microstax/internal/control/ingest"
	"microstax/internal/dataplane/remote"
	"microstax/internal/observation"
)

// sender is a gateway: it keeps what it has told until it is stored.
type sender struct {
	t            *testing.T
	name, stream string
	frames       []remote.Frame
}

func (g *sender) tell(es ...observation.Envelope) {
	g.t.Helper()
	for _, e := range es {
		f, err := remote.Seal(e)
		if err != nil {
			g.t.Fatal(err)
		}
		g.append(f)
	}
}

func (g *sender) restart() { g.append(remote.Frame{Kind: remote.KindRestart}) }

func (g *sender) append(f remote.Frame) {
	f.Seq = uint64(len(g.frames) + 1)
	g.frames = append(g.frames, f)
}

// send sends what the server has not taken, at most n frames of it.
func (g *sender) send(in *ingest.Ingest, n int) ingest.Heard {
	g.t.Helper()
	at, err := in.Receive(g.t.Context(), g.name, g.stream, nil, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	todo := g.frames[min(at.Accepted, uint64(len(g.frames))):]
	at, err = in.Receive(g.t.Context(), g.name, g.stream, nil, todo[:min(n, len(todo))])
	if err != nil {
		g.t.Fatal(err)
	}
	return at
}

const all = 1 << 30

func traffic(t *testing.T, r v1.Report, received, compared int64, dropped map[observation.DropReason]int64) {
	t.Helper()
	sum := r.Traffic.Compared + r.Traffic.InFlight
	for reason, n := range r.Traffic.Dropped {
		sum += n
		if n != dropped[observation.DropReason(reason)] {
			t.Errorf("%d dropped as %s, want %d", n, reason, dropped[observation.DropReason(reason)])
		}
	}
	if r.Traffic.Received != received || r.Traffic.Compared != compared || sum != received {
		t.Errorf("%d received, %d compared, %d in flight, dropped %v; want %d received, %d compared",
			r.Traffic.Received, r.Traffic.Compared, r.Traffic.InFlight, r.Traffic.Dropped, received, compared)
	}
}

func TestFramesCountOnceHoweverOftenTheyCome(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	g := &sender{t: t, name: "one", stream: "s"}
	g.restart()
	g.tell(received(testSession, 3), same(testSession, 1), changed(testSession, 2), same(testSession, 3))
	if at := g.send(in, all); at.Accepted != 5 || at.Stored != 0 {
		t.Errorf("before a write: %+v", at)
	}
	for range 3 { // the answer got lost
		if at, err := in.Receive(t.Context(), "one", "s", nil, g.frames); err != nil || at.Accepted != 5 {
			t.Fatalf("again: %+v, %v", at, err)
		}
	}
	b.flush(in)
	if at := g.send(in, 0); at.Stored != 5 {
		t.Errorf("after a write: %+v", at)
	}
	traffic(t, b.stored(testSession), 3, 3, nil)
}

func TestFramesThatDoNotFollowAreNotTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	g := &sender{t: t, name: "one", stream: "s"}
	for i := range 10 {
		g.tell(received(testSession, 1), same(testSession, i))
	}
	g.send(in, 4)
	if at, err := in.Receive(t.Context(), "one", "s", nil, g.frames[6:]); err != nil || at.Accepted != 4 {
		t.Errorf("a gap: %+v, %v", at, err)
	}
	wrong, right := uint64(3), uint64(4)
	if at, err := in.Receive(t.Context(), "one", "s", &wrong, g.frames[6:]); err != nil || at.Accepted != 4 {
		t.Errorf("a gap after something else: %+v, %v", at, err)
	}
	if at, err := in.Receive(t.Context(), "one", "s", &right, g.frames[6:]); err != nil || at.Accepted != 20 {
		t.Errorf("a gap that the gateway knows of: %+v, %v", at, err)
	}
	b.flush(in)
	traffic(t, b.stored(testSession), 9, 9, nil)
}

func TestWhatAGatewayHasInFlightOutlivesTheServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	g := &sender{t: t, name: "one", stream: "s"}
	g.tell(received(testSession, 5), same(testSession, 1))
	g.send(in, all)
	b.handle(in, received(testSession, 2)) // of a data plane in the server
	b.flush(in)

	in = b.ingest(ingest.Limits{}) // the server was killed
	g.tell(same(testSession, 2), same(testSession, 3), same(testSession, 4))
	g.send(in, all)
	b.flush(in)
	r := b.stored(testSession)
	traffic(t, r, 7, 4, map[observation.DropReason]int64{observation.Crashed: 2})
	if r.Traffic.InFlight != 1 {
		t.Errorf("%d in flight, want the one of the gateway", r.Traffic.InFlight)
	}

	g.restart() // the gateway was killed
	g.tell(received(testSession, 1), same(testSession, 6))
	g.send(in, all)
	b.flush(in)
	traffic(t, b.stored(testSession), 8, 5, map[observation.DropReason]int64{observation.Crashed: 3})
}

func TestAGatewayTakesOnlyItsOwnAlong(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	one, two := &sender{t: t, name: "one", stream: "s"}, &sender{t: t, name: "two", stream: "s"}
	one.tell(received(testSession, 4), same(testSession, 1))
	two.tell(received(testSession, 3), same(testSession, 2))
	one.send(in, all)
	two.send(in, all)
	one = &sender{t: t, name: "one", stream: "another"} // its folder was lost
	one.restart()
	if at := one.send(in, all); at.Accepted != 1 {
		t.Errorf("a new stream: %+v", at)
	}
	b.flush(in)
	r := b.stored(testSession)
	traffic(t, r, 7, 2, map[observation.DropReason]int64{observation.Crashed: 3})
	if r.Traffic.InFlight != 2 {
		t.Errorf("%d in flight, want the two of the other gateway", r.Traffic.InFlight)
	}
	in = b.ingest(ingest.Limits{})
	if err := in.ForgetSource(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
	traffic(t, b.stored(testSession), 7, 2, map[observation.DropReason]int64{observation.Crashed: 5})
	if err := in.ForgetSource(t.Context(), "nobody"); err != nil {
		t.Error(err)
	}
}

func TestFramesOfDeletedSessionsHoldNothingUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	g := &sender{t: t, name: "one", stream: "s"}
	g.tell(received("ses_gone", 2), same("ses_gone", 1))
	g.append(remote.Frame{Kind: remote.KindTally, Payload: []byte("nonsense")})
	g.append(remote.Frame{Kind: 99})
	g.tell(received(testSession, 1), same(testSession, 1))
	g.restart()
	if at := g.send(in, all); at.Accepted != 7 {
		t.Errorf("%+v", at)
	}
	b.flush(in)
	traffic(t, b.stored(testSession), 1, 1, nil)
	if n := in.Stats().Rejected; n != 4 {
		t.Errorf("%d rejected, want 4", n)
	}
}

func TestAStoreThatFailsKeepsFramesAtTheGateway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.ingest(ingest.Limits{})
	g := &sender{t: t, name: "one", stream: "s"}
	g.tell(received(testSession, 1), same(testSession, 1))
	g.send(in, all)
	b.store.set(func(f *flaky) { f.refuse = true })
	if err := in.Flush(t.Context()); err == nil {
		t.Fatal("the store did not fail")
	}
	if at := g.send(in, all); at.Accepted != 2 || at.Stored != 0 {
		t.Errorf("while the store fails: %+v", at)
	}
	b.store.set(func(f *flaky) { f.refuse = false })
	b.flush(in)
	if at := g.send(in, all); at.Stored != 2 {
		t.Errorf("afterwards: %+v", at)
	}
}

// TestCrashesAnywhere kills the server between any two steps, and looks whether the counts are what the gateways told.
func TestCrashesAnywhere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // reproducible
		b := newBench(t)
		sessions := []string{testSession, "ses_02"}
		b.session("ses_02", "env_02")
		gs := []*sender{{t: t, name: "one", stream: "s"}, {t: t, name: "two", stream: "s"}}
		in := b.ingest(ingest.Limits{})
		told, lost, open := map[string]int64{}, map[string]int64{}, map[string]int64{}
		for i := range 300 {
			g, ses := gs[rnd.IntN(2)], sessions[rnd.IntN(2)]
			key := g.name + ses
			switch n := rnd.IntN(20); {
			case n < 8:
				g.tell(received(ses, 1))
				told[ses]++
				open[key]++
			case n < 14 && open[key] > 0:
				g.tell(same(ses, i))
				open[key]--
			case n < 16:
				g.send(in, rnd.IntN(10))
			case n == 17:
				b.flush(in)
			case n == 18:
				in = b.ingest(ingest.Limits{})
			case n == 19 && rnd.IntN(3) == 0:
				g.restart()
				for _, s := range sessions {
					lost[s] += open[g.name+s]
					open[g.name+s] = 0
				}
			}
		}
		for _, g := range gs {
			g.send(in, all)
		}
		b.flush(in)
		for _, s := range sessions {
			inFlight := open["one"+s] + open["two"+s]
			t.Run(fmt.Sprintf("seed %d, %s", seed, s), func(t *testing.T) { //nolint:paralleltest // of one store
				r := b.stored(s)
				traffic(t, r, told[s], told[s]-lost[s]-inFlight, map[observation.DropReason]int64{observation.Crashed: lost[s]})
				if r.Traffic.InFlight != inFlight {
					t.Errorf("%d in flight, want %d", r.Traffic.InFlight, inFlight)
				}
			})
		}
	}
}
