package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// snapshot is everything that a request could have changed, as the first keys
// of the tenants see it.
func snapshot(t *testing.T, tenants ...rest) string {
	t.Helper()
	var all strings.Builder
	for _, tenant := range tenants {
		for _, path := range []string{"/api/api-keys", "/api/projects", "/api/instances", "/api/presets", "/api/tenant"} {
			status, body := tenant.do(t, http.MethodGet, path, nil)
			if status != 200 {
				t.Fatalf("GET %s: %d %s", path, status, body)
			}
			all.Write(passing.ReplaceAll(body, nil))
		}
	}
	return all.String()
}

// passing is what changes without a request that asks for it.
var passing = regexp.MustCompile(`"(lastUsedAt|status|problem)":("[^"]*"|null)`)

func manyPatterns(n int) []string {
	patterns := make([]string, n)
	for i := range patterns {
		patterns[i] = fmt.Sprintf("tool_%d", i)
	}
	return patterns
}

// TestBadKeyRequests: each is refused with its status, names the field at
// fault, and leaves everything as it was.
func TestBadKeyRequests(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	foreign := otherTenant(t, m.server)
	project := m.projects["alpha"]
	tenants := []rest{m.rest(), {m.url, foreign.token}}
	cases := []struct {
		name   string
		method string
		path   string
		body   any
		status int
		says   string
	}{
		{"not JSON", "POST", "/api/api-keys", `{"name":`, 400, ""},
		{"two documents", "POST", "/api/api-keys", `{"name":"a"} {}`, 400, ""},
		{"unknown field", "POST", "/api/api-keys", object{"name": "a", "mcpTools": []string{}}, 400, "mcpTools"},
		{"duplicate field", "POST", "/api/api-keys", `{"name":"a","name":"b"}`, 400, "name"},
		{"case variant", "POST", "/api/api-keys", `{"Name":"a"}`, 400, "Name"},
		{"wrong type", "POST", "/api/api-keys", object{"name": "a", "mcpReadOnly": "yes"}, 400, "mcpReadOnly"},
		{"no name", "POST", "/api/api-keys", object{}, 422, "name"},
		{"unknown preset", "POST", "/api/api-keys", object{"name": "a", "mcpPreset": "superuser"}, 422, "mcpPreset"},
		{"unknown mode", "POST", "/api/api-keys", object{"name": "a", "mcpAllowlistMode": "only"}, 422, "mcpAllowlistMode"},
		{"unknown scope", "POST", "/api/api-keys", object{"name": "a", "scope": "everything"}, 422, "scope"},
		{"unknown permission", "POST", "/api/api-keys", object{"name": "a", "permissions": []string{"own:api-keys"}}, 422, "permissions"},
		{"unknown MCP permission", "POST", "/api/api-keys", object{"name": "a", "mcpPermissions": []string{"tools"}}, 422, "mcpPermissions"},
		{"257 patterns", "POST", "/api/api-keys", object{"name": "a", "mcpToolAllowlist": manyPatterns(257)}, 422, "mcpToolAllowlist"},
		{"pattern with ?", "POST", "/api/api-keys", object{"name": "a", "mcpToolAllowlist": []string{"read_?"}}, 422, "mcpToolAllowlist"},
		{"pattern with []", "POST", "/api/api-keys", object{"name": "a", "mcpToolAllowlist": []string{"read_[ab]"}}, 422, "mcpToolAllowlist"},
		{"pattern with {}", "POST", "/api/api-keys", object{"name": "a", "mcpToolAllowlist": []string{"{a,b}"}}, 422, "mcpToolAllowlist"},
		{"pattern with a backslash", "POST", "/api/api-keys", object{"name": "a", "mcpToolAllowlist": []string{`a\*`}}, 422, "mcpToolAllowlist"},
		{"pattern with a control character", "POST", "/api/api-keys", object{"name": "a", "mcpToolAllowlist": []string{"a\tb"}}, 422, "mcpToolAllowlist"},
		{"pattern that is empty", "POST", "/api/api-keys", object{"name": "a", "mcpToolAllowlist": []string{""}}, 422, "mcpToolAllowlist"},
		{"another tenant's instance", "POST", "/api/api-keys", object{"name": "a", "mcpInstanceIds": []string{foreign.instance}}, 422, "mcpInstanceIds"},
		{"another tenant's project", "POST", "/api/api-keys", object{"name": "a", "mcpProjectIds": []string{foreign.project}}, 422, "mcpProjectIds"},
		{"another tenant's key", "GET", "/api/api-keys/" + foreign.key, nil, 404, ""},
		{"change another tenant's key", "PUT", "/api/api-keys/" + foreign.key, object{"name": "mine"}, 404, ""},
		{"pause another tenant's key", "PATCH", "/api/api-keys/" + foreign.key + "/toggle", nil, 404, ""},
		{"child of another tenant's key", "POST", "/api/api-keys", object{"name": "a", "parentKeyId": foreign.key}, 422, "parentKeyId"},
		{"revoke another tenant's key", "DELETE", "/api/api-keys/" + foreign.key, nil, 404, ""},
		{"delete another tenant's project", "DELETE", "/api/projects/" + foreign.project, nil, 404, ""},
		{"another tenant's instance's tools", "GET", "/api/instances/" + foreign.instance + "/tools", nil, 404, ""},
		{"get another tenant's instance", "GET", "/api/instances/" + foreign.instance, nil, 404, ""},
		{"change another tenant's instance", "PUT", "/api/instances/" + foreign.instance, object{"enabled": false}, 404, ""},
		{"delete another tenant's instance", "DELETE", "/api/instances/" + foreign.instance, nil, 404, ""},
		{"instance in another tenant's project", "POST", "/api/instances", object{"projectId": foreign.project, "slug": "a", "transport": "stdio", "command": "true"}, 422, "projectId"},
		{"malformed id", "GET", "/api/api-keys/nonsense", nil, 404, ""},
		{"duplicate project slug", "POST", "/api/projects", object{"slug": "alpha", "name": "again"}, 409, "slug"},
		{"duplicate instance slug", "POST", "/api/instances", object{"projectId": project, "slug": "notes", "transport": "stdio", "command": "true"}, 409, "slug"},
		{"reserved instance slug", "POST", "/api/instances", object{"projectId": project, "slug": "bailiwick", "transport": "stdio", "command": "true"}, 422, "slug"},
		{"slug with --", "POST", "/api/instances", object{"projectId": project, "slug": "a--b", "transport": "stdio", "command": "true"}, 422, "slug"},
		{"unknown transport", "POST", "/api/instances", object{"projectId": project, "slug": "a", "transport": "carrier-pigeon"}, 422, "transport"},
		{"stdio without a command", "POST", "/api/instances", object{"projectId": project, "slug": "a", "transport": "stdio"}, 422, "command"},
		{"reserved preset name", "POST", "/api/presets", object{"name": "standard", "permissions": []string{"mcp:*"}, "maxEffect": "read"}, 422, "name"},
		{"preset of an unknown permission", "POST", "/api/presets", object{"name": "a", "permissions": []string{"tools"}, "maxEffect": "read"}, 422, "permissions"},
		{"preset of an unknown effect", "POST", "/api/presets", object{"name": "a", "permissions": []string{"mcp:*"}, "maxEffect": "huge"}, 422, "maxEffect"},
	}
	before := snapshot(t, tenants...)
	if !strings.Contains(before, `"notes"`) || !strings.Contains(before, foreign.instance) {
		t.Fatalf("the snapshot misses an instance: %s", before)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, body := m.rest().do(t, c.method, c.path, c.body)
			var problem struct {
				Title, Detail, Code string
				Errors              []struct{ Field, Problem string }
			}
			if err := json.Unmarshal(body, &problem); err != nil || status != c.status || problem.Title == "" || problem.Code == "" {
				t.Fatalf("%d %s, want a problem document with %d", status, body, c.status)
			}
			if !strings.Contains(fmt.Sprint(problem.Detail, problem.Errors), c.says) {
				t.Errorf("the answer does not name %s: %s", c.says, body)
			}
		})
	}
	if after := snapshot(t, tenants...); after != before {
		t.Errorf("something changed: before\n%s\nafter\n%s", before, after)
	}
}

// TestBadCredentials answers every bad credential with the same 401.
func TestBadCredentials(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	id, token := m.rest().key(t, fullAccess())
	m.rest().must(t, http.MethodDelete, "/api/api-keys/"+id, nil)
	changed := []byte(m.firstKey)
	changed[len("bwk_live_")+7] ^= 3 // a letter or digit beside it
	if !regexp.MustCompile(`^\w+$`).Match(changed) {
		changed[len("bwk_live_")+7] = 'x'
	}
	var bodies []string
	for what, credential := range map[string]string{
		"no key": "", "one character changed": string(changed), "revoked": token,
		"not a key": "hello", "only a prefix": "bwk_live_", "another prefix with a wrong checksum": "bwk_test_" + token[9:],
	} {
		got := must(modern{m.url + "/mcp", credential}.ask("tools/list", object{}))(t)
		if got.status != 401 || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: %d %s, WWW-Authenticate %q", what, got.status, got.body, got.header.Get("WWW-Authenticate"))
		}
		status, body := rest{m.url, credential}.do(t, http.MethodGet, "/api/api-keys", nil)
		if status != 401 {
			t.Errorf("%s over REST: %d %s", what, status, body)
		}
		bodies = append(bodies, string(got.body), string(body))
	}
	for _, body := range bodies {
		if body != bodies[0] {
			t.Errorf("credentials are told apart: %s and %s", body, bodies[0])
		}
	}
}

// TestBadMessages sends what is no request to the MCP endpoint.
func TestBadMessages(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	_, token := m.rest().key(t, fullAccess())
	session := openSession(t, m.url+"/mcp", token)
	deep := strings.Repeat("[", 100_000)
	cases := []struct {
		name, body string
		code       int
		says       string
	}{
		{"not JSON", `{"jsonrpc":`, -32700, "valid JSON"},
		{"nothing", ``, -32700, "valid JSON"},
		{"deep nesting", deep, -32700, "valid JSON"},
		{"no JSON-RPC", `{"hello":"world"}`, -32600, "jsonrpc"},
		{"a string", `"tools/list"`, -32600, "one JSON-RPC message"},
		{"version 1", `{"jsonrpc":"1.0","id":1,"method":"tools/list"}`, -32600, "jsonrpc"},
		{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"tools/destroy"}`, -32601, "Method not found"},
		{"duplicate member", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","name":"notes__delete_note","arguments":{"title":"standup"}}}`, -32600, "twice"},
		{"case variant", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","NAME":"notes__delete_note","arguments":{"title":"standup"}}}`, -32600, "case"},
		{"a batch", `[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]`, -32600, "batches"},
		{"arguments in a list", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":[]}}`, -32602, "params.arguments"},
		{"no tool name", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, -32602, "params.name"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := must(session.send(c.body))(t)
			var reply struct {
				Error struct {
					Code    int
					Message string
				}
			}
			if err := json.Unmarshal(got.body, &reply); err != nil || reply.Error.Code != c.code || !strings.Contains(reply.Error.Message, c.says) {
				t.Errorf("%d %s, want a JSON-RPC error %d with %q", got.status, got.body, c.code, c.says)
			}
		})
	}
	t.Run("unknown method in "+modernVersion, func(t *testing.T) {
		got := must(modern{m.url + "/mcp", token}.ask("tools/destroy", object{}))(t)
		if got.status != 404 || !strings.Contains(string(got.body), "-32601") {
			t.Errorf("%d %s, want 404 with -32601", got.status, got.body)
		}
	})
	t.Run("64 MB", func(t *testing.T) {
		big := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{"x":"` + strings.Repeat("x", 64<<20) + `"}}}`
		got, err := session.send(big)
		if err == nil && got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%d %.200s, want 413", got.status, got.body)
		}
	})
	if said, failed := text(t, callTool(t, session, "notes__read_note", object{"title": "standup"})); failed {
		t.Errorf("the note is gone: %s", said)
	}
}
