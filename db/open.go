package db

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Config says which database to open and how.
type Config struct {
	// URL is postgres://user:password@host:port/database, with libpq's
	// parameters (sslmode, target_session_attrs, several hosts). Empty = SQLite.
	URL string
	// ListenURL is where notifications are listened for, when URL leads to a
	// pooler that hands out a connection for each transaction; "" = URL.
	ListenURL string
	// Path is the SQLite file, made when it is not there (folder 0700, file
	// 0600), or ":memory:" for a private store that ends with Close.
	Path string
	// Migrate brings a Postgres schema up to date. SQLite always is.
	Migrate bool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// DB is a keys.Store in a database. It is safe for concurrent use.
type DB struct {
	write, read *bun.DB
	sqlite      bool
	notify      bool // the database has pg_notify
	listen      *pgx.ConnConfig
	patience    *patience // nil = endless
	now         func() time.Time
	signer      atomic.Pointer[keys.AuditSigner]
	auditInsert auditInsert // of SQLite
}

var _ keys.Store = (*DB)(nil)

// Open opens the database and checks its schema. A database that can't be
// reached is keys.ErrUnavailable; a schema that is not there or too old, when
// it may not be migrated, ErrNotMigrated; one that is too new ErrNewerSchema.
// The error's text is one line and never holds the password.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	d, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := d.prepare(ctx, cfg); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// connect opens the database without a look at its schema.
func connect(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.URL != "" {
		return openPostgres(ctx, cfg)
	}
	return openSQLite(ctx, cfg)
}

func (d *DB) prepare(ctx context.Context, cfg Config) error {
	if d.sqlite || cfg.Migrate {
		return d.patience.endlessly(func() error {
			_, err := d.migrate(ctx)
			return err
		})
	}
	return d.checkSchema(ctx)
}

func newBun(pool *sql.DB, dialect schema.Dialect) *bun.DB {
	// A newer program may have added columns that this one does not know.
	return bun.NewDB(pool, dialect, bun.WithDiscardUnknownColumns())
}

// Close closes the connections. Transactions under way fail.
func (d *DB) Close() error {
	return errors.Join(d.read.Close(), d.write.Close())
}

// Stats are those of the two pools of connections: for edits and for reads.
func (d *DB) Stats() (write, read sql.DBStats) { return d.write.Stats(), d.read.Stats() }
