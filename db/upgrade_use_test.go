package db_test

import (
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// useUpgraded lets a Service work on a store of before, under the same secret.
func useUpgraded(t *testing.T, d *db.DB, rows string) {
	t.Helper()
	ctx, svc := t.Context(), serviceOn(t, d)
	if first, err := svc.Bootstrap(ctx); err != nil || first != "" {
		t.Errorf("a store of before is prepared as a new one: %v", err)
	}
	tokens := recordedTokens(rows)
	if len(tokens) != len(recordedKeys) {
		t.Fatalf("%d tokens of %d keys", len(tokens), len(recordedKeys))
	}
	tokens["imported"] = importedToken
	for name, token := range tokens {
		p, err := svc.Authenticate(ctx, token)
		if want := name == "imported" || recordedKeys[name]; (err == nil) != want {
			t.Errorf("key %s: authenticates: %t, want %t: %v", name, err == nil, want, err)
		} else if want && p.Key().Name != name {
			t.Errorf("key %s authenticates as %s", name, p.Key().Name)
		}
	}
	op, err := svc.Operator(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	openCredentials(t, svc, op)
	if strings.Contains(rows, "INSERT INTO answers") { // what was answered once is answered again
		again, err := svc.CreateKey(ctx, op, keys.NewKey{Name: "rotated", Idempotency: keys.Idempotency{Key: "once", Digest: [32]byte{7}}})
		if err != nil || again.Secret != tokens["rotated"] {
			t.Errorf("a request from before is answered anew: %v", err)
		}
	}
	editUpgraded(t, d, svc, op, tokens["live"])
}

func openCredentials(t *testing.T, svc *keys.Service, op keys.Principal) {
	t.Helper()
	web, err := svc.Instance(t.Context(), op, "web")
	if err != nil {
		t.Fatal(err)
	}
	c, err := svc.Credentials(web)
	if err != nil || c.Headers["Authorization"] != "Bearer upstream-credential" {
		t.Errorf("the upstream's credentials read as %v, %v", len(c.Headers), err)
	}
}

// editUpgraded makes, changes and revokes a key, and takes the old key's rights.
func editUpgraded(t *testing.T, d *db.DB, svc *keys.Service, op keys.Principal, live keys.Secret) {
	t.Helper()
	ctx := t.Context()
	before, err := d.Epoch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := svc.CreateKey(ctx, op, keys.NewKey{Name: "new"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Authenticate(ctx, issued.Secret); err != nil {
		t.Error(err)
	}
	old, err := svc.KeyNamed(ctx, op, "live", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.UpdateKey(ctx, op, old.ID, keys.KeyPatch{Description: keys.Some("edited")}); err != nil {
		t.Error(err)
	}
	if k, err := svc.RevokeKey(ctx, op, old.ID, keys.Revocation{}); err != nil || k.Version != before+3 {
		t.Errorf("revoked at epoch %d after %d, %v", k.Version, before, err)
	}
	if _, err := svc.Authenticate(ctx, live); err == nil {
		t.Error("a revoked key authenticates")
	}
	entries, err := svc.AuditEvents(ctx, op, keys.AuditQuery{Kind: "change", Limit: 3})
	if err != nil || len(entries) != 3 || entries[0].Action != "key.revoke" || entries[0].Epoch != before+3 {
		t.Errorf("the last of %d changes is not the last edit, %v", len(entries), err)
	}
}

func recordedTokens(rows string) map[string]keys.Secret {
	tokens := map[string]keys.Secret{}
	for line := range strings.Lines(rows) {
		if text, ok := strings.CutPrefix(line, tokenComment); ok {
			name, token, _ := strings.Cut(strings.TrimSpace(text), ": ")
			tokens[name] = keys.Secret(token)
		}
	}
	return tokens
}
