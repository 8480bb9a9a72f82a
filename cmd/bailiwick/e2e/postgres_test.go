package e2e_test

import (
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
)

// postgresURL is an empty database of the test's own, dropped when it ends.
func postgresURL(t testing.TB) string {
	t.Helper()
	return dbtest.EmptyPostgres(t).URL
}
