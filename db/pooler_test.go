package db_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

// TestStorePooled: the contract holds where each transaction runs on whichever
// connection is free.
func TestStorePooled(t *testing.T) {
	pooler := dbtest.StartPooler(t)
	keystest.Run(t, func(t *testing.T) keys.Store { return dbtest.Open(t, pooler.Through(t, dbtest.Postgres(t))) })
}

func TestMigratePooled(t *testing.T) {
	direct := dbtest.EmptyPostgres(t)
	cfg := dbtest.StartPooler(t).Through(t, direct)
	before, err := db.Migrate(t.Context(), cfg)
	if err != nil || before.Current != 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	if got := schemaOf(t, direct); got.Current != before.Latest {
		t.Errorf("got %+v", got)
	}
	d := dbtest.Open(t, cfg)
	if _, err := d.Edit(t.Context(), func(w keys.Writer) error { return addTenant(t.Context(), w) }); err != nil {
		t.Error(err)
	}
	consistent(t, d, 1)
}

// TestListenPooled: no notification arrives through the pooler, and that is
// found out; by a direct URL they do.
func TestListenPooled(t *testing.T) {
	direct := dbtest.Postgres(t)
	cfg := dbtest.StartPooler(t).Through(t, direct)
	d := dbtest.Open(t, cfg)
	if err := d.Listen(t.Context(), func() { t.Error("heard") }); !errors.Is(err, keys.ErrNotHeard) {
		t.Errorf("through the pooler: %v, want ErrNotHeard", err)
	}
	cfg.ListenURL = direct.URL
	d = dbtest.Open(t, cfg)
	ctx, stop := context.WithCancel(t.Context())
	heard, ended := make(chan struct{}, 100), make(chan error, 1)
	go func() { ended <- d.Listen(ctx, func() { heard <- struct{}{} }) }()
	for _, what := range []string{"the beginning", "an edit through the pooler"} {
		select {
		case <-heard:
		case err := <-ended:
			t.Fatalf("%s: listening ended: %v", what, err)
		case <-time.After(time.Minute):
			t.Fatalf("%s is not heard of", what)
		}
		if _, err := d.Edit(t.Context(), func(w keys.Writer) error { return addTenant(t.Context(), w) }); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}
