package rest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// The same key in the words of each shape.
var sameKey = map[string]struct{ path, body string }{
	"ocore": {"/api/api-keys", `{"name":"bot","permissions":["view:api-keys","manage:projects"],"mcpActive":false}`},
	"walletcrew": {"/api/default/admin/apiKeys",
		`{"name":"bot","permissions":["tenant.apiKey:read","tenant.project:write"]}`},
	"capydb": {"/v1/organizations/default/api-keys", `{"name":"bot","scopes":["api_keys:read","projects:write"]}`},
}

func (h *house) stored(handle string) (k keys.Key) {
	h.t.Helper()
	h.must(h.store.Read(h.ctx, func(r keys.Reader) (err error) {
		k, err = r.KeyByHandle(h.ctx, h.op.TenantID(), handle)
		return err
	}))
	return k
}

// A key that is made in any shape is stored the same, and read in the others.
func TestOneRecordBehindTheShapes(t *testing.T) {
	for shape, made := range sameKey {
		t.Run(shape, func(t *testing.T) {
			h := newHouse(t)
			h.want(201, h.ask("POST", made.path, made.body))
			k := h.stored("bot")
			p := policy.Default()
			p.Active = false
			want := keys.Key{
				TenantID: h.op.TenantID(), Handle: "bot", Name: "bot", Tags: []string{}, Scope: policy.ScopeFull, Enabled: true,
				Permissions: []string{"view:api-keys", "manage:projects"}, Policy: p, Source: "api",
				CreatedAt: h.now, UpdatedAt: h.now, Version: h.epoch(),
			}
			ignored := cmpopts.IgnoreFields(keys.Key{}, "ID", "Prefix", "CreatedBy")
			if diff := cmp.Diff(want, k, ignored, cmpopts.EquateEmpty(), cmp.Comparer(sameLimit)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			h.readInEach(k)
		})
	}
}

func sameLimit(a, b policy.Limit) bool {
	return a.IsUnlimited() == b.IsUnlimited() && fmt.Sprint(a.Values()) == fmt.Sprint(b.Values())
}

func (h *house) readInEach(k keys.Key) {
	h.t.Helper()
	if got := h.want(200, h.ask("GET", "/api/api-keys/"+k.ID, "")); got["handle"] != "bot" || got["mcpActive"] != false ||
		fmt.Sprint(got["permissions"]) != "[view:api-keys manage:projects]" {
		h.t.Errorf("in ocore: %v", got)
	}
	h.says(200, `{"name":"bot","enabled":true,"permissions":["tenant.apiKey:read","tenant.project:write"]}`,
		h.ask("GET", "/api/default/admin/apiKeys/bot", ""))
	r := h.ask("GET", "/v1/organizations/default/api-keys", "")
	if key := h.capyKey(true, k.Prefix, k.ID, "bot", "", "", "", "", `"api_keys:read","projects:write"`); !strings.Contains(r.body, key) {
		h.t.Errorf("in capydb: %s\nis not in %s", key, r.body)
	}
}

// The two flags are never aliased, and what one shape changes the others show.
func TestEditsAcrossShapes(t *testing.T) {
	h := newHouse(t)
	made := h.want(201, h.ask("POST", "/api/api-keys", `{"name":"Across Shapes!","permissions":["view:audit"],"mcpProjectIds":[],"mcpToolAllowlist":["a"]}`))
	id, token := made["id"].(string), made["key"].(string)
	before := h.stored("across-shapes")
	one := "/api/default/admin/apiKeys/across-shapes"
	h.says(200, `{"name":"across-shapes","enabled":false,"permissions":["tenant.preset:write"]}`,
		h.ask("PUT", one, `{"enabled":false,"permissions":["tenant.preset:write"]}`))
	if diff := cmp.Diff(before.Policy, h.stored("across-shapes").Policy, cmp.Comparer(sameLimit)); diff != "" {
		t.Errorf("a replacement changed the policy:\n%s", diff)
	}
	active := func() any {
		all := h.want(200, h.ask("GET", "/v1/organizations/default/api-keys", ""))["api_keys"].([]any)
		return all[len(all)-1].(map[string]any)["is_active"]
	}
	if got := h.want(200, h.ask("GET", "/api/api-keys/"+id, "")); got["enabled"] != false || got["mcpActive"] != true ||
		fmt.Sprint(got["permissions"]) != "[manage:presets]" || active() != false {
		t.Errorf("switched off: %v, is_active %v", got, active())
	}
	h.want(200, h.ask("PATCH", "/api/api-keys/"+id+"/toggle", ""))
	h.want(200, h.ask("PUT", one, `{"enabled":true}`))
	if got := h.want(200, h.ask("GET", "/api/api-keys/"+id, "")); got["enabled"] != true || got["mcpActive"] != false || active() != true {
		t.Errorf("paused: %v, is_active %v", got, active())
	}
	h.want(200, h.do(token, "GET", "/v1/me", ""))
	h.want(200, h.ask("DELETE", "/v1/organizations/default/api-keys/"+id, ""))
	h.refused(401, "unauthenticated", h.do(token, "GET", "/api/default/admin/apiKeys", ""))
	h.refused(404, "not_found", h.ask("GET", one, ""))
	h.refused(404, "not_found", h.ask("DELETE", one, ""))
	h.want(201, h.ask("POST", "/api/default/admin/apiKeys", `{"name":"across-shapes"}`))
	h.says(204, "", h.ask("DELETE", one, ""))
	if got := h.want(200, h.ask("GET", "/api/api-keys/"+id, "")); got["revokedAt"] == nil {
		t.Errorf("revoked: %v", got)
	}
}
