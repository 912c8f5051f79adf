// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"testing"

	"microstax/internal/evidence"
	"microstax/internal/evidence/sqlite"
)

// BenchmarkApply replaces one record of 4 KB, each time with an fsync.
func BenchmarkApply(b *testing.B) {
	s, err := sqlite.Open(b.Context(), sqlite.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // nothing is kept
	r := evidence.Record{Kind: evidence.Analysis, ID: "ses_1", Body: make([]byte, 4096), Labels: map[string]string{"a": "b"}}
	for b.Loop() {
		if _, err := s.Apply(b.Context(), evidence.Batch{Puts: []evidence.Put{{Record: r, Expect: evidence.AnyVersion}}}); err != nil {
			b.Fatal(err)
		}
	}
}
