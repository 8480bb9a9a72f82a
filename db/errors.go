package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// ErrNotMigrated is a schema older than the program needs, or none at all.
var ErrNotMigrated = errors.New("the database schema is not migrated")

// ErrNewerSchema is a schema that a newer program made.
var ErrNewerSchema = errors.New("the database schema is newer than this program")

// fault translates a driver's error to the domain's. Codes decide, never texts.
func fault(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return keys.ErrNotFound
	case ctx.Err() != nil:
		if errors.Is(err, ctx.Err()) {
			return err
		}
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return postgresFault(pg)
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return sqliteFault(lite)
	}
	if disconnected(err) {
		return unavailable(err)
	}
	return err
}

// SQLSTATE values, see "Appendix A. PostgreSQL Error Codes".
const (
	stateUnique        = "23505"
	stateForeignKey    = "23503"
	stateReadOnly      = "25006"
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
	stateTooMany       = "53300"
	stateIdle          = "25P03" // the transaction was silent for longer than holdLimit
)

// conflicts are the constraints that a caller can run into, and the wire field
// each of them guards. They are a backstop: writers look before they write.
var conflicts = map[string]keys.ConflictError{
	"tenants_slug_key":     {Field: "slug", Problem: "is already taken"},
	"projects_slug_key":    {Field: "slug", Problem: "is already taken in this tenant"},
	"instances_slug_key":   {Field: "slug", Problem: "is already taken in this tenant"},
	"presets_pkey":         {Field: "name", Problem: "is already taken in this tenant"},
	"keys_live_handle_key": {Field: "handle", Problem: "is already taken by a live key"},
	"key_secrets_pkey":     {Field: "key", Problem: "this secret is already in use"},
	"definitions_pkey":     {Field: "name", Problem: "appears twice"},
}

func postgresFault(err *pgconn.PgError) error {
	switch {
	case err.Code == stateUnique:
		if c, ok := conflicts[err.ConstraintName]; ok {
			return &c
		}
		return &keys.ConflictError{Field: "id", Problem: "is already taken"}
	case err.Code == stateForeignKey:
		return keys.ErrNotFound
	case err.Code == stateReadOnly, err.Code == stateTooMany, err.Code == stateIdle,
		strings.HasPrefix(err.Code, "08"), strings.HasPrefix(err.Code, "57P"):
		return unavailable(err)
	}
	return err
}

// sqliteFault reads the extended code. SQLite names the constraint in the text
// alone, so the field of a conflict comes from the look before the write; this
// is reached only past it.
func sqliteFault(err *sqlite.Error) error {
	switch code := err.Code(); {
	case code == sqlite3.SQLITE_CONSTRAINT_UNIQUE, code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return &keys.ConflictError{Problem: "is already taken"}
	case code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return keys.ErrNotFound
	case busy(err), code&0xff == sqlite3.SQLITE_FULL, code&0xff == sqlite3.SQLITE_IOERR,
		code&0xff == sqlite3.SQLITE_CANTOPEN, code&0xff == sqlite3.SQLITE_READONLY:
		return unavailable(err)
	}
	return err
}

// retryable tells whether the whole transaction may simply be run again.
func retryable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == stateSerialization || pg.Code == stateDeadlock
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && busy(lite)
}

func busy(err *sqlite.Error) bool {
	code := err.Code() & 0xff
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}

func disconnected(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, errSilent) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		pgconn.SafeToRetry(err) || pgconn.Timeout(err)
}

// unavailable keeps the cause readable in one line. Drivers' texts name host,
// user and database, never the password.
func unavailable(err error) error {
	return &unavailableError{text: strings.Join(strings.Fields(err.Error()), " "), cause: err}
}

type unavailableError struct {
	text  string
	cause error
}

func (e *unavailableError) Error() string   { return keys.ErrUnavailable.Error() + ": " + e.text }
func (e *unavailableError) Unwrap() []error { return []error{keys.ErrUnavailable, e.cause} }
