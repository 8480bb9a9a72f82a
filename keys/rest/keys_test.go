package rest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func TestKeyLife(t *testing.T) {
	h := newHouse(t)
	made := h.want(201, h.ask("POST", "/api/api-keys", `{"name":"Across Shapes!","mcpProjectIds":[],"permissions":["view:api-keys"]}`))
	token, id := made["key"].(string), made["id"].(string)
	if made["handle"] != "across-shapes" || fmt.Sprint(made["mcpProjectIds"]) != "[]" || made["mcpInstanceIds"] != nil ||
		made["mcpReadOnly"] != true || made["mcpPreset"] != "read_only" || made["scope"] != "full" || made["source"] != "api" {
		t.Errorf("made %v", made)
	}
	path := "/api/api-keys/" + id
	h.want(200, h.do(token, "GET", path, ""))
	got := h.want(200, h.ask("GET", path, ""))
	if _, there := got["key"]; there || got["lastUsedAt"] == "" {
		t.Errorf("a get shows the plaintext: %v", got)
	}
	list := h.want(200, h.ask("GET", "/api/api-keys", ""))
	if list["total"] != float64(2) || len(list["apiKeys"].([]any)) != 2 {
		t.Errorf("list %v", list)
	}
	got = h.want(200, h.ask("PUT", path, `{"name":"b","mcpProjectIds":null,"mcpPermissions":["mcp:tools"]}`))
	if got["name"] != "b" || got["mcpProjectIds"] != nil || fmt.Sprint(got["mcpPermissions"]) != "[mcp:tools]" || got["handle"] != "across-shapes" {
		t.Errorf("updated %v", got)
	}
	for i, method := range []string{"PATCH", "POST"} {
		if got := h.want(200, h.ask(method, path+"/toggle", "")); got["mcpActive"] != (i == 1) {
			t.Errorf("toggled by %s: %v", method, got["mcpActive"])
		}
	}
	rotated := h.want(200, h.ask("POST", path+"/rotate", `{"graceSeconds":60}`))
	if rotated["key"] == token || rotated["id"] != id {
		t.Errorf("rotated %v", rotated)
	}
	h.want(200, h.do(token, "GET", path, "")) // within the grace
	fresh := h.want(200, h.ask("POST", path+"/rotate", ""))["key"].(string)
	h.refused(401, "unauthenticated", h.do(token, "GET", path, ""))
	for range 2 {
		if got := h.want(200, h.ask("DELETE", path, "")); got["message"] == "" {
			t.Errorf("revoked: %v", got)
		}
	}
	h.refused(401, "unauthenticated", h.do(fresh, "GET", path, ""))
	if got := h.want(200, h.ask("GET", path, "")); got["revokedAt"] == nil {
		t.Errorf("a revoked key: %v", got)
	}
	if list := h.want(200, h.ask("GET", "/api/api-keys", "")); list["total"] != float64(1) {
		t.Errorf("the list after a revoke: %v", list)
	}
}

// The list has no paging in its document, so it is complete.
func TestKeyListIsComplete(t *testing.T) {
	h := newHouse(t)
	for i := range 60 {
		h.mint(keys.NewKey{Name: fmt.Sprint("k", i)})
	}
	if list := h.want(200, h.ask("GET", "/api/api-keys", "")); list["total"] != float64(61) || len(list["apiKeys"].([]any)) != 61 {
		t.Errorf("total %v, %d here", list["total"], len(list["apiKeys"].([]any)))
	}
	h.refused(400, "malformed_query", h.ask("GET", "/api/api-keys?page=1", ""))
}

func TestVersions(t *testing.T) {
	h := newHouse(t)
	k, _ := h.mint(keys.NewKey{})
	project := h.want(201, h.ask("POST", "/api/projects", `{"name":"p"}`))["id"].(string)
	instance := h.want(201, h.ask("POST", "/api/instances", `{"slug":"i","projectId":"`+project+`","transport":"http","url":"https://example.com/"}`))["id"].(string)
	h.want(201, h.ask("POST", "/api/presets", `{"name":"pre","permissions":[],"maxEffect":"read"}`))
	for path, body := range map[string]string{
		"/api/api-keys/" + k.ID:      `{"name":"%d"}`,
		"/api/projects/" + project:   `{"name":"%d"}`,
		"/api/instances/" + instance: `{"url":"https://example.com/%d"}`,
		"/api/presets/pre":           `{"permissions":["mcp:c%d"],"maxEffect":"read"}`,
		"/api/tenant":                `{"name":"%d"}`,
	} {
		t.Run(path, func(t *testing.T) {
			h := *h
			h.t = t
			first := h.ask("PUT", path, fmt.Sprintf(body, 1))
			tag := first.header.Get("ETag")
			if version := h.want(200, first)["version"]; tag != fmt.Sprintf(`"%.0f"`, version) {
				t.Fatalf("ETag %s, version %v", tag, version)
			}
			second := h.ask("PUT", path, fmt.Sprintf(body, 2), "If-Match", tag)
			h.want(200, second)
			weak := "W/" + second.header.Get("ETag") // of the current version, and yet it never matches
			before := h.epoch()
			for _, stale := range []string{tag, weak, `"999999"`, `"x"`, `"0"`, `"-1"`, `""`} {
				h.refused(412, "version_mismatch", h.ask("PUT", path, fmt.Sprintf(body, 3), "If-Match", stale))
			}
			for _, bad := range []string{"5", tag + ", " + tag, `"5`} {
				h.refused(400, "malformed_header", h.ask("PUT", path, fmt.Sprintf(body, 3), "If-Match", bad))
			}
			if h.epoch() != before {
				t.Error("a refused edit changed something")
			}
			h.want(200, h.ask("PUT", path, fmt.Sprintf(body, 4), "If-Match", "*"))
			switch {
			case strings.HasPrefix(path, "/api/api-keys"):
				before := h.epoch()
				for _, edit := range [][2]string{{"DELETE", ""}, {"PATCH", "/toggle"}, {"POST", "/rotate"}} {
					h.refused(412, "version_mismatch", h.ask(edit[0], path+edit[1], "", "If-Match", tag))
				}
				if h.epoch() != before {
					t.Error("a refused edit changed something")
				}
				now := h.ask("PATCH", path+"/toggle", "", "If-Match", h.ask("GET", path, "").header.Get("ETag"))
				h.want(200, h.ask("DELETE", path, "", "If-Match", now.header.Get("ETag")))
			case !strings.HasPrefix(path, "/api/tenant"):
				h.refused(400, "malformed_header", h.ask("DELETE", path, "", "If-Match", tag))
			}
		})
	}
}

func TestNoEscalation(t *testing.T) {
	h := newHouse(t)
	_, token := h.mint(keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"})})
	fields := h.refused(403, "exceeds_rights", h.do(token, "POST", "/api/api-keys", `{"name":"x","mcpPreset":"full_access","permissions":["*"]}`))
	if len(fields) == 0 {
		t.Error("the answer names no field")
	}
	h.refused(403, "permission_denied", h.do(token, "GET", "/api/projects", ""))
}
