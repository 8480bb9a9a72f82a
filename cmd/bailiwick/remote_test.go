package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

const actingToken = "bwk_live_canarycanarycanary"

// serverOf answers as the handler does, and the client that asks it.
func serverOf(t *testing.T, h http.HandlerFunc) (remoteKeys, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return remoteKeys{newRemote(s.URL, actingToken)}, s
}

func problem(p wire.Problem) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { p.Answer(w) }
}

func text(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestRemoteErrors(t *testing.T) {
	field := policy.Problem{Field: "handle", Problem: "another key has this handle"}
	tests := []struct {
		name    string
		answer  http.HandlerFunc
		is      error  // nil = any
		message string // URL stands for the server's
		hint    string // a part of it
	}{
		{"401", problem(wire.Unauthenticated()), keys.ErrBadCredential,
			"invalid credential: the key is unknown to URL, revoked, expired or disabled", "BAILIWICK_KEY, --key-file FILE, or --key -"},
		{"403 permission", problem(wire.NewProblem(403, "permission_denied", "permission manage:api-keys is needed")), nil,
			"permission manage:api-keys is needed", "has this permission"},
		{"403 rights", problem(wire.NewProblem(403, "exceeds_rights", "this exceeds your own rights", policy.Problem{Field: "mcpReadOnly", Problem: "is wider"})), nil,
			"this exceeds your own rights: mcpReadOnly: is wider", "has all the rights"},
		{"403 scope", problem(wire.NewProblem(403, "scope_denied", "use another")), nil, "use another", ""},
		{"404", problem(wire.NewProblem(404, "not_found", "there is no such thing here")), keys.ErrNotFound, "not found", ""},
		{"409", problem(wire.NewProblem(409, "conflict", "the key is revoked")), nil, "the key is revoked", ""},
		{"409 field", problem(wire.NewProblem(409, "conflict", "x", field)), nil, "handle: another key has this handle", ""},
		{"412", problem(wire.NewProblem(412, "version_mismatch", "x")), keys.ErrVersion, "changed since it was read", "look at it again"},
		{"422", problem(wire.NewProblem(422, "invalid", "x", field, field)), nil, "handle: another key has this handle; handle: another key has this handle", ""},
		{"422 without fields", problem(wire.NewProblem(422, "invalid", "is not right")), nil, "is not right", ""},
		{"429", problem(wire.NewProblem(429, "rate_limited", "too many")), nil, "URL can't answer now: too many", "try again"},
		{"503", problem(wire.NewProblem(503, "unavailable", "no store")), nil, "URL can't answer now: no store", "try again"},
		{"500", problem(wire.NewProblem(500, "internal", "something")), nil, "URL has failed: something", "log"},
		{"400", problem(wire.NewProblem(400, "malformed_query", "search: is not a parameter")), nil, "URL refuses the request: search: is not a parameter", "another version"},
		{"key in a problem", problem(wire.NewProblem(400, "x", "what is "+actingToken+"?")), nil, "URL refuses the request: what is [key]?", ""},
		{"control characters", problem(wire.NewProblem(400, "x", "a\x1b[31m\nb")), nil, "URL refuses the request: a\uFFFD[31m; b", ""},
		{"long", problem(wire.NewProblem(400, "x", strings.Repeat("ä", 600))), nil, "URL refuses the request: " + strings.Repeat("ä", 500) + "…", ""},
		{"404 of another server", text(404, "text/html", "<html>"), nil, "what answers at URL is no Bailiwick server, or of another version: status 404", "base URL"},
		{"JSON of another server", text(400, "application/json", `{"error": "x"}`), nil, "what answers at URL is no Bailiwick server, or of another version: status 400", ""},
		{"problem that is none", text(400, "application/problem+json", `{`), nil, "what answers at URL is no Bailiwick server, or of another version: status 400", ""},
		{"200 of another server", text(200, "text/html", "<html>"), nil, "what answers at URL is no Bailiwick server, or of another version: status 200", ""},
		{"200 that is no JSON", text(200, "application/json", "{"), nil, "what answers at URL is no Bailiwick server, or of another version: status 200", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, s := serverOf(t, tt.answer)
			_, err := r.Update(context.Background(), "id", wire.UpdateKey{})
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) {
				t.Fatalf("error %v, want %v", err, tt.is)
			}
			message, hint := describe(err)
			if want := strings.ReplaceAll(tt.message, "URL", s.URL); message != want {
				t.Errorf("message %q, want %q", message, want)
			}
			if !strings.Contains(hint, tt.hint) {
				t.Errorf("hint %q, want %q in it", hint, tt.hint)
			}
			if strings.Contains(message+hint, "canary") {
				t.Errorf("the key is shown: %q %q", message, hint)
			}
		})
	}
}

// The credential stays with the server that was named.
func TestRemoteFollowsNoRedirect(t *testing.T) {
	var others atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { others.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		r, _ := serverOf(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/api/api-keys", status) })
		_, err := r.Keys(context.Background(), keyQuery{})
		if err == nil || !strings.Contains(err.Error(), "redirects elsewhere") {
			t.Errorf("%d: %v", status, err)
		}
		if _, hint := describe(err); !strings.Contains(hint, other.URL) {
			t.Errorf("%d: hint %q does not say where to", status, hint)
		}
	}
	if n := others.Load(); n > 0 {
		t.Errorf("%d requests went to another server", n)
	}
}

func TestRemoteBoundsAnswers(t *testing.T) {
	r, _ := serverOf(t, text(200, "application/json", `{"apiKeys": [`+strings.Repeat(" ", 100)+`]}`))
	r.server.maxAnswer = 100
	if _, err := r.Keys(context.Background(), keyQuery{}); !errors.Is(err, errTooLarge) {
		t.Errorf("error %v", err)
	}
	r.server.maxAnswer = 200
	if _, err := r.Keys(context.Background(), keyQuery{}); err != nil {
		t.Error(err)
	}
}

func TestRemoteConnections(t *testing.T) {
	secured := httptest.NewTLSServer(text(200, "application/json", "{}"))
	defer secured.Close()
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	_, plain := serverOf(t, text(200, "application/json", "{}"))
	slow, _ := serverOf(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // or the server does not see that nobody waits any more
		<-r.Context().Done()
	})
	slow.server.client.Timeout = 20 * time.Millisecond
	gone, closed := serverOf(t, text(200, "application/json", "{}"))
	closed.Close()
	cut, _ := serverOf(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	tests := []struct {
		name          string
		from          remoteKeys
		message, hint string
	}{
		{"not trusted", remoteKeys{newRemote(secured.URL, actingToken)}, "is not trusted: ", "SSL_CERT_FILE"},
		{"https to http", remoteKeys{newRemote(strings.Replace(plain.URL, "http:", "https:", 1), actingToken)}, "HTTP response to HTTPS client", "write http://"},
		{"http to https", remoteKeys{newRemote(strings.Replace(secured.URL, "https:", "http:", 1), actingToken)}, "no Bailiwick server", "http:// and https://"},
		{"late", slow, "does not answer", "may have been done"},
		{"refused", gone, "connection refused", "see that the server runs"},
		{"cut off", cut, "broke off", "may have been done"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.from.Update(context.Background(), "id", wire.UpdateKey{})
			if err == nil {
				t.Fatal("no error")
			}
			message, hint := describe(err)
			if !strings.Contains(message, tt.message) || !strings.Contains(hint, tt.hint) {
				t.Errorf("%q, hint %q; want %q and %q", message, hint, tt.message, tt.hint)
			}
		})
	}
}

// What must not be done twice is repeated once, under the same key, where it is
// not known whether it was done; nothing else is.
func TestRemoteRepeats(t *testing.T) {
	unavailable := problem(wire.NewProblem(503, "unavailable", "x"))
	busy := func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Retry-After", "0"); unavailable(w, r) }
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	short := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "{")
	}
	fine := text(200, "application/json", `{"id": "x"}`)
	create := func(r remoteKeys) error { _, err := r.Create(context.Background(), wire.CreateKey{}); return err }
	rotate := func(r remoteKeys) error {
		_, err := r.Rotate(context.Background(), "x", wire.RotateKey{})
		return err
	}
	update := func(r remoteKeys) error {
		_, err := r.Update(context.Background(), "x", wire.UpdateKey{})
		return err
	}
	revoke := func(r remoteKeys) error {
		_, err := r.Revoke(context.Background(), "x", wire.RevokeKey{})
		return err
	}
	tests := []struct {
		name     string
		do       func(remoteKeys) error
		answers  []http.HandlerFunc
		requests int
		fails    bool
	}{
		{"create, at once", create, []http.HandlerFunc{fine}, 1, false},
		{"create, busy", create, []http.HandlerFunc{busy, fine}, 2, false},
		{"create, cut off", create, []http.HandlerFunc{cut, fine}, 2, false},
		{"create, cut short", create, []http.HandlerFunc{short, fine}, 2, false},
		{"rotate, busy", rotate, []http.HandlerFunc{busy, fine}, 2, false},
		{"rotate, cut off", rotate, []http.HandlerFunc{cut, fine}, 2, false},
		{"busy twice", create, []http.HandlerFunc{busy, busy, fine}, 2, true},
		{"cut off twice", create, []http.HandlerFunc{cut, cut, fine}, 2, true},
		{"refused", create, []http.HandlerFunc{problem(wire.NewProblem(409, "conflict", "x")), fine}, 1, true},
		{"failed", create, []http.HandlerFunc{problem(wire.NewProblem(500, "internal", "x")), fine}, 1, true},
		{"update", update, []http.HandlerFunc{busy, fine}, 1, true},
		{"update, cut off", update, []http.HandlerFunc{cut, fine}, 1, true},
		{"revoke", revoke, []http.HandlerFunc{busy, fine}, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var asked []string
			r, server := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				asked = append(asked, r.Header.Get("Idempotency-Key"))
				answer := tt.answers[len(asked)-1]
				mu.Unlock()
				_, _ = io.ReadAll(r.Body)
				answer(w, r)
			})
			if err := tt.do(r); (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
			server.Close() // a request that was cut off may still be with its handler
			mu.Lock()
			defer mu.Unlock()
			if len(asked) != tt.requests {
				t.Fatalf("%d requests, want %d", len(asked), tt.requests)
			}
			if once := tt.name != "update" && tt.name != "update, cut off" && tt.name != "revoke"; once != (asked[0] != "") {
				t.Errorf("Idempotency-Key %q", asked[0])
			}
			if asked[len(asked)-1] != asked[0] {
				t.Errorf("repeated under another key: %v", asked)
			}
		})
	}
}

// What is asked, to the byte.
func TestRemoteRequests(t *testing.T) {
	type asked struct{ Method, Target, Kind, Tenant, Key, Body string }
	tests := []struct {
		name string
		do   func(r remoteKeys) error
		want asked
	}{
		{"list", func(r remoteKeys) error { _, err := r.Keys(t.Context(), keyQuery{}); return err },
			asked{"GET", "/base/api/api-keys", "", "", "Bearer " + actingToken, ""}},
		{"list, chosen", func(r remoteKeys) error { _, err := r.Keys(t.Context(), keyQuery{"a&b=ä", true}); return err },
			asked{"GET", "/base/api/api-keys?includeRevoked=true&search=a%26b%3D%C3%A4", "", "", "Bearer " + actingToken, ""}},
		{"create", func(r remoteKeys) error {
			_, err := r.Create(t.Context(), wire.CreateKey{Name: keys.Some("x y"), Permissions: keys.Some([]string{}),
				PolicyFields: wire.PolicyFields{MCPProjectIDs: keys.Null[policy.Limit](), MCPInstanceIDs: keys.Some(policy.Only()), MCPReadOnly: keys.Some(false)}})
			return err
		}, asked{"POST", "/base/api/api-keys", "application/json", "", "Bearer " + actingToken,
			`{"name":"x y","permissions":[],"mcpReadOnly":false,"mcpProjectIds":null,"mcpInstanceIds":[]}` + "\n"}},
		{"update nothing", func(r remoteKeys) error { _, err := r.Update(t.Context(), "a/b", wire.UpdateKey{}); return err },
			asked{"PUT", "/base/api/api-keys/a%2Fb", "application/json", "", "Bearer " + actingToken, "{}\n"}},
		{"rotate", func(r remoteKeys) error {
			_, err := r.Rotate(t.Context(), "x", wire.RotateKey{GraceSeconds: keys.Some(int64(60))})
			return err
		}, asked{"POST", "/base/api/api-keys/x/rotate", "application/json", "", "Bearer " + actingToken, `{"graceSeconds":60}` + "\n"}},
		{"tenant", func(r remoteKeys) error {
			r.server.tenant = "acme"
			_, err := r.ProjectID(t.Context(), "web site")
			return err
		}, asked{"GET", "/base/api/projects/web%20site", "", "acme", "Bearer " + actingToken, ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got asked
			r, s := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = asked{r.Method, r.RequestURI, r.Header.Get("Content-Type"), r.Header.Get("X-Org-Slug"), r.Header.Get("Authorization"), string(body)}
				text(200, "application/json", "{}")(w, r)
			})
			base, err := serverURL(s.URL + "/base/")
			if err != nil {
				t.Fatal(err)
			}
			r.server.base = base
			if err := tt.do(r); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServerURL(t *testing.T) {
	for text, want := range map[string]string{
		"http://h": "http://h", "https://h:1/": "https://h:1", "http://h/a//": "http://h/a", "http://[::1]:8/": "http://[::1]:8",
		"": "", "h": "", "h:1": "", "ftp://h": "", "http://": "", "http://u:p@h": "", "http://h?": "", "http://h?a": "", "http://h#a": "", "http://h\x7f": "",
	} {
		got, err := serverURL(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

// What a key's answer holds survives the way over the wire.
func TestKeyOverTheWire(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 678_901_000, time.UTC)
	k := wire.KeyOf(keys.Key{ID: "x", Tags: []string{"<a>"}, CreatedAt: at, ExpiresAt: &at, ProjectID: "p",
		Policy: policy.Policy{Permissions: policy.Unlimited(), ProjectIDs: policy.Only(), InstanceIDs: policy.Only("i")}})
	sent, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := serverOf(t, text(200, "application/json", string(sent)))
	got, err := r.get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	back, err := json.Marshal(got)
	if err != nil || string(back) != string(sent) {
		t.Errorf("%v\n%s\nwant\n%s", err, back, sent)
	}
}
