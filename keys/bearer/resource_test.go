package bearer_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
)

func TestResourceMetadata(t *testing.T) {
	issuers := []string{"https://idp.example/a", "https://idp.example/b"}
	for _, tt := range []struct{ public, path, want string }{
		{"", bearer.MetadataPath, "http://localhost:8080"},
		{"", bearer.MCPMetadataPath, "http://localhost:8080/mcp"},
		{"https://mcp.example.com", bearer.MCPMetadataPath, "https://mcp.example.com/mcp"},
		{"https://example.com/bailiwick/", bearer.MetadataPath, "https://example.com/bailiwick"},
	} {
		w := httptest.NewRecorder()
		bearer.Resource{Issuers: issuers, PublicURL: tt.public}.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost:8080"+tt.path, nil))
		var got struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Methods  []string `json:"bearer_methods_supported"`
			Scopes   []string `json:"scopes_supported"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if got.Resource != tt.want || !slices.Equal(got.Servers, issuers) || !slices.Equal(got.Methods, []string{"header"}) || !slices.Contains(got.Scopes, "view:api-keys") {
			t.Errorf("%+v: %+v", tt, got)
		}
	}
	w := httptest.NewRecorder()
	bearer.Resource{Issuers: issuers}.ServeHTTP(w, httptest.NewRequest("POST", bearer.MetadataPath, nil))
	if w.Code != 405 || w.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestChallenge(t *testing.T) {
	const own, mcp = `Bearer resource_metadata="http://h/.well-known/oauth-protected-resource"`, `Bearer resource_metadata="http://h/.well-known/oauth-protected-resource/mcp"`
	for _, tt := range []struct {
		path, header string
		status       int
		want         string
	}{
		{"/api/tenant", "", 401, own}, {"/api/tenant", "Authorization", 401, own + `, error="invalid_token"`},
		{"/mcp", "", 401, mcp}, {"/mcp/files", "X-API-Key", 401, mcp + `, error="invalid_token"`},
		{"/sse", "", 401, mcp}, {"/message", "", 401, mcp}, {"/mcpx", "", 401, own},
		{"/api/tenant", "Authorization", 200, ""}, {"/mcp", "", 403, ""},
	} {
		h := bearer.Resource{Issuers: []string{"https://idp.example"}}.Challenge(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if tt.status == 401 {
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
			w.WriteHeader(tt.status)
		}))
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "http://h"+tt.path, nil)
		if tt.header != "" {
			r.Header.Set(tt.header, "x")
		}
		h.ServeHTTP(w, r)
		if got := w.Header().Get("WWW-Authenticate"); got != tt.want || w.Code != tt.status {
			t.Errorf("%s %q %d: %q, want %q", tt.path, tt.header, tt.status, got, tt.want)
		}
	}
}
