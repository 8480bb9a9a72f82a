package db_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// BenchmarkAppendAudit is one entry of a batch of 256 calls, as each call
// through the gateway costs it.
func BenchmarkAppendAudit(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		benchmarkAppend(b, dbtest.Open(b, db.Config{Path: filepath.Join(b.TempDir(), "bailiwick.db")}))
	})
	b.Run("postgres", func(b *testing.B) { benchmarkAppend(b, dbtest.Open(b, dbtest.Postgres(b))) })
}

func benchmarkAppend(b *testing.B, store keys.Store) {
	ctx := b.Context()
	entries := make([]keys.AuditEntry, 256)
	for i := range entries {
		entries[i] = keys.AuditEntry{
			TenantID: "0199a1b2-0000-7000-8000-000000000001", Time: time.Now(), Kind: "call", Action: "tools/call",
			Actor: "0199a1b2-0000-7000-8000-000000000002", KeyID: "0199a1b2-0000-7000-8000-000000000002", KeyVersion: 7,
			Subject: "notes/list_notes", Tool: "notes__list_notes", Decision: "allow", Failed: []string{},
			ArgsDigest: fmt.Sprintf("%064d", i), Outcome: "ok", Latency: time.Millisecond, Client: "bench/1", Epoch: 7,
		}
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%len(entries) != 0 {
			continue
		}
		for i := range entries {
			entries[i].ID = uuid.Must(uuid.NewV7()).String()
		}
		if err := store.AppendAudit(ctx, entries); err != nil {
			b.Fatal(err)
		}
	}
}
