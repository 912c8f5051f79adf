// SPDX-License-Identifier: Apache-2.0

package evidencetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"testing"

	"microstax/internal/evidence"
)

// optimistic lets several writers add one to the same number, each from the version that it read.
func optimistic(t *testing.T, s evidence.Store) {
	const writers, each = 4, 10
	apply(t, s, put(evidence.Record{Kind: evidence.Setting, ID: "sum", Body: []byte("0")}, 0))
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if err := addOne(t, s); err != nil {
					t.Errorf("add one: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	r, err := s.Get(t.Context(), evidence.Key{Kind: evidence.Setting, ID: "sum"})
	if err != nil || string(r.Body) != strconv.Itoa(writers*each) || r.Version != writers*each+1 {
		t.Errorf("sum: got %s at version %d, %v; want %d", r.Body, r.Version, err, writers*each)
	}
}

func addOne(t *testing.T, s evidence.Store) error {
	for {
		r, err := s.Get(t.Context(), evidence.Key{Kind: evidence.Setting, ID: "sum"})
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(r.Body))
		if err != nil {
			return err
		}
		r.Body = []byte(strconv.Itoa(n + 1))
		if _, err = s.Apply(t.Context(), evidence.Batch{Puts: []evidence.Put{put(r, r.Version)}}); !errors.Is(err, evidence.ErrVersion) {
			return err
		}
	}
}

// isolation lists while pairs of records are written and deleted in one batch each: a list never shows half a pair.
func isolation(t *testing.T, s evidence.Store) {
	const rounds = 40
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				rs, err := s.List(t.Context(), evidence.Query{Kind: evidence.Observation, Labels: map[string]string{"pair": "yes"}})
				if err != nil || len(rs) != 0 && len(rs) != 2 || len(rs) == 2 && string(rs[0].Body) != string(rs[1].Body) {
					t.Errorf("list during writes: got %d records, %v; want 0, or 2 of one batch", len(rs), err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range rounds {
		a, b := bare("obs_a", "", map[string]string{"pair": "yes"}), bare("obs_b", "", map[string]string{"pair": "yes"})
		a.Body = []byte(strconv.Itoa(i))
		b.Body = a.Body
		apply(t, s, put(a, evidence.AnyVersion), put(b, evidence.AnyVersion))
		if i%5 == 0 {
			mustApply(t, s, evidence.Batch{Deletes: []evidence.Key{{Kind: a.Kind, ID: a.ID}, {Kind: b.Kind, ID: b.ID}}})
		}
	}
	close(done)
	wg.Wait()
}

// batchSize is how many records CrashWriter puts at a time.
const batchSize = 7

// CrashWriter applies batches for ever, and writes the number of each to out, one a line, once Apply has returned. An
// adapter's test runs it in a process of its own, and kills that.
func CrashWriter(ctx context.Context, s evidence.Store, out io.Writer) error {
	for n := 0; ; n++ {
		var b evidence.Batch
		for i := range batchSize {
			r := bare(fmt.Sprintf("obs_%06d_%d", n, i), "ses_crash", map[string]string{"batch": strconv.Itoa(n)})
			b.Puts = append(b.Puts, put(r, 0))
		}
		if n > 0 {
			b.Puts = append(b.Puts, put(evidence.Record{Kind: evidence.Setting, ID: "last", Body: []byte(strconv.Itoa(n))}, evidence.AnyVersion))
		}
		if _, err := s.Apply(ctx, b); err != nil {
			return fmt.Errorf("apply batch %d: %w", n, err)
		}
		if _, err := fmt.Fprintln(out, n); err != nil {
			return fmt.Errorf("tell of batch %d: %w", n, err)
		}
	}
}

// CheckCrash checks the store of a killed CrashWriter whose last told number is last: every batch up to it is there,
// and every batch is whole.
func CheckCrash(t *testing.T, s evidence.Store, last int) {
	t.Helper()
	total, err := s.Count(t.Context(), evidence.Query{Kind: evidence.Observation, Parent: "ses_crash"})
	if err != nil {
		t.Fatalf("count: %v", err)
	}
	// One more may have been committed before it could be told.
	if total%batchSize != 0 || total < int64(last+1)*batchSize || total > int64(last+2)*batchSize {
		t.Errorf("after batch %d was told there are %d records, want %d or %d", last, total, (last+1)*batchSize, (last+2)*batchSize)
	}
	for n := 0; n <= last; n++ {
		rs := list(t, s, evidence.Query{Kind: evidence.Observation, Labels: map[string]string{"batch": strconv.Itoa(n)}})
		if len(rs) != batchSize {
			t.Fatalf("batch %d of %d: got %d records, want %d", n, last, len(rs), batchSize)
		}
	}
	if _, err := s.Apply(t.Context(), evidence.Batch{Puts: []evidence.Put{put(sample("obs_after"), 0)}}); err != nil {
		t.Errorf("apply after the crash: %v", err)
	}
}
