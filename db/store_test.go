package db_test

import (
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

func TestStoreSQLite(t *testing.T) {
	said := overhear(t, "testdata/statements.sqlite.sql")
	keystest.Run(t, func(t *testing.T) keys.Store { return said.open(t, dbtest.SQLite(t)) })
	said.check(t)
}

func TestStoreSQLiteInMemory(t *testing.T) {
	keystest.Run(t, func(t *testing.T) keys.Store { return dbtest.Open(t, db.Config{Path: ":memory:"}) })
}

func TestStorePostgres(t *testing.T) {
	said := overhear(t, "testdata/statements.postgres.sql")
	keystest.Run(t, func(t *testing.T) keys.Store { return said.open(t, dbtest.Postgres(t)) })
	said.check(t)
}
