package e2e_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoTokenInAnySink uses a key, rightly and wrongly, on a server that logs
// all it can, then looks for any 12 characters of its body in the log and in
// every file of the data folder.
func TestNoTokenInAnySink(t *testing.T) {
	t.Parallel()
	m := notesServer(t, "--log-level", "debug")
	id, token := m.rest().key(t, with(fullAccess(), object{"permissions": []string{"*"}}))
	asked := rest{m.url, token}
	for _, client := range []mcpClient{openSession(t, m.url+"/mcp", token), modern{m.url + "/mcp", token}} {
		listTools(t, client)
		callTool(t, client, "notes__read_note", object{"title": "standup"})
		callTool(t, client, token, object{}) // a key pasted where a tool's name belongs
		callTool(t, client, "notes__"+token, object{})
	}
	asked.do(t, http.MethodGet, "/api/api-keys/"+token, nil)
	asked.do(t, http.MethodGet, "/api/instances?page="+token, nil)
	asked.do(t, http.MethodPost, "/api/api-keys", object{token: token})
	asked.do(t, http.MethodPost, "/api/api-keys", `{"name":"`+token)
	_, rotated := asked.do(t, http.MethodPost, "/api/api-keys/"+id+"/rotate", nil)
	if !strings.Contains(string(rotated), `"key":"bwk_live_`) {
		t.Fatalf("rotate: %s", rotated)
	}
	m.rest().must(t, http.MethodDelete, "/api/api-keys/"+id, nil)
	asked.do(t, http.MethodGet, "/api/api-keys", nil)
	m.stop(t) // its last records are flushed

	sinks := map[string]string{"the log": m.log.String()}
	err := filepath.WalkDir(m.data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		sinks[filepath.Base(path)] = string(content)
		return err
	})
	if err != nil || len(sinks) < 3 || !strings.Contains(sinks["the log"], `"msg":"request"`) {
		t.Fatalf("%v: only %d sinks were looked at", err, len(sinks))
	}
	body := strings.TrimPrefix(token, "bwk_live_")
	for sink, content := range sinks {
		for i := 4; i+12 <= len(body); i++ { // the first 4 are the shown prefix
			if strings.Contains(content, body[i:i+12]) {
				t.Errorf("%s holds %d characters of a token", sink, 12)
				break
			}
		}
	}
}
