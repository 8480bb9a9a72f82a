package rest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func TestProjects(t *testing.T) {
	h := newHouse(t)
	made := h.want(201, h.ask("POST", "/api/projects", `{"name":"Web Shop"}`))
	if made["slug"] != "web-shop" {
		t.Errorf("made %v", made)
	}
	for _, id := range []string{made["id"].(string), "web-shop"} {
		h.want(200, h.ask("GET", "/api/projects/"+id, ""))
	}
	h.want(200, h.ask("PUT", "/api/projects/web-shop", `{"name":"Shop"}`))
	h.want(201, h.ask("POST", "/api/instances", `{"slug":"a","projectId":"`+made["id"].(string)+`","transport":"http","url":"https://example.com/"}`))
	h.refused(409, "conflict", h.ask("DELETE", "/api/projects/web-shop", ""))
	h.want(200, h.ask("DELETE", "/api/instances/a", ""))
	h.want(200, h.ask("DELETE", "/api/projects/web-shop", ""))
	h.refused(404, "not_found", h.ask("DELETE", "/api/projects/web-shop", ""))
}

func TestPaging(t *testing.T) {
	h := newHouse(t)
	for i := range 54 { // and the project "default"
		h.want(201, h.ask("POST", "/api/projects", fmt.Sprintf(`{"name":"p%02d"}`, i)))
	}
	tests := []struct {
		query string
		want  int
	}{{"", 50}, {"?page=2", 5}, {"?page=3", 0}, {"?page=1000000", 0}, {"?limit=200", 55}, {"?limit=10&page=6", 5}, {"?page=1&limit=1", 1}}
	for _, tt := range tests {
		list := h.want(200, h.ask("GET", "/api/projects"+tt.query, ""))
		if list["total"] != float64(55) || len(list["projects"].([]any)) != tt.want {
			t.Errorf("%s: %d of %v, want %d", tt.query, len(list["projects"].([]any)), list["total"], tt.want)
		}
	}
}

func TestInstances(t *testing.T) {
	h := newHouse(t)
	made := h.ask("POST", "/api/instances", `{"slug":"a","transport":"http","url":"https://example.com/mcp",
		"headers":{"Authorization":"canary-secret"},"tools":[{"match":"get_*","effect":"read","category":"search"}]}`)
	i := h.want(201, made)
	if i["writeEnabled"] != false || i["trustAnnotations"] != false || i["enabled"] != true || i["hasCredentials"] != true ||
		i["status"] != "down" || i["problem"] != "no answer" || i["source"] != "api" ||
		fmt.Sprint(i["tools"]) != "[map[category:search effect:read match:get_*]]" {
		t.Errorf("made %v", i)
	}
	list := h.ask("GET", "/api/instances", "")
	if h.want(200, list)["total"] != float64(1) {
		t.Errorf("list %s", list.body)
	}
	updated := h.ask("PUT", "/api/instances/a", `{"enabled":false}`)
	if got := h.want(200, updated); got["enabled"] != false || got["hasCredentials"] != true || got["url"] != "https://example.com/mcp" {
		t.Errorf("updated %v", got)
	}
	if got := h.want(200, h.ask("PUT", "/api/instances/a", `{"headers":null}`)); got["hasCredentials"] != false {
		t.Errorf("credentials are still there: %v", got)
	}
	for _, r := range []response{made, list, updated} {
		if strings.Contains(r.body, "canary") {
			t.Errorf("the secret is shown: %s", r.body)
		}
	}
	tools := h.want(200, h.ask("GET", "/api/instances/a/tools", ""))
	if tools["total"] != float64(1) || tools["tools"].([]any)[0].(map[string]any)["exposedName"] != "x__get" {
		t.Errorf("tools %v", tools)
	}
	h.want(200, h.ask("DELETE", "/api/instances/a", ""))
	h.refused(404, "not_found", h.ask("GET", "/api/instances/a/tools", ""))
}

func TestPresets(t *testing.T) {
	h := newHouse(t)
	h.want(201, h.ask("POST", "/api/presets", `{"name":"ops","permissions":["mcp:tools"],"maxEffect":"write"}`))
	h.refused(422, "invalid", h.ask("PUT", "/api/presets/ops", `{"name":"dev","permissions":[],"maxEffect":"read"}`))
	h.refused(422, "invalid", h.ask("PUT", "/api/presets/ops", `{"maxEffect":"read"}`))
	if got := h.want(200, h.ask("PUT", "/api/presets/ops", `{"permissions":[],"maxEffect":"read"}`)); got["maxEffect"] != "read" {
		t.Errorf("updated %v", got)
	}
	h.want(201, h.ask("POST", "/api/api-keys", `{"name":"a","mcpPreset":"ops"}`))
	h.refused(409, "conflict", h.ask("DELETE", "/api/presets/ops", ""))
	if list := h.want(200, h.ask("GET", "/api/presets", "")); list["total"] != float64(1) {
		t.Errorf("list %v", list)
	}
}

func TestTenant(t *testing.T) {
	h := newHouse(t)
	if got := h.want(200, h.ask("PUT", "/api/tenant", `{"mcpEnabled":false}`)); got["mcpEnabled"] != false || got["slug"] != "default" {
		t.Errorf("tenant %v", got)
	}
	if got := h.want(200, h.ask("GET", "/api/tenant", "")); got["mcpEnabled"] != false {
		t.Errorf("REST goes on working, and shows %v", got)
	}
	for _, path := range []string{"/api/tenant", "/api/admin/tenants/default"} {
		for value, want := range map[string]bool{"true": true, "null": false} {
			if got := h.want(200, h.ask("PUT", path, `{"auditArguments":`+value+`}`)); got["auditArguments"] != want {
				t.Errorf("%s, %s: %v", path, value, got)
			}
			if got := h.want(200, h.ask("GET", path, "")); got["auditArguments"] != want {
				t.Errorf("%s, %s: it shows %v", path, value, got)
			}
		}
		h.refused(400, "malformed", h.ask("PUT", path, `{"auditArguments":"yes"}`))
	}
}

func TestAudit(t *testing.T) {
	h := newHouse(t)
	for i := range 5 {
		h.want(201, h.ask("POST", "/api/projects", fmt.Sprintf(`{"name":"p%d"}`, i)))
	}
	var seen []string
	cursor := ""
	for range 10 {
		page := h.want(200, h.ask("GET", "/api/audit?limit=2"+cursor, ""))
		for _, e := range page["events"].([]any) {
			seen = append(seen, e.(map[string]any)["id"].(string))
		}
		if page["next"] == nil {
			break
		}
		cursor = "&cursor=" + page["next"].(string)
	}
	all := h.want(200, h.ask("GET", "/api/audit?limit=200", ""))["events"].([]any)
	if len(all) < 5 || len(seen) != len(all) {
		t.Fatalf("%d by pages, %d at once", len(seen), len(all))
	}
	for i, e := range all {
		if e.(map[string]any)["id"] != seen[i] {
			t.Errorf("event %d differs", i)
		}
	}
}

// The filters and the other order of the trail.
func TestAuditFilters(t *testing.T) {
	h := newHouse(t)
	_, token := h.mint(keys.NewKey{Name: "nothing"})
	h.do(token, "GET", "/api/projects", "")
	ended, cancel := context.WithCancel(h.ctx)
	cancel()
	h.must(h.svc.Run(ended)) // which writes what waits
	h.want(201, h.ask("POST", "/api/projects", `{"name":"a"}`))
	h.want(201, h.ask("POST", "/api/projects", `{"name":"b"}`))
	list := func(query string) (ids []string) {
		t.Helper()
		for _, e := range h.want(200, h.ask("GET", "/api/audit?limit=200"+query, ""))["events"].([]any) {
			ids = append(ids, e.(map[string]any)["id"].(string))
		}
		return ids
	}
	all, oldest := list(""), list("&order=oldest")
	slices.Reverse(oldest)
	if len(all) < 4 || !slices.Equal(all, oldest) || !slices.Equal(all, list("&order=newest")) {
		t.Fatalf("newest first %v, oldest first and turned %v", all, oldest)
	}
	page := h.want(200, h.ask("GET", "/api/audit?order=oldest&limit=2", ""))
	next := list("&order=oldest&cursor=" + page["next"].(string))
	if len(next) != len(all)-2 || next[0] != all[len(all)-3] {
		t.Errorf("the second page is %v of %v", next, all)
	}
	denials, changes := list("&kind=decision"), list("&kind=change")
	if len(denials) != 1 || len(changes) != len(all)-1 || len(list("&kind=call")) != 0 {
		t.Errorf("%d denials and %d changes of %d", len(denials), len(changes), len(all))
	}
	if ref := list("&ref=zzzzzzzzzzzzzzzz"); len(ref) != 0 {
		t.Errorf("an unknown reference finds %v", ref)
	}
	now := h.now.UTC().Format(time.RFC3339Nano)
	if n := len(list("&until=" + now)); n == len(all) {
		t.Errorf("all %d are before %s", n, now)
	}
	if n := len(list("&until=" + h.now.Add(time.Hour).UTC().Format(time.RFC3339))); n != len(all) {
		t.Errorf("%d of %d are before the next hour", n, len(all))
	}
}
