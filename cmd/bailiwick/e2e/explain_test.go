package e2e_test

import (
	"net/http"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// TestExplain: what is explained, over REST, by the model's tool and by the
// command line on the store, is what a client lists; and a denial's reference
// leads to the same rules everywhere.
func TestExplain(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	id, token := m.rest().key(t, object{"name": "reader"})
	client := modern{m.url + "/mcp", token}
	listed := []string{}
	for name := range listTools(t, client) {
		listed = append(listed, name)
	}
	slices.Sort(listed)
	matrix := m.rest().must(t, http.MethodGet, "/api/api-keys/"+id+"/explain?at=2030-01-31T12:00:00Z", nil)
	if allowed := allowedIn(matrix); !slices.Equal(allowed, listed) || len(allowed) < 2 {
		t.Errorf("explained %v, listed %v", allowed, listed)
	}
	if stored := cli(t, m.server, "explain", "reader", "--at", "2030-01-31T12:00:00Z"); !reflect.DeepEqual(stored, matrix) {
		t.Errorf("the store says\n%v\nthe server says\n%v", stored, matrix)
	}
	_, asker := m.rest().key(t, with(fullAccess(), object{"name": "asker", "permissions": []string{"view:audit"}}))
	answer := string(callTool(t, modern{m.url + "/mcp", asker}, "explain_access", object{"id": "reader", "tool": "notes__delete_note"}).result(t))
	if !regexp.MustCompile(`\\"reason\\":\\"preset.excluded\\"`).MatchString(answer) {
		t.Errorf("explain_access: %s", answer)
	}

	refused := callTool(t, client, "notes__delete_note", object{"title": "standup"})
	ref := regexp.MustCompile(`\(ref ([a-z2-7]{16})\)`).FindSubmatch(refused.body)
	if ref == nil {
		t.Fatalf("%s", refused.body)
	}
	var recorded object
	eventually(t, "the decision is in the trail", func() string {
		status, body := m.rest().do(t, http.MethodGet, "/api/decisions/"+string(ref[1]), nil)
		if status != http.StatusOK {
			return string(body)
		}
		recorded = m.rest().must(t, http.MethodGet, "/api/decisions/"+string(ref[1]), nil)
		return ""
	})
	if stored := cli(t, m.server, "explain", "--ref", string(ref[1])); !reflect.DeepEqual(stored, recorded) || recorded["reason"] != "preset.excluded" {
		t.Errorf("the store says\n%v\nthe server says\n%v", stored, recorded)
	}
	command := exec.Command(bailiwickBin, "explain", "--url", m.url, "--ref", string(ref[1]))
	command.Env = append(cleanEnv(), "BAILIWICK_KEY="+asker)
	if out, err := command.CombinedOutput(); err != nil || !regexp.MustCompile(`(?m)^FAILS +readonly `).Match(out) {
		t.Errorf("%v\n%s", err, out)
	}
}

// allowedIn are the tools that a matrix allows, by name.
func allowedIn(matrix object) []string {
	allowed := []string{}
	for _, one := range matrix["tools"].([]any) {
		if tool := one.(map[string]any); tool["kind"] == "tool" && tool["decision"] == "allow" {
			allowed = append(allowed, tool["name"].(string))
		}
	}
	slices.Sort(allowed)
	return allowed
}
