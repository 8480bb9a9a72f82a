package e2e_test

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// replayOf is what `bailiwick audit replay -o json` says.
type replayOf struct {
	OK      bool
	Tenants []struct {
		Replayed, Same, Different int64
		NotReplayable             map[string]int64
		Differences               []struct{ ID string }
	}
}

func auditReplay(t *testing.T, data string, args ...string) (replayOf, error) {
	t.Helper()
	text, err := operator(data, append([]string{"audit", "replay", "-o", "json"}, args...)...)
	var got replayOf
	if bad := json.NewDecoder(strings.NewReader(text)).Decode(&got); bad != nil || len(got.Tenants) != 1 {
		t.Fatalf("%v, %v: %s", err, bad, text)
	}
	return got, err
}

// TestAuditReplay: what a server decided between edits comes out the same when it
// is decided again, beside the server and after it; an entry that somebody changed
// does not.
func TestAuditReplay(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	id, token := m.rest().key(t, fullAccess())
	session, stateless := openSession(t, m.url+"/mcp", token), modern{m.url + "/mcp", token}
	calls := int64(0)
	call := func() {
		t.Helper()
		for _, client := range []mcpClient{session, stateless} {
			for _, tool := range []string{"notes__read_note", "notes__delete_note", "notes__nothing", "list_api_keys"} {
				callTool(t, client, tool, object{"title": "standup"})
				calls++
			}
		}
	}
	key := "/api/api-keys/" + id
	call()
	m.rest().must(t, http.MethodPatch, key+"/toggle", nil)
	call()
	m.rest().must(t, http.MethodPatch, key+"/toggle", nil)
	m.rest().must(t, http.MethodPost, "/api/presets", object{"name": "mine", "permissions": []string{"mcp:tools"}, "maxEffect": "write"})
	m.rest().must(t, http.MethodPut, key, object{"mcpPreset": "mine"})
	call()
	m.rest().must(t, http.MethodPut, "/api/presets/mine", object{"permissions": []string{"mcp:keys"}, "maxEffect": "read"})
	call()
	m.rest().must(t, http.MethodPut, "/api/tenant", object{"mcpEnabled": false})
	call()
	eventually(t, "all is in the trail, and comes out the same", func() string {
		got, err := auditReplay(t, m.data, "--key", id)
		if one := got.Tenants[0]; err == nil && got.OK && one.Replayed == calls && one.Same == calls {
			return ""
		}
		return string(must(json.Marshal(got))(t))
	})
	m.stop(t)
	file, err := sql.Open("sqlite", "file:"+m.data+"/bailiwick.db")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var changed string
	err = file.QueryRow(`UPDATE audit SET decision = 'allow', failed = '[]' WHERE id = (SELECT max(id) FROM audit WHERE kind = 'decision') RETURNING id`).Scan(&changed)
	if err != nil {
		t.Fatal(err)
	}
	got, err := auditReplay(t, m.data)
	if one := got.Tenants[0]; err == nil || got.OK || one.Different != 1 || len(one.Differences) != 1 || one.Differences[0].ID != changed {
		t.Errorf("with entry %s changed: %+v, %v", changed, got, err)
	}
	text, err := operator(m.data, "audit", "replay")
	if lines := strings.Split(text, "\n"); err == nil || !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, changed+" ") }) ||
		!strings.Contains(text, "the first is event "+changed) {
		t.Errorf("%v: %s", err, text)
	}
}
