package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestNoTokenThroughREST uses two tokens of one key, as credentials and in
// every place where a client could paste one, on every route of a server that
// logs all it can. Only the answers that made them may hold them.
func TestNoTokenThroughREST(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "--log-level", "debug")
		kept, tokens := spill(t, s)
		kept.folder(t, "running", s.data) // with what is only in the write-ahead log
		s.stop(t)
		kept.folder(t, "stopped", s.data)
		kept["log"] = s.log.String()
		kept.check(t, tokens, `"msg":"request"`, "key.rotate", "SQLite format 3", "canary key")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := postgresURL(t)
		s := serve(t, "--log-level", "debug", "--migrate", "--database-url", url)
		kept, tokens := spill(t, s)
		s.stop(t)
		kept.postgres(t, url)
		kept.folder(t, "stopped", s.data)
		kept["log"] = s.log.String()
		kept.check(t, tokens, `"msg":"request"`, "key.rotate", "canary key")
	})
}

// spilled is one request that has a token somewhere.
type spilled struct {
	method, path, body string
	header             http.Header
}

// spill does it, and answers what was said, and the tokens.
func spill(t *testing.T, s *server) (sinks, canary) {
	t.Helper()
	tokens, said := canary{}, sinks{}
	fields := with(fullAccess(), object{"name": "canary key", "permissions": []string{"*"}})
	id, created := s.rest().key(t, fields)
	rotated := s.rest().must(t, http.MethodPost, "/api/api-keys/"+id+"/rotate", object{"graceSeconds": 3600})["key"].(string)
	tokens.add(t, "the created token", created)
	tokens.add(t, "the rotated token", rotated)
	again, _ := s.rest().key(t, object{"name": "rotated again"})
	for _, at := range []string{"/api/api-keys", "/api/api-keys/" + again + "/rotate"} {
		for range 2 { // the second may be answered from what was kept of the first
			tokens.add(t, "a token under an Idempotency-Key", issuedOnce(t, s, at))
		}
	}
	requests := 0
	for i, r := range routes(t) {
		victim, _ := s.rest().key(t, object{"name": "victim"})
		for _, token := range []string{created, rotated} {
			for n, one := range spillsOf(r, victim, token) {
				status, answer := send(t, s.url, one)
				said[fmt.Sprintf("answer %d to %s %s, spill %d.%d", status, r.method, r.path, i, n)] = answer
				requests++
			}
		}
	}
	for _, token := range []string{created, rotated} {
		rest{s.url, token}.must(t, http.MethodGet, "/api/tenant", nil) // it was a credential to the end
	}
	if requests < 1000 {
		t.Errorf("only %d requests", requests)
	}
	// The trail is an answer too.
	for _, e := range trail(t, s.rest()) {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		said["audit "+e.ID] = string(text)
	}
	status, body := s.rest().do(t, http.MethodGet, "/api/audit?limit=200", nil)
	said["audit"] = fmt.Sprint(status, string(body))
	return said, tokens
}

// issuedOnce makes a token under an Idempotency-Key.
func issuedOnce(t *testing.T, s *server, path string) string {
	t.Helper()
	body := object{"graceSeconds": 3600}
	if path == "/api/api-keys" {
		body = object{"name": "once"}
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	_, answer := send(t, s.url, spilled{http.MethodPost, path, string(text), http.Header{
		"Authorization": {"Bearer " + s.firstKey}, "Content-Type": {"application/json"}, "Idempotency-Key": {"canary-" + path},
	}})
	token := regexp.MustCompile(`bwk_live_[0-9A-Za-z]{49}`).FindString(answer)
	if token == "" {
		t.Fatalf("%s answers %s", path, answer)
	}
	return token
}

// spillsOf are all ways to put a token into a request of a route.
func spillsOf(r route, victim, token string) []spilled {
	wrong := token[:30] + map[bool]string{true: "b", false: "a"}[token[30] == 'a'] + token[31:]
	bearer := func(token string, more ...string) http.Header {
		h := http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	var all []spilled
	add := func(path, body string, header http.Header) {
		all = append(all, spilled{r.method, path, body, header})
	}
	path := r.about(victim)
	for _, used := range []string{token, wrong} {
		add(path, "", bearer(used))
		add(path, "{}", bearer(used))
		add(path, "", http.Header{"X-Api-Key": {used}})
		add(path, "", http.Header{"X-Api-Key": {used}, "Authorization": {"Bearer " + victim}})
		add(path, "", http.Header{"Authorization": {"Basic " + used}})
		add(path, "", http.Header{"Authorization": {used}})
		add(path, "", http.Header{"Cookie": {"key=" + used}})
		add(r.about(used), "", bearer(token))
		add(path+"/"+used, "", bearer(token))
		add("/"+used+path, "", bearer(token))
		add(path+"?"+used, "", bearer(token))
		add(path+"?page="+used+"&cursor="+used, "", bearer(token))
		add(path+"?access_token="+used+"&x=%zz", "", bearer(token))
		for _, name := range []string{"Idempotency-Key", "If-Match", "X-Org-Slug", "User-Agent", "Content-Type", "Origin", "Accept"} {
			add(path, "", bearer(token, name, used))
		}
		add(path, "", bearer(token, "If-Match", `"`+used+`"`))
		add(path, used, bearer(token))
		add(path, `"`+used+`"`, bearer(token))
		add(path, `{"`+used+`":1}`, bearer(token))
		add(path, `{"name":"x","tools":[{"`+used+`":1}]}`, bearer(token))
		add(path, `{"name":"`+used, bearer(token))
		add(path, "key="+used, bearer(token, "Content-Type", "application/x-www-form-urlencoded"))
		for _, field := range textFields {
			add(path, fmt.Sprintf(`{%q:%q}`, field, used), bearer(token))
			add(path, fmt.Sprintf(`{"name":"x","slug":"x","transport":"http",%q:[%q]}`, field, "see "+used), bearer(token))
			add(path, fmt.Sprintf(`{%q:{%q:%q}}`, field, used, used), bearer(token))
		}
	}
	return all
}

// textFields are the fields of any shape that hold text. Patterns and an
// upstream's address are kept as they are written, so they are not among them.
var textFields = []string{"name", "handle", "description", "tags", "scope", "permissions", "scopes", "enabled", "expiresAt", "expires_at",
	"deviceName", "device_name", "projectId", "project_id", "parentKeyId", "source", "mcpPreset", "mcpPermissions", "mcpAllowlistMode",
	"mcpProjectIds", "mcpInstanceIds", "slug", "transport", "env", "headers", "tools", "maxEffect", "graceSeconds", "reason"}

// send answers the status, and all of the answer as text.
func send(t *testing.T, base string, one spilled) (int, string) {
	t.Helper()
	path, query, _ := strings.Cut(one.path, "?")
	request, err := http.NewRequest(one.method, base, strings.NewReader(one.body))
	if err != nil {
		t.Fatal(err)
	}
	request.URL.Opaque = "//" + request.URL.Host + (&url.URL{Path: path}).EscapedPath()
	request.URL.RawQuery = query
	request.Header = one.header
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, fmt.Sprint(response.Status, response.Header, string(body))
}
