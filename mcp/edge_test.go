package mcp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestCredentials holds that every way of having no valid credential gets the
// same bytes, on every path and method.
func TestCredentials(t *testing.T) {
	w := newWorld(t)
	good := w.key()
	revoked, disabled, expiring := w.key(), w.key(), w.key(func(n *keys.NewKey) {
		soon := w.clock.Now().Add(time.Hour)
		n.ExpiresAt = &soon
	})
	_, err := w.svc.RevokeKey(t.Context(), w.op, revoked.Key.ID, keys.Revocation{})
	must(t, err)
	_, err = w.svc.UpdateKey(t.Context(), w.op, disabled.Key.ID, keys.KeyPatch{Enabled: keys.Some(false)})
	must(t, err)
	w.clock.Advance(2 * time.Hour)
	token := good.Secret.Reveal()
	bad := map[string][]string{
		"none":              nil,
		"one changed":       {"Authorization", "Bearer " + token[:20] + flip(token[20]) + token[21:]},
		"not a token":       {"Authorization", "Bearer x"},
		"revoked":           auth(revoked),
		"disabled":          auth(disabled),
		"expired":           auth(expiring),
		"revoked in header": {"X-API-Key", revoked.Secret.Reveal()},
	}
	var first answer
	for _, path := range []string{"/mcp", "/mcp/a1", "/sse", "/message"} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			for name, headers := range bad {
				a := w.do(method, path, strings.NewReader(initialize), append(headers, "Content-Type", "application/json")...)
				if first.status == 0 {
					first = a
				}
				if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Bearer" || a.body != first.body {
					t.Errorf("%s %s, %s: %d %q", method, path, name, a.status, a.body)
				}
			}
		}
	}
	if a := w.post("/mcp", initialize, "Authorization", "Bearer "+token, "X-API-Key", expiring.Secret.Reveal()); a.status != http.StatusBadRequest {
		t.Errorf("two credentials: %d %s", a.status, a.body)
	}
	if a := w.post("/mcp", initialize, "X-API-Key", token); a.status != http.StatusOK {
		t.Errorf("X-API-Key: %d %s", a.status, a.body)
	}
	fresh := w.key() // no cache knows it
	w.store.SetDown(true)
	if a := w.post("/mcp", initialize, auth(fresh)...); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("store down: %d %s", a.status, a.body)
	}
}

func flip(c byte) string {
	if c == 'a' {
		return "b"
	}
	return "a"
}

// TestClosedKeys holds that a key that may not speak MCP gets nowhere, the
// handshake and lists included.
func TestClosedKeys(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("read_x", "r"))
	w.mount("a1", up)
	other := w.tenant("other")
	off := w.keyAs(other)
	_, err := w.svc.UpdateTenant(t.Context(), other, keys.TenantPatch{MCPEnabled: keys.Some(false)})
	must(t, err)
	for _, c := range []struct {
		code string
		key  keys.Issued
	}{
		{"key_paused", w.key(func(n *keys.NewKey) { n.MCPActive = keys.Some(false) })},
		{"scope_denied", w.key(func(n *keys.NewKey) { n.Scope = keys.Some(policy.ScopeAPI) })},
		{"mcp_disabled", off},
	} {
		t.Run(c.code, func(t *testing.T) {
			check := func(what string, a answer) {
				if a.status != http.StatusForbidden || a.code() != c.code || a.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s: %d %s", what, a.status, a.body)
				}
			}
			check("initialize", w.post("/mcp", initialize, auth(c.key)...))
			check("ping", w.post("/mcp", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, auth(c.key)...))
			check("tools/list", w.modern(c.key, "/mcp", "tools/list", ""))
			check("tools/call", w.modern(c.key, "/mcp", "tools/call", `"name":"a1__read_x"`))
			check("whoami", w.modern(c.key, "/mcp", "tools/call", `"name":"whoami"`))
			check("server/discover", w.modern(c.key, "/mcp", "server/discover", ""))
			check("GET", w.do(http.MethodGet, "/mcp", nil, auth(c.key)...))
			check("SSE", w.do(http.MethodGet, "/sse", nil, auth(c.key)...))
			check("malformed", w.post("/mcp", `{`, auth(c.key)...))
		})
	}
	if len(up.seen()) != 0 {
		t.Errorf("the upstream was called: %v", up.seen())
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	k := w.key()
	c := w.connect(k, "/mcp")
	for _, tt := range []struct {
		name   string
		a      answer
		status int
		says   string
	}{
		{"text/plain", w.do("POST", "/mcp", strings.NewReader(initialize), append(auth(k), "Content-Type", "text/plain")...), 415, "application/json"},
		{"no content type", w.do("POST", "/mcp", strings.NewReader(initialize), auth(k)...), 415, "application/json"},
		{"compressed", w.post("/mcp", initialize, append(auth(k), "Content-Encoding", "gzip")...), 415, "Content-Encoding"},
		{"not compressed, in words", w.post("/mcp", initialize, append(auth(k), "Content-Encoding", "Identity")...), 200, "protocolVersion"},
		{"a version that is no string", w.post("/mcp", `{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":1,"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`, auth(k)...), 200,
			`"error":{"code":-32602,"message":"params.protocolVersion must be a string"}`},
		{"client info that is no object", w.post("/mcp", `{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":[],"clientInfo":5}}`, auth(k)...), 200,
			`"error":{"code":-32602,"message":"params are not those of initialize"}`},
		{"a level that is no string", c.send(`{"jsonrpc":"2.0","id":7,"method":"logging/setLevel","params":{"level":1}}`), 200, `"error":{"code":-32602,"message":"params are not those of logging/setLevel"}`},
		{"not JSON", w.post("/mcp", `{"jsonrpc"`, auth(k)...), 400, "-32700"},
		{"batch", w.post("/mcp", `[]`, auth(k)...), 400, "-32600"},
		{"PUT", w.do("PUT", "/mcp", nil, auth(k)...), 405, "GET, POST, DELETE"},
		{"POST /sse", w.do("POST", "/sse", nil, auth(k)...), 405, "GET"},
		{"no session", w.post("/mcp", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, auth(k)...), 400, "initialize first"},
		{"unknown version", w.post("/mcp", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, append(auth(k), "Mcp-Protocol-Version", "2020-01-01")...), 400, "version"},
		{"unknown method", c.send(`{"jsonrpc":"2.0","id":7,"method":"tools/delete"}`), 200, `"id":7,"error":{"code":-32601`},
		{"method in another case", c.send(`{"jsonrpc":"2.0","id":7,"method":"Tools/List"}`), 200, "-32601"},
		{"tasks", c.send(`{"jsonrpc":"2.0","id":7,"method":"tasks/list"}`), 200, "-32601"},
		{"no uri", c.send(`{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":7}}`), 200, "params.uri"},
		{"no prompt", c.send(`{"jsonrpc":"2.0","id":7,"method":"prompts/get"}`), 200, "params.name"},
		{"no ref", c.send(`{"jsonrpc":"2.0","id":7,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"a","NAME":"b"}}}`), 200, "params.ref"},
		{"discover in the old era", c.send(`{"jsonrpc":"2.0","id":7,"method":"server/discover"}`), 200, "-32601"},
		{"listen in the old era", c.send(`{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{"notifications":{}}}`), 200, "-32601"},
		{"a cursor nobody gave", c.send(`{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"cursor":"x"}}`), 200, "-32602"},
		{"call without a name", c.send(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{}}}`), 200, "-32602"},
		{"arguments is a list", c.send(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"whoami","arguments":[]}}`), 200, "-32602"},
		{"unknown notification", c.send(`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"whoami"}}`), 202, ""},
		{"response to nothing", c.send(`{"jsonrpc":"2.0","id":1,"result":{}}`), 400, "was not asked that here"},
		{"bad boolean", w.post("/mcp?readonly=maybe", initialize, auth(k)...), 400, "readonly"},
		{"bad query", w.post("/mcp?instances=%zz", initialize, auth(k)...), 400, "query"},
		{"query in another case", w.post("/mcp?Instances=a", initialize, auth(k)...), 400, "lower case"},
		{"bad pattern", w.post("/mcp", initialize, append(auth(k), "X-MCP-Tools", "a?")...), 400, "X-MCP-Tools"},

		{"modern, unknown method", w.modern(k, "/mcp", "tools/delete", ""), 404, "-32601"},
		{"modern, removed", w.modern(k, "/mcp", "ping", ""), 404, "-32601"},
		{"modern, Mcp-Method differs", w.post("/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+modernMeta+`}}`,
			append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call")...), 400, "-32020"},
		{"modern, no capabilities", w.post("/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
			append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/list")...), 400, "-32602"},
		{"modern, future version", w.post("/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01","io.modelcontextprotocol/clientCapabilities":{}}}}`,
			append(auth(k), "Mcp-Protocol-Version", "2099-01-01", "Mcp-Method", "tools/list")...), 400, "-32022"},
		{"modern, GET", w.do("GET", "/mcp", nil, append(auth(k), "Mcp-Protocol-Version", "2026-07-28")...), 405, "subscriptions/listen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.a.status != tt.status || !strings.Contains(tt.a.body, tt.says) {
				t.Errorf("%d %s, want %d and %q", tt.a.status, tt.a.body, tt.status, tt.says)
			}
		})
	}
}

func TestHostAndOrigin(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) {
		c.PublicURL, c.AllowedOrigins = "https://mcp.example.com", []string{"https://app.example.com"}
	})
	k := w.key()
	for _, c := range []struct {
		host, origin string
		status       int
	}{
		{"", "", 200},
		{"localhost:8080", "", 200},
		{"[::1]:8080", "", 200},
		{"mcp.example.com", "", 200},
		{"MCP.example.com:443", "https://mcp.example.com", 200},
		{"mcp.example.com", "https://app.example.com", 200},
		{"", "http://localhost:5173", 200},
		{"evil.example", "", 403},
		{"mcp.example.com.evil.example", "", 403},
		{"", "https://evil.example", 403},
		{"", "https://mcp.example.com.evil.example", 403},
		{"", "http://app.example.com", 403},
		{"", "null", 403},
	} {
		headers := auth(k)
		if c.host != "" {
			headers = append(headers, "Host", c.host)
		}
		if c.origin != "" {
			headers = append(headers, "Origin", c.origin)
		}
		a := w.post("/mcp", initialize, headers...)
		if a.status != c.status {
			t.Errorf("Host %q, Origin %q: %d, want %d", c.host, c.origin, a.status, c.status)
		}
		if cors := a.header.Get("Access-Control-Allow-Origin"); c.status == 200 && cors != c.origin {
			t.Errorf("Origin %q: allowed %q", c.origin, cors)
		}
	}
	a := w.do(http.MethodOptions, "/mcp", nil, "Origin", "https://app.example.com", "Access-Control-Request-Headers", "authorization,mcp-param-q")
	if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Headers") != "authorization,mcp-param-q" {
		t.Errorf("preflight: %d %v", a.status, a.header)
	}
	if a := w.do(http.MethodOptions, "/mcp", nil, "Origin", "https://evil.example"); a.status != http.StatusForbidden {
		t.Errorf("preflight of another origin: %d", a.status)
	}
	for _, bad := range []mcp.Config{{PublicURL: "mcp.example.com"}, {AllowedOrigins: []string{"*"}}, {AllowedOrigins: []string{"https://a/b"}}} {
		bad.Service, bad.Authenticate = w.svc, w.authenticate
		if _, err := mcp.New(bad); err == nil {
			t.Errorf("%q %q: accepted", bad.PublicURL, bad.AllowedOrigins)
		}
	}
}
