package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// house has a server at each path.
type house struct {
	modern   bool
	mu       sync.Mutex
	servers  map[string]*server
	streams  sync.Map // of SSE, by number
	sessions atomic.Int64
}

func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, rest, _ := strings.Cut(r.URL.Path, "/")
	kind, name, _ := strings.Cut(rest, "/")
	switch {
	case kind == "message":
		h.posted(w, r, name)
	case kind == "sse" && !h.modern && r.Method == http.MethodGet:
		h.serveSSE(w, r, h.at(r.URL.Path, false))
	case kind != "mcp" && kind != "bare":
		http.NotFound(w, r)
	case r.Method == http.MethodPost:
		h.servePost(w, r, h.at(r.URL.Path, kind == "bare"))
	case r.Method == http.MethodGet && !h.modern:
		h.serveGet(w, r, h.at(r.URL.Path, kind == "bare"))
	case r.Method == http.MethodDelete && !h.modern:
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (h *house) at(path string, bare bool) *server {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.servers[path] == nil {
		h.servers[path] = newServer(h.modern, bare)
	}
	return h.servers[path]
}

// servePost answers one message: by JSON, or by a stream once there is something
// to say beside.
func (h *house) servePost(w http.ResponseWriter, r *http.Request, s *server) {
	var m message
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	session := r.Header.Get("Mcp-Session-Id")
	if problem := h.mismatch(r, m, session); problem != "" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":%q}}`, problem)
		return
	}
	if m.Method == "initialize" {
		w.Header().Set("Mcp-Session-Id", fmt.Sprint("s", h.sessions.Add(1)))
	}
	var writing sync.Mutex
	streamed := false
	say := func(raw string) {
		writing.Lock()
		defer writing.Unlock()
		if !streamed {
			streamed = true
			w.Header().Set("Content-Type", "text/event-stream")
		}
		event(w, raw)
	}
	ctx := r.Context()
	if !h.modern {
		ctx = context.WithoutCancel(ctx) // it is no cancellation (2025-11-25, basic/transports)
	}
	answer := s.take(ctx, session, m, say)
	switch {
	case answer == "":
		w.WriteHeader(http.StatusAccepted)
	case streamed:
		say(answer)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, answer)
	}
}

// mismatch says what is wrong with the headers, as a strict server does.
func (h *house) mismatch(r *http.Request, m message, session string) string {
	version := r.Header.Get("Mcp-Protocol-Version")
	if !h.modern {
		if m.Method != "initialize" && (version != legacyVersion || session == "") {
			return "no session of " + legacyVersion
		}
		return ""
	}
	name := map[string]string{"tools/call": m.Params.Name, "prompts/get": m.Params.Name, "resources/read": m.Params.URI,
		"tasks/get": m.Params.TaskID, "tasks/cancel": m.Params.TaskID}[m.Method]
	switch {
	case version != modernVersion || session != "":
		return "not of " + modernVersion
	case r.Header.Get("Mcp-Method") != m.Method || plain(r.Header.Get("Mcp-Name")) != name,
		m.Params.Name == "region" && plain(r.Header.Get("Mcp-Param-Region")) != (&call{message: m}).text("region"):
		return "headers that differ from the body"
	}
	return ""
}

// plain decodes a header's value (2026-07-28, basic/transports).
func plain(value string) string {
	if encoded, ok := strings.CutPrefix(value, "=?base64?"); ok {
		text, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(encoded, "?="))
		if err == nil {
			return string(text)
		}
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r > '~' }) {
		return "not encoded"
	}
	return value
}

func event(w http.ResponseWriter, raw string) {
	_, _ = fmt.Fprintf(w, "event: message\ndata: %s\n\n", raw)
	w.(http.Flusher).Flush()
}

func (h *house) serveGet(w http.ResponseWriter, r *http.Request, s *server) {
	w.Header().Set("Content-Type", "text/event-stream")
	var writing sync.Mutex
	s.listen(r.Context(), &listener{say: func(raw string) {
		writing.Lock()
		defer writing.Unlock()
		event(w, raw)
	}}, func() {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
	})
}
