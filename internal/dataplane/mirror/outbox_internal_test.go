// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"testing"

	"microstax/internal/observation"
)

func TestOutboxKeepsTheOrderAndBatchesWhatIsAlike(t *testing.T) {
	t.Parallel()
	var b outbox
	b.init("ses_1")
	for range perBatch + 1 {
		b.alike(observation.Alike{})
	}
	b.whole(&observation.Observation{})
	b.alike(observation.Alike{})
	list, last := b.take()
	var got []int // how many of a batch; 0 for a whole one
	for _, e := range list {
		if e.Session() != "ses_1" && e.Observation == nil {
			t.Errorf("session %q", e.Session())
		}
		n := 0
		if e.Alike != nil {
			n = len(e.Alike.List)
		}
		got = append(got, n)
	}
	want := []int{perBatch, 1, 0, 1}
	if len(got) != len(want) || last {
		t.Fatalf("got %v, last %v; want %v", got, last, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestOutboxMakesWaitWhenFullAndEndsEmpty(t *testing.T) {
	t.Parallel()
	const all = 10 * outRing
	var b outbox
	b.init("ses_1")
	go func() {
		for range all {
			b.alike(observation.Alike{})
		}
		b.close()
	}()
	for n := 0; ; {
		<-b.more
		list, last := b.take()
		waiting := 0
		for _, e := range list {
			waiting += len(e.Alike.List)
		}
		if n += waiting; waiting > outRing {
			t.Fatalf("%d waited, at most %d may", waiting, outRing)
		}
		if last {
			if n != all {
				t.Fatalf("got %d of %d", n, all)
			}
			return
		}
	}
}
