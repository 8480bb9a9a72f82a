package db_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/bailiwick-mcp/bailiwick/db"
)

// TestKeyPagesComeFromAnIndex: neither the platform's pages nor a tenant's list
// sort all keys.
func TestKeyPagesComeFromAnIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bailiwick.db")
	store, err := db.Open(t.Context(), db.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for where, index := range map[string]string{
		"revoked_at IS NULL":                     "keys_live_age_idx",
		"tenant_id = 'x' AND revoked_at IS NULL": "keys_age_idx",
		"tenant_id = 'x'":                        "keys_age_idx",
	} {
		rows, err := raw.Query("EXPLAIN QUERY PLAN SELECT * FROM keys WHERE " + where + " ORDER BY created_at, id LIMIT 50")
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(detail + "\n")
		}
		_ = rows.Close()
		if !strings.Contains(plan.String(), index) || strings.Contains(plan.String(), "B-TREE") {
			t.Errorf("%s: %s", where, plan.String())
		}
	}
}
