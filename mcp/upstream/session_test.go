package upstream_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// What a server without server/discover answers to it, and then initializes.
func TestProbeAnswersOfLegacyServers(t *testing.T) {
	status := func(code int, body string) func(http.ResponseWriter, *http.Request, message) {
		return func(w http.ResponseWriter, _ *http.Request, m message) { http.Error(w, body, code) }
	}
	for name, probe := range map[string]func(http.ResponseWriter, *http.Request, message){
		"error": func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 200, m, `"error":{"code":-32601,"message":"?"}`)
		},
		"error in 404": func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 404, m, `"error":{"code":-32601,"message":"?"}`)
		},
		"error without id": status(400, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: no session"}}`),
		"plain 400":        status(400, "Bad Request"),
		"plain 404":        status(404, "404 page not found"),
		"plain 406":        status(406, ""),
		"old versions": func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 200, m, `"result":{"supportedVersions":["2025-11-25"]}`)
		},
		"unsupported": func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 400, m, `"error":{"code":-32022,"message":"?","data":{"supported":["2025-11-25"]}}`)
		},
		"web page": func(w http.ResponseWriter, _ *http.Request, _ message) { _, _ = w.Write([]byte("<html>")) },
		"accepted": status(202, ""),
	} {
		t.Run(name, func(t *testing.T) {
			h := legacyWeb("", named("a"))
			h["server/discover"] = probe
			if m := newWeb(t, h).mount(t); m.Status().Protocol != "2025-06-18" {
				t.Errorf("status %+v", m.Status())
			}
		})
	}
}

func TestForgottenSessionIsRenewed(t *testing.T) {
	for name, gone := range map[string]func(http.ResponseWriter, message){
		"404": func(w http.ResponseWriter, _ message) { w.WriteHeader(404) },
		"404 error": func(w http.ResponseWriter, _ message) {
			answer(w, 404, message{ID: raw("null")}, `"error":{"code":-32001,"message":"Session not found"}`)
		},
		"400": func(w http.ResponseWriter, _ message) {
			answer(w, 400, message{ID: raw("null")}, `"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := legacyWeb("first", named("a"))
			h["tools/call"] = func(w http.ResponseWriter, r *http.Request, m message) {
				if r.Header.Get("Mcp-Session-Id") != "second" {
					gone(w, m)
					return
				}
				answer(w, 200, m, `"result":{"ok":true}`)
			}
			s := newWeb(t, h)
			m := s.mount(t)
			s.handle("initialize", legacyWeb("second")["initialize"])
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if got := m.call("a", `{}`); got != `{"ok":true}` {
						t.Errorf("got %s", got)
					}
				})
			}
			wg.Wait()
			if n := len(s.came("initialize")); n != 2 {
				t.Errorf("%d initializations", n)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, st := range m.states {
				if st.State == upstream.StateDown {
					t.Errorf("it was told to be down: %+v", st)
				}
			}
		})
	}
}

func TestCredentialsRefused(t *testing.T) {
	s := newWeb(t, handlers{
		"server/discover": func(w http.ResponseWriter, r *http.Request, m message) {
			answer(w, 401, m, `"error":{"code":-32001,"message":"bad token `+r.Header.Get("Authorization")+`"}`)
		},
	})
	cfg := remote(keys.TransportHTTP, s.URL)
	cfg.Headers = map[string]keys.Secret{"Authorization": "Bearer canary-of-12-chars"}
	m := run(t, cfg)
	if st := m.down(); !strings.Contains(st.Problem, "refuses the credentials (HTTP 401)") {
		t.Errorf("status %+v", st)
	}
	if n := len(s.came("initialize")); n != 0 {
		t.Errorf("%d initializations", n)
	}
	// A server that repeats them in an error does not get them into a text.
	s.handle("server/discover", nil)
	s.handle("initialize", func(w http.ResponseWriter, r *http.Request, m message) {
		answer(w, 200, m, `"error":{"code":-32001,"message":"bad token `+r.Header.Get("Authorization")+`\nsecond line"}`)
	})
	m.until("the other problem", func() bool { return strings.Contains(m.last().Problem, "bad token") })
	if p := m.Status().Problem; strings.Contains(p, "canary") || strings.Contains(p, "\n") {
		t.Errorf("problem %q", p)
	}
	if err := m.fails("a", upstream.ErrDown); strings.Contains(err.Error(), "canary") {
		t.Errorf("error %v", err)
	}
}

func TestRedirects(t *testing.T) {
	other := newWeb(t, modernWeb(named("a")))
	s := newWeb(t, modernWeb(named("a")))
	moved := http.NewServeMux()
	moved.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/mcp/", 307) })
	moved.HandleFunc("/mcp/", s.ServeHTTP)
	moved.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/?secret=1", 307) })
	moved.HandleFunc("/found", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/mcp/", 302) })
	moved.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", 307) })
	s.Config.Handler = moved
	m := s.mount(t)
	if n := len(s.came("tools/list")); n != 1 || m.tools()[0] != "a" {
		t.Errorf("%d lists", n)
	}
	for path, problem := range map[string]string{"/elsewhere": "redirects (HTTP 307) to " + other.URL + ",", "/found": "redirects (HTTP 302)", "/loop": "more than 3 redirects"} {
		cfg := remote(keys.TransportHTTP, s.URL+path)
		cfg.Headers = map[string]keys.Secret{"Authorization": "Bearer canary"}
		if st := run(t, cfg).down(); !strings.Contains(st.Problem, problem) || strings.Contains(st.Problem, "secret") {
			t.Errorf("%s: %+v", path, st)
		}
	}
	if n := len(other.seen); n != 0 {
		t.Errorf("the other host got %d requests", n)
	}
}
