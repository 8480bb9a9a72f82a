package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestConfigMounts is what make run does: servers from a file that the
// operator wrote are believed, and REST cannot edit them.
func TestConfigMounts(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "mcp.json")
	content, err := json.Marshal(object{"mcpServers": object{"My Notes": object{"command": notesBin}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, content, 0o600); err != nil {
		t.Fatal(err)
	}
	m := &mounted{server: serve(t, "--mcp-config", config)}
	m.settle(t, "my-notes__delete_note")
	_, reader := m.rest().key(t, object{})
	tools := listTools(t, modern{m.url + "/mcp", reader})
	if len(tools) != 3 || tools["my-notes__read_note"] == nil || tools["my-notes__list_notes"] == nil {
		t.Errorf("a read-only key sees %v", tools)
	}
	list := m.rest().must(t, http.MethodGet, "/api/instances", nil)
	instance := list["instances"].([]any)[0].(object)
	if instance["source"] != "config" {
		t.Errorf("source is %v", instance["source"])
	}
	if status, body := m.rest().do(t, http.MethodPut, "/api/instances/"+instance["id"].(string), object{"enabled": false}); status != 409 {
		t.Errorf("an edit of it over REST: %d %s", status, body)
	}
}

// TestUpstreamOverSSE mounts a real server on the oldest HTTP transport.
func TestUpstreamOverSSE(t *testing.T) {
	t.Parallel()
	m := &mounted{server: serve(t), projects: map[string]string{}, instances: map[string]string{}}
	m.project(t, "alpha")
	m.mount(t, "alpha", "old", object{"transport": "sse", "url": everythingOver(t, "sse", "/sse")})
	m.settle(t, "old__echo")
	_, token := m.rest().key(t, fullAccess())
	if said, failed := text(t, callTool(t, modern{m.url + "/mcp", token}, "old__echo", object{"message": "hi"})); failed || said != "Echo: hi" {
		t.Errorf("echo answers %q", said)
	}
}
