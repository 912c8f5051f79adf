// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"testing"

	"microstax/internal/evidence"
	"microstax/internal/evidence/sqlstore"
)

// LimitPages makes the database full at n pages, as a full disk would.
func LimitPages(t *testing.T, s *Store, n int) {
	t.Helper()
	if _, err := s.writer.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
		t.Fatal(err)
	}
}

// Plan is how the database goes about a query.
func Plan(t *testing.T, s *Store, q evidence.Query) []string {
	t.Helper()
	text, args := sqlstore.Statement(q)
	rows, err := s.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err below tells
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	if err := rows.Err(); err != nil || len(steps) == 0 {
		t.Fatalf("plan of %s: %v", text, err)
	}
	return steps
}

// Pragma is a setting of the connection that writes.
func Pragma(t *testing.T, s *Store, name string) string {
	t.Helper()
	var v string
	if err := s.writer.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
