package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestProtectedResourceMetadata: a client without a token learns where to get one.
func TestProtectedResourceMetadata(t *testing.T) {
	t.Parallel()
	p := newIDP(t, "")
	m := oidcServer(t, p.url)
	for path, resource := range map[string]string{"/api/tenant": m.url, "/mcp": m.url + "/mcp"} {
		status, _, header := get(t, m.url+path, "")
		challenge := header.Get("WWW-Authenticate")
		at, ok := strings.CutPrefix(challenge, `Bearer resource_metadata="`)
		if status != 401 || !ok || strings.Contains(challenge, "error") {
			t.Fatalf("%s: %d %q", path, status, challenge)
		}
		status, body, _ := get(t, strings.TrimSuffix(at, `"`), "")
		var got struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || got.Resource != resource || len(got.Servers) != 1 || got.Servers[0] != p.url {
			t.Errorf("%s: %d %s", at, status, body)
		}
		if _, _, header = get(t, m.url+path, "nothing"); !strings.HasSuffix(header.Get("WWW-Authenticate"), `, error="invalid_token"`) {
			t.Errorf("%s with a bad token: %q", path, header.Get("WWW-Authenticate"))
		}
	}
	plain := serve(t)
	if status, _, header := get(t, plain.url+"/mcp", ""); status != 401 || header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("without an issuer: %d %q", status, header.Get("WWW-Authenticate"))
	}
	if status, _, _ := get(t, plain.url+"/.well-known/oauth-protected-resource", ""); status != 404 {
		t.Errorf("without an issuer: %d", status)
	}
}
