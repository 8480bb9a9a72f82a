package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const definitions = "/api/default/admin/apiKeys"

// says checks a status and the whole body.
func (h *house) says(status int, body string, r response) {
	h.t.Helper()
	if r.status != status || strings.TrimSuffix(r.body, "\n") != body {
		h.t.Errorf("want %d %s, got %d %s", status, body, r.status, r.body)
	}
}

func TestWalletcrewKeyLife(t *testing.T) {
	h := newHouse(t)
	h.says(200, `[{"name":"first-key","enabled":true,"permissions":["*","platform.tenant:write"]}]`, h.ask("GET", definitions, ""))
	made := h.ask("POST", definitions, `{"name":"My_bot.1","permissions":["tenant.apiKey:read","tenant.apiKey:read"]}`)
	token, _ := h.want(201, made)["token"].(string)
	definition := `{"name":"My_bot.1","enabled":true,"permissions":["tenant.apiKey:read"]}`
	h.says(201, strings.TrimSuffix(definition, "}")+`,"token":"`+token+`"}`, made)
	if !strings.HasPrefix(token, "bwk_live_") || made.header.Get("ETag") == "" {
		t.Errorf("token %q, headers %v", token, made.header)
	}
	one := definitions + "/My_bot.1"
	h.says(200, definition, h.do("", "GET", one, "", "X-API-KEY", token))
	h.says(200, `{"name":"My_bot.1","enabled":false,"permissions":["*"]}`, h.ask("PUT", one, `{"enabled":false,"permissions":["*"]}`))
	h.refused(401, "unauthenticated", h.do(token, "GET", one, ""))
	h.says(200, `{"name":"My_bot.1","enabled":true,"permissions":[]}`, h.ask("PUT", one, `{"enabled":true}`))
	h.refused(403, "permission_denied", h.do(token, "GET", one, ""))
	again := h.ask("PUT", one, `{"enabled":true}`)
	if tag := again.header.Get("ETag"); tag != h.ask("GET", one, "").header.Get("ETag") {
		t.Errorf("ETag %s after a replacement that changed nothing", tag)
	}
	h.says(200, `[{"name":"first-key","enabled":true,"permissions":["*","platform.tenant:write"]},`+
		`{"name":"My_bot.1","enabled":true,"permissions":[]}]`, h.ask("GET", definitions, ""))

	h.says(204, "", h.ask("DELETE", one, ""))
	h.refused(401, "unauthenticated", h.do(token, "GET", one, ""))
	for method, body := range map[string]string{"DELETE": "", "GET": "", "PUT": `{"enabled":true}`} {
		h.refused(404, "not_found", h.ask(method, one, body))
	}
	h.want(201, h.ask("POST", definitions, `{"name":"My_bot.1","enabled":false}`))
	h.says(200, `{"name":"My_bot.1","enabled":false,"permissions":[]}`, h.ask("GET", one, ""))
}

func TestWalletcrewBadInput(t *testing.T) {
	h := newHouse(t)
	h.mint(keys.NewKey{Name: "taken", Handle: "taken"})
	one := definitions + "/taken"
	long := strings.Repeat("a", 65)
	tests := []struct {
		method, path, body string
		status             int
		code, field        string
	}{
		{"POST", definitions, `{}`, 422, "invalid", "name"},
		{"POST", definitions, `{"name":null}`, 422, "invalid", "name"},
		{"POST", definitions, `{"name":""}`, 422, "invalid", "name"},
		{"POST", definitions, `{"name":"."}`, 422, "invalid", "name"},
		{"POST", definitions, `{"name":".."}`, 422, "invalid", "name"},
		{"POST", definitions, `{"name":"a b"}`, 422, "invalid", "name"},
		{"POST", definitions, `{"name":"a/b"}`, 422, "invalid", "name"},
		{"POST", definitions, `{"name":"schlüssel"}`, 422, "invalid", "name"},
		{"POST", definitions, `{"name":"` + long + `"}`, 422, "invalid", "name"},
		{"POST", definitions, `{"name":"taken"}`, 409, "conflict", "name"},
		{"POST", definitions, `{"name":"a","enabled":null}`, 422, "invalid", "enabled"},
		{"POST", definitions, `{"name":"a","enabled":"yes"}`, 400, "malformed", "enabled"},
		{"POST", definitions, `{"name":"a","permissions":null}`, 422, "invalid", "permissions"},
		{"POST", definitions, `{"name":"a","permissions":"*"}`, 400, "malformed", "permissions"},
		{"POST", definitions, `{"name":"a","permissions":[null]}`, 400, "malformed", "permissions[0]"},
		{"POST", definitions, `{"name":"a","permissions":["tenant.apiKey:admin"]}`, 422, "invalid", "permissions"},
		{"POST", definitions, `{"name":"a","permissions":["view:api-keys"]}`, 422, "invalid", "permissions"},
		{"POST", definitions, `{"name":"a","permissions":["api_keys:read"]}`, 422, "invalid", "permissions"},
		{"POST", definitions, `{"name":"a","mcpActive":true}`, 400, "malformed", "mcpActive"},
		{"POST", definitions, `{"name":"a","handle":"b"}`, 400, "malformed", "handle"},
		{"POST", definitions, `{"name":"a","token":"b"}`, 400, "malformed", "token"},
		{"PUT", one, `{}`, 422, "invalid", "enabled"},
		{"PUT", one, `{"permissions":["*"]}`, 422, "invalid", "enabled"},
		{"PUT", one, `{"enabled":null}`, 422, "invalid", "enabled"},
		{"PUT", one, `{"enabled":true,"permissions":null}`, 422, "invalid", "permissions"},
		{"PUT", one, `{"enabled":true,"permissions":["x"]}`, 422, "invalid", "permissions"},
		{"PUT", one, `{"enabled":true,"name":"other"}`, 400, "malformed", "name"},
		{"PUT", one, ``, 415, "not_json", ""},
		{"DELETE", one, `{"reason":"x"}`, 400, "malformed_body", ""},
		{"GET", definitions + "?page=1", "", 400, "malformed_query", "page"},
	}
	before := h.epoch()
	for _, tt := range tests {
		fields := h.refused(tt.status, tt.code, h.ask(tt.method, tt.path, tt.body))
		if tt.field != "" && (len(fields) == 0 || fields[0] != tt.field) {
			t.Errorf("%s %s names %v, want %s", tt.method, tt.body, fields, tt.field)
		}
	}
	if h.epoch() != before {
		t.Error("something was changed")
	}
}

// What is refused is said in the words of the shape.
func TestWalletcrewWords(t *testing.T) {
	h := newHouse(t)
	h.mint(keys.NewKey{Name: "taken", Handle: "taken"})
	project, err := h.svc.CreateProject(h.ctx, h.op, keys.NewProject{Name: "p"})
	h.must(err)
	h.mint(keys.NewKey{Name: "confined", ProjectID: project.ID})
	_, reader := h.mint(keys.NewKey{Permissions: keys.Some([]string{"view:api-keys"})})
	_, none := h.mint(keys.NewKey{})
	_, manager := h.mint(keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"})})
	for want, r := range map[string]response{
		"write api_keys:read as tenant.apiKey:read": h.ask("POST", definitions, `{"name":"a","permissions":["api_keys:read"]}`),
		"use * or one of tenant.apiKey, ":           h.ask("POST", definitions, `{"name":"a","permissions":["everything"]}`),
		"name: another key has this name":           h.ask("POST", definitions, `{"name":"taken"}`),
		"permission tenant.apiKey:read is needed":   h.do(none, "GET", definitions+"/taken", ""),
		"permission tenant.apiKey:write is needed":  h.do(reader, "PUT", definitions+"/taken", `{"enabled":true}`),
		"permission tenant.apiKey:write":            h.do(none, "PUT", definitions+"/taken", `{"enabled":true}`),
		"platform.tenant:read can't stand":          h.ask("PUT", definitions+"/confined", `{"enabled":true,"permissions":["platform.tenant:read"]}`),
		"tenant.apiKey:write is":                    h.do(reader, "DELETE", definitions+"/nobody", ""),
		"beyond the issuing key's permissions":      h.do(manager, "POST", definitions, `{"name":"a","permissions":["tenant.tenant:write"]}`),
		"tenant.preset:read can't stand":            h.ask("PUT", definitions+"/confined", `{"enabled":true,"permissions":["tenant.preset:read"]}`),
	} {
		if !strings.Contains(r.body, want) || strings.Contains(r.body, "view:") || strings.Contains(r.body, "handle") {
			t.Errorf("want %q, got %d %s", want, r.status, r.body)
		}
	}
}

func TestWalletcrewVersions(t *testing.T) {
	h := newHouse(t)
	made := h.ask("POST", definitions, `{"name":"a"}`)
	one, first := definitions+"/a", made.header.Get("ETag")
	if got := h.ask("GET", one, "").header.Get("ETag"); got != first || first == "" {
		t.Errorf("ETag %s, then %s", first, got)
	}
	changed := h.ask("PUT", one, `{"enabled":false}`, "If-Match", first)
	h.want(200, changed)
	before := h.epoch()
	for _, stale := range []string{first, "W/" + changed.header.Get("ETag"), `"0"`} {
		h.refused(412, "version_mismatch", h.ask("PUT", one, `{"enabled":true}`, "If-Match", stale))
		h.refused(412, "version_mismatch", h.ask("DELETE", one, "", "If-Match", stale))
	}
	h.refused(400, "malformed_header", h.ask("DELETE", one, "", "If-Match", "5"))
	h.refused(400, "malformed_header", h.ask("GET", one, "", "If-Match", first))
	h.refused(400, "malformed_header", h.ask("POST", definitions, `{"name":"b"}`, "If-Match", first))
	if h.epoch() != before {
		t.Error("something was changed")
	}
	h.says(204, "", h.ask("DELETE", one, "", "If-Match", changed.header.Get("ETag")))
}

// Another tenant, one that does not exist and a key that does not exist answer
// with the same bytes, whatever a header says beside.
func TestWalletcrewTenants(t *testing.T) {
	h := newHouse(t)
	other, err := h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Name: "other"})
	h.must(err)
	foreign, err := h.svc.Operator(h.ctx, other.ID)
	h.must(err)
	_, err = h.svc.CreateKey(h.ctx, foreign, keys.NewKey{Name: "theirs", Handle: "theirs"})
	h.must(err)
	want := h.ask("GET", definitions+"/nobody", "")
	h.refused(404, "not_found", want)
	same := func(r response) {
		t.Helper()
		if r.status != 404 || r.body != want.body || fmt.Sprint(r.header) != fmt.Sprint(want.header) {
			t.Errorf("answers %d %s %v", r.status, r.body, r.header)
		}
	}
	for _, tenant := range []string{other.ID, other.Slug, unknownID, "nobody", "Default", "a%20b", "%00", "{tenantId}", "%2e"} {
		all := "/api/" + tenant + "/admin/apiKeys"
		for _, key := range []string{"theirs", "first-key", "nobody"} {
			same(h.ask("GET", all+"/"+key, ""))
			same(h.ask("PUT", all+"/"+key, `{"enabled":true}`))
			same(h.ask("DELETE", all+"/"+key, ""))
		}
		same(h.ask("GET", all, ""))
		same(h.ask("POST", all, `{"name":"a"}`))
	}
	h.want(200, h.ask("GET", "/api/"+h.op.TenantID()+"/admin/apiKeys/first-key", ""))
	h.want(200, h.ask("GET", definitions+"/first-key", "", "X-Org-Slug", h.op.TenantID()))
	same(h.ask("GET", definitions+"/first-key", "", "X-Org-Slug", other.Slug))
	id := h.want(200, h.ask("GET", "/api/api-keys", ""))["apiKeys"].([]any)[0].(map[string]any)["id"].(string)
	same(h.ask("GET", definitions+"/"+id, "")) // by name alone
	same(h.ask("GET", definitions+"/FIRST-KEY", ""))
}

// A tenant may be called as our own paths are.
func TestWalletcrewTenantNamedLikeAPath(t *testing.T) {
	h := newHouse(t)
	for _, slug := range []string{"admin", "api-keys", "projects", "instances", "presets", "tenant", "audit", "decisions", "v1", "api"} {
		_, err := h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Name: slug, Slug: slug})
		h.must(err)
		op, err := h.svc.Operator(h.ctx, slug)
		h.must(err)
		issued, err := h.svc.CreateKey(h.ctx, op, keys.NewKey{Name: "root", Permissions: keys.Some([]string{"*"})})
		h.must(err)
		h.says(200, `[{"name":"root","enabled":true,"permissions":["*"]}]`,
			h.do(issued.Secret.Reveal(), "GET", "/api/"+slug+"/admin/apiKeys", ""))
	}
}

// The paths that are still to come find room in the same mux.
func TestRoutesLeaveRoom(t *testing.T) {
	mux := http.NewServeMux()
	seen := map[string]bool{}
	add := func(path string) {
		if !seen[path] {
			seen[path] = true
			mux.HandleFunc(path, func(http.ResponseWriter, *http.Request) {}) // panics where two are ambiguous
		}
	}
	for _, route := range routes(t) {
		add(route.Path)
	}
	for _, path := range []string{"/api/admin/api-keys", "/api/admin/api-keys/{id}", "/api/admin/tenants", "/api/admin/tenants/{id}",
		"/api/api-keys/{id}/explain", "/api/decisions/{ref}", "/api/instances/{id}/tools/approve", "/api/instances/{id}/approve",
		"/openapi.json", "/docs", "/docs/{file}", "/console/", "/metrics", "/mcp", "/mcp/{instance}", "/"} {
		add(path)
	}
}

// between runs something right before the next edit.
type between struct {
	keys.Store
	run func()
}

func (b *between) Edit(ctx context.Context, fn func(keys.Writer) error) (int64, error) {
	if run := b.run; run != nil {
		b.run = nil
		run()
	}
	return b.Store.Edit(ctx, fn)
}

// A key that is revoked between being found and being changed is not there, and
// the one that has its name now is another.
func TestWalletcrewRevokedInBetween(t *testing.T) {
	h := newHouse(t)
	store := &between{Store: h.store}
	h.serveOver(store)
	for _, method := range []string{"PUT", "DELETE"} {
		k, _ := h.mint(keys.NewKey{Name: "a", Handle: "a"})
		store.run = func() {
			_, err := h.svc.RevokeKey(h.ctx, h.op, k.ID, keys.Revocation{})
			h.must(err)
		}
		body := map[string]string{"PUT": `{"enabled":true}`}[method]
		h.refused(404, "not_found", h.ask(method, definitions+"/a", body))
	}
}

// Of several who delete or replace a key at once, one deletes it, and none sees
// a conflict: the key is there, or it is not.
func TestWalletcrewRaces(t *testing.T) {
	h := newHouse(t)
	for range 20 {
		h.want(201, h.ask("POST", definitions, `{"name":"a"}`))
		var wg sync.WaitGroup
		var deleted atomic.Int64
		for i := range 6 {
			wg.Go(func() {
				method, body, ok := "DELETE", "", 204
				if i%2 == 0 {
					method, body, ok = "PUT", fmt.Sprintf(`{"enabled":%t}`, i == 0), 200
				}
				if r := h.ask(method, definitions+"/a", body); r.status != ok && r.status != 404 {
					t.Errorf("%s answers %d %s", method, r.status, r.body)
				} else if r.status == 204 {
					deleted.Add(1)
				}
			})
		}
		wg.Wait()
		if deleted.Load() != 1 {
			t.Errorf("deleted %d times", deleted.Load())
		}
		h.refused(404, "not_found", h.ask("GET", definitions+"/a", ""))
	}
}
