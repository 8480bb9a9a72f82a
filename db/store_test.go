package db_test

import (
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

func TestStoreSQLite(t *testing.T) {
	keystest.Run(t, func(t *testing.T) keys.Store { return dbtest.Open(t, dbtest.SQLite(t)) })
}

func TestStoreSQLiteInMemory(t *testing.T) {
	keystest.Run(t, func(t *testing.T) keys.Store { return dbtest.Open(t, db.Config{Path: ":memory:"}) })
}

func TestStorePostgres(t *testing.T) {
	keystest.Run(t, func(t *testing.T) keys.Store { return dbtest.Open(t, dbtest.Postgres(t)) })
}
