// SPDX-License-Identifier: Apache-2.0

// Package sqlite keeps evidence in one SQLite file of a data directory that one server at a time may use. It needs no
// cgo. The file is in WAL mode: one connection writes, some others read without waiting for it.
//
// Commits are synchronous=FULL. NORMAL would be enough for a killed server, since what was handed to the kernel
// survives it; but with NORMAL a power failure may take the last commits back, and Apply promises durability. The
// server writes a few times a second, so that the fsync does not matter.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"microstax/internal/evidence"
	"microstax/internal/evidence/sqlstore"
	"microstax/internal/fault"
)

const (
	fileName = "evidence.db"
	lockName = "evidence.lock"
	// readers bounds the connections that read; each costs a page cache of 2 MiB at most.
	readers = 4
	// busyMillis is how long a statement waits for a lock of another process that reads the file (a backup, a shell).
	busyMillis = "5000"
	// journalLimit is what the write-ahead log is cut back to after a burst, in bytes.
	journalLimit = "67108864"
)

// Options say where the store is.
type Options struct {
	Dir string // the data directory; made when it is not there
}

// Store is an evidence.Store in a file.
type Store struct {
	*sqlstore.Store
	writer, reader *sql.DB
	lock           *os.File
}

var _ evidence.Store = (*Store)(nil)

// Open opens the store of a data directory, and makes or migrates it where that is needed. It is fault.Conflict when
// another server uses the directory, or when a newer version of this program wrote it.
func Open(ctx context.Context, o Options) (*Store, error) {
	const op = "open evidence store"
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fault.E(op, fault.Unavailable, err).WithHint("choose a data directory that can be written: MICROSTAX_HOME, or --data-dir")
	}
	lock, err := acquire(filepath.Join(o.Dir, lockName))
	if err != nil {
		return nil, err
	}
	s := &Store{lock: lock}
	if err := s.open(ctx, o.Dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, dir string) error {
	const op = "open evidence store"
	path := filepath.Join(dir, fileName)
	// The file holds what services said to each other: nobody else may read it, whatever the umask is.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's own choice
	if err != nil {
		return fault.E(op, fault.Unavailable, err).WithHint("check the owner and the permissions of %s", dir)
	}
	if err := f.Close(); err != nil {
		return fault.E(op, fault.Unavailable, err)
	}
	classify := classifier(dir)
	if s.writer, err = connect(path, url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(" + busyMillis + ")", "journal_mode(WAL)", "synchronous(FULL)", "journal_size_limit(" + journalLimit + ")"},
	}); err != nil {
		return fault.E(op, fault.Internal, err)
	}
	s.writer.SetMaxOpenConns(1)
	if err := migrate(ctx, s.writer, dir, classify); err != nil {
		return err
	}
	if s.reader, err = connect(path, url.Values{
		"_pragma": {"busy_timeout(" + busyMillis + ")", "query_only(1)"},
	}); err != nil {
		return fault.E(op, fault.Internal, err)
	}
	s.reader.SetMaxOpenConns(readers)
	s.reader.SetMaxIdleConns(readers)
	s.Store = sqlstore.New(sqlstore.Options{Writer: s.writer, Reader: s.reader, Classify: classify})
	return nil
}

func connect(path string, params url.Values) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: params.Encode()}
	if !filepath.IsAbs(path) {
		dsn = url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: params.Encode()}
	}
	c, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("read name of database: %w", err)
	}
	return sql.OpenDB(c), nil
}

// Close implements evidence.Store. Closing twice is harmless.
func (s *Store) Close() error {
	var errs []error
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.writer != nil { // last, so that it can empty the write-ahead log
		errs = append(errs, s.writer.Close())
	}
	if s.lock != nil {
		errs = append(errs, release(s.lock))
		s.lock = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close evidence store: %w", err)
	}
	return nil
}
