package main

import (
	"context"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestTrailless: the store of `run` holds as many entries after a thousand calls
// as before, and keeps its own changes.
func TestTrailless(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	database, err := db.Open(ctx, db.Config{Path: ":memory:"})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	root, err := keys.NewRootSecret(randomness)
	if err != nil {
		t.Fatal(err)
	}
	svc, err := keys.New(ctx, keys.Config{Store: trailless{database}, Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Bootstrap(ctx); err != nil {
		t.Fatal(err)
	}
	operator, err := svc.Operator(ctx, defaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if err := svc.Record(ctx, keys.AuditEntry{TenantID: operator.TenantID(), Kind: "call", Action: "tools/call"}); err != nil {
			t.Fatal(err)
		}
	}
	ended, end := context.WithCancel(ctx)
	end()
	_ = svc.Run(ended) // writes what waits
	var entries []keys.AuditEntry
	err = database.Read(ctx, func(r keys.Reader) error {
		entries, err = r.Audit(ctx, operator.TenantID(), keys.AuditQuery{Limit: 100})
		return err
	})
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d entries, %v; want those of the changes", len(entries), err)
	}
	for _, e := range entries {
		if e.Kind != "change" {
			t.Errorf("kept a %s", e.Kind)
		}
	}
}
