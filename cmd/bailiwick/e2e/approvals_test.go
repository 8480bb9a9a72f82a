package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestApprovals: calls of a key that needs approval wait in both eras until somebody
// answers on the command line; an approval is for one call with its arguments.
func TestApprovals(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "mcp.json")
	content, err := json.Marshal(object{"mcpServers": object{"notes": object{"command": notesBin}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, content, 0o600); err != nil {
		t.Fatal(err)
	}
	m := &mounted{server: serve(t, "--mcp-config", config), projects: map[string]string{}}
	m.settle(t, "notes__delete_note")
	_, token := m.rest().key(t, with(fullAccess(), object{"mcpApprovals": []object{{"tool": "*", "effect": "destructive"}}}))
	for era, client := range map[string]mcpClient{"legacy": openSession(t, m.url+"/mcp", token), "modern": modern{m.url + "/mcp", token}} {
		write := func() { callTool(t, client, "notes__write_note", object{"title": era, "text": "x"}).result(t) }
		// remove calls the tool that needs approval, and answers its approval by verb.
		remove := func(title, verb string) (id, body string) {
			t.Helper()
			done := make(chan string, 1)
			go func() {
				a, err := client.ask("tools/call", object{"name": "notes__delete_note", "arguments": object{"title": title},
					"_meta": with(meta(client), object{"progressToken": title})})
				if err != nil {
					done <- err.Error()
					return
				}
				done <- string(a.body)
			}()
			eventually(t, "the call waits", func() string {
				list := cli(t, m.server, "approvals", "list")["approvals"].([]any)
				if len(list) != 1 {
					return "no call waits"
				}
				id = list[0].(object)["id"].(string)
				return ""
			})
			shown := cli(t, m.server, "approvals", "show", id)
			if shown["tool"] != "notes__delete_note" || shown["arguments"].(object)["title"] != title {
				t.Errorf("%s: shown as %v", era, shown)
			}
			select {
			case early := <-done:
				t.Errorf("%s: answered before anybody did: %s", era, early)
				return id, early
			default:
			}
			cli(t, m.server, "approvals", verb, id, "--reason", "for the test")
			return id, <-done
		}
		write()
		first, body := remove(era, "approve")
		if !strings.Contains(body, "deleted") {
			t.Errorf("%s, approved: %s", era, body)
		}
		write()
		second, body := remove(era, "approve") // the same call once more
		if !strings.Contains(body, "deleted") {
			t.Errorf("%s, approved again: %s", era, body)
		}
		write()
		third, body := remove(era+" ", "deny") // other arguments
		if !strings.Contains(body, `"code":-32030`) || !strings.Contains(body, "for the test") {
			t.Errorf("%s, denied: %s", era, body)
		}
		if ids := []string{first, second, third}; len(slices.Compact(ids)) != 3 {
			t.Errorf("%s: an approval was used twice: %v", era, ids)
		}
		if left := callTool(t, client, "notes__read_note", object{"title": era}); !strings.Contains(string(left.body), `"text":"x"`) {
			t.Errorf("%s: a denied call was made: %s", era, left.body)
		}
	}
}

// meta is what the client has to say in _meta.
func meta(c mcpClient) object {
	if m, ok := c.(modern); ok {
		full, _ := m.request("tools/call", object{})
		return full["params"].(object)["_meta"].(object)
	}
	return object{}
}
