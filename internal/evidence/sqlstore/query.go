// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"
	"slices"
	"strings"

	"microstax/internal/evidence"
)

const (
	defaultLimit = 1000
	maxLimit     = 10_000
)

func check(q evidence.Query) error {
	if q.Limit < 0 || q.Limit > maxLimit {
		return fmt.Errorf("limit %d is outside 0 to %d", q.Limit, maxLimit)
	}
	return nil
}

// Statement is what List runs for a query: for an adapter's test that the database has an index for it.
func Statement(q evidence.Query) (string, []any) {
	from, id, where, args := selection(q)
	order := " ORDER BY " + id
	switch {
	case q.Descending && q.After != "":
		where, args = append(where, id+" < ?"), append(args, q.After)
	case q.After != "":
		where, args = append(where, id+" > ?"), append(args, q.After)
	}
	if q.Descending {
		order += " DESC"
	}
	limit := q.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	return "SELECT " + columns + from + " WHERE " + strings.Join(where, " AND ") + order + " LIMIT ?", append(args, limit)
}

func count(q evidence.Query) (string, []any) {
	from, _, where, args := selection(q)
	return "SELECT count(*)" + from + " WHERE " + strings.Join(where, " AND "), args
}

// selection is the part that List and Count share. With labels, the first one's index leads: it holds the ids of its
// value in order, so neither a rare nor a common label makes the database sort or read what is not selected.
func selection(q evidence.Query) (from, id string, where []string, args []any) {
	from, id = " FROM records r", "r.id"
	keys := make([]string, 0, len(q.Labels))
	for k := range q.Labels {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		l := fmt.Sprintf("l%d", i)
		if i == 0 {
			from, id = " FROM labels l0 CROSS JOIN records r", "l0.id"
			where = append(where, "r.kind = l0.kind AND r.id = l0.id")
		} else {
			from += " CROSS JOIN labels " + l
			where = append(where, l+".id = l0.id")
		}
		where = append(where, l+".kind = ? AND "+l+".key = ? AND "+l+".value = ?")
		args = append(args, string(q.Kind), k, q.Labels[k])
	}
	if len(keys) == 0 {
		where, args = append(where, "r.kind = ?"), append(args, string(q.Kind))
	}
	if q.Parent != "" {
		where, args = append(where, "r.parent = ?"), append(args, q.Parent)
	}
	return from, id, where, args
}
