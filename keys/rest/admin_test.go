package rest_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// namesIn are those of a list of keys, with its total.
func namesIn(body map[string]any) string {
	out := ""
	for _, k := range body["apiKeys"].([]any) {
		out += k.(map[string]any)["name"].(string) + " "
	}
	return fmt.Sprint(out, body["total"])
}

// The platform's list has the keys of all tenants, in pages, and is searched
// by literal text.
func TestPlatformKeys(t *testing.T) {
	h := newHouse(t)
	other := h.want(201, h.ask("POST", "/api/admin/tenants", `{"name":"Other"}`))
	if other["slug"] != "other" || other["mcpEnabled"] != true {
		t.Errorf("the new tenant: %v", other)
	}
	theirs, err := h.svc.Operator(h.ctx, "other")
	h.must(err)
	for _, name := range []string{"100%", "100x", "a_b", "axb!"} {
		_, err := h.svc.CreateKey(h.ctx, theirs, keys.NewKey{Name: name})
		h.must(err)
	}
	gone, _ := h.mint(keys.NewKey{Name: "gone"})
	_, err = h.svc.RevokeKey(h.ctx, h.op, gone.ID, keys.Revocation{})
	h.must(err)
	for query, want := range map[string]string{
		"":                                 "first key 100% 100x a_b axb! 5",
		"?limit=2":                         "first key 100% 5",
		"?limit=2&page=2":                  "100x a_b 5",
		"?limit=2&page=3":                  "axb! 5",
		"?limit=2&page=4":                  "5",
		"?search=" + url.QueryEscape("0%"): "100% 1",
		"?search=A_B":                      "a_b 1",
		"?search=xb!":                      "axb! 1",
		"?search=100&limit=1&page=2":       "100x 2",
		"?search=nothing":                  "0",
		"?includeRevoked=true&search=GONE": "gone 1",
	} {
		if got := namesIn(h.want(200, h.ask("GET", "/api/admin/api-keys"+query, ""))); got != want {
			t.Errorf("%q lists %s, want %s", query, got, want)
		}
	}
	first := h.want(200, h.ask("GET", "/api/admin/api-keys?search=100x", ""))["apiKeys"].([]any)[0].(map[string]any)
	if first["tenantId"] != other["id"] {
		t.Errorf("the key is told to be of tenant %v, want %v", first["tenantId"], other["id"])
	}
	for _, query := range []string{"page=0", "page=x", "limit=0", "limit=201", "page=1&page=2", "pages=1", "includeRevoked=1", "includeRevoked="} {
		h.refused(400, "malformed_query", h.ask("GET", "/api/admin/api-keys?"+query, ""))
	}
	_, everything := h.mint(keys.NewKey{Permissions: keys.Some([]string{"*"})})
	for _, path := range []string{"/api/admin/api-keys", "/api/admin/tenants"} {
		h.refused(403, "permission_denied", h.do(everything, "GET", path, ""))
	}
	h.refused(403, "permission_denied", h.do(everything, "POST", "/api/admin/tenants", `{"name":"x"}`))
	if got := h.want(200, h.ask("GET", "/api/admin/tenants?limit=1&page=2", "")); got["total"] != float64(2) || got["tenants"].([]any)[0].(map[string]any)["slug"] != "other" {
		t.Errorf("tenants: %v", got)
	}
}

// The platform revokes any tenant's key, and sees and changes any tenant; each
// change is in that tenant's trail.
func TestPlatformEdits(t *testing.T) {
	h := newHouse(t)
	h.want(201, h.ask("POST", "/api/admin/tenants", `{"name":"Other"}`))
	theirs, err := h.svc.Operator(h.ctx, "other")
	h.must(err)
	issued, err := h.svc.CreateKey(h.ctx, theirs, keys.NewKey{Name: "theirs", Permissions: keys.Some([]string{"*"})})
	h.must(err)
	token := issued.Secret.Reveal()
	_, everything := h.mint(keys.NewKey{Permissions: keys.Some([]string{"*"})})
	key := "/api/admin/api-keys/" + issued.Key.ID
	for _, path := range []string{key, "/api/admin/api-keys/" + unknownID} {
		h.refused(403, "permission_denied", h.do(everything, "DELETE", path, ""))
	}
	h.refused(403, "permission_denied", h.do(token, "PUT", "/api/admin/tenants/other", `{"mcpEnabled":false}`))
	h.want(200, h.do(token, "GET", "/api/tenant", ""))
	if got := h.want(200, h.ask("DELETE", key, `{"reason":"lost"}`)); got["message"] != "API key revoked" {
		t.Errorf("revoked: %v", got)
	}
	h.want(200, h.ask("DELETE", key, ""))
	h.refused(401, "unauthenticated", h.do(token, "GET", "/api/tenant", ""))
	h.refused(404, "not_found", h.ask("DELETE", "/api/admin/api-keys/"+unknownID, ""))
	for _, id := range []string{"other", theirs.TenantID()} {
		if got := h.want(200, h.ask("GET", "/api/admin/tenants/"+id, "")); got["id"] != theirs.TenantID() {
			t.Errorf("%s: %v", id, got)
		}
	}
	tag := h.ask("GET", "/api/admin/tenants/other", "").header.Get("ETag")
	if got := h.want(200, h.ask("PUT", "/api/admin/tenants/other", `{"mcpEnabled":false}`, "If-Match", tag)); got["mcpEnabled"] != false {
		t.Errorf("switched off: %v", got)
	}
	h.refused(412, "version_mismatch", h.ask("PUT", "/api/admin/tenants/other", `{"name":"x"}`, "If-Match", tag))
	entries, err := h.svc.AuditEvents(h.ctx, theirs, keys.AuditQuery{Kind: "change"})
	h.must(err)
	if got := entries[0].Action + " " + entries[1].Action; got != "tenant.update key.revoke" {
		t.Errorf("the tenant's trail ends with %s", got)
	}
}

// The tenant's own list is complete, and can be searched too.
func TestSearchKeys(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"50%", "50x"} {
		h.mint(keys.NewKey{Name: name})
	}
	for query, want := range map[string]string{"": "first key 50% 50x 3", "?search=50%25": "50% 1", "?search=": "first key 50% 50x 3"} {
		if got := namesIn(h.want(200, h.ask("GET", "/api/api-keys"+query, ""))); got != want {
			t.Errorf("%q lists %s, want %s", query, got, want)
		}
	}
	h.refused(400, "malformed_query", h.ask("GET", "/api/api-keys?page=1", ""))
}
