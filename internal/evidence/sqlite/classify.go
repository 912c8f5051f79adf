// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"microstax/internal/fault"
)

// classifier gives errors of the database in dir a kind, and a hint where the operator can do something.
func classifier(dir string) func(op string, err error) error {
	return func(op string, err error) error {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return fault.E(op, fault.Canceled, err)
		}
		var e *sqlite.Error
		if !errors.As(err, &e) {
			return fault.E(op, fault.Unavailable, err)
		}
		switch e.Code() & 0xff { // the low byte is the primary code, sqlite.org/rescode.html
		case sqlite3.SQLITE_FULL:
			return fault.E(op, fault.Unavailable, err).WithHint("the disk of %s is full: free some space; nothing of this change was stored", dir)
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return fault.E(op, fault.Unavailable, err).WithHint("another program holds the database in %s: end it (a backup, a database shell) and try again", dir)
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			return fault.E(op, fault.Unavailable, err).WithHint("check the owner and the permissions of %s", dir)
		case sqlite3.SQLITE_IOERR:
			return fault.E(op, fault.Unavailable, err).WithHint("check the disk of %s: is it full, or failing?", dir)
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fault.E(op, fault.Unavailable, err).WithHint("the database in %s is damaged: restore %s from a backup, or move it away to start afresh", dir, fileName)
		case sqlite3.SQLITE_INTERRUPT:
			return fault.E(op, fault.Canceled, err)
		}
		return fault.E(op, fault.Internal, err)
	}
}
