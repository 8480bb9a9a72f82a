package db

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var embedded embed.FS

const versionTable = goose.DefaultTablename

// The lease by which one of several servers migrates. One that dies holding it
// keeps the others waiting for the lease's length.
const (
	lockLease    = 30 * time.Second
	lockBeat     = 5 * time.Second
	lockInterval = 200 * time.Millisecond
	lockTries    = 600
)

// Schema is the version a database has and the one this program needs.
type Schema struct {
	Current int64 // 0 = none yet
	Latest  int64
}

// SchemaOf looks at the database's schema and changes nothing but what opening
// makes: a SQLite file that is not there.
func SchemaOf(ctx context.Context, cfg Config) (_ Schema, err error) {
	d, err := connect(ctx, cfg)
	if err != nil {
		return Schema{}, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.schema(ctx)
}

// Migrate brings the schema up to date and answers what it was before. Any
// number of programs may do so at once.
func Migrate(ctx context.Context, cfg Config) (before Schema, err error) {
	d, err := connect(ctx, cfg)
	if err != nil {
		return Schema{}, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	err = d.patience.endlessly(func() (err error) {
		before, err = d.migrate(ctx)
		return err
	})
	return before, err
}

func (d *DB) migrate(ctx context.Context) (before Schema, err error) {
	before, err = d.schema(ctx)
	switch {
	case err != nil:
		return before, err
	case before.Current >= before.Latest:
		return before, before.Check()
	}
	err = d.up(ctx)
	// SQLite has no lock around the whole; who comes second fails on the first
	// one's work, and finds it done.
	for tries := 0; err != nil && d.sqlite && tries < 3 && ctx.Err() == nil; tries++ {
		err = d.up(ctx)
	}
	if err != nil {
		return before, fmt.Errorf("migrating the database schema: %w", fault(ctx, err))
	}
	return before, nil
}

func (d *DB) up(ctx context.Context) error {
	provider, err := d.provider()
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func (d *DB) provider() (*goose.Provider, error) {
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger())}
	if d.sqlite {
		return goose.NewProvider(goose.DialectSQLite3, d.write.DB, files, options...)
	}
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableLeaseDuration(lockLease), lock.WithTableHeartbeatInterval(lockBeat),
		lock.WithTableLockTimeout(lockInterval, lockTries), lock.WithTableUnlockTimeout(lockInterval, lockTries),
		lock.WithTableLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	options = append(options, goose.WithLocker(locker))
	return goose.NewProvider(goose.DialectPostgres, d.write.DB, files, options...)
}

func (d *DB) checkSchema(ctx context.Context) error {
	s, err := d.schema(ctx)
	if err != nil {
		return err
	}
	return s.Check()
}

// Check is ErrNotMigrated or ErrNewerSchema, with both versions, unless the
// program can work on the schema.
func (s Schema) Check() error {
	switch {
	case s.Current == s.Latest:
		return nil
	case s.Current == 0:
		return fmt.Errorf("%w: the database is empty", ErrNotMigrated)
	case s.Current < s.Latest:
		return fmt.Errorf("%w: it has version %d, this program needs %d", ErrNotMigrated, s.Current, s.Latest)
	}
	return fmt.Errorf("%w: it has version %d, this program knows %d", ErrNewerSchema, s.Current, s.Latest)
}

// schema asks without making the version table, which a user who may not
// migrate may have no right to make.
func (d *DB) schema(ctx context.Context) (Schema, error) {
	latest, err := latestMigration()
	if err != nil {
		return Schema{}, err
	}
	tables := d.write.NewSelect().TableExpr("pg_tables").Where("schemaname = current_schema()").Where("tablename = ?", versionTable)
	if d.sqlite {
		tables = d.write.NewSelect().TableExpr("sqlite_master").Where("type = 'table'").Where("name = ?", versionTable)
	}
	found, err := tables.Count(ctx)
	if err != nil || found == 0 {
		return Schema{Latest: latest}, fault(ctx, err)
	}
	var current int64
	err = d.write.NewSelect().TableExpr(versionTable).ColumnExpr("COALESCE(MAX(version_id), 0)").Scan(ctx, &current)
	return Schema{Current: current, Latest: latest}, fault(ctx, err)
}

func latestMigration() (int64, error) {
	names, err := fs.Glob(embedded, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		return 0, errors.Join(errors.New("no migrations are embedded"), err)
	}
	return goose.NumericComponent(names[len(names)-1])
}
