package rest_test

import (
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Bad input is refused with an error that names the field, and changes nothing.
func TestBadInput(t *testing.T) {
	h := newHouse(t)
	k, _ := h.mint(keys.NewKey{})
	key := "/api/api-keys/" + k.ID
	patterns := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = `"p` + strings.Repeat("a", i) + `"`
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	tests := []struct {
		name, method, path, body string
		status                   int
		code, field              string
	}{
		{"no body", "POST", "/api/api-keys", "", 415, "not_json", ""},
		{"broken JSON", "POST", "/api/api-keys", `{"name":`, 400, "malformed", ""},
		{"trailing data", "POST", "/api/api-keys", `{"name":"a"} {}`, 400, "malformed", ""},
		{"not an object", "POST", "/api/api-keys", `["a"]`, 400, "malformed", ""},
		{"null", "POST", "/api/api-keys", `null`, 400, "malformed", ""},
		{"unknown field", "POST", "/api/api-keys", `{"name":"a","mcpPreste":"x"}`, 400, "malformed", "mcpPreste"},
		{"case variant", "POST", "/api/api-keys", `{"Name":"a"}`, 400, "malformed", "Name"},
		{"duplicate", "POST", "/api/api-keys", `{"name":"a","name":"b"}`, 400, "malformed", "name"},
		{"wrong type", "POST", "/api/api-keys", `{"name":1}`, 400, "malformed", "name"},
		{"null in a list", "POST", "/api/api-keys", `{"name":"a","mcpProjectIds":["x",null]}`, 400, "malformed", "mcpProjectIds"},
		{"no name", "POST", "/api/api-keys", `{}`, 422, "invalid", "name"},
		{"null name", "POST", "/api/api-keys", `{"name":null}`, 422, "invalid", "name"},
		{"long name", "POST", "/api/api-keys", `{"name":"` + strings.Repeat("a", 201) + `"}`, 422, "invalid", "name"},
		{"unknown preset", "POST", "/api/api-keys", `{"name":"a","mcpPreset":"root"}`, 422, "invalid", "mcpPreset"},
		{"unknown mode", "POST", "/api/api-keys", `{"name":"a","mcpAllowlistMode":"some"}`, 422, "invalid", "mcpAllowlistMode"},
		{"unknown scope", "POST", "/api/api-keys", `{"name":"a","scope":"all"}`, 422, "invalid", "scope"},
		{"unknown permission", "POST", "/api/api-keys", `{"name":"a","permissions":["view:everything"]}`, 422, "invalid", "permissions"},
		{"unknown category", "POST", "/api/api-keys", `{"name":"a","mcpPermissions":["Tools"]}`, 422, "invalid", "mcpPermissions"},
		{"257 patterns", "PUT", key, `{"mcpToolAllowlist":` + patterns(257) + `}`, 422, "invalid", "mcpToolAllowlist"},
		{"a pattern with ?", "PUT", key, `{"mcpToolAllowlist":["get_?"]}`, 422, "invalid", "mcpToolAllowlist"},
		{"a pattern of nothing", "PUT", key, `{"mcpToolAllowlist":[""]}`, 422, "invalid", "mcpToolAllowlist"},
		{"a category of nothing", "PUT", key, `{"mcpToolAllowlist":["@"]}`, 422, "invalid", "mcpToolAllowlist"},
		{"unknown project", "PUT", key, `{"mcpProjectIds":["` + unknownID + `"]}`, 422, "invalid", "mcpProjectIds"},
		{"unknown instance", "PUT", key, `{"mcpInstanceIds":["x"]}`, 422, "invalid", "mcpInstanceIds"},
		{"expiry in the past", "POST", "/api/api-keys", `{"name":"a","expiresAt":"2020-01-01T00:00:00Z"}`, 422, "invalid", "expiresAt"},
		{"expiry beyond what JSON can hold", "POST", "/api/api-keys", `{"name":"a","expiresAt":"9999-12-31T23:59:59-12:00"}`, 422, "invalid", "expiresAt"},
		{"since beyond what a store can hold", "GET", "/api/audit?since=9999-12-31T23:59:59-12:00", "", 422, "invalid", "since"},
		{"until beyond what a store can hold", "GET", "/api/audit?until=9999-12-31T23:59:59-12:00", "", 422, "invalid", "until"},
		{"since before all years", "GET", "/api/audit?since=0000-01-01T00:00:00Z", "", 422, "invalid", "since"},
		{"expiry that is no time", "POST", "/api/api-keys", `{"name":"a","expiresAt":"soon"}`, 422, "invalid", "expiresAt"},
		{"immutable scope", "PUT", key, `{"scope":"api"}`, 400, "malformed", "scope"},
		{"immutable expiry", "PUT", key, `{"expiresAt":null}`, 400, "malformed", "expiresAt"},
		{"negative grace", "POST", key + "/rotate", `{"graceSeconds":-1}`, 422, "invalid", "graceSeconds"},
		{"long grace", "POST", key + "/rotate", `{"graceSeconds":2592001}`, 422, "invalid", "graceSeconds"},
		{"fraction of grace", "POST", key + "/rotate", `{"graceSeconds":1.5}`, 400, "malformed", "graceSeconds"},
		{"toggle with a body", "PATCH", key + "/toggle", `{"mcpActive":true}`, 400, "malformed_body", ""},
		{"delete with another field", "DELETE", key, `{"why":"x"}`, 400, "malformed", "why"},
		{"delete a project with a body", "DELETE", "/api/projects/default", `{"reason":"x"}`, 400, "malformed_body", ""},
		{"taken handle", "POST", "/api/api-keys", `{"name":"a","handle":"a-key"}`, 409, "conflict", "handle"},
		{"taken slug", "POST", "/api/projects", `{"slug":"default","name":"x"}`, 409, "conflict", "slug"},
		{"reserved slug", "POST", "/api/instances", `{"slug":"bailiwick","transport":"http","url":"https://e.com/"}`, 422, "invalid", "slug"},
		{"no transport", "POST", "/api/instances", `{"slug":"a","url":"https://e.com/"}`, 422, "invalid", "transport"},
		{"unknown effect", "POST", "/api/instances", `{"slug":"a","transport":"http","url":"https://e.com/","tools":[{"match":"a","effect":"x"}]}`, 422, "invalid", "tools[0].effect"},
		{"nested unknown field", "POST", "/api/instances", `{"slug":"a","tools":[{"match":"a","efect":"read"}]}`, 400, "malformed", "tools[0].efect"},
		{"env of numbers", "POST", "/api/instances", `{"slug":"a","env":{"A":1}}`, 400, "malformed", "env.A"},
		{"preset without a ceiling", "POST", "/api/presets", `{"name":"a","permissions":[]}`, 422, "invalid", "maxEffect"},
		{"reserved preset", "POST", "/api/presets", `{"name":"standard","permissions":[],"maxEffect":"read"}`, 422, "invalid", "name"},
		{"unknown query", "GET", "/api/projects?pge=1", "", 400, "malformed_query", "pge"},
		{"page 0", "GET", "/api/projects?page=0", "", 400, "malformed_query", "page"},
		{"page that is no number", "GET", "/api/projects?page=one", "", 400, "malformed_query", "page"},
		{"page with a sign", "GET", "/api/projects?page=%2B1", "", 400, "malformed_query", "page"},
		{"empty page", "GET", "/api/projects?page=", "", 400, "malformed_query", "page"},
		{"limit 0", "GET", "/api/instances?limit=0", "", 400, "malformed_query", "limit"},
		{"limit 201", "GET", "/api/instances?limit=201", "", 400, "malformed_query", "limit"},
		{"limit twice", "GET", "/api/instances?limit=1&limit=2", "", 400, "malformed_query", "limit"},
		{"broken query", "GET", "/api/instances?limit=%zz", "", 400, "malformed_query", ""},
		{"query on a create", "POST", "/api/projects?dry=1", `{"name":"a"}`, 400, "malformed_query", "dry"},
		{"cursor", "GET", "/api/audit?cursor=x", "", 400, "malformed_query", "cursor"},
		{"cursor in braces", "GET", "/api/audit?cursor=%7B" + unknownID + "%7D", "", 400, "malformed_query", "cursor"},
		{"decision", "GET", "/api/audit?decision=maybe", "", 400, "malformed_query", "decision"},
		{"until", "GET", "/api/audit?until=tomorrow", "", 400, "malformed_query", "until"},
		{"kind", "GET", "/api/audit?kind=edit", "", 400, "malformed_query", "kind"},
		{"order", "GET", "/api/audit?order=desc", "", 400, "malformed_query", "order"},
		{"since", "GET", "/api/audit?since=yesterday", "", 400, "malformed_query", "since"},
	}
	before := h.epoch()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := *h
			h.t = t
			fields := h.refused(tt.status, tt.code, h.ask(tt.method, tt.path, tt.body))
			if tt.field != "" && (len(fields) == 0 || !strings.HasPrefix(fields[0], tt.field)) {
				t.Errorf("names %v, want %s", fields, tt.field)
			}
			if h.epoch() != before {
				t.Fatal("something was changed")
			}
		})
	}
}

func TestBodyKinds(t *testing.T) {
	h := newHouse(t)
	body := `{"name":"a"}`
	before := h.epoch()
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/problem+json", ";"} {
		h.refused(415, "not_json", h.ask("POST", "/api/projects", body, "Content-Type", kind))
	}
	h.refused(415, "encoded_body", h.ask("POST", "/api/projects", body, "Content-Encoding", "gzip"))
	large := `{"name":"` + strings.Repeat("a", 1<<20) + `"}`
	h.refused(413, "too_large", h.ask("POST", "/api/projects", large))
	h.refused(413, "too_large", h.ask("DELETE", "/api/projects/x", large))
	if h.epoch() != before {
		t.Error("something was changed")
	}
	h.want(201, h.ask("POST", "/api/projects", body, "Content-Type", "Application/JSON; charset=utf-8"))
	h.want(200, h.ask("DELETE", "/api/projects/a", "{}"))
}

// What a client wrote is echoed in bounds.
func TestEchoIsShort(t *testing.T) {
	h := newHouse(t)
	r := h.ask("POST", "/api/projects", `{"`+strings.Repeat("x", 100_000)+`":1}`)
	h.refused(400, "malformed", r)
	if len(r.body) > 2000 {
		t.Errorf("%d bytes", len(r.body))
	}
	r = h.ask("GET", "/api/projects?"+strings.Repeat("y", 5000)+"=1", "")
	h.refused(400, "malformed_query", r)
	if len(r.body) > 2000 {
		t.Errorf("%d bytes", len(r.body))
	}
}
