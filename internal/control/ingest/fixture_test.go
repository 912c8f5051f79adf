// SPDX-License-Identifier: Apache-2.0

package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	v1 "microstax/api/v1"
	"microstax/internal/blob"
	"microstax/internal/blob/mem"
	"microstax/internal/blueprint"
	"microstax/internal/control/ingest"
	"microstax/internal/engine"
	"microstax/internal/environment"
	"microstax/internal/evidence"
	"microstax/internal/evidence/sqlite"
	"microstax/internal/exchange"
	"microstax/internal/observation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testSession = "ses_01"
	testEnv     = "env_01"
)

var start = time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)

// bench is a real store with a session in it, a switch to make it fail, and what ingest logged.
type bench struct {
	t     *testing.T
	store *flaky
	blobs *flakyBlobs
	log   *journal
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{t: t, store: &flaky{Store: s}, blobs: &flakyBlobs{Store: mem.New()}, log: &journal{}}
	b.session(testSession, testEnv)
	return b
}

// session stores a session as package shadow does.
func (b *bench) session(id, env string) {
	b.t.Helper()
	body, err := json.Marshal(environment.Session{ID: id, Environment: env, Control: true, Services: []string{"orders"}, Settings: settings()})
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = b.store.Apply(b.t.Context(), evidence.Batch{Puts: []evidence.Put{
		{Record: evidence.Record{Kind: evidence.Session, ID: id, Parent: env, Body: body, Created: start, Updated: start}},
	}})
	if err != nil {
		b.t.Fatal(err)
	}
}

func settings() map[string]blueprint.Shadow {
	return map[string]blueprint.Shadow{"orders": blueprint.EffectiveShadow()}
}

func (b *bench) ingest(l ingest.Limits) *ingest.Ingest {
	return ingest.New(ingest.Options{Store: b.store, Blobs: b.blobs, Now: time.Now, Logger: b.log.logger(), Limits: l})
}

func (b *bench) handle(in *ingest.Ingest, es ...observation.Envelope) {
	b.t.Helper()
	for _, e := range es {
		if err := in.Handle(b.t.Context(), e); err != nil {
			b.t.Fatalf("handle: %v", err)
		}
	}
}

func (b *bench) flush(in *ingest.Ingest) {
	b.t.Helper()
	if err := in.Flush(b.t.Context()); err != nil {
		b.t.Fatalf("flush: %v", err)
	}
}

// stored is the report that the stored state gives.
func (b *bench) stored(session string) v1.Report {
	b.t.Helper()
	rec, err := b.store.Get(b.t.Context(), evidence.Key{Kind: evidence.Analysis, ID: session})
	if err != nil {
		b.t.Fatalf("get analysis: %v", err)
	}
	a, err := engine.Restore(config(), rec.Body)
	if err != nil {
		b.t.Fatalf("restore: %v", err)
	}
	return a.Report(engine.Meta{})
}

func config() engine.Config { return engine.Config{Services: settings(), Control: true} }

func (b *bench) kept(session string) []evidence.Record {
	b.t.Helper()
	recs, err := b.store.List(b.t.Context(), evidence.Query{Kind: evidence.Observation, Parent: session, Limit: 10_000})
	if err != nil {
		b.t.Fatal(err)
	}
	return recs
}

func (b *bench) blobCount() int {
	b.t.Helper()
	n := 0
	if err := b.blobs.List(b.t.Context(), func(string, int64) error { n++; return nil }); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// received is a tally of n requests that reached the hop.
func received(session string, n int64) observation.Envelope {
	return observation.Envelope{Tally: &observation.Tally{Session: session, At: start, Received: n, Mirrored: n}}
}

// same is an observation in which everybody answers alike; changed one in which the candidate's total is a string.
func same(session string, i int) observation.Envelope { return seen(session, i, `{"total":12}`) }

func changed(session string, i int) observation.Envelope { return seen(session, i, `{"total":"12"}`) }

func seen(session string, i int, candidate string) observation.Envelope {
	control := answer(i, `{"total":12}`)
	return observation.Envelope{Observation: &observation.Observation{
		ID: fmt.Sprintf("obs_%06d", i), Session: session, Service: "orders", At: start.Add(time.Duration(i) * time.Second),
		Unit: fmt.Sprintf("user-%d", i), Lane: true,
		Baseline: answer(i, `{"total":12}`), Control: &control, Candidate: answer(i, candidate),
	}}
}

func answer(i int, body string) exchange.Exchange {
	return exchange.Exchange{
		Start: start.Add(time.Duration(i) * time.Second), FirstByte: time.Millisecond, Duration: 2 * time.Millisecond, Outcome: exchange.OK,
		Request: exchange.Request{Method: "GET", Target: fmt.Sprintf("/orders/%d", i), Proto: "HTTP/1.1",
			Headers: []exchange.Header{{Name: "Host", Value: "shop"}}},
		Response: exchange.Response{Status: 200, Proto: "HTTP/1.1",
			Headers: []exchange.Header{{Name: "Content-Type", Value: "application/json"}},
			Body:    exchange.Body{Data: []byte(body), Length: int64(len(body))}},
	}
}

var errDisk = errors.New("no space left on device")

// flaky is a store that refuses while it is told to.
type flaky struct {
	evidence.Store
	mu          sync.Mutex
	refuseReads bool
	refuse      bool
	applied     int
	slow        func() // called before each Apply
}

func (f *flaky) set(change func(*flaky)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *flaky) Apply(ctx context.Context, b evidence.Batch) ([]int64, error) {
	f.mu.Lock()
	refuse, slow := f.refuse, f.slow
	f.mu.Unlock()
	if slow != nil {
		slow()
	}
	if refuse {
		return nil, errDisk
	}
	f.mu.Lock()
	f.applied++
	f.mu.Unlock()
	return f.Store.Apply(ctx, b)
}

func (f *flaky) Get(ctx context.Context, k evidence.Key) (evidence.Record, error) {
	f.mu.Lock()
	refuse := f.refuseReads
	f.mu.Unlock()
	if refuse {
		return evidence.Record{}, errDisk
	}
	return f.Store.Get(ctx, k)
}

// flakyBlobs likewise.
type flakyBlobs struct {
	blob.Store
	mu     sync.Mutex
	refuse bool
	during func() // called once, by the next Put
}

func (f *flakyBlobs) set(refuse bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = refuse
}

func (f *flakyBlobs) Put(ctx context.Context, r io.Reader) (string, int64, error) {
	f.mu.Lock()
	refuse, during := f.refuse, f.during
	f.during = nil
	f.mu.Unlock()
	if during != nil {
		during()
	}
	if refuse {
		return "", 0, errDisk
	}
	return f.Store.Put(ctx, r)
}

// journal remembers log lines.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(s string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), s)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }
