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
	comesFrom(t, "keys", "created_at, id", map[string]string{
		"revoked_at IS NULL":                     "keys_live_age_idx",
		"tenant_id = 'x' AND revoked_at IS NULL": "keys_age_idx",
		"tenant_id = 'x'":                        "keys_age_idx",
	})
}

// TestAuditPagesComeFromAnIndex: no page sorts the trail, and the changes of one thing
// are found without reading the calls between them.
func TestAuditPagesComeFromAnIndex(t *testing.T) {
	for _, order := range []string{"id", "id DESC"} {
		comesFrom(t, "audit", order, map[string]string{
			"tenant_id = 'x' AND subject = 'y' AND kind = 'change'":              "audit_subject_idx",
			"tenant_id = 'x' AND subject = 'y' AND kind = 'change' AND id < 'z'": "audit_subject_idx",
			"tenant_id = 'x' AND kind = 'change'":                                "audit_age_idx",
			"tenant_id = 'x' AND kind = 'change' AND id > 'z'":                   "audit_age_idx",
			"tenant_id = 'x'":                   "audit_age_idx",
			"tenant_id = 'x' AND key_id = 'y'":  "audit_key_idx",
			"tenant_id = 'x' AND subject = 'y'": "audit_age_idx",
		})
	}
}

// comesFrom holds SQLite to the index by which it reads a page, by condition.
func comesFrom(t *testing.T, table, order string, indexes map[string]string) {
	t.Helper()
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
	for where, index := range indexes {
		rows, err := raw.Query("EXPLAIN QUERY PLAN SELECT * FROM " + table + " WHERE " + where + " ORDER BY " + order + " LIMIT 50")
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
