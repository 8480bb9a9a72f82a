package db_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

const tamperTenant = "t1"

func tamperSigner(t *testing.T, secret string) *keys.AuditSigner {
	t.Helper()
	root, err := keys.ParseRootSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keys.NewAuditSigner(root)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

const tamperSecret = "0123456789abcdefghijklmnopqrstuv"

// trailOf makes a store with two chains: w1 has the entries a1 to a6, cut after
// a2, w2 has b1.
func trailOf(t *testing.T, cfg db.Config) (*db.DB, *keys.AuditSigner) {
	t.Helper()
	d, signer := dbtest.Open(t, cfg), tamperSigner(t, tamperSecret)
	d.SignAudit(signer)
	entry := func(id, writer string) keys.AuditEntry {
		return keys.AuditEntry{ID: id, TenantID: tamperTenant, Time: time.Unix(1_800_000_000, 0), Kind: "call", Action: "tools/call",
			KeyID: "k", KeyVersion: 3, Tool: "t", Failed: []string{"readonly"}, Writer: writer, Detail: []byte(`{"a":1}`)}
	}
	for _, batch := range [][]keys.AuditEntry{
		{entry("a1", "w1"), entry("a2", "w1"), entry("a3", "w1")}, {entry("a4", "w1"), entry("b1", "w2"), entry("a5", "w1")}, {entry("a6", "w1")},
	} {
		if err := d.AppendAudit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	cutTrail(t, cfg, d, signer)
	return d, signer
}

// cutTrail cuts w1 after a2 as retention does.
func cutTrail(t *testing.T, cfg db.Config, d *db.DB, signer *keys.AuditSigner) {
	t.Helper()
	hash := read(t, cfg, "SELECT hash FROM audit WHERE id = 'a2'")
	cut := keys.AuditCut{AuditChain: signer.Cut(keys.AuditChain{TenantID: tamperTenant, Writer: "w1"}, 2, hash)}
	if err := d.CutAudit(t.Context(), tamperTenant, []string{"a1", "a2"}, []keys.AuditCut{cut}); err != nil {
		t.Fatal(err)
	}
}

// read is one value, read past the store.
func read(t *testing.T, cfg db.Config, query string) (value string) {
	t.Helper()
	driver, source := "sqlite", cfg.Path
	if cfg.URL != "" {
		driver, source = "pgx", cfg.URL
	}
	pool, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.QueryRow(query).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// problems are what is found, by writer.
func problems(t *testing.T, d *db.DB, signer *keys.AuditSigner) map[string]string {
	t.Helper()
	verdicts, err := keys.VerifyAudit(t.Context(), d, signer, tamperTenant)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, v := range verdicts {
		found[v.Writer] = v.Problem
	}
	return found
}

// TestTampering: whoever writes to the database past the program is found out,
// and the first entry that is wrong is named.
func TestTampering(t *testing.T) {
	const entry4 = "UPDATE audit SET seq = 4, hash = (SELECT hash FROM audit WHERE id = 'a4') WHERE id = 'a5'"
	cases := []struct {
		name string
		sql  []string
		want string // of w1; "w2:..." of w2
	}{
		{"nothing", nil, ""},
		{"an entry in the middle removed", []string{"DELETE FROM audit WHERE id = 'a4'"}, "entry 4 is missing"},
		{"two removed", []string{"DELETE FROM audit WHERE id IN ('a4', 'a5')"}, "entries 4 to 5 are missing"},
		{"the first removed", []string{"DELETE FROM audit WHERE id = 'a3'"}, "entry 3 is missing"},
		{"the tail removed", []string{"DELETE FROM audit WHERE id = 'a6'"}, "entry 6 is missing"},
		{"the tail removed, the end set back", []string{"DELETE FROM audit WHERE id = 'a6'",
			"UPDATE audit_chains SET seq = 5, hash = (SELECT hash FROM audit WHERE id = 'a5') WHERE writer = 'w1'"}, "the chain's end, after entry 5: its signature"},
		{"all removed", []string{"DELETE FROM audit WHERE writer = 'w1'"}, "entries 3 to 6 are missing"},
		{"the end changed", []string{"UPDATE audit_chains SET hash = 'x' WHERE writer = 'w1'"}, "entry 6 is not the one that the chain ends in"},
		{"the end set back", []string{"UPDATE audit_chains SET seq = 5, hash = (SELECT hash FROM audit WHERE id = 'a5') WHERE writer = 'w1'"}, "the chain's end, after entry 5: its signature"},
		{"the end removed", []string{"DELETE FROM audit_chains WHERE writer = 'w1'"}, "where the chain ends is not recorded"},
		{"the signature removed", []string{"UPDATE audit_chains SET mac = '' WHERE writer = 'w1'"}, "the chain's end, after entry 6: it is not signed"},
		{"the signature made up", []string{"UPDATE audit_chains SET mac = '1:00' WHERE writer = 'w1'"}, "the chain's end, after entry 6: its signature is not one"},
		{"one of another chain", []string{"UPDATE audit_chains SET mac = (SELECT mac FROM audit_chains WHERE writer = 'w2') WHERE writer = 'w1'"}, "the chain's end, after entry 6: its signature is not one"},
		{"one of a later root secret", []string{"UPDATE audit_chains SET mac = '2:00' WHERE writer = 'w1'"}, "a version of the root secret that is not at hand (version 2)"},
		{"the cut moved", []string{"DELETE FROM audit WHERE id = 'a3'",
			"UPDATE audit_chains SET cut_seq = 3, cut_hash = 'x' WHERE writer = 'w1'"}, "where the chain was cut, after entry 3: its signature"},
		{"the cut forgotten", []string{"UPDATE audit_chains SET cut_seq = 0, cut_hash = '', cut_mac = '' WHERE writer = 'w1'"}, "entries 1 to 2 are missing"},
		{"two entries swapped", []string{"UPDATE audit SET seq = 9 WHERE id = 'a4'", "UPDATE audit SET seq = 4 WHERE id = 'a5'",
			"UPDATE audit SET seq = 5 WHERE id = 'a4'"}, "entry 4 (a5) does not have the hash"},
		{"one in another's place", []string{entry4}, "number 4 stands twice"},
		{"one added at the end", []string{"UPDATE audit SET writer = 'w1', seq = 7 WHERE id = 'b1'"}, "entry 7 comes after the chain's end, 6"},
		{"one added before the beginning", []string{"UPDATE audit SET writer = 'w1', seq = 2 WHERE id = 'b1'"}, "entry 2 (b1) is there, though the chain was cut"},
		{"one moved to another chain", []string{"UPDATE audit SET writer = 'w2', seq = 2 WHERE id = 'a4'"}, "entry 4 is missing"},
		{"one taken out of its chain", []string{"UPDATE audit SET writer = '', seq = 0, hash = '' WHERE id = 'a6'"}, "entry 6 is missing"},
		{"a number that is none", []string{"UPDATE audit SET seq = -1 WHERE id = 'a4'"}, "entry a4 has the number -1"},
		{"the hash changed", []string{"UPDATE audit SET hash = 'x' WHERE id = 'a4'"}, "entry 4 (a4) does not have the hash"},
	}
	for column, value := range map[string]string{
		"id": "'a44'", "at": "'2031-01-01 00:00:00+00:00'", "kind": "'decision'", "action": "'x'", "actor": "'x'", "key_id": "'x'", "key_version": "4",
		"subject": "'x'", "tool": "'x'", "decision": "'x'", "failed": `'["readonly", "allowlist"]'`, "ref": "'x'", "args_digest": "'x'",
		"outcome": "'x'", "latency_us": "1", "client": "'x'", "epoch": "1", "detail": `'{"a": 1.0000001}'`,
	} {
		cases = append(cases, struct {
			name string
			sql  []string
			want string
		}{column + " changed", []string{fmt.Sprintf("UPDATE audit SET %s = %s WHERE id = 'a4'", column, value)}, "entry 4 (a4"})
	}
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		d, signer := trailOf(t, cfg)
		columns := []string{"audit", "audit_chains"}
		for _, table := range columns {
			execute(t, cfg, fmt.Sprintf("CREATE TABLE %s_kept AS SELECT * FROM %s", table, table))
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				for _, statement := range c.sql {
					execute(t, cfg, statement)
				}
				got := problems(t, d, signer)
				if c.want == "" && got["w1"] != "" || !strings.Contains(got["w1"], c.want) {
					t.Errorf("got %q, want %q", got["w1"], c.want)
				}
				for _, table := range columns {
					execute(t, cfg, "DELETE FROM "+table)
					execute(t, cfg, fmt.Sprintf("INSERT INTO %s SELECT * FROM %s_kept", table, table))
				}
			})
		}
		if got := problems(t, d, signer); got["w1"] != "" || got["w2"] != "" {
			t.Errorf("in the end: %q", got)
		}
	})
}

// TestTamperedChainIsNotSigned: entries go on after an end that somebody else
// wrote, but they do not make it a signed one.
func TestTamperedChainIsNotSigned(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		d, signer := trailOf(t, cfg)
		execute(t, cfg, "DELETE FROM audit WHERE id = 'a6'")
		execute(t, cfg, "UPDATE audit_chains SET seq = 5, hash = (SELECT hash FROM audit WHERE id = 'a5') WHERE writer = 'w1'")
		for _, id := range []string{"a7", "a8"} {
			if err := d.AppendAudit(t.Context(), []keys.AuditEntry{{ID: id, TenantID: tamperTenant, Kind: "call", Writer: "w1"}}); err != nil {
				t.Fatal(err)
			}
		}
		if got := problems(t, d, signer)["w1"]; !strings.Contains(got, "the chain's end, after entry 7: it is not signed") {
			t.Errorf("got %q", got)
		}
		if got := problems(t, d, nil)["w1"]; got != "" {
			t.Errorf("without the root secret: %q", got)
		}
	})
}

// TestEntriesFromBeforeTheChain are told apart, and none can be added later.
func TestEntriesFromBeforeTheChain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		d, signer := trailOf(t, cfg)
		old := func(id string) string {
			return fmt.Sprintf("INSERT INTO audit (id, tenant_id, at, kind, action, actor, key_id, key_version, subject, tool, decision, failed, ref, args_digest, outcome, latency_us, client, epoch) "+
				"VALUES ('%s', 't1', '2026-01-02 03:04:05+00:00', 'call', '', '', '', 0, '', '', '', '[]', '', '', '', 0, '', 0)", id)
		}
		execute(t, cfg, old("a0"))
		if got := problems(t, d, signer); len(got) != 3 || got[""] != "" {
			t.Errorf("got %q", got)
		}
		execute(t, cfg, old("a9"))
		if got := problems(t, d, signer)[""]; !strings.Contains(got, "entry a9 is in no chain") {
			t.Errorf("got %q", got)
		}
	})
}
