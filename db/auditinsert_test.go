package db_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestAuditRowsAreStoredAsBunStoresThem: both ways write one table, which is read,
// sorted and verified without a look at who wrote what.
func TestAuditRowsAreStoredAsBunStoresThem(t *testing.T) {
	for _, n := range []int{1, 31, 32, 33, 70} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			entries := make([]keys.AuditEntry, n)
			for i := range entries {
				entries[i] = keys.AuditEntry{
					ID: uuid.Must(uuid.NewV7()).String(), TenantID: "0199a1b2-0000-7000-8000-000000000001", Kind: "decision",
					// To the microsecond, to the second, and of another zone.
					Time:   time.Date(2026, 3, 1, 12, i%60, 0, []int{0, 1000, 120_000_000}[i%3], time.FixedZone("", (i%2)*3600)),
					Action: "tools/call", Actor: "a", KeyID: "k", KeyVersion: int64(i), Subject: "notes/it's \"quoted\" ?", Tool: "größe\\",
					Decision: "deny", Failed: [][]string{nil, {}, {"readonly", "allowlist"}}[i%3], Seen: `{"a":1}`, Ref: fmt.Sprintf("ref%d", i),
					ArgsDigest: "d", Outcome: "o", Latency: 1500 * time.Microsecond, Client: "c/1", Epoch: 1 << 40,
				}
				if i%2 == 1 {
					entries[i].Detail = []byte(`{"shadow":null}`)
				}
			}
			prepared := dbtest.Open(t, db.Config{Path: ":memory:"})
			if err := prepared.AppendAudit(t.Context(), entries); err != nil {
				t.Fatal(err)
			}
			var linked []keys.AuditEntry // with the chain's fields
			err := prepared.Read(t.Context(), func(r keys.Reader) (err error) {
				linked, err = r.Audit(t.Context(), entries[0].TenantID, keys.AuditQuery{Limit: n})
				return err
			})
			if err != nil || len(linked) != n {
				t.Fatalf("%v, %d entries", err, len(linked))
			}
			byBun := dbtest.Open(t, db.Config{Path: ":memory:"})
			if err := byBun.AppendByBun(t.Context(), linked); err != nil {
				t.Fatal(err)
			}
			got, err := prepared.AsStored(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want, err := byBun.AsStored(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("stored\n%s\nby bun\n%s", got[0], want[0])
			}
		})
	}
}
