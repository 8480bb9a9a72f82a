package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestArgumentsName: a file says where the arguments of calls name a project; a key
// of one project calls with its names alone, and one with a rule with what it allows.
func TestArgumentsName(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "mcp.json")
	content, err := json.Marshal(object{"mcpServers": object{"notes": object{"command": notesBin, "project": "red",
		"tools": []object{{"match": "*_note", "projectPointer": "/title"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, content, 0o600); err != nil {
		t.Fatal(err)
	}
	m := &mounted{server: serve(t, "--mcp-config", config), projects: map[string]string{}}
	m.project(t, "blue")
	m.settle(t, "notes__write_note")
	red := m.rest().must(t, http.MethodGet, "/api/projects/red", nil)["id"].(string)
	_, limited := m.rest().key(t, with(fullAccess(), object{"mcpProjectIds": []string{red}}))
	_, ruled := m.rest().key(t, with(fullAccess(), object{"name": "ruled",
		"mcpArgumentRules": []object{{"tool": "notes/read_note", "pointer": "/title", "allow": []string{"red", "b*"}}}}))
	for era, clients := range map[string][2]mcpClient{
		"legacy": {openSession(t, m.url+"/mcp", limited), openSession(t, m.url+"/mcp", ruled)},
		"modern": {modern{m.url + "/mcp", limited}, modern{m.url + "/mcp", ruled}},
	} {
		for _, c := range []struct {
			client  mcpClient
			tool    string
			title   any
			allowed bool
		}{
			{clients[0], "read_note", "red", true},
			{clients[0], "read_note", red, true},
			{clients[0], "read_note", "blue", false},
			{clients[0], "read_note", m.projects["blue"], false},
			{clients[0], "read_note", []string{"red"}, false},
			{clients[0], "list_notes", "blue", true}, // the file says nothing of it
			{clients[1], "read_note", "blue", true},
			{clients[1], "read_note", "green", false},
			{clients[1], "read_note", nil, false},
			{clients[1], "delete_note", "green", true}, // its rule says nothing of it
		} {
			if len(listTools(t, c.client)) < 4 {
				t.Errorf("%s: tools are hidden", era)
			}
			a := callTool(t, c.client, "notes__"+c.tool, object{"title": c.title})
			denied := strings.Contains(string(a.body), `"code":-32602,"message":"Argument not allowed: /title (ref `)
			if result := strings.Contains(string(a.body), `"result"`); denied == c.allowed || result != c.allowed {
				t.Errorf("%s, %s %v: %s", era, c.tool, c.title, a.body)
			}
		}
	}
}
