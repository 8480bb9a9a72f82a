package rest_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const logins = "/v1/cli/login/sessions"

// startLogin starts a sign-in without a key.
func (h *house) startLogin(body string) (one, poll string) {
	h.t.Helper()
	started := h.want(201, h.do("", "POST", logins, body))
	one = logins + "/" + started["id"].(string)
	return one, one + "?poll_token=" + started["poll_token"].(string)
}

func TestLogin(t *testing.T) {
	h := newHouse(t)
	r := h.do("", "POST", logins, `{"device_name":"laptop","name":"My laptop","scopes":["projects:read","api_keys:write"],"source":"agent","expires_at":"2030-06-01T00:00:00Z"}`)
	started := h.want(201, r)
	id, secret := started["id"].(string), started["poll_token"].(string)
	h.says(201, `{"id":"`+id+`","poll_token":"`+secret+`","expires_at":"2030-01-01T00:10:00Z","interval_seconds":2,"approve_path":"`+logins+"/"+id+`/approve"}`, r)
	one, poll := logins+"/"+id, logins+"/"+id+"?poll_token="+secret
	pending := `{"status":"pending","api_key":null,"plaintext_api_key":null}`
	for range 2 {
		h.says(200, pending, h.do("", "GET", poll, ""))
	}
	h.says(200, `{"id":"`+id+`","status":"pending","name":"My laptop","device_name":"laptop","scopes":["projects:read","api_keys:write"],`+
		`"source":"agent","key_expires_at":"2030-06-01T00:00:00Z","created_at":"2030-01-01T00:00:00Z","expires_at":"2030-01-01T00:10:00Z"}`,
		h.ask("GET", one+"/approval", ""))

	approved := h.ask("POST", one+"/approve", `{"scopes":["projects:read"]}`)
	key := dig(h.want(200, approved), "api_key").(map[string]any)
	keyID, prefix := key["id"].(string), key["key_prefix"].(string)
	written := strings.Replace(h.capyKey(true, prefix, keyID, "My laptop", "", "laptop", "2030-06-01T00:00:00Z", "", `"projects:read"`), `"source":"api"`, `"source":"agent"`, 1)
	h.says(200, `{"status":"approved","api_key":`+written+`}`, approved)

	if r := h.do("", "HEAD", poll, ""); r.status != 200 { // which has no body to hand a key out in
		t.Errorf("HEAD: %d", r.status)
	}
	r = h.do("", "GET", poll, "")
	plaintext, _ := h.want(200, r)["plaintext_api_key"].(string)
	h.says(200, `{"status":"approved","api_key":`+written+`,"plaintext_api_key":"`+plaintext+`"}`, r)
	h.says(200, `{"status":"consumed","api_key":null,"plaintext_api_key":null}`, h.do("", "GET", poll, ""))
	if me := h.want(200, h.do(plaintext, "GET", "/v1/me", "")); dig(me, "principal", "key_id") != keyID {
		t.Errorf("the key is another's: %v", me)
	}
	if got := h.want(200, h.ask("GET", "/api/api-keys/"+keyID, "")); got["mcpActive"] != false || got["source"] != "agent" || got["createdBy"] == "" {
		t.Errorf("the key: %v", got)
	}
	h.fault(409, "the sign-in is decided already", h.ask("POST", one+"/approve", ""))
	h.fault(409, "the sign-in is decided already", h.ask("POST", one+"/deny", ""))
}

func TestLoginOfDefaults(t *testing.T) {
	h := newHouse(t)
	one, poll := h.startLogin(`{}`)
	if key := dig(h.want(200, h.ask("POST", one+"/approve", "")), "api_key"); dig(key, "name") != "cli" || dig(key, "source") != "cli" || fmt.Sprint(dig(key, "scopes")) != "[]" {
		t.Errorf("the key: %v", key)
	}
	h.want(200, h.do("", "GET", poll, ""))

	one, poll = h.startLogin(`{"device_name":"laptop"}`)
	for range 2 {
		h.says(200, `{"status":"denied","api_key":null}`, h.ask("POST", one+"/deny", ""))
	}
	h.says(200, `{"status":"denied","api_key":null,"plaintext_api_key":null}`, h.do("", "GET", poll, ""))
	h.fault(409, "the sign-in is decided already", h.ask("POST", one+"/approve", ""))

	one, poll = h.startLogin(`{"scopes":["projects:read"]}`)
	project, err := h.svc.CreateProject(h.ctx, h.op, keys.NewProject{Name: "p"})
	h.must(err)
	if key := dig(h.want(200, h.ask("POST", one+"/approve", `{"project_id":"`+project.ID+`"}`)), "api_key"); dig(key, "project_id") != project.ID {
		t.Errorf("the key: %v", key)
	}
	h.now = h.now.Add(10 * time.Minute)
	h.fault(404, "login session not found", h.do("", "GET", poll, ""))
}

// However many poll at once, the plaintext is handed out once.
func TestLoginIsCollectedOnce(t *testing.T) {
	h := newHouse(t)
	one, poll := h.startLogin(`{}`)
	h.want(200, h.ask("POST", one+"/approve", ""))
	var wg sync.WaitGroup
	var got atomic.Int64
	for range 8 {
		wg.Go(func() {
			if r := h.do("", "GET", poll, ""); strings.Contains(r.body, `"plaintext_api_key":"`) {
				got.Add(1)
			} else if r.body != `{"status":"consumed","api_key":null,"plaintext_api_key":null}`+"\n" {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("handed out %d times", got.Load())
	}
}

// Whether there is such a sign-in is for who has its poll token, or may decide
// about it.
func TestLoginAbsence(t *testing.T) {
	h := newHouse(t)
	other, err := h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Name: "other"})
	h.must(err)
	foreign, err := h.svc.Operator(h.ctx, other.ID)
	h.must(err)
	theirs, err := h.svc.CreateKey(h.ctx, foreign, keys.NewKey{Name: "theirs", Permissions: keys.Some([]string{"*"})})
	h.must(err)
	one, poll := h.startLogin(`{}`)
	_, token, _ := strings.Cut(poll, "=")
	h.want(200, h.ask("POST", one+"/approve", ""))
	for _, path := range []string{one + "?poll_token=x", one + "?poll_token=" + h.first, logins + "/" + unknownID + "?poll_token=" + token,
		logins + "/x?poll_token=" + token, logins + "/%2e%2e?poll_token=" + token} {
		h.fault(404, "login session not found", h.do("", "GET", path, ""))
	}
	for _, id := range []string{one, logins + "/" + unknownID, logins + "/x"} {
		h.fault(404, "login session not found", h.do(theirs.Secret.Reveal(), "GET", id+"/approval", ""))
		h.fault(404, "login session not found", h.do(theirs.Secret.Reveal(), "POST", id+"/approve", ""))
		h.fault(404, "login session not found", h.do(theirs.Secret.Reveal(), "POST", id+"/deny", ""))
		_, none := h.mint(keys.NewKey{})
		h.fault(403, "permission api_keys:write is needed", h.do(none, "POST", id+"/approve", ""))
	}
	h.want(200, h.do("", "GET", poll, ""))
}

func TestLoginBadInput(t *testing.T) {
	h := newHouse(t)
	one, poll := h.startLogin(`{"scopes":["projects:read","audit:read"]}`)
	_, manager := h.mint(keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"})})
	tests := []struct {
		token, method, path, body string
		status                    int
		text                      string
	}{
		{"", "POST", logins, ``, 415, "the body must be JSON"},
		{"", "POST", logins, `{"organization":"default"}`, 400, "organization "},
		{"", "POST", logins, `{"scopes":["view:projects"]}`, 422, "scopes: write view:projects as projects:read"},
		{"", "POST", logins, `{"scopes":null}`, 422, "scopes: must be a list"},
		{"", "POST", logins, `{"source":"phone"}`, 422, "source: unknown source"},
		{"", "POST", logins, `{"expires_at":"2020-01-01T00:00:00Z"}`, 422, "expires_at: must be in the future"},
		{"", "POST", logins, `{"device_name":"` + strings.Repeat("a", 201) + `"}`, 422, "name: must have 1 to 200"},
		{"", "GET", one, "", 400, "poll_token: is required"},
		{"", "GET", poll + "&wait=1", "", 400, "wait: "},
		{"", "GET", one + "/approval", "", 401, "a valid API key is needed"},
		{"", "POST", one + "/approve", "", 401, "a valid API key is needed"},
		{"", "POST", one + "/deny", "", 401, "a valid API key is needed"},
		{h.first, "POST", one + "/approve", `{"scopes":["projects:write"]}`, 422, "scopes: "},
		{h.first, "POST", one + "/approve", `{"scopes":["manage:projects"]}`, 422, "scopes: write manage:projects as projects:write"},
		{h.first, "POST", one + "/approve", `{"project_id":""}`, 422, "project_id: must not be empty"},
		{h.first, "POST", one + "/approve", `{"project_id":"` + unknownID + `"}`, 422, "project_id: no such project"},
		{h.first, "POST", one + "/approve", `{"name":"x"}`, 400, "name "},
		{h.first, "POST", one + "/deny", `{"reason":"x"}`, 400, "this operation takes no body"},
		{manager, "POST", one + "/approve", "", 403, "this exceeds your own rights: "},
		{h.first, "PUT", one, "", 405, "this path answers to GET, HEAD"},
	}
	before := h.epoch()
	for _, tt := range tests {
		h.api = h.fresh() // whose hosts have all their turns
		body := h.want(tt.status, h.do(tt.token, tt.method, tt.path, tt.body))
		if text, _ := body["error"].(string); len(body) != 1 || !strings.HasPrefix(text, tt.text) || strings.Contains(text, "view:") && tt.token == h.first {
			t.Errorf("%s %s %.80s answers %v, want %q", tt.method, tt.path, tt.body, body, tt.text)
		}
	}
	if h.epoch() != before {
		t.Error("something was changed")
	}
	h.says(200, `{"status":"pending","api_key":null,"plaintext_api_key":null}`, h.do("", "GET", poll, ""))
}

// What asks for no key is bounded, for one remote host and for all.
func TestLoginsAreBounded(t *testing.T) {
	h := newHouse(t)
	busy := func(r response, least int) {
		t.Helper()
		h.fault(429, "too many requests: try again later", r)
		if after, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || after < least {
			t.Errorf("Retry-After: %q", r.header.Get("Retry-After"))
		}
	}
	for range 10 {
		h.startLogin(`{}`)
	}
	busy(h.do("", "POST", logins, `{}`), 2)
	h.now = h.now.Add(2 * time.Second)
	_, poll := h.startLogin(`{}`)
	busy(h.do("", "POST", logins, `{}`), 2)
	for range 30 { // polling is not starting
		h.want(200, h.do("", "GET", poll, ""))
	}
	for range 1000 - 11 {
		_, _, err := h.svc.StartLogin(h.ctx, keys.NewLogin{})
		h.must(err)
	}
	h.api = h.fresh()
	busy(h.do("", "POST", logins, `{}`), 60)
}
