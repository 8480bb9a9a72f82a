package rest_test

import (
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
)

// logicalKeys are the same keys in the words of each shape.
var logicalKeys = []map[string]string{{
	"ocore":      `{"name":"bot"}`,
	"walletcrew": `{"name":"bot"}`,
	"capydb":     `{"name":"bot","scopes":[]}`,
}, {
	"ocore":      `{"name":"bot","permissions":["view:api-keys","manage:tenant","view:audit"]}`,
	"walletcrew": `{"name":"bot","permissions":["tenant.apiKey:read","tenant.tenant:write","tenant.audit:read"]}`,
	"capydb":     `{"name":"bot","scopes":["api_keys:read","tenant:write","audit:read"]}`,
}, {
	"ocore":      `{"name":"bot","permissions":["*"]}`,
	"walletcrew": `{"name":"bot","permissions":["*"]}`,
	"capydb":     `{"name":"bot","scopes":["*"]}`,
}, {
	"ocore":      `{"name":"bot","permissions":["*"],"enabled":false}`,
	"walletcrew": `{"name":"bot","permissions":["*"],"enabled":false}`,
}, {
	"ocore":  `{"name":"The Bot!","permissions":["view:projects"],"projectId":"PROJECT","deviceName":"laptop","expiresAt":"2031-01-01T00:00:00Z"}`,
	"capydb": `{"name":"The Bot!","scopes":["projects:read"],"project_id":"PROJECT","device_name":"laptop","expires_at":"2031-01-01T01:00:00+01:00"}`,
}}

var creates = map[string]string{
	"ocore": "/api/api-keys", "walletcrew": "/api/default/admin/apiKeys", "capydb": "/v1/organizations/default/api-keys",
}

// One key leaves the same state behind, row, secrets and audit trail, whichever
// shape it was made in, on each database; the shapes that know nothing of MCP
// make it paused.
func TestSameStateInEveryShape(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		s := newSite(t, cfg)
		for _, words := range logicalKeys {
			made := map[string]string{}
			for shape, body := range words {
				made[shape] = s.stateAfter(creates[shape], body)
			}
			for shape, state := range made {
				want := made["ocore"]
				if shape != "ocore" {
					want = strings.Replace(want, "mcpActive: true", "mcpActive: false", 1)
				}
				if state != want {
					t.Errorf("%s:\n%s", shape, difference(want, state))
				}
			}
			if !strings.Contains(made["ocore"], "key.create allow") || !strings.Contains(made["ocore"], "mcpActive: true") {
				t.Fatalf("not much of a state: %s", made["ocore"])
			}
		}
	})
}

// stateAfter is the state that a create leaves behind, with placeholders; the
// key is revoked then, so that its handle is free.
func (s *site) stateAfter(path, body string) string {
	s.t.Helper()
	s.began = s.epoch()
	p := s.placeholders("")
	project, _ := p.show("<id:project>")
	s.object(201, "POST", path, strings.ReplaceAll(body, "PROJECT", project))
	state := p.hide(s.state())
	for _, one := range s.object(200, "GET", "/api/api-keys", "")["apiKeys"].([]any) {
		if id := one.(map[string]any)["id"].(string); id != s.first.Key.ID {
			s.object(200, "DELETE", "/api/api-keys/"+id, "")
		}
	}
	return state
}
