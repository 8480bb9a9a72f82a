package dbtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bailiwick-mcp/bailiwick/db"
)

// patience bounds the work on one database; a server under load can be slow.
const patience = time.Minute

// Each runs fn on SQLite and on Postgres.
func Each(t *testing.T, fn func(t *testing.T, cfg db.Config)) {
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, Postgres(t)) })
}

// Open opens a database until the test ends.
func Open(t testing.TB, cfg db.Config) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// SQLite is a file of the test's own, not there yet.
func SQLite(t testing.TB) db.Config {
	return db.Config{Path: filepath.Join(t.TempDir(), "bailiwick.db")}
}

// Postgres is a migrated database of the test's own, dropped when it ends.
func Postgres(t testing.TB) db.Config {
	t.Helper()
	s := require(t)
	return db.Config{URL: s.create(t, s.template)}
}

// EmptyPostgres is a database of the test's own without a schema.
func EmptyPostgres(t testing.TB) db.Config {
	t.Helper()
	return db.Config{URL: require(t).create(t, "")}
}

// require answers the process's server, or skips or fails the test.
func require(t testing.TB) *server {
	t.Helper()
	s, err := shared()
	switch {
	case err == nil:
		return s
	case os.Getenv("CI") == "true" || os.Getenv(containersEnv) == "require":
		t.Fatalf("no Postgres for the tests: %v", err)
	default:
		t.Skipf("SKIPPED, NO POSTGRES: %v; set TEST_POSTGRES_URL, or install the server's binaries", err)
	}
	return nil
}

// server makes databases on one Postgres server.
type server struct {
	url      string // of its maintenance database
	template string // "" = none: each database is migrated by itself
}

// create makes a database and answers its URL.
func (s *server) create(t testing.TB, template string) string {
	t.Helper()
	name := "bailiwick_test_" + unique()
	if err := s.exec(createStatement(name, template)); err != nil {
		t.Fatalf("making a test database: %v", err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("dropping a test database: %v", err)
		}
	})
	return s.database(name)
}

func createStatement(name, template string) string {
	if template == "" {
		template = "template0"
	}
	return "CREATE DATABASE " + name + " TEMPLATE " + template
}

func (s *server) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// database is the server's URL with another database in it.
func (s *server) database(name string) string {
	u, err := url.Parse(s.url)
	if err != nil {
		return s.url // it was parsed before it came here
	}
	u.Path = "/" + name
	return u.String()
}

func unique() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
