package upstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

func token(m message) string {
	var p struct {
		Meta struct {
			Token json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	}
	if _ = json.Unmarshal(m.Params, &p); p.Meta.Token == nil {
		return "null"
	}
	return string(p.Meta.Token)
}

// collect calls a tool and returns what came before its reply.
func (m *mounted) collect(tool string) (got []string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := m.Call(ctx, upstream.Call{Tool: tool,
		Progress: func(p json.RawMessage) { got = append(got, "progress "+string(p)) },
		Log:      func(p json.RawMessage) { got = append(got, "log "+string(p)) }})
	if err != nil || reply.Error != nil {
		m.t.Fatalf("%s: %v %v", tool, reply.Error, err)
	}
	return append(got, string(reply.Result))
}

func TestStreamedAnswer(t *testing.T) {
	h := legacyWeb("s", named("a"))
	h["tools/call"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		stream(w)
		_, _ = fmt.Fprint(w, ": a comment\r\nid: 1\r\ndata:\r\n\r\nevent: message\r\n")
		event(w, `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}`)
		event(w, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`, token(m))
		event(w, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"other","progress":2}}`)
		event(w, "{\"jsonrpc\":\"2.0\",\"id\":%s,\ndata: \"result\":{\"lines\":\ndata:2}}", m.ID)
		event(w, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":3}}`, token(m))
	}
	m := newWeb(t, h).mount(t)
	got := strings.Join(m.collect("a"), "\n")
	want := "log {\"level\":\"info\",\"data\":1}\nprogress {\"progress\":1}\n{\"lines\": 2}"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := m.call("a", `{}`); got != `{"lines": 2}` {
		t.Errorf("without notices: %q", got)
	}
}

// Some servers send a call's progress on the stream of another call.
func TestProgressOnAnotherStream(t *testing.T) {
	other, sent := make(chan string, 1), make(chan struct{})
	h := legacyWeb("s", named("first"), named("second"))
	h["tools/call"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		stream(w)
		if m.tool() == "first" {
			other <- token(m)
			<-sent
		} else {
			event(w, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`, <-other)
		}
		event(w, `{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
	}
	m := newWeb(t, h).mount(t)
	result := make(chan []string)
	go func() { result <- m.collect("first") }()
	m.call("second", `{}`)
	close(sent)
	if got := <-result; len(got) != 2 || got[0] != `progress {"progress":1}` {
		t.Errorf("got %q", got)
	}
}

// A legacy server may end the stream before the answer; the rest is asked for.
func TestStreamIsResumed(t *testing.T) {
	for _, notices := range []bool{false, true} {
		t.Run(fmt.Sprint("notices ", notices), func(t *testing.T) {
			var id atomic.Value
			h := legacyWeb("s", named("a"))
			h["tools/call"] = func(w http.ResponseWriter, _ *http.Request, m message) {
				id.Store(string(m.ID))
				stream(w)
				_, _ = fmt.Fprint(w, "id: one\nretry: 10\ndata:\n\n")
			}
			h["GET"] = func(w http.ResponseWriter, r *http.Request, _ message) {
				stream(w)
				switch r.Header.Get("Last-Event-ID") {
				case "one":
					_, _ = fmt.Fprint(w, "id: two\ndata:\n\n")
				case "two":
					event(w, `{"jsonrpc":"2.0","id":%s,"result":{"resumed":true}}`, id.Load())
				}
			}
			s := newWeb(t, h)
			m := s.mount(t)
			if notices {
				if got := m.collect("a"); len(got) != 1 || got[0] != `{"resumed":true}` {
					t.Errorf("got %q", got)
				}
			} else if got := m.call("a", `{}`); got != `{"resumed":true}` {
				t.Errorf("got %s", got)
			}
			for _, e := range s.came("GET") {
				if e.header.Get("Mcp-Session-Id") != "s" || e.header.Get("Accept") != "text/event-stream" {
					t.Errorf("GET %v", e.header)
				}
			}
		})
	}
}

// The subscription of a modern upstream, and what is missed while it is broken.
func TestSubscriptionIsKept(t *testing.T) {
	var round atomic.Int32
	h := modernWeb()
	h["server/discover"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		answer(w, 200, m, `"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}}}`)
	}
	h["tools/list"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		answer(w, 200, m, `"result":`+page("", named(fmt.Sprint("t", round.Load()))))
	}
	h["subscriptions/listen"] = func(w http.ResponseWriter, r *http.Request, m message) {
		n := round.Add(1)
		stream(w)
		event(w, `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, m.ID)
		switch n {
		case 1:
			event(w, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		case 2: // breaks off; the third one's acknowledgement has the list read
		default:
			<-r.Context().Done()
		}
	}
	s := newWeb(t, h)
	m := s.mount(t)
	m.until("the third round", func() bool { return m.lists[len(m.lists)-1].Tools[0].Name == "t3" })
	for _, e := range s.came("subscriptions/listen") {
		if !strings.HasPrefix(string(e.Params), `{"notifications":{"toolsListChanged":true},"_meta":{`) || e.header.Get("Mcp-Method") != "subscriptions/listen" {
			t.Errorf("listen %s %v", e.Params, e.header)
		}
	}
}

func TestStreamOfALegacySession(t *testing.T) {
	var round atomic.Int32
	h := legacyWeb("s")
	h["initialize"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		w.Header().Set("Mcp-Session-Id", "s")
		answer(w, 200, m, `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}}}`)
	}
	read := make(chan int32, 16)
	h["tools/list"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		n := round.Load()
		answer(w, 200, m, `"result":`+page("", named(fmt.Sprint("t", n))))
		read <- n
	}
	h["GET"] = func(w http.ResponseWriter, r *http.Request, _ message) {
		n := round.Add(1)
		stream(w)
		if n < 3 { // breaks off once the list was read because it opened
			for n != <-read {
			}
			return
		}
		event(w, `{"jsonrpc":"2.0","id":"p","method":"ping"}`)
		<-r.Context().Done()
	}
	pong := make(chan message, 1)
	h[""] = func(w http.ResponseWriter, _ *http.Request, m message) {
		w.WriteHeader(202)
		pong <- m
	}
	m := newWeb(t, h).mount(t)
	m.until("the third round", func() bool { return m.lists[len(m.lists)-1].Tools[0].Name == "t3" })
	if got := <-pong; string(got.ID) != `"p"` || string(got.Result) != "{}" {
		t.Errorf("pong %+v", got)
	}
}

// sseWeb is a server of the HTTP+SSE transport, whose endpoint event says where.
func sseWeb(t *testing.T, where string) *web {
	lines := make(chan string, 16)
	h := handlers{}
	h["GET"] = func(w http.ResponseWriter, r *http.Request, _ message) {
		stream(w)
		_, _ = fmt.Fprintf(w, "event: endpoint\ndata: %s\n\n", strings.ReplaceAll(where, "HOST", r.Host))
		w.(http.Flusher).Flush()
		for {
			select {
			case line := <-lines:
				event(w, "%s", line)
			case <-r.Context().Done():
				return
			}
		}
	}
	say := legacy("2024-11-05", []string{"odd", "silent"}, misbehave)
	for _, method := range []string{"initialize", "tools/list", "tools/call", "notifications/cancelled"} {
		h[method] = func(w http.ResponseWriter, _ *http.Request, m message) {
			w.WriteHeader(202)
			say(m, func(format string, args ...any) { lines <- fmt.Sprintf(format, args...) })
		}
	}
	return newWeb(t, h)
}

func TestSSE(t *testing.T) {
	s := sseWeb(t, "/messages?id=1")
	cfg := remote(keys.TransportSSE, s.URL+"/sse")
	cfg.Headers = map[string]keys.Secret{"X-Token": "t"}
	m := run(t, cfg).ready()
	if got := m.call("odd", `{}`); got != oddResult {
		t.Errorf("got  %s\nwant %s", got, oddResult)
	}
	m.fails("both", upstream.ErrGarbage)
	if got := m.collect("notices"); len(got) != 51 {
		t.Errorf("%d notices", len(got))
	}
	for _, e := range s.came("tools/call") {
		if e.path != "/messages" || e.header.Get("X-Token") != "t" {
			t.Errorf("call %s %v", e.path, e.header)
		}
	}
	result := make(chan error)
	go func() { result <- m.fails("silent", upstream.ErrDown) }()
	for len(s.came("tools/call")) < 4 {
		<-m.wakeSoon()
	}
	s.CloseClientConnections()
	<-result
	m.until("it is back", func() bool { return len(m.lists) == 2 })
}

func TestSSEEndpointOnAnotherOrigin(t *testing.T) {
	other := newWeb(t, handlers{})
	for _, where := range []string{other.URL + "/messages", "https://HOST/messages", "//example.com/x", "%zz"} {
		cfg := remote(keys.TransportSSE, sseWeb(t, where).URL+"/sse")
		if st := run(t, cfg).down(); !strings.Contains(st.Problem, "endpoint is on another origin") {
			t.Errorf("%s: %+v", where, st)
		}
	}
	if len(other.seen) != 0 {
		t.Errorf("the other origin got %d requests", len(other.seen))
	}
}

func TestSSEFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		get     func(http.ResponseWriter, *http.Request, message)
		problem string
	}{
		"hangs":      {func(w http.ResponseWriter, r *http.Request, _ message) { stream(w); <-r.Context().Done() }, "no answer to opening the stream in time"},
		"no stream":  {func(w http.ResponseWriter, _ *http.Request, _ message) { w.WriteHeader(405) }, "use transport http"},
		"refused":    {func(w http.ResponseWriter, _ *http.Request, _ message) { w.WriteHeader(401) }, "refuses the credentials"},
		"ends early": {func(w http.ResponseWriter, _ *http.Request, _ message) { stream(w) }, "ended before its endpoint event"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := remote(keys.TransportSSE, newWeb(t, handlers{"GET": tt.get}).URL)
			cfg.ConnectTimeout = patience / 40
			if st := run(t, cfg).down(); !strings.Contains(st.Problem, tt.problem) {
				t.Errorf("status %+v", st)
			}
		})
	}
}
