package upstream_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

const paramTool = `{"name":"mirror","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},` +
	`"n":{"type":"integer","x-mcp-header":"N"}}}}`

func TestModernRequest(t *testing.T) {
	h := modernWeb(named("a"), paramTool)
	h["tools/call"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		answer(w, 200, m, `"result": {"resultType":"complete", "content":[{"type":"odd","n":9007199254740993}],`+
			`"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"},"keep":1.0 }}`)
	}
	s := newWeb(t, h)
	cfg := remote(keys.TransportHTTP, s.URL+"/mcp")
	cfg.Headers = map[string]keys.Secret{"Authorization": "Bearer upstream-token", "Accept": "text/plain"}
	cfg.Version = "9.9"
	m := run(t, cfg).ready()
	reply, err := m.Call(context.Background(), upstream.Call{Tool: "mirror", Arguments: raw(`{"region":"é","n":42}`),
		Meta: raw(`{"x":9007199254740993,"io.modelcontextprotocol/clientCapabilities":{"sampling":{}}}`), LogLevel: "debug",
		Progress: func(json.RawMessage) {}, Log: func(json.RawMessage) {}})
	if err != nil || reply.Error != nil {
		t.Fatal(reply.Error, err)
	}
	if want := `{"content":[{"type":"odd","n":9007199254740993}],"_meta":{"keep":1.0 }}`; string(reply.Result) != want {
		t.Errorf("got  %s\nwant %s", reply.Result, want)
	}
	got := s.came("tools/call")[0]
	for name, want := range map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "mirror",
		"Mcp-Param-Region": "=?base64?" + base64.StdEncoding.EncodeToString([]byte("é")) + "?=", "Mcp-Param-N": "42", "Mcp-Session-Id": "",
		"Authorization": "Bearer upstream-token", "Accept": "application/json, text/event-stream", "Content-Type": "application/json"} {
		if v := got.header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	want := `{"name":"mirror","arguments":{"region":"é","n":42},"_meta":{"x":9007199254740993,"progressToken":` + string(got.ID) +
		`,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},` +
		`"io.modelcontextprotocol/clientInfo":{"name":"bailiwick","version":"9.9"},"io.modelcontextprotocol/logLevel":"debug"}}`
	if string(got.Params) != want {
		t.Errorf("got  %s\nwant %s", got.Params, want)
	}
	if n := len(s.came("initialize")) + len(s.came("DELETE")) + len(s.came("GET")); n != 0 {
		t.Errorf("%d requests of the other era", n)
	}
}

func TestModernResults(t *testing.T) {
	tests := []struct{ result, want, fault string }{
		{`{}`, `{}`, ""},
		{`{"resultType":"complete"}`, `{}`, ""},
		{`{"content":[] , "resultType" : "complete" }`, `{"content":[] }`, ""},
		{`{"a":1,"resultType":"complete","b":2}`, `{"a":1,"b":2}`, ""},
		{`{"_meta":{"io.modelcontextprotocol/serverInfo":{}},"b":2}`, `{"b":2}`, ""},
		{`{"_meta":{},"b":2}`, `{"_meta":{},"b":2}`, ""},
		{`{"x":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{}}}}`, `{"x":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{}}}}`, ""},
		{`{"result\u0054ype":"input_required","inputRequests":{},"requestState":"s"}`, ``, "a kind of result that the client does not take: input_required"},
		{`{"resultType":"task"}`, ``, "a kind of result that the client does not take: task"},
	}
	var next atomic.Value
	h := modernWeb(named("a"))
	h["tools/call"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		answer(w, 200, m, `"result":`+next.Load().(string))
	}
	m := newWeb(t, h).mount(t)
	for _, tt := range tests {
		next.Store(tt.result)
		reply, err := m.Call(context.Background(), upstream.Call{Tool: "a"})
		switch {
		case err != nil:
			t.Errorf("%s: %v", tt.result, err)
		case tt.fault != "":
			if reply.Error == nil || reply.Error.Code != -32603 || !strings.Contains(reply.Error.Message, tt.fault) || reply.Result != nil {
				t.Errorf("%s: %s %v", tt.result, reply.Result, reply.Error)
			}
		case string(reply.Result) != tt.want:
			t.Errorf("%s: %s, want %s", tt.result, reply.Result, tt.want)
		}
	}
}

func TestLegacyRequest(t *testing.T) {
	h := legacyWeb("session-1", named("a"))
	h["tools/call"] = func(w http.ResponseWriter, _ *http.Request, m message) { answer(w, 200, m, `"result":`+oddResult) }
	s := newWeb(t, h)
	m := s.mount(t)
	if got := m.call("a", `{}`); got != oddResult {
		t.Errorf("got  %s\nwant %s", got, oddResult)
	}
	for _, method := range []string{"notifications/initialized", "tools/list", "tools/call"} {
		if got := s.came(method); len(got) != 1 || got[0].header.Get("Mcp-Session-Id") != "session-1" ||
			got[0].header.Get("Mcp-Protocol-Version") != "2025-06-18" || got[0].header.Get("Mcp-Method") != "" {
			t.Errorf("%s: %+v", method, got)
		}
	}
	m.stop()
	if got := s.came("DELETE"); len(got) != 1 || got[0].header.Get("Mcp-Session-Id") != "session-1" {
		t.Errorf("DELETE: %+v", got)
	}
}

func TestStatusesInsteadOfAnAnswer(t *testing.T) {
	tests := []struct {
		name   string
		handle func(http.ResponseWriter, *http.Request, message)
		want   error
		code   int
	}{
		{"403", func(w http.ResponseWriter, _ *http.Request, _ message) { w.WriteHeader(403) }, upstream.ErrGarbage, 0},
		{"429", func(w http.ResponseWriter, _ *http.Request, _ message) { w.WriteHeader(429) }, upstream.ErrGarbage, 0},
		{"503", func(w http.ResponseWriter, _ *http.Request, _ message) { w.WriteHeader(503) }, upstream.ErrDown, 0},
		{"202", func(w http.ResponseWriter, _ *http.Request, _ message) { w.WriteHeader(202) }, upstream.ErrGarbage, 0},
		{"html", func(w http.ResponseWriter, _ *http.Request, _ message) { _, _ = w.Write([]byte("<html>")) }, upstream.ErrGarbage, 0},
		{"cut", func(w http.ResponseWriter, _ *http.Request, m message) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "9999")
			_, _ = w.Write([]byte(`{"jsonrpc":"2.0"`))
		}, upstream.ErrDown, 0},
		{"not JSON", func(w http.ResponseWriter, _ *http.Request, m message) { answer(w, 200, m, `"result":{`) }, upstream.ErrGarbage, 0},
		{"another id", func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 200, message{ID: raw(`"x"`)}, `"result":{}`)
		}, upstream.ErrGarbage, 0},
		{"stream of garbage", func(w http.ResponseWriter, _ *http.Request, m message) { stream(w); event(w, "garbage") }, upstream.ErrGarbage, 0},
		{"empty stream", func(w http.ResponseWriter, _ *http.Request, m message) { stream(w) }, upstream.ErrDown, 0},
		{"broken connection", func(http.ResponseWriter, *http.Request, message) { panic(http.ErrAbortHandler) }, upstream.ErrDown, 0},
		{"too large", func(w http.ResponseWriter, _ *http.Request, m message) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "67108865")
		}, upstream.ErrGarbage, 0},
		{"error in 400", func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 400, m, `"error":{"code":-32602,"message":"x"}`)
		}, nil, -32602},
		{"error in 500", func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 500, m, `"error":{"code":-32603,"message":"x"}`)
		}, nil, -32603},
		{"error without id", func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 400, message{ID: raw("null")}, `"error":{"code":-32020,"message":"x"}`)
		}, nil, -32020},
	}
	var next atomic.Value
	h := modernWeb(named("a"))
	h["tools/call"] = func(w http.ResponseWriter, r *http.Request, m message) {
		next.Load().(func(http.ResponseWriter, *http.Request, message))(w, r, m)
	}
	m := newWeb(t, h).mount(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next.Store(tt.handle)
			for _, want := range []func(json.RawMessage){nil, func(json.RawMessage) {}} {
				reply, err := m.Call(context.Background(), upstream.Call{Tool: "a", Progress: want})
				if !errors.Is(err, tt.want) || tt.code != 0 && (reply.Error == nil || reply.Error.Code != tt.code) {
					t.Errorf("reply %s %v, error %v", reply.Result, reply.Error, err)
				}
			}
			if st := m.Status(); st.State != upstream.StateReady {
				t.Errorf("one bad answer took it down: %+v", st)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	s := newWeb(t, modernWeb(named("a")))
	m := s.mount(t)
	s.CloseClientConnections()
	s.Listener.Close()
	m.fails("a", upstream.ErrDown)
	if st := m.down(); !strings.Contains(st.Problem, "connection refused") {
		t.Errorf("status %+v", st)
	}
}

func TestCancelOverHTTP(t *testing.T) {
	for name, h := range map[string]handlers{"modern": modernWeb(named("a")), "legacy": legacyWeb("s", named("a"))} {
		t.Run(name, func(t *testing.T) {
			begun, ended := make(chan message, 1), make(chan struct{})
			h["tools/call"] = func(w http.ResponseWriter, r *http.Request, m message) {
				stream(w)
				begun <- m
				<-r.Context().Done()
				close(ended)
			}
			told := make(chan message, 1)
			h["notifications/cancelled"] = func(w http.ResponseWriter, _ *http.Request, m message) {
				w.WriteHeader(202)
				told <- m
			}
			m := newWeb(t, h).mount(t)
			ctx, cancel := context.WithCancel(context.Background())
			result := make(chan error)
			go func() { _, err := m.Call(ctx, upstream.Call{Tool: "a"}); result <- err }()
			id := (<-begun).ID
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			<-ended
			if name == "legacy" {
				if got := <-told; !strings.Contains(string(got.Params), `"requestId":`+string(id)) {
					t.Errorf("told %s, request %s", got.Params, id)
				}
			}
			m.stop()
			if len(told) != 0 {
				t.Error("a modern upstream was told")
			}
		})
	}
}

// The end of Run ends its calls, and a call after it fails.
func TestEndOfRunEndsCalls(t *testing.T) {
	begun := make(chan struct{}, 1)
	h := modernWeb(named("a"))
	h["tools/call"] = func(_ http.ResponseWriter, r *http.Request, _ message) { begun <- struct{}{}; <-r.Context().Done() }
	m := newWeb(t, h).mount(t)
	result := make(chan error)
	go func() { _, err := m.Call(context.Background(), upstream.Call{Tool: "a"}); result <- err }()
	<-begun
	go m.stop()
	if err := <-result; !errors.Is(err, upstream.ErrDown) {
		t.Errorf("error %v", err)
	}
	m.stop()
	m.fails("a", upstream.ErrDown)
	if err := m.Run(context.Background()); err == nil {
		t.Error("Run ran twice")
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	for name, call := range map[string]func(http.ResponseWriter, *http.Request, message){
		"JSON": func(w http.ResponseWriter, _ *http.Request, m message) { answer(w, 200, m, `"result":{}`) },
		"stream": func(w http.ResponseWriter, _ *http.Request, m message) {
			stream(w)
			event(w, `{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
			time.Sleep(2 * time.Millisecond) // the stream ends a little later
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := modernWeb(named("a"))
			h["tools/call"] = call
			s := newWeb(t, h)
			m := s.mount(t)
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for range 50 {
						m.call("a", `{}`)
						time.Sleep(time.Millisecond) // for the end of the stream
					}
				})
			}
			wg.Wait()
			if s.conns > 120 {
				t.Errorf("%d connections for 800 calls, 16 at once", s.conns)
			}
		})
	}
}
