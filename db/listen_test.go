package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestListen hears of another connection's edits, and of what came before it
// listened.
func TestListen(t *testing.T) {
	cfg := dbtest.Postgres(t)
	d, other := dbtest.Open(t, cfg), dbtest.Open(t, cfg)
	ctx, stop := context.WithCancel(t.Context())
	heard, ended := make(chan struct{}, 100), make(chan error, 1)
	go func() { ended <- d.Listen(ctx, func() { heard <- struct{}{} }) }()
	next := func(what string) {
		t.Helper()
		select {
		case <-heard:
		case err := <-ended:
			t.Fatalf("%s: listening ended: %v", what, err)
		case <-time.After(time.Minute):
			t.Fatalf("%s is not heard of", what)
		}
	}
	next("the beginning")
	_, err := other.Edit(t.Context(), func(w keys.Writer) error { return w.PutMeta(t.Context(), "a", "b") })
	if err != nil {
		t.Fatal(err)
	}
	next("an edit")
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestNothingToListenTo(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	if err := d.Listen(t.Context(), func() { t.Error("heard") }); !errors.Is(err, keys.ErrNotHeard) {
		t.Errorf("SQLite: %v", err)
	}
	cfg := dbtest.Postgres(t)
	cfg.ListenURL = dbtest.EmptyPostgres(t).URL // another database: notifications do not cross
	d = dbtest.Open(t, cfg)
	if err := d.Listen(t.Context(), func() { t.Error("heard") }); !errors.Is(err, keys.ErrNotHeard) {
		t.Errorf("another database: %v", err)
	}
	cfg.ListenURL = "postgres://user:hunter2hunter2@%zz/"
	if _, err := db.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "direct") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a bad URL: %v", err)
	}
}
