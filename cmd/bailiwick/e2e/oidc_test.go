package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// oidcServer is a server with the sample upstream that trusts the issuers.
func oidcServer(t *testing.T, issuers ...string) *mounted {
	t.Helper()
	args := []string{"--oidc-audience", audience}
	for _, url := range issuers {
		args = append(args, "--oidc-issuer", url)
	}
	return notesServer(t, args...)
}

// get asks the REST API with headers, and answers also those that came back.
func get(t *testing.T, url, token string, headers ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Add(headers[n], headers[n+1])
	}
	response := must((&http.Client{Timeout: patience}).Do(r))(t)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body), response.Header
}

func (m *mounted) openToJWTs(t *testing.T, policy object) {
	t.Helper()
	m.rest().must(t, http.MethodPut, "/api/tenant", object{"jwtPolicy": with(object{"mcpActive": true}, policy)})
}

// TestJWTOverREST: what the claims let it do, in the tenant that they name.
func TestJWTOverREST(t *testing.T) {
	t.Parallel()
	p := newIDP(t, "")
	m := oidcServer(t, p.url)
	things := otherTenant(t, m.server)
	alice := rest{m.url, p.token(object{"tenant": "default", "scope": "openid tenant.apiKey:write view:tenant"})}
	if got := alice.must(t, http.MethodGet, "/api/tenant", nil); got["slug"] != "default" {
		t.Errorf("tenant %v", got)
	}
	id, token := alice.key(t, object{"name": "made by alice"})
	key := m.rest().must(t, http.MethodGet, "/api/api-keys/"+id, nil)
	if want := "jwt:" + p.url + "|alice"; key["createdBy"] != want || key["parentKeyId"] != nil {
		t.Errorf("created by %v, want %s", key["createdBy"], want)
	}
	openSession(t, m.url+"/mcp", token)
	for what, request := range map[string]struct {
		method, path string
		body         any
		status       int
	}{
		"not in the claim":         {"GET", "/api/projects", nil, 403},
		"beyond the claim":         {"POST", "/api/api-keys", object{"name": "x", "permissions": []string{"*"}}, 403},
		"another tenant's key":     {"GET", "/api/api-keys/" + things.key, nil, 404},
		"opening MCP without *":    {"PUT", "/api/tenant", object{"jwtPolicy": object{"mcpActive": true}}, 403},
		"a bad value in a request": {"POST", "/api/api-keys", object{"name": ""}, 422},
	} {
		if status, body := alice.do(t, request.method, request.path, request.body); status != request.status {
			t.Errorf("%s: %d %s, want %d", what, status, body, request.status)
		}
	}
	tests := []struct {
		tenant any // claim
		header string
		status int
		slug   string
	}{
		{"default", "default", 200, "default"}, {"default", "other", 404, ""}, {"default", "nowhere", 404, ""},
		{nil, "default", 200, "default"}, {nil, "other", 200, "other"}, {nil, "nowhere", 404, ""},
		{nil, "", 400, ""}, {"nowhere", "", 401, ""},
	}
	for _, tt := range tests {
		var headers []string
		if tt.header != "" {
			headers = []string{"X-Org-Slug", tt.header}
		}
		status, body, _ := get(t, m.url+"/api/tenant", p.token(object{"tenant": tt.tenant, "scope": "view:tenant"}), headers...)
		if status != tt.status || !strings.Contains(body, `"slug":"`+tt.slug) && tt.slug != "" {
			t.Errorf("claim %v, header %q: %d %s", tt.tenant, tt.header, status, body)
		}
	}
}

// TestJWTOverMCP: closed until the tenant opens it, then under the tenant's
// policy, and cut off when that is taken back.
func TestJWTOverMCP(t *testing.T) {
	t.Parallel()
	p := newIDP(t, "")
	m := oidcServer(t, p.url)
	token := p.token(object{"tenant": "default"})
	modern := modern{m.url + "/mcp", token}
	if a := must(modern.ask("tools/list", object{}))(t); a.status != 403 || !strings.Contains(string(a.body), "key_paused") {
		t.Errorf("before it is opened: %d %s", a.status, a.body)
	}
	if a := must(post(m.url+"/mcp", p.token(nil), object{"jsonrpc": "2.0", "id": 1, "method": "ping"}, nil))(t); a.status != 400 || !strings.Contains(string(a.body), "tenant_required") {
		t.Errorf("without a tenant: %d %s", a.status, a.body)
	}
	m.openToJWTs(t, nil)
	if tools := listTools(t, modern); tools["notes__delete_note"] == nil || tools["create_api_key"] != nil {
		t.Errorf("open: %v", tools)
	}
	if a := callTool(t, modern, "notes__read_note", object{"title": "standup"}); !strings.Contains(string(a.body), "Monday") {
		t.Errorf("%s", a.body)
	}
	if a := callTool(t, modern, "whoami", object{}); !strings.Contains(string(a.body), `"kind":"subject"`) || !strings.Contains(string(a.body), `"subject":"alice"`) {
		t.Errorf("whoami: %s", a.body)
	}
	bob := openSession(t, m.url+"/mcp", p.token(object{"tenant": "default", "sub": "bob"}))
	stolen := &legacy{url: bob.url, token: token, session: bob.session}
	if a := must(stolen.ask("ping", object{}))(t); a.status != 404 {
		t.Errorf("another subject's session: %d %s", a.status, a.body)
	}
	streams := map[string]*stream{"GET": openGET(t, m.server, token), "subscriptions/listen": openListen(t, m, token)}
	m.openToJWTs(t, object{"mcpReadOnly": true})
	for what, s := range streams {
		eventually(t, what+" hears of the narrowing", func() string {
			if seen := s.log.String(); !strings.Contains(seen, "list_changed") {
				return seen
			}
			return ""
		})
	}
	if a := callTool(t, modern, "notes__delete_note", object{"title": "standup"}); !strings.Contains(string(a.body), "Unknown tool") {
		t.Errorf("narrowed: %s", a.body)
	}
	m.rest().must(t, http.MethodPut, "/api/tenant", object{"jwtPolicy": object{"mcpActive": false}})
	endsSoon(t, "closed", streams)
	short := p.token(object{"tenant": "default", "exp": time.Now().Add(3 * time.Second).Unix()})
	m.openToJWTs(t, nil)
	endsSoon(t, "expired", map[string]*stream{"GET": openGET(t, m.server, short)})
	if a := must(post(m.url+"/mcp", short, object{"jsonrpc": "2.0", "id": 1, "method": "ping"}, nil))(t); a.status != 401 {
		t.Errorf("expired: %d %s", a.status, a.body)
	}
}

func endsSoon(t *testing.T, why string, streams map[string]*stream) {
	t.Helper()
	for what, s := range streams {
		select {
		case <-s.ended:
		case <-time.After(5 * time.Second):
			t.Errorf("%s: %s is open after 5 s", why, what)
		}
	}
}

// TestJWTsThatDoNotCount are all answered like an unknown API key, byte for
// byte, and nothing that a token points to is fetched.
func TestJWTsThatDoNotCount(t *testing.T) {
	t.Parallel()
	p, attacker := newIDP(t, ""), newIDP(t, "")
	m := oidcServer(t, p.url)
	m.openToJWTs(t, nil)
	_, want, challenge := get(t, m.url+"/api/tenant", "bwk_live_nothing")
	now := time.Now()
	in := object{"tenant": "default", "scope": "view:tenant"}
	claims := func(more object) object { return object{"claims": with(with(object{}, in), more)} }
	tokens := map[string]string{
		"another issuer":          attacker.token(in),
		"another issuer, our iss": attacker.token(with(object{"iss": p.url}, in)),
		"jku": attacker.order(object{"claims": with(object{"iss": p.url}, in),
			"header": object{"kid": "rsa-2", "jku": attacker.url + "/jwks", "x5u": attacker.url + "/jwks"}}),
		"none":            p.order(with(claims(nil), object{"alg": "none"})),
		"HS256":           p.order(with(claims(nil), object{"alg": "HS256"})),
		"HS256 as RS256":  p.order(with(claims(nil), object{"alg": "HS256", "header": object{"alg": "RS256"}})),
		"unknown kid":     p.order(with(claims(nil), object{"stranger": true, "header": object{"kid": "nobody"}})),
		"wrong signature": p.order(with(claims(nil), object{"stranger": true})),
		"crit":            p.order(with(claims(nil), object{"header": object{"crit": []string{"exp"}}})),
		"aud":             p.order(claims(object{"aud": "https://other.example"})),
		"no aud":          p.order(claims(object{"aud": nil})),
		"no sub":          p.order(claims(object{"sub": nil})),
		"no exp":          p.order(claims(object{"exp": nil})),
		"expired":         p.order(claims(object{"exp": now.Add(-time.Minute).Unix()})),
		"nbf":             p.order(claims(object{"nbf": now.Add(5 * time.Minute).Unix()})),
		"unknown tenant":  p.order(claims(object{"tenant": "nowhere"})),
		"garbage":         "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
	}
	for name, token := range tokens {
		for _, path := range []string{"/api/tenant", "/mcp"} {
			status, body, header := get(t, m.url+path, token)
			if status != 401 || body != want || path != "/mcp" && header.Get("WWW-Authenticate") != challenge.Get("WWW-Authenticate") {
				t.Errorf("%s at %s: %d %s", name, path, status, body)
			}
		}
		if strings.Contains(m.log.String(), token) {
			t.Errorf("%s: the token is in the log", name)
		}
	}
	good := p.token(in)
	for _, path := range []string{"/api/tenant", "/mcp"} {
		r, err := http.NewRequest(http.MethodGet, m.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", good)
		response := must(http.DefaultClient.Do(r))(t)
		_ = response.Body.Close()
		if response.StatusCode != 401 {
			t.Errorf("a JWT in X-API-Key at %s: %d", path, response.StatusCode)
		}
	}
	if status, body, _ := get(t, m.url+"/api/tenant", good); status != 200 {
		t.Errorf("the right one: %d %s", status, body)
	}
	if seen := attacker.seen(); len(seen) != 0 {
		t.Errorf("the attacker's server was asked for %v", seen)
	}
	if n := p.seen()["/jwks"]; n < 1 || n > 6 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// TestIssuerLife: several issuers, one of which is down when the server starts;
// it comes, changes its keys, falls silent.
func TestIssuerLife(t *testing.T) {
	t.Parallel()
	up, addr := newIDP(t, ""), freeAddr(t)
	m := oidcServer(t, up.url, "http://"+addr)
	in := object{"tenant": "default", "scope": "view:tenant"}
	status := func(token string) int {
		t.Helper()
		got, _, _ := get(t, m.url+"/api/tenant", token)
		return got
	}
	if got := status(up.token(in)); got != 200 {
		t.Errorf("the issuer that is up: %d", got)
	}
	late := newIDP(t, addr)
	token := late.token(in)
	late.end()
	if got := status(token); got != 503 {
		t.Errorf("while it is down: %d", got)
	}
	late = newIDP(t, addr)
	becomes := func(what string, token string, want int) {
		t.Helper()
		eventually(t, what, func() string {
			if got := status(token); got != want {
				return http.StatusText(got)
			}
			return ""
		})
	}
	fresh := late.token(in)
	becomes("it counts once the issuer is up", fresh, 200)
	if got := status(token); got != 401 {
		t.Errorf("signed with keys from before it was started again: %d", got)
	}
	late.control("rotate", nil)
	becomes("a new key is taken", late.token(in), 200)
	becomes("and the old one dropped", fresh, 401)
	rotated := late.token(in)
	late.control("silence", nil)
	if got := status(rotated); got != 200 {
		t.Errorf("its keys are known, it need not answer: %d", got)
	}
	if got := status(m.firstKey); got != 200 {
		t.Errorf("an API key: %d", got)
	}
}
