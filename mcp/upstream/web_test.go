package upstream_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// web is a hand-made HTTP upstream: handlers by JSON-RPC method, and "GET",
// "DELETE"; what came is recorded.
type web struct {
	*httptest.Server
	on    map[string]func(w http.ResponseWriter, r *http.Request, m message)
	mu    sync.Mutex
	seen  []exchange
	conns int
}

// exchange is one request that came.
type exchange struct {
	message
	header http.Header
	path   string
}

func newWeb(t *testing.T, on map[string]func(http.ResponseWriter, *http.Request, message)) *web {
	t.Helper()
	s := &web{on: on}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.conns++
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *web) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := message{Method: r.Method}
	if r.Method == http.MethodPost {
		b, _ := io.ReadAll(r.Body)
		m = message{}
		_ = json.Unmarshal(b, &m)
	}
	s.mu.Lock()
	s.seen = append(s.seen, exchange{m, r.Header.Clone(), r.URL.Path})
	handle := s.on[m.Method]
	s.mu.Unlock()
	switch {
	case handle != nil:
		handle(w, r, m)
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case m.ID == nil:
		w.WriteHeader(http.StatusAccepted)
	default:
		answer(w, 400, m, `"error":{"code":-32601,"message":"Method not found"}`)
	}
}

// came is the requests of a method so far.
func (s *web) came(method string) (out []exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.seen {
		if e.Method == method {
			out = append(out, e)
		}
	}
	return out
}

func (s *web) handle(method string, f func(http.ResponseWriter, *http.Request, message)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on[method] = f
}

type handlers = map[string]func(http.ResponseWriter, *http.Request, message)

// answer writes a JSON answer; rest is its result or error member.
func answer(w http.ResponseWriter, status int, m message, rest string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, m.ID, rest)
}

// stream begins a stream of events; each is written with event.
func stream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
}

func event(w http.ResponseWriter, format string, args ...any) {
	_, _ = fmt.Fprintf(w, "data: "+format+"\n\n", args...)
	w.(http.Flusher).Flush()
}

// modernWeb speaks 2026-07-28, with these tools.
func modernWeb(tools ...string) handlers {
	return handlers{
		"server/discover": func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 200, m, `"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private",
				"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"web","version":"1"}}}`)
		},
		"tools/list": func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 200, m, `"result":`+page("", tools...))
		},
	}
}

// legacyWeb speaks 2025-06-18, with a session.
func legacyWeb(session string, tools ...string) handlers {
	h := modernWeb(tools...)
	delete(h, "server/discover")
	h["initialize"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		w.Header().Set("Mcp-Session-Id", session)
		answer(w, 200, m, `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"web","version":"1"}}`)
	}
	return h
}

func (s *web) mount(t *testing.T) *mounted {
	t.Helper()
	return run(t, remote(keys.TransportHTTP, s.URL+"/mcp")).ready()
}

// serveList mounts a server whose list has these pages, at most two.
func serveList(t *testing.T, pages ...string) *mounted {
	t.Helper()
	h := modernWeb()
	h["tools/list"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		p := pages[0]
		if strings.Contains(string(m.Params), `"cursor"`) {
			p = pages[1]
		}
		answer(w, 200, m, `"result":`+p)
	}
	return newWeb(t, h).mount(t)
}
