// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"microstax/internal/dataplane/route"
)

// The files that let a gateway serve before it has heard from a server.
const (
	tableFile = "routes.json"
	keyFile   = "redaction.key"
)

// storeTable keeps the table that is served. It is not synced: a table for each of many quick changes would cost more time
// than the change, and after a power failure the server is asked.
func storeTable(dir string, t *route.Table) error {
	b, err := route.Encode(t)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(dir, tableFile), b, false); err != nil {
		return fmt.Errorf("store routes: %w", err)
	}
	return nil
}

// storedTable is the table that was served last, or nil.
func storedTable(dir string) (*route.Table, error) {
	b, err := os.ReadFile(filepath.Join(dir, tableFile)) //nolint:gosec // a path of ours
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // none
	}
	if err != nil {
		return nil, fmt.Errorf("read stored routes: %w", err)
	}
	return route.Decode(b)
}

func storeKey(dir string, key []byte) error {
	if err := replaceFile(filepath.Join(dir, keyFile), key, true); err != nil {
		return fmt.Errorf("store redaction key: %w", err)
	}
	return nil
}

func storedKey(dir string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(dir, keyFile)) //nolint:gosec // a path of ours
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read redaction key: %w", err)
	}
	return b, nil
}
