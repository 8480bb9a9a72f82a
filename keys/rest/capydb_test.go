package rest_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
)

const organizationKeys = "/v1/organizations/default/api-keys"

// dig walks down a decoded body.
func dig(v any, path ...string) any {
	for _, name := range path {
		v = v.(map[string]any)[name]
	}
	return v
}

// capyKey is how a key of the test's tenant is written in this shape; the zero
// value of a field stands for null.
func (h *house) capyKey(active bool, prefix, id, name, project, device, expires, revoked, scopes string) string {
	null := func(s string) string {
		if s == "" {
			return "null"
		}
		return `"` + s + `"`
	}
	return fmt.Sprintf(`{"created_at":"2030-01-01T00:00:00Z","created_by_user_id":null,"device_name":%s,"expires_at":%s,"id":"%s",`+
		`"is_active":%t,"key_prefix":"%s","last_used_at":null,"name":"%s","organization_id":"%s","project_id":%s,"revoked_at":%s,`+
		`"scopes":[%s],"source":"api"}`, null(device), null(expires), id, active, prefix, name, h.op.TenantID(), null(project), null(revoked), scopes)
}

func TestCapydbKeyLife(t *testing.T) {
	h := newHouse(t)
	project, err := h.svc.CreateProject(h.ctx, h.op, keys.NewProject{Name: "p"})
	h.must(err)
	made := h.ask("POST", organizationKeys, `{"name":"Bot","scopes":["projects:read","instances:write","projects:read"],"project_id":"`+project.ID+
		`","device_name":"laptop","expires_at":"2030-01-01T02:00:00+01:00"}`)
	body := h.want(201, made)
	token, id := body["plaintext_api_key"].(string), dig(body, "api_key", "id").(string)
	prefix := token[:len("bwk_live_")+4]
	scopes := `"projects:read","instances:write"`
	key := h.capyKey(true, prefix, id, "Bot", project.ID, "laptop", "2030-01-01T01:00:00Z", "", scopes)
	h.says(201, `{"api_key":`+key+`,"plaintext_api_key":"`+token+`"}`, made)

	plain := h.want(201, h.ask("POST", organizationKeys, `{"name":"Plain","scopes":[],"project_id":null,"device_name":null,"expires_at":null}`))
	plainID := dig(plain, "api_key", "id").(string)
	plainToken := plain["plaintext_api_key"].(string)
	plainKey := h.capyKey(true, plainToken[:len(prefix)], plainID, "Plain", "", "", "", "", "")
	h.fault(403, "permission api_keys:read is needed", h.do(plainToken, "GET", organizationKeys, ""))
	for _, id := range []string{plainID, "x"} {
		h.fault(403, "permission api_keys:write is needed", h.do(plainToken, "DELETE", organizationKeys+"/"+id, ""))
	}

	list := func() string {
		t.Helper()
		r := h.ask("GET", organizationKeys, "")
		all := h.want(200, r)["api_keys"].([]any)
		if first := all[0].(map[string]any); len(all) != 3 || len(first) != 14 || fmt.Sprint(first["scopes"]) != "[* tenants:write]" {
			t.Fatalf("list %v", all)
		}
		_, rest, _ := strings.Cut(r.body, "},{")
		return "{" + rest
	}
	if got := list(); got != key+","+plainKey+"]}\n" {
		t.Errorf("list %s", got)
	}
	h.now = h.now.Add(time.Hour) // at which the first expires
	key = strings.Replace(key, `"is_active":true`, `"is_active":false`, 1)
	if got := list(); got != key+","+plainKey+"]}\n" {
		t.Errorf("list with an expired key: %s", got)
	}
	for range 2 {
		h.says(200, `{"revoked":true}`, h.ask("DELETE", organizationKeys+"/"+plainID, ""))
		h.now = h.now.Add(time.Minute)
	}
	plainKey = h.capyKey(false, plainToken[:len(prefix)], plainID, "Plain", "", "", "", "2030-01-01T01:00:00Z", "")
	if got := list(); got != key+","+plainKey+"]}\n" {
		t.Errorf("list with a revoked key: %s", got)
	}
	h.fault(401, "a valid API key is needed: send it as Authorization: Bearer <key> or X-API-Key: <key>", h.do(plainToken, "GET", "/v1/me", ""))
}

func TestCapydbDisabledKeyIsNotActive(t *testing.T) {
	h := newHouse(t)
	k, _ := h.mint(keys.NewKey{Enabled: keys.Some(false)})
	paused, _ := h.mint(keys.NewKey{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}})
	for _, one := range h.want(200, h.ask("GET", organizationKeys, ""))["api_keys"].([]any) {
		if id, active := dig(one, "id"), dig(one, "is_active").(bool); active != (id != k.ID) {
			t.Errorf("%v is active: %t (paused is %s)", id, active, paused.ID)
		}
	}
}

func TestCapydbBadInput(t *testing.T) {
	h := newHouse(t)
	project, err := h.svc.CreateProject(h.ctx, h.op, keys.NewProject{Name: "p"})
	h.must(err)
	one := organizationKeys + "/" + unknownID
	tests := []struct {
		method, path, body string
		status             int
		text               string // what the error starts with
	}{
		{"POST", organizationKeys, ``, 415, "the body must be JSON"},
		{"POST", organizationKeys, `{"name":`, 400, "the body is not valid JSON"},
		{"POST", organizationKeys, `{"name":"a","scopes":[]} {}`, 400, "the body has more data"},
		{"POST", organizationKeys, `{"name":1,"scopes":[]}`, 400, "name "},
		{"POST", organizationKeys, `{"name":"a","name":"b","scopes":[]}`, 400, "name "},
		{"POST", organizationKeys, `{"name":"a","scopes":[],"permissions":[]}`, 400, "permissions "},
		{"POST", organizationKeys, `{"name":"a","scopes":[],"projectId":"x"}`, 400, "projectId "},
		{"POST", organizationKeys, `{"scopes":[]}`, 422, "name: must not be empty"},
		{"POST", organizationKeys, `{"name":"","scopes":[]}`, 422, "name: must not be empty"},
		{"POST", organizationKeys, `{"name":"` + strings.Repeat("a", 201) + `","scopes":[]}`, 422, "name: must have 1 to 200"},
		{"POST", organizationKeys, `{"name":"a"}`, 422, "scopes: is required"},
		{"POST", organizationKeys, `{"name":"a","scopes":null}`, 422, "scopes: is required"},
		{"POST", organizationKeys, `{"name":"a","scopes":["api_keys:delete"]}`, 422, `scopes: "api_keys:delete" is unknown: use * or one of api_keys, projects, `},
		{"POST", organizationKeys, `{"name":"a","scopes":["view:api-keys"]}`, 422, "scopes: write view:api-keys as api_keys:read"},
		{"POST", organizationKeys, `{"name":"a","scopes":["tenant.apiKey:write"]}`, 422, "scopes: write tenant.apiKey:write as api_keys:write"},
		{"POST", organizationKeys, `{"name":"a","scopes":["api_keys:read"],"project_id":"` + project.ID + `"}`, 422,
			"scopes: api_keys:read can't stand on a key with a project_id: only scopes on projects and instances can"},
		{"POST", organizationKeys, `{"name":"a","scopes":["*"],"project_id":"` + project.ID + `"}`, 422, "scopes: * can't stand"},
		{"POST", organizationKeys, `{"name":"a","scopes":[],"project_id":""}`, 422, "project_id: must not be empty"},
		{"POST", organizationKeys, `{"name":"a","scopes":[],"project_id":"` + unknownID + `"}`, 422, "project_id: no such project"},
		{"POST", organizationKeys, `{"name":"a","scopes":[],"device_name":"` + strings.Repeat("a", 201) + `"}`, 422, "device_name: "},
		{"POST", organizationKeys, `{"name":"a","scopes":[],"expires_at":"soon"}`, 422, "expires_at: must be a time"},
		{"POST", organizationKeys, `{"name":"a","scopes":[],"expires_at":"2020-01-01T00:00:00Z"}`, 422, "expires_at: must be in the future"},
		{"POST", organizationKeys + "?dry=1", `{"name":"a","scopes":[]}`, 400, "dry: "},
		{"GET", organizationKeys + "?page=1", "", 400, "page: "},
		{"DELETE", one, `{"reason":"x"}`, 400, "this operation takes no body"},
		{"GET", "/v1/me?verbose=true", "", 400, "verbose: "},
		{"GET", one, "", 405, "this path answers to DELETE"},
		{"PATCH", organizationKeys, "", 405, "this path answers to GET, HEAD, POST"},
		{"GET", "/v1/", "", 404, "not found"},
		{"GET", "/v1/nothing", "", 404, "not found"},
		{"GET", "/v1//me", "", 404, "not found"},
		{"DELETE", one, "", 404, "api key not found"},
	}
	before := h.epoch()
	for _, tt := range tests {
		r := h.ask(tt.method, tt.path, tt.body)
		body := h.want(tt.status, r)
		if text, _ := body["error"].(string); len(body) != 1 || !strings.HasPrefix(text, tt.text) || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %.80s answers %s, want %q", tt.method, tt.path, tt.body, r.body, tt.text)
		}
	}
	if h.epoch() != before {
		t.Error("something was changed")
	}
}

// Another organization, an unknown one and an unknown key answer with the same
// bytes where a key is named.
func TestCapydbAbsence(t *testing.T) {
	h := newHouse(t)
	other, err := h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Name: "other"})
	h.must(err)
	foreign, err := h.svc.Operator(h.ctx, other.ID)
	h.must(err)
	theirs, err := h.svc.CreateKey(h.ctx, foreign, keys.NewKey{Name: "theirs"})
	h.must(err)
	mine, _ := h.mint(keys.NewKey{})
	for _, organization := range []string{other.ID, other.Slug, unknownID, "nobody", "Default", "a%20b", "%00", strings.Repeat("a", 3000)} {
		all := "/v1/organizations/" + organization + "/api-keys"
		h.fault(404, "organization not found", h.ask("GET", all, ""))
		h.fault(404, "organization not found", h.ask("POST", all, `{"name":"a","scopes":[]}`))
		for _, key := range []string{theirs.Key.ID, mine.ID, unknownID, "x"} {
			h.fault(404, "api key not found", h.ask("DELETE", all+"/"+key, ""))
		}
	}
	for _, key := range []string{theirs.Key.ID, unknownID, "x", mine.Handle, strings.ToUpper(mine.ID), "%2e%2e", "%2F"} {
		h.fault(404, "api key not found", h.ask("DELETE", organizationKeys+"/"+key, ""))
	}
	h.fault(404, "organization not found", h.ask("GET", "/v1/me", "", "X-Org-Slug", other.Slug))
	h.fault(404, "organization not found", h.ask("GET", organizationKeys, "", "X-Org-Slug", other.ID))
	h.fault(404, "api key not found", h.ask("DELETE", organizationKeys+"/"+mine.ID, "", "X-Org-Slug", other.ID))
	for _, same := range []string{"default", h.op.TenantID()} {
		h.want(200, h.ask("GET", "/v1/organizations/"+same+"/api-keys", "", "X-Org-Slug", same))
	}
	if k, err := h.svc.Key(h.ctx, foreign, theirs.Key.ID); err != nil || k.RevokedAt != nil {
		t.Errorf("%+v, %v", k, err)
	}
}

func TestCapydbMe(t *testing.T) {
	h := newHouse(t)
	project, err := h.svc.CreateProject(h.ctx, h.op, keys.NewProject{Name: "p"})
	h.must(err)
	parent, _ := h.mint(keys.NewKey{Name: "parent", Permissions: keys.Some([]string{"manage:api-keys", "view:audit"})})
	me := func(name, permission string, k keys.NewKey) string {
		k.Name = name
		k.Permissions = keys.Some(strings.Fields(permission))
		minted, token := h.mint(k)
		r := h.do(token, "GET", "/v1/me", "")
		h.want(200, r)
		return strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(r.body), minted.ID, "KEY"), h.op.TenantID(), "ORG")
	}
	body := func(scopes, admin, name, project string) string {
		return `{"organization":{"id":"ORG","slug":"default","name":"Default"},"principal":{"auth_source":"api_key","scopes":[` + scopes +
			`],"is_admin":` + admin + `,"organization_id":"ORG","key_id":"KEY","key_name":"` + name + `","project_id":` + project + `,"user_id":null}}`
	}
	for want, got := range map[string]string{
		body(`"*"`, "true", "all", "null"):                                        me("all", "*", keys.NewKey{}),
		body(``, "false", "none", "null"):                                         me("none", "", keys.NewKey{}),
		body(`"audit:read","api_keys:write"`, "false", "some", "null"):            me("some", "view:audit manage:api-keys", keys.NewKey{}),
		body(`"projects:read"`, "false", "confined", `"`+project.ID+`"`):          me("confined", "view:projects", keys.NewKey{ProjectID: project.ID}),
		body(`"api_keys:read"`, "false", "child", "null"):                         me("child", "view:api-keys manage:projects", keys.NewKey{ParentKeyID: parent.ID}),
		body(`"api_keys:write","audit:read"`, "false", "child of all", "null"):    me("child of all", "*", keys.NewKey{ParentKeyID: parent.ID}),
		body(`"api_keys:read","audit:read"`, "false", "child of more", "null"):    me("child of more", "manage:audit view:api-keys view:audit", keys.NewKey{ParentKeyID: parent.ID}),
		body(`"*","tenants:write"`, "true", "platform", "null"):                   me("platform", "* manage:tenants", keys.NewKey{}),
		body(`"projects:read","projects:write"`, "false", "said twice", "null"):   me("said twice", "view:projects manage:projects", keys.NewKey{}),
		body(`"projects:read"`, "false", "paused for MCP, which is open", "null"): me("paused for MCP, which is open", "view:projects", keys.NewKey{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}}),
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	h.fault(401, "a valid API key is needed: send it as Authorization: Bearer <key> or X-API-Key: <key>", h.do("", "GET", "/v1/me", ""))
}

func TestNobodyIsNobody(t *testing.T) {
	if err := rest.Whoami(t.Context(), keys.Principal{}); !errors.Is(err, keys.ErrUnauthenticated) {
		t.Error(err)
	}
}

func TestCapydbNoEscalation(t *testing.T) {
	h := newHouse(t)
	_, token := h.mint(keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"})})
	h.fault(403, "this exceeds your own rights: ask for less, or use a key with these rights (scopes: beyond the issuing key's scopes)",
		h.do(token, "POST", organizationKeys, `{"name":"x","scopes":["*"]}`))
	h.want(201, h.do(token, "POST", organizationKeys, `{"name":"x","scopes":["api_keys:read"]}`))
}

// Every fault of the server is told as this shape tells errors.
func TestCapydbFaults(t *testing.T) {
	h := newHouse(t)
	h.fault(400, "Authorization: and X-API-Key hold different credentials: send one", h.ask("GET", "/v1/me", "", "X-API-Key", "other"))
	h.store.SetDown(true)
	r := h.ask("GET", organizationKeys, "")
	h.fault(503, "the store can't be reached now: try again", r)
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	internal := "something went wrong in the server; nothing is known to have changed"
	h.cfg.Authenticate = func(*http.Request) (keys.Principal, keys.Secret, error) { panic("canary-panic") }
	h.api = rest.New(h.cfg)
	h.fault(500, internal, h.ask("GET", "/v1/me", ""))
	h.cfg.Authenticate = func(*http.Request) (keys.Principal, keys.Secret, error) {
		return keys.Principal{}, "", errors.New("canary-error")
	}
	h.api = rest.New(h.cfg)
	h.fault(500, internal, h.ask("GET", "/v1/me", ""))
	h.cfg.Authenticate = func(*http.Request) (keys.Principal, keys.Secret, error) { return keys.Principal{}, "", nil }
	h.api = rest.New(h.cfg)
	h.fault(403, "this key's scope does not open the REST API: use a key of scope full or api", h.ask("GET", "/v1/me", ""))
}
