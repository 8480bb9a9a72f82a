package db_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestSeveralHosts names all hosts where none can be had, and passes over one
// that takes no writes.
func TestSeveralHosts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close()
	_, err = db.Open(t.Context(), db.Config{URL: "postgres://user:hunter2hunter2@" + nobody + ",127.0.0.1:1/bailiwick?target_session_attrs=read-write"})
	if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), nobody) ||
		!strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("nobody at two hosts: %v", err)
	}

	cfg := dbtest.Postgres(t)
	conn, err := pgx.Connect(t.Context(), cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	name := pgx.Identifier{conn.Config().Database}.Sanitize()
	if _, err := conn.Exec(t.Context(), "ALTER DATABASE "+name+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	_, err = db.Open(t.Context(), db.Config{URL: cfg.URL + "&target_session_attrs=read-write"})
	if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "target_session_attrs") {
		t.Errorf("a host that takes no writes: %v", err)
	}
}
