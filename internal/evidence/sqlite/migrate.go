// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"

	"microstax/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema to what this program knows, and refuses one that is ahead of it.
func migrate(ctx context.Context, db *sql.DB, dir string, classify func(string, error) error) error {
	const op = "migrate evidence store"
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fault.E(op, fault.Internal, err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fault.E(op, fault.Internal, err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return classify(op, err)
	}
	if have > want {
		return fault.Errorf(op, fault.Conflict, "%s has schema %d, and this microstax knows schemas up to %d", dir, have, want).
			WithHint("it was written by a newer microstax: use that one, or another data directory (MICROSTAX_HOME, or --data-dir)")
	}
	if _, err := p.Up(ctx); err != nil {
		return classify(op, err)
	}
	return nil
}
