// SPDX-License-Identifier: Apache-2.0

package mutants_test

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"

	v1 "microstax/api/v1"
	"microstax/bench/truth/mutants"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestASliceOfTheCatalogue runs a few mutants as the whole measurement does.
func TestASliceOfTheCatalogue(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	var log bytes.Buffer
	res, err := mutants.Run(t.Context(), mutants.Options{
		Mutants: []string{"same-members", "weight-missing", "charge-retried", "order-lost"}, Profiles: []string{"quiet"},
		Sessions: 50, Seed: 1, Ports: [2]int{23000, 24000}, Log: &log,
	})
	if err != nil {
		t.Fatalf("Run: %v\n%s", err, log.String())
	}
	s := mutants.Sum(res.Runs)
	if s.Mutants != 3 || s.Found != 3 || s.False != 0 || s.Path != 3 || s.Same != 1 || s.Clean != 1 {
		t.Errorf("got %+v\n%s", s, log.String())
	}
	if s.Orders == 0 || s.Charges != s.Orders {
		t.Errorf("%d charges for %d orders", s.Charges, s.Orders)
	}
}

func TestAnUnknownMutantIsRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []mutants.Options{{Mutants: []string{"no such"}}, {Profiles: []string{"no such"}}, {Sessions: -1}} {
		if _, err := mutants.Run(t.Context(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

func TestPrecisionCountsWhatNothingExplains(t *testing.T) {
	t.Parallel()
	o := mutants.Outcome{False: []v1.Finding{{}}, Explained: []v1.Finding{{}, {}, {}}}
	if s := mutants.Sum([]mutants.Outcome{o}); s.Precision() != 0.75 {
		t.Errorf("got %v, want 0.75", s.Precision())
	}
}
