package resttest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/keys/rest/resttest"
)

const (
	members = `"id":"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d","slug":"a","name":"a","createdAt":"2030-01-01T00:00:00Z","updatedAt":"2030-01-01T00:00:00Z","version":1`
	project = `{` + members + `}`
	edited  = `{` + members + `,"propagation":{"epoch":1,"replicas":1,"applied":1}}`
	problem = `{"type":"about:blank","title":"x","status":404,"detail":"d","code":"not_found","errors":[]}`
)

func exchange(method, target, request string, status int, body string, headers ...string) resttest.Exchange {
	x := resttest.Exchange{Method: method, Target: target, Request: []byte(request), Status: status, Body: []byte(body), Header: http.Header{}}
	x.Header.Set("Content-Type", "application/json")
	if status >= 400 {
		x.Header.Set("Content-Type", "application/problem+json")
	}
	for i := 0; i < len(headers); i += 2 {
		x.Header.Set(headers[i], headers[i+1])
	}
	return x
}

func TestCheck(t *testing.T) {
	w := httptest.NewRecorder()
	rest.New(rest.Config{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	d, err := resttest.Read(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	const one, tag = "/api/projects/a", `"1"`
	tests := []struct {
		name  string
		x     resttest.Exchange
		wrong string // part of the complaint; "" = none
	}{
		{"a right answer", exchange("GET", one, "", 200, project, "ETag", tag), ""},
		{"a right answer to a query", exchange("GET", "/api/projects?page=2", "", 200, `{"projects":[`+project+`],"total":1}`), ""},
		{"a right refusal", exchange("GET", one, "", 404, problem), ""},
		{"a right request", exchange("POST", "/api/projects", `{"name":"a"}`, 201, edited, "ETag", tag), ""},
		{"HEAD", exchange("HEAD", one, "", 200, "", "ETag", tag), ""},
		{"an unknown path that is not found", exchange("GET", "/api/nothing", "", 404, problem), ""},
		{"a path written in another way", exchange("GET", "/api//projects", "", 404, problem), ""},
		{"an unknown method that is refused", exchange("PATCH", one, "", 405, problem), ""},

		{"path", exchange("GET", "/api/nothing", "", 200, project), "the path is not documented"},
		{"path written in another way", exchange("GET", "/api//projects", "", 200, project), "the path is not documented"},
		{"method", exchange("PATCH", one, "", 200, project, "ETag", tag), "the method is not documented"},
		{"status", exchange("GET", one, "", 202, project, "ETag", tag), "the status is not documented"},
		{"status of an error", exchange("GET", one, "", 418, problem), "the status is not documented"},
		{"media type", exchange("GET", one, "", 200, project, "ETag", tag, "Content-Type", "text/plain"), "media type"},
		{"media type of an error", exchange("GET", one, "", 404, problem, "Content-Type", "application/json"), "media type"},
		{"media type of an unknown path", exchange("GET", "/x", "", 404, problem, "Content-Type", "text/plain"), "media type"},
		{"no ETag", exchange("GET", one, "", 200, project), "ETag is missing"},
		{"an ETag too many", exchange("GET", "/api/projects", "", 200, `{"projects":[],"total":1}`, "ETag", tag), "ETag is not documented"},
		{"no WWW-Authenticate", exchange("GET", one, "", 401, problem), "WWW-Authenticate is missing"},
		{"no Retry-After", exchange("GET", one, "", 503, problem), "Retry-After is missing"},
		{"a field too many", exchange("GET", one, "", 200, strings.Replace(project, `"slug"`, `"extra":1,"slug"`, 1), "ETag", tag), "extra"},
		{"a field too few", exchange("GET", one, "", 200, strings.Replace(project, `"slug":"a",`, "", 1), "ETag", tag), "slug"},
		{"a type", exchange("GET", one, "", 200, strings.Replace(project, `"version":1`, `"version":"1"`, 1), "ETag", tag), "version"},
		{"a format", exchange("GET", one, "", 200, strings.Replace(project, "2030-01-01T", "2030-01-01 ", 1), "ETag", tag), "createdAt"},
		{"null", exchange("GET", one, "", 200, strings.Replace(project, `"a"`, `null`, 1), "ETag", tag), "slug"},
		{"below a list", exchange("GET", "/api/projects", "", 200, `{"projects":[{}],"total":1}`), "projects/0"},
		{"no body", exchange("GET", one, "", 200, "", "ETag", tag), "no body"},
		{"no JSON", exchange("GET", one, "", 200, "{", "ETag", tag), "EOF"},
		{"a request that should not pass", exchange("POST", "/api/projects", `{"name":"a","nme":1}`, 201, edited, "ETag", tag), "the request was accepted"},
	}
	good := 0
	for _, tt := range tests {
		err := d.Check(tt.x)
		switch {
		case tt.wrong == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.wrong)
		case err == nil:
			good++
		}
	}
	if d.Checked() != good {
		t.Errorf("%d counted, want %d", d.Checked(), good)
	}
	unseen := strings.Join(d.Unseen(), " ") + " "
	if strings.Contains(unseen, "getProject ") || strings.Contains(unseen, "createProject ") || !strings.Contains(unseen, "listKeys ") {
		t.Errorf("unseen: %s", unseen)
	}
	for _, text := range []string{"", "[]", "{}", `{"paths":{}}`} {
		if _, err := resttest.Read([]byte(text)); err == nil {
			t.Errorf("%q is read as a document", text)
		}
	}
}
