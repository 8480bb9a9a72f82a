package db_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// tokenSeed makes the tokens of the recorded stores, in the order of their keys.
type tokenSeed struct{ block [32]byte }

func (s *tokenSeed) Read(p []byte) (int, error) {
	for i := range p {
		if i%32 == 0 {
			s.block = sha256.Sum256(s.block[:])
		}
		p[i] = s.block[i%32]
	}
	return len(p), nil
}

const importedToken = "sk-live-of-another-system-0001"

// Keys of the recorded stores by their names, and whether their tokens are let in.
var recordedKeys = map[string]bool{"live": true, "limited": true, "child": true, "rotated": true, "paused": true, "revoked": false, "disabled": false}

// tokenComment is a line of the recorded rows that has a key's token by its name.
const tokenComment = "-- token of "

// recordStore lets this program fill a store, and writes down the rows.
func recordStore(t *testing.T, r recorded) {
	t.Helper()
	cfg := dbtest.SQLite(t)
	d := dbtest.Open(t, cfg)
	tokens := fillStore(t, d)
	if err := d.Register(t.Context(), keys.Replica{ID: newID(), Name: "old-host/1", Applied: 3, Beat: 2, Lease: 200 * time.Millisecond, StartedAt: upgradeTime}); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tokens)) {
		fmt.Fprintf(&text, "%s%s: %s\n", tokenComment, name, tokens[name])
	}
	text.WriteString(dump(t, cfg))
	err := errors.Join(os.MkdirAll("testdata/upgrade", 0o755), os.WriteFile(r.rows, []byte(text.String()), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}

// fillStore makes something of everything that a store keeps.
func fillStore(t *testing.T, d *db.DB) map[string]string {
	t.Helper()
	ctx := t.Context()
	svc, err := keys.New(ctx, keys.Config{Store: d, Root: keys.RootSecret{Value: upgradeRoot}, Now: func() time.Time { return upgradeTime }, Rand: &tokenSeed{}})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	_, err = svc.Bootstrap(ctx)
	must(err)
	op, err := svc.Operator(ctx, "default")
	must(err)
	instance := fillInstances(ctx, t, svc, op)
	_, err = svc.CreatePreset(ctx, op, keys.NewPreset{Name: "support", Permissions: []string{"mcp:tools"}, MaxEffect: policy.EffectWrite})
	must(err)
	tokens := fillKeys(ctx, t, svc, op, instance)
	_, _, err = svc.StartLogin(ctx, keys.NewLogin{Name: "waiting", DeviceName: "laptop", Scopes: []string{"view:projects"}})
	must(err)
	l, _, err := svc.StartLogin(ctx, keys.NewLogin{DeviceName: "phone"})
	must(err)
	_, _, err = svc.ApproveLogin(ctx, op, l.ID, keys.Approval{})
	must(err)
	_, err = svc.CreateTenant(ctx, svc.PlatformOperator(), keys.NewTenant{Slug: "other", Name: "Other, with \"quotes\" and ümläuts"})
	must(err)
	tenant, err := svc.Tenant(ctx, op)
	must(err)
	must(d.AppendAudit(ctx, []keys.AuditEntry{
		{ID: newID(), TenantID: tenant.ID, Time: upgradeTime, Kind: "call", Action: "tools/call", Actor: "k", KeyID: "k", KeyVersion: 4,
			Subject: "notes/read", Tool: "notes__read", Decision: "allow", Seen: `{"category":"tools","effect":"read"}`, ArgsDigest: "ab12", Outcome: "ok", Latency: 1500 * time.Microsecond, Client: "test/1", Epoch: 4},
		{ID: newID(), TenantID: tenant.ID, Time: upgradeTime, Kind: "decision", Action: "tools/call", Actor: "k", KeyID: "k", KeyVersion: 4,
			Tool: "it's; unknown", Decision: "deny", Failed: []string{"readonly", "allowlist"}, Ref: "ref-1", Epoch: 4},
	}))
	return tokens
}

func fillInstances(ctx context.Context, t *testing.T, svc *keys.Service, op keys.Principal) string {
	t.Helper()
	project, err := svc.CreateProject(ctx, op, keys.NewProject{Slug: "main", Name: "Main; one's own"})
	if err != nil {
		t.Fatal(err)
	}
	web, err := svc.CreateInstance(ctx, op, keys.InstanceSpec{ProjectID: keys.Some(project.ID), Slug: keys.Some("web"), Transport: keys.Some(keys.TransportHTTP),
		URL: keys.Some("https://mcp.example.com/mcp"), Headers: keys.Some(map[string]string{"Authorization": "Bearer upstream-credential"}),
		WriteEnabled: keys.Some(true), Tools: keys.Some([]keys.ToolRule{{Match: "get_*", Category: "docs", Effect: policy.EffectRead}})})
	if err != nil {
		t.Fatal(err)
	}
	_, err = svc.CreateInstance(ctx, op, keys.InstanceSpec{ProjectID: keys.Some(project.ID), Slug: keys.Some("notes"), Transport: keys.Some(keys.TransportStdio),
		Command: keys.Some("notes"), Args: keys.Some([]string{"--all", "it's"}), TrustAnnotations: keys.Some(true), Source: keys.SourceConfig})
	if err != nil {
		t.Fatal(err)
	}
	defs := []keys.Definition{{Kind: keys.KindTool, Name: "get_page", Digest: "d1", Raw: json.RawMessage(`{"name": "get_page", "description":"it's <a> page"}`)},
		{Kind: keys.KindTool, Name: "drop_all", Digest: "d2", Raw: json.RawMessage(`{"name":"drop_all"}`)}}
	for _, digest := range []string{"d1", "d1 changed"} { // the second is quarantined
		defs[0].Digest, defs[0].SeenAt, defs[1].SeenAt = digest, upgradeTime, upgradeTime
		if _, err := svc.SaveDefinitions(ctx, web, defs); err != nil {
			t.Fatal(err)
		}
	}
	return web.ID
}

func fillKeys(ctx context.Context, t *testing.T, svc *keys.Service, op keys.Principal, instance string) map[string]string {
	t.Helper()
	tokens, ids := map[string]string{}, map[string]string{}
	later := upgradeTime.AddDate(1, 0, 0)
	for _, n := range []keys.NewKey{
		{Name: "live", Tags: []string{"a", "it's"}, Description: "says; \"x\"", Permissions: keys.Some([]string{"*"}),
			PolicyPatch: keys.PolicyPatch{MCPPreset: keys.Some(policy.PresetFullAccess), MCPReadOnly: keys.Some(false)}},
		{Name: "limited", ExpiresAt: &later, PolicyPatch: keys.PolicyPatch{MCPPreset: keys.Some("support"), MCPAllowlistMode: keys.Some(policy.ModeDeny),
			MCPToolAllowlist: keys.Some([]string{"drop_*", "@keys"}), MCPPermissions: keys.Some(policy.Only("mcp:tools")),
			MCPProjectIDs: keys.Some(policy.Only()), MCPInstanceIDs: keys.Some(policy.Only(instance))}},
		{Name: "child"}, {Name: "rotated", Idempotency: keys.Idempotency{Key: "once", Digest: [32]byte{7}}}, {Name: "paused", PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}},
		{Name: "revoked"}, {Name: "disabled", Enabled: keys.Some(false)},
	} {
		if n.Name == "child" {
			n.ParentKeyID = ids["live"]
		}
		issued, err := svc.CreateKey(ctx, op, n)
		if err != nil {
			t.Fatal(n.Name, err)
		}
		tokens[n.Name], ids[n.Name] = issued.Secret.Reveal(), issued.Key.ID
	}
	_, err1 := svc.RevokeKey(ctx, op, ids["revoked"], keys.Revocation{Reason: "left; \"gone\""})
	_, err2 := svc.RotateKey(ctx, op, ids["rotated"], keys.Rotation{Grace: time.Hour})
	_, err3 := svc.ImportKeys(ctx, op, []keys.ImportedKey{{NewKey: keys.NewKey{Name: "imported"}, Digest: sha256.Sum256([]byte(importedToken)), Prefix: "sk-live-"}})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return tokens
}

// dump is every row of a SQLite file as statements for every database.
func dump(t *testing.T, cfg db.Config) string {
	t.Helper()
	pool, err := sql.Open("sqlite", cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var out strings.Builder
	tables := column(t, pool, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%' ORDER BY rowid")
	for _, table := range tables {
		if table == "epoch" { // its row is the migration's
			out.WriteString(column(t, pool, "SELECT 'UPDATE epoch SET value = ' || value || ';' FROM epoch")[0] + "\n")
			continue
		}
		names := column(t, pool, fmt.Sprintf("SELECT name FROM pragma_table_info('%s') ORDER BY cid", table))
		values := column(t, pool, fmt.Sprintf(`SELECT CASE type WHEN 'boolean' THEN 'iif(' || name || ', ''true'', ''false'')'
			WHEN 'bytea' THEN 'coalesce(''''''\x'' || lower(hex(' || name || ')) || '''''''', ''NULL'')' ELSE 'quote(' || name || ')' END FROM pragma_table_info('%s') ORDER BY cid`, table))
		for i, value := range values { // an absent blob is no empty one
			if strings.HasPrefix(value, "coalesce") {
				values[i] = fmt.Sprintf("iif(%s IS NULL, 'NULL', %s)", names[i], value)
			}
		}
		for _, row := range column(t, pool, fmt.Sprintf("SELECT %s FROM %s ORDER BY rowid", strings.Join(values, " || ', ' || "), table)) {
			fmt.Fprintf(&out, "INSERT INTO %s (%s) VALUES (%s);\n", table, strings.Join(names, ", "), row)
		}
	}
	return out.String()
}

func column(t *testing.T, pool *sql.DB, query string) (values []string) {
	t.Helper()
	rows, err := pool.Query(query)
	if err != nil {
		t.Fatal(query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(query, err)
		}
		values = append(values, value)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}
