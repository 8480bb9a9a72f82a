package main

import (
	"encoding/json"
	"io"
	"regexp"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// The reference that a denial carries leads to the whole decision, as it was
// made, and the same key and tool can be asked about at any time.
func TestDecisionOfADenial(t *testing.T) {
	h := startHouse(t, serveFlags{})
	var made struct{ ID, Key string }
	h.into(&made, "POST", "/api/api-keys", `{"name":"limited","mcpAllowlistMode":"deny","mcpToolAllowlist":["list_*"],"mcpPreset":"full_access","permissions":["view:api-keys"]}`)
	const path = "/mcp"
	session := h.open("POST", path, initialize, "Authorization", "Bearer "+made.Key).Header.Get("Mcp-Session-Id")
	denial := h.open("POST", path, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"list_api_keys","arguments":{}}}`,
		"Authorization", "Bearer "+made.Key, "Mcp-Session-Id", session)
	text, err := io.ReadAll(denial.Body)
	h.must(err)
	ref := regexp.MustCompile(`\(ref ([a-z2-7]{16})\)`).FindSubmatch(text)
	if ref == nil {
		t.Fatalf("the denial has no reference: %s", text)
	}
	deadline := time.Now().Add(10 * time.Second)
	for h.status("GET", "/api/decisions/"+string(ref[1]), "") != 200 {
		if time.Now().After(deadline) {
			t.Fatal("the reference is never readable")
		}
		time.Sleep(10 * time.Millisecond)
	}
	var recorded, now wire.Explanation
	h.into(&recorded, "GET", "/api/decisions/"+string(ref[1]), "")
	h.into(&now, "GET", "/api/api-keys/"+made.ID+"/explain?tool=list_api_keys", "")
	for name, e := range map[string]wire.Explanation{"recorded": recorded, "now": now} {
		if e.Decision != "deny" || e.Reason == nil || *e.Reason != "allowlist" || len(e.Failed) != 1 || e.KeyID == nil || *e.KeyID != made.ID {
			t.Errorf("%s: %+v", name, e)
		}
		found := false
		for _, r := range e.Rules {
			if r.OK != (r.Rule != "allowlist") || r.Observed == "" {
				t.Errorf("%s: rule %+v", name, r)
			}
			found = found || r.Pattern != nil && *r.Pattern == "list_*"
		}
		if !found || len(e.Rules) < 10 {
			t.Errorf("%s: %d rules, none with the pattern that decided", name, len(e.Rules))
		}
	}
	// What was decided stays, whatever the key becomes.
	h.into(&struct{}{}, "PUT", "/api/api-keys/"+made.ID, `{"mcpAllowlistMode":"all"}`)
	h.into(&now, "GET", "/api/api-keys/"+made.ID+"/explain?tool=list_api_keys", "")
	if now.Decision != "allow" || now.Reason != nil {
		t.Errorf("after the edit: %+v", now)
	}
	h.into(&recorded, "GET", "/api/decisions/"+string(ref[1]), "")
	if recorded.Decision != "deny" || *recorded.KeyVersion == *now.KeyVersion {
		t.Errorf("the record: %+v", recorded)
	}
	for _, absent := range []string{"aaaaaaaaaaaaaaaa", "x", "%00"} {
		if got := h.status("GET", "/api/decisions/"+absent, ""); got != 404 {
			t.Errorf("reference %s answers %d", absent, got)
		}
	}
}

// into reads a successful answer.
func (h *house) into(v any, method, path, body string) {
	h.t.Helper()
	answer := h.open(method, path, body)
	text, err := io.ReadAll(answer.Body)
	h.must(err)
	if answer.StatusCode >= 300 {
		h.t.Fatalf("%s %s answers %d %s", method, path, answer.StatusCode, text)
	}
	h.must(json.Unmarshal(text, v))
}
