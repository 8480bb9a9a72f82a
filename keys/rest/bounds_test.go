package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestRoutes(t *testing.T) {
	const golden = "testdata/routes.golden"
	var b strings.Builder
	for _, r := range rest.Routes() {
		fmt.Fprintf(&b, "%-6s %-42s %-22s %d\n", r.Method, r.Path, r.Operation, r.Status)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the routes differ from %s (run go test -update if they should):\n%s", golden, b.String())
	}
}

func routes(t testing.TB) []rest.Route {
	t.Helper()
	all := rest.Routes()
	if len(all) < 30 {
		t.Fatalf("only %d routes", len(all))
	}
	return all
}

const unknownID = "01900000-0000-7000-8000-000000000000"

// oneImport is a line of an import.
const oneImport = `{"name":"made","hash":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`

// each asks every route, with an id, and a body where it may have one.
func (h *house) each(token, id string, check func(route rest.Route, r response), headers ...string) {
	h.t.Helper()
	for _, route := range routes(h.t) {
		body := map[string]string{"createKey": `{"name":"made"}`, "createProject": `{"name":"made"}`, "createTenant": `{"name":"made"}`, "createTenantKey": `{"name":"made"}`,
			"createInstance": `{"slug":"made","transport":"http","url":"https://example.com/"}`,
			"createPreset":   `{"name":"made","permissions":[],"maxEffect":"read"}`,
			"updateKey":      `{}`, "updateProject": `{}`, "updateInstance": `{}`, "updateTenant": `{}`, "updateAnyTenant": `{}`,
			"updatePreset":        `{"permissions":[],"maxEffect":"read"}`,
			"createKeyDefinition": `{"name":"made"}`, "replaceKeyDefinition": `{"enabled":true}`,
			"createOrganizationKey": `{"name":"made","scopes":[]}`, "startLogin": `{}`,
			"approveTools":  `{"tools":[{"name":"get","digest":"` + strings.Repeat("0", 64) + `"}]}`,
			"explainPolicy": `{}`, "importKey": oneImport, "importKeys": oneImport}[route.Operation]
		sent := headers
		if body != "" {
			sent = append([]string{"Content-Type", route.Kind()}, headers...)
		}
		check(route, h.do(token, route.Method, route.Concrete(id), body, sent...))
	}
}

// Every reason why a credential does not count has the same answer.
func TestUnauthenticated(t *testing.T) {
	h := newHouse(t)
	soon := h.now.Add(time.Minute)
	revoked, revokedToken := h.mint(keys.NewKey{})
	_, err := h.svc.RevokeKey(h.ctx, h.op, revoked.ID, keys.Revocation{})
	h.must(err)
	_, disabledToken := h.mint(keys.NewKey{Enabled: keys.Some(false)})
	_, expiredToken := h.mint(keys.NewKey{ExpiresAt: &soon})
	h.now = soon
	problem, fault := h.do("", "GET", "/api/api-keys", ""), h.do("", "GET", "/v1/me", "")
	h.refused(401, "unauthenticated", problem)
	h.fault(401, "a valid API key is needed: send it as Authorization: Bearer <key> or X-API-Key: <key>", fault)
	wants := map[string]response{"ocore": problem, "walletcrew": problem, "capydb": fault}
	for _, want := range wants {
		if want.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("WWW-Authenticate is %q", want.header.Get("WWW-Authenticate"))
		}
	}
	flipped := h.first[:len(h.first)-1] + map[bool]string{true: "b", false: "a"}[strings.HasSuffix(h.first, "a")]
	for name, token := range map[string]string{"none": "", "garbage": "x", "one character changed": flipped, "revoked": revokedToken,
		"disabled": disabledToken, "expired": expiredToken, "another prefix": strings.Replace(h.first, "bwk", "bwx", 1)} {
		h.each(token, unknownID, func(route rest.Route, r response) {
			want := wants[route.Shape]
			if _, asks := route.AsksForKeys(); !asks {
				return
			}
			if r.status != 401 || r.body != want.body || fmt.Sprint(r.header) != fmt.Sprint(want.header) {
				t.Errorf("%s: %s %s answers %d %s %v", name, route.Method, route.Path, r.status, r.body, r.header)
			}
		})
	}
	if basic := h.do("", "GET", "/api/tenant", "", "Authorization", "Basic "+h.first); basic.status != 401 {
		t.Errorf("basic: %d", basic.status)
	}
	h.refused(400, "several_credentials", h.do(h.first, "GET", "/api/tenant", "", "X-API-Key", disabledToken))
	h.want(200, h.do("", "GET", "/api/tenant", "", "X-API-Key", h.first))
}

func TestEveryRouteNeedsAPermission(t *testing.T) {
	h := newHouse(t)
	_, token := h.mint(keys.NewKey{})
	before := h.epoch()
	h.each(token, unknownID, func(route rest.Route, r response) {
		if asks, _ := route.AsksForKeys(); !asks {
			return
		}
		if r.status != 403 || !strings.Contains(r.body, " is needed\"") || strings.Contains(r.body, `"permission_denied"`) == (route.Shape == "capydb") {
			t.Errorf("%s %s answers %d %s", route.Method, route.Path, r.status, r.body)
		}
	})
	if h.epoch() != before {
		t.Error("something was changed")
	}
}

// A denial is recorded for a path that could name nothing, too.
func TestDenialOfAMalformedID(t *testing.T) {
	h := newHouse(t)
	k, token := h.mint(keys.NewKey{})
	h.refused(403, "permission_denied", h.do(token, "GET", "/api/api-keys/xx", ""))
	ended, cancel := context.WithCancel(h.ctx)
	cancel()
	h.must(h.svc.Run(ended)) // writes what waits
	entries, err := h.svc.AuditEvents(h.ctx, h.op, keys.AuditQuery{KeyID: k.ID, Decision: "deny"})
	h.must(err)
	if len(entries) != 1 || entries[0].Action != "getKey" {
		t.Errorf("recorded: %+v", entries)
	}
}

func TestScopeAndPause(t *testing.T) {
	h := newHouse(t)
	all := keys.Some([]string{"*"})
	_, mcpOnly := h.mint(keys.NewKey{Scope: keys.Some(policy.ScopeMCPOnly), Permissions: all})
	h.each(mcpOnly, unknownID, func(route rest.Route, r response) {
		if _, asks := route.AsksForKeys(); !asks {
			return
		}
		if r.status != 403 || !strings.Contains(r.body, "this key's scope does not open the REST API") {
			t.Errorf("%s %s answers an mcp_only key %d %s", route.Method, route.Path, r.status, r.body)
		}
	})
	_, paused := h.mint(keys.NewKey{Permissions: all, PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}})
	h.want(200, h.do(paused, "GET", "/api/api-keys", ""))
	_, api := h.mint(keys.NewKey{Scope: keys.Some(policy.ScopeAPI), Permissions: all})
	h.want(200, h.do(api, "GET", "/api/api-keys", ""))
}

// An unknown id, a malformed one and another tenant's answer with the same bytes.
func TestAbsence(t *testing.T) {
	h := newHouse(t)
	other, err := h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Name: "other"})
	h.must(err)
	foreign, err := h.svc.Operator(h.ctx, other.ID)
	h.must(err)
	issued, err := h.svc.CreateKey(h.ctx, foreign, keys.NewKey{Name: "theirs"})
	h.must(err)
	project, err := h.svc.CreateProject(h.ctx, foreign, keys.NewProject{Slug: "theirs", Name: "theirs"})
	h.must(err)
	want := map[string]response{}
	h.each(h.first, unknownID, func(route rest.Route, r response) { want[route.Method+route.Path] = r })
	for _, id := range []string{issued.Key.ID, issued.Key.Handle, project.ID, project.Slug, "x", "%00", "%2e%2e", "%2F", "a%20b",
		strings.ToUpper(issued.Key.ID), "{" + issued.Key.ID + "}", strings.Repeat("a", 3000), "%F0%9F%98%80", "'--", unknownID + "%0A"} {
		h.each(h.first, id, func(route rest.Route, r response) {
			if route.Concrete("a") == route.Concrete("b") || strings.HasPrefix(route.Path, "/api/admin/") && id == issued.Key.ID {
				return // to the platform no tenant's key is foreign
			}
			w := want[route.Method+route.Path]
			if r.status != 404 || r.body != w.body || fmt.Sprint(r.header) != fmt.Sprint(w.header) {
				t.Errorf("%s %s with %.40q answers %d %s, want %s", route.Method, route.Path, id, r.status, r.body, w.body)
			}
		})
	}
}

// A malformed id finds nothing, even where something's slug is what would stand
// in for it.
func TestMalformedIDIsNothing(t *testing.T) {
	h := newHouse(t)
	nil32 := "00000000-0000-0000-0000-000000000000"
	h.want(201, h.ask("POST", "/api/projects", `{"slug":"`+nil32+`","name":"nil"}`))
	h.want(200, h.ask("GET", "/api/projects/"+nil32, ""))
	for _, id := range []string{"X", "a%20b", "%00", strings.Repeat("a", 65), "ä"} {
		h.refused(404, "not_found", h.ask("GET", "/api/projects/"+id, ""))
		h.refused(404, "not_found", h.ask("PUT", "/api/projects/"+id, `{"name":"renamed"}`))
		h.refused(404, "not_found", h.ask("DELETE", "/api/projects/"+id, ""))
	}
	h.want(200, h.ask("GET", "/api/projects/"+nil32, ""))
}

func TestOrganization(t *testing.T) {
	h := newHouse(t)
	tenant := h.want(200, h.ask("GET", "/api/tenant", ""))
	other, err := h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Name: "other"})
	h.must(err)
	for _, same := range []string{"default", tenant["id"].(string)} {
		h.want(200, h.ask("GET", "/api/tenant", "", "X-Org-Slug", same))
	}
	for _, wrong := range []string{other.Slug, other.ID, "nobody", "Default", "default,other"} {
		h.refused(404, "not_found", h.ask("GET", "/api/tenant", "", "X-Org-Slug", wrong))
	}
	h.refused(404, "not_found", h.ask("GET", "/api/tenant", "", "X-Org-Slug", "default", "x-org-slug", "other"))
}

func TestPathsAndMethods(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/", "/api", "/api/", "/api/nothing", "/api/api-keys/", "/api//api-keys", "/api/./api-keys",
		"/x/../api/api-keys", "/api/api-keys/a/b/c", "/API/api-keys", "/.env"} {
		if r := h.ask("GET", path, ""); r.status != 404 {
			t.Errorf("%s answers %d %s", path, r.status, r.body)
		} else {
			h.refused(404, "not_found", r)
		}
	}
	r := h.ask("DELETE", "/api/api-keys", "")
	h.refused(405, "method_not_allowed", r)
	if r.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("Allow is %q", r.header.Get("Allow"))
	}
	if r := h.ask("HEAD", "/api/api-keys", ""); r.status != 200 {
		t.Errorf("HEAD answers %d", r.status)
	}
	h.refused(405, "method_not_allowed", h.ask("OPTIONS", "/api/tenant", ""))
	h.refused(405, "method_not_allowed", h.ask("POST", "/livez", ""))
}

func TestNothingIsCached(t *testing.T) {
	h := newHouse(t)
	h.each(h.first, unknownID, func(route rest.Route, r response) {
		if r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %v", route.Method, route.Path, r.header)
		}
	})
}

func TestHealth(t *testing.T) {
	h := newHouse(t)
	h.want(200, h.do("", "GET", "/livez", ""))
	h.want(200, h.do("", "GET", "/readyz", ""))
	h.cfg.Ready = func(context.Context) error { return errors.New("canary-detail") }
	h.api = rest.New(h.cfg)
	h.want(200, h.do("", "GET", "/livez", ""))
	r := h.do("", "GET", "/readyz", "")
	h.refused(503, "not_ready", r)
	if strings.Contains(r.body, "canary") {
		t.Errorf("the reason is told: %s", r.body)
	}
}

// What can't be written as JSON is a fault of the server, told as every other.
func TestAnswerThatIsNoJSON(t *testing.T) {
	h := newHouse(t)
	h.want(201, h.ask("POST", "/api/instances", `{"slug":"a","transport":"http","url":"https://example.com/"}`))
	h.cfg.InstanceTools = func(context.Context, keys.Instance) ([]wire.Tool, error) {
		return []wire.Tool{{Name: "broken", Definition: json.RawMessage(`{`)}}, nil
	}
	h.api = rest.New(h.cfg)
	h.refused(500, "internal", h.ask("GET", "/api/instances/a/tools", ""))
	if h.logs.FilterMessage("panic while serving").Len() != 0 || h.logs.FilterMessage("request failed").Len() != 1 {
		t.Errorf("logged %v", h.logs.All())
	}
}

func TestFaultsOfTheServer(t *testing.T) {
	h := newHouse(t)
	h.store.SetDown(true)
	r := h.ask("GET", "/api/projects", "")
	h.refused(503, "unavailable", r)
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.cfg.Authenticate = func(*http.Request) (keys.Principal, keys.Secret, error) { panic("canary-panic") }
	h.api = rest.New(h.cfg)
	r = h.ask("GET", "/api/projects", "")
	h.refused(500, "internal", r)
	h.cfg.Authenticate = func(*http.Request) (keys.Principal, keys.Secret, error) {
		return keys.Principal{}, "", errors.New("canary-error")
	}
	h.api = rest.New(h.cfg)
	again := h.ask("GET", "/api/projects", "")
	if r.body != again.body || strings.Contains(r.body, "canary") {
		t.Errorf("panic: %s error: %s", r.body, again.body)
	}
	if h.logs.FilterMessage("panic while serving").Len() != 1 || h.logs.FilterMessage("request failed").Len() == 0 {
		t.Errorf("logged: %v", h.logs.All())
	}
}

// 16 MiB are not read from who may not import.
func TestImportAsksForThePermissionFirst(t *testing.T) {
	h := newHouse(t)
	_, weak := h.mint(keys.NewKey{})
	tooLong := strings.Repeat("x\n", wire.MaxImport/2+1)
	r := h.do(weak, "POST", "/api/api-keys/import/bulk", tooLong, "Content-Type", "application/x-ndjson")
	h.refused(403, "permission_denied", r)
	r = h.ask("POST", "/api/api-keys/import/bulk", tooLong[2:], "Content-Type", "application/x-ndjson")
	if fields := h.refused(422, "invalid", r); len(fields) != 1 || fields[0] != "keys" || len(r.body) > 1000 {
		t.Errorf("%.1000s", r.body)
	}
}
