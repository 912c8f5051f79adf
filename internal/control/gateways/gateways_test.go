// SPDX-License-Identifier: Apache-2.0

package gateways_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"microstax/internal/control/gateways"
	"microstax/internal/dataplane/remote"
	"microstax/internal/dataplane/route"
	"microstax/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink takes everything.
type sink struct {
	mu     sync.Mutex
	last   map[string]uint64
	forgot []string
}

func (s *sink) Receive(_ context.Context, name, _ string, _ *uint64, frames []remote.Frame) (accepted, stored uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range frames {
		if f.Seq == s.last[name]+1 {
			s.last[name]++
		}
	}
	return s.last[name], 0, nil
}

func (s *sink) Forget(_ context.Context, name string) error {
	s.forgot = append(s.forgot, name)
	return nil
}

func newRegistry(t *testing.T, patience time.Duration) *gateways.Registry {
	t.Helper()
	r := gateways.New(gateways.Options{
		Sink: &sink{last: map[string]uint64{}}, Key: []byte("key"), Server: "srv_1", Version: "v1", Now: time.Now,
		Logger: slog.New(slog.DiscardHandler), Patience: patience,
	})
	t.Cleanup(func() { r.Close() }) //nolint:errcheck // never fails
	return r
}

func table(revision uint64, listeners ...string) *route.Table {
	t := &route.Table{Revision: revision, Shadows: map[string]*route.Shadow{}}
	for i, id := range listeners {
		t.Listeners = append(t.Listeners, route.Listener{
			ID: id, Addr: fmt.Sprintf("127.0.0.1:%d", 1000+i), Kind: route.Gateway, Default: &route.Target{Key: fmt.Sprint(revision)},
		})
	}
	return t
}

// peer is a gateway that acknowledges what it is sent, or not.
type peer struct {
	t            *testing.T
	r            *gateways.Registry
	name, stream string
	mute         bool
	deaf         map[string]string // listeners that it cannot open, and why

	mu    sync.Mutex
	have  *route.Table
	kinds []string
	ended chan struct{}
	err   error
}

func connect(t *testing.T, r *gateways.Registry, p *peer) (disconnect func()) {
	t.Helper()
	p.t, p.r, p.ended = t, r, make(chan struct{})
	if p.stream == "" {
		p.stream = "stream-of-" + p.name
	}
	c := gateways.Caller{Name: p.name, Stream: p.stream, Protocol: remote.Protocol, Address: "here"}
	if p.have != nil {
		c.Revision, c.Digest = p.have.Revision, digest(t, p.have)
	}
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, 1)
	go func() {
		defer close(p.ended)
		p.err = r.Tables(ctx, c, func(l remote.Line) error { return p.take(l, begun) })
		select {
		case begun <- struct{}{}:
		default:
		}
	}()
	<-begun
	stop := func() { cancel(); <-p.ended }
	t.Cleanup(stop)
	return stop
}

func digest(t *testing.T, tab *route.Table) string {
	t.Helper()
	d, err := route.Digest(tab)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (p *peer) take(l remote.Line, begun chan<- struct{}) error {
	p.mu.Lock()
	p.kinds = append(p.kinds, l.Type)
	p.mu.Unlock()
	switch l.Type {
	case remote.LineHello:
		if string(l.Hello.Key) != "key" || l.Hello.Server != "srv_1" {
			p.t.Errorf("hello %+v", l.Hello)
		}
		begun <- struct{}{}
		return nil
	case remote.LineTable:
		t, err := route.Decode(l.Table)
		if err != nil {
			p.t.Error(err)
		}
		p.set(t)
	case remote.LineDelta:
		d, err := route.DecodeDelta(l.Delta)
		if err != nil {
			p.t.Error(err)
			return err
		}
		t, err := d.Apply(p.table())
		if err != nil {
			p.t.Error(err)
			return err
		}
		p.set(t)
	}
	if !p.mute {
		p.report(false)
	}
	return nil
}

func (p *peer) set(t *route.Table) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.have = t
}

func (p *peer) table() *route.Table {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.have
}

func (p *peer) sent() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.kinds, " ")
}

func (p *peer) report(leaves bool) {
	t := p.table()
	rep := remote.Report{Stream: p.stream, Version: "v1"}
	if t != nil {
		rep.Revision, rep.Digest = t.Revision, digest(p.t, t)
		for _, l := range t.Listeners {
			s := route.Serving{Listener: l.ID, Addr: l.Addr, Revision: t.Revision}
			if why := p.deaf[l.ID]; why != "" {
				s.Revision, s.Err = 0, why
			}
			rep.Serving = append(rep.Serving, s)
		}
	}
	if err := p.r.Report(p.name, rep, leaves); err != nil {
		p.t.Errorf("report: %v", err)
	}
}

func apply(t *testing.T, r *gateways.Registry, tab *route.Table) {
	t.Helper()
	if err := r.Apply(t.Context(), tab); err != nil {
		t.Fatal(err)
	}
}

func TestApplyReturnsWhenEveryGatewayServes(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, time.Minute)
	apply(t, r, table(1, "a")) // nobody is there to wait for
	if s := r.Serving(); len(s) != 1 || s[0].Revision != 0 || s[0].Err != "" || r.Trouble() == "" {
		t.Errorf("without a gateway: %+v, %q", s, r.Trouble())
	}
	one, two := &peer{name: "one"}, &peer{name: "two"}
	connect(t, r, one)
	connect(t, r, two)
	for n := uint64(2); n < 20; n++ {
		apply(t, r, table(n, "a", "b"))
		for _, s := range r.Serving() {
			if s.Revision != n {
				t.Fatalf("revision %d: %+v", n, s)
			}
		}
		if one.table().Revision != n || two.table().Revision != n {
			t.Fatalf("after revision %d one has %d and two %d", n, one.table().Revision, two.table().Revision)
		}
	}
	if !strings.HasPrefix(one.sent(), "hello table delta delta") || r.Trouble() != "" {
		t.Errorf("sent %s; trouble %q", one.sent(), r.Trouble())
	}
}

func TestReconnectingGatewayGetsWhatHasChanged(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, time.Minute)
	one := &peer{name: "one"}
	apply(t, r, table(1, "a"))
	leave := connect(t, r, one)
	apply(t, r, table(2, "a", "b"))
	leave()
	if s := r.Serving(); s[0].Revision != 0 {
		t.Errorf("served by nobody: %+v", s)
	}
	apply(t, r, table(3, "b"))
	one.kinds = nil
	leave = connect(t, r, one)
	apply(t, r, table(4, "b", "c"))
	leave()
	if one.sent() != "hello delta delta" {
		t.Errorf("sent %s", one.sent())
	}
	other := table(4, "x") // of the same revision, from a server whose data was lost
	one.have, one.kinds = other, nil
	connect(t, r, one)
	apply(t, r, table(5, "c"))
	if one.sent() != "hello table delta" {
		t.Errorf("with a table of another server: sent %s", one.sent())
	}
}

func TestGatewayThatDoesNotAcknowledgeIsNotWaitedForTwice(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, 50*time.Millisecond)
	mute, good := &peer{name: "mute", mute: true}, &peer{name: "good"}
	connect(t, r, mute)
	connect(t, r, good)
	apply(t, r, table(1, "a"))
	<-mute.ended // it is to connect again
	if s := r.Serving(); s[0].Revision != 1 {
		t.Errorf("%+v", s)
	}
	for _, g := range r.List() {
		want := map[string]string{"mute": "lost", "good": "connected"}[g.Name]
		if g.State != want || (g.Behind == 0) != (g.Name == "good") {
			t.Errorf("%+v", g)
		}
	}
}

func TestListenerIsServedWhenOneGatewayServesIt(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, time.Minute)
	one := &peer{name: "one", deaf: map[string]string{"a": "address in use", "b": "address in use"}}
	two := &peer{name: "two", deaf: map[string]string{"b": "no such address"}}
	connect(t, r, one)
	leave := connect(t, r, two)
	apply(t, r, table(1, "a", "b"))
	s := r.Serving()
	if s[0].Revision != 1 || s[0].Err != "" || s[1].Revision != 0 || s[1].Err != "gateway one: address in use" {
		t.Errorf("%+v", s)
	}
	drained(r)
	leave()
	select {
	case <-r.Changed():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told that a gateway is gone")
	}
	if s := r.Serving(); s[0].Revision != 0 || s[0].Err == "" {
		t.Errorf("%+v", s)
	}
}

func drained(r *gateways.Registry) {
	select {
	case <-r.Changed():
	default:
	}
}

func TestLeavingGateway(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, time.Minute)
	one := &peer{name: "one"}
	connect(t, r, one)
	apply(t, r, table(1, "a"))
	if err := r.Forget(t.Context(), "one"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a connected gateway was forgotten: %v", err)
	}
	one.report(true)
	<-one.ended
	if g := r.List()[0]; g.State != "stopped" || r.Trouble() == "" {
		t.Errorf("%+v, %q", g, r.Trouble())
	}
	if err := r.Forget(t.Context(), "one"); err != nil || len(r.List()) != 0 {
		t.Errorf("%v, %+v", err, r.List())
	}
}

func TestWhoIsRefused(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, time.Minute)
	connect(t, r, &peer{name: "one"})
	connect(t, r, &peer{name: "one"}) // the same, on a new connection
	none := func(remote.Line) error { return nil }
	for _, c := range []struct {
		caller gateways.Caller
		kind   fault.Kind
	}{
		{gateways.Caller{Name: "one", Stream: "another", Protocol: remote.Protocol}, fault.Conflict},
		{gateways.Caller{Name: "two", Stream: "s", Protocol: remote.Protocol + 1}, fault.Invalid},
		{gateways.Caller{Name: "two", Protocol: remote.Protocol}, fault.Invalid},
		{gateways.Caller{Name: "../two", Stream: "s", Protocol: remote.Protocol}, fault.Invalid},
		{gateways.Caller{Name: strings.Repeat("x", 64), Stream: "s", Protocol: remote.Protocol}, fault.Invalid},
	} {
		if err := r.Tables(t.Context(), c.caller, none); !fault.Is(err, c.kind) {
			t.Errorf("%+v: %v", c.caller, err)
		}
	}
	if err := r.Report("nobody", remote.Report{}, false); !fault.Is(err, fault.Conflict) {
		t.Errorf("a report of nobody: %v", err)
	}
	if _, _, err := r.Observed(t.Context(), "nobody", "s", nil, nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("observations of nobody: %v", err)
	}
}

func TestObservedFrames(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, time.Minute)
	connect(t, r, &peer{name: "one"})
	var b []byte
	for i := range uint64(3) {
		b = remote.AppendFrame(b, remote.Frame{Seq: i + 1, Kind: remote.KindTally, Payload: []byte("{}")})
	}
	got, whole, err := r.Observed(t.Context(), "one", "stream-of-one", nil, b)
	if err != nil || !whole || got.Accepted != 3 || got.Server != "srv_1" {
		t.Errorf("%+v, %v, %v", got, whole, err)
	}
	gap := remote.AppendFrame(nil, remote.Frame{Seq: 9, Kind: remote.KindTally})
	if got, whole, err := r.Observed(t.Context(), "one", "stream-of-one", nil, gap); err != nil || whole || got.Accepted != 3 {
		t.Errorf("a gap: %+v, %v, %v", got, whole, err)
	}
	if _, _, err := r.Observed(t.Context(), "one", "stream-of-one", nil, b[:len(b)-1]); !fault.Is(err, fault.Invalid) {
		t.Errorf("half a frame: %v", err)
	}
}

func TestClosedRegistryLetsGo(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, time.Minute)
	one := &peer{name: "one", mute: true}
	connect(t, r, one)
	done := make(chan error, 1)
	go func() { done <- r.Apply(t.Context(), table(1, "a")) }()
	r.Close() //nolint:errcheck // never fails
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-one.ended
	if err := r.Tables(t.Context(), gateways.Caller{Name: "two", Stream: "s", Protocol: remote.Protocol}, nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}
