package mcp_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

const pingBody = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

var allChanged = []string{
	`{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}`,
	`{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}`,
	`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`,
}

// TestSessionAtAnotherServer: a session of every version goes on at a server that
// never saw its initialize: requests, the stream, and what it is told there.
func TestSessionAtAnotherServer(t *testing.T) {
	a := newWorld(t)
	a.mount("a1", newUpstream(t, tool("read_x", "r"), tool("drop_x", "d")))
	b := a.replica()
	for _, v := range versions {
		if v.stateless { // has none
			continue
		}
		t.Run(v.version, func(t *testing.T) {
			k := a.key()
			c := &legacy{b, "/mcp", a.initialized(t, k, v.version, v.declared)}
			if got := c.list(); !slices.Contains(got, "a1__drop_x") {
				t.Errorf("listed %v", got)
			}
			if r := c.call("a1__read_x", `{}`); !strings.Contains(r.body, `"text":"ok"`) {
				t.Errorf("called: %d %s", r.status, r.body)
			}
			stream := b.stream(http.MethodGet, "/mcp", "", c.headers...)
			// Tools were listed here, so it is known that they are what they were.
			told := []string{stream.next(), stream.next()}
			if slices.Sort(told); !slices.Equal(told, allChanged[:2]) {
				t.Errorf("first told %v", told)
			}
			_, err := a.svc.UpdateKey(t.Context(), a.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}})
			must(t, err)
			if got := stream.next(); got != changed {
				t.Errorf("after the edit: %s", got)
			}
			if got := c.list(); slices.Contains(got, "a1__drop_x") {
				t.Errorf("after the edit listed %v", got)
			}
			if r := c.at(a).send(pingBody); r.status != http.StatusOK {
				t.Errorf("back at the first: %d", r.status)
			}
		})
	}
}

// TestStreamOfATakenUpSession: where it is not known what the client listed, it is
// told to list again, each time that its stream opens; where it is known, it isn't.
func TestStreamOfATakenUpSession(t *testing.T) {
	a := newWorld(t)
	b := a.replica()
	c := a.connect(a.key(), "/mcp")
	opened := a.stream(http.MethodGet, "/mcp", "", c.headers...)
	opened.quiet("a stream right after initialize")
	opened.stop()
	c = c.at(b)
	for range 2 {
		stream := b.stream(http.MethodGet, "/mcp", "", c.headers...)
		told := []string{stream.next(), stream.next(), stream.next()}
		if slices.Sort(told); !slices.Equal(told, allChanged) {
			t.Errorf("told %v", told)
		}
		stream.stop()
	}
	for _, kind := range []string{"tools", "prompts", "resources", "resources/templates"} {
		c.send(request(1, kind+"/list", ""))
	}
	b.stream(http.MethodGet, "/mcp", "", c.headers...).quiet("all is listed")

	// At the first, too, once others may have answered its lists.
	a.clock.Advance(time.Minute)
	stream := a.stream(http.MethodGet, "/mcp", "", c.headers...)
	told := []string{stream.next(), stream.next(), stream.next()}
	if slices.Sort(told); !slices.Equal(told, allChanged) {
		t.Errorf("at the first: told %v", told)
	}
}

// TestNarrowingAtAnotherServer: a session is never wider elsewhere than where it
// began, whatever a later request says.
func TestNarrowingAtAnotherServer(t *testing.T) {
	a := newWorld(t)
	a.mount("a1", newUpstream(t, tool("read_x", "r"), tool("write_x", "w")))
	a.mount("b2", newUpstream(t, tool("read_y", "r")))
	b := a.replica()
	k := a.key()
	long := make([]string, policy.MaxPatterns) // they fit into no id
	for i := range long {
		long[i] = fmt.Sprintf("read_%d", i)
	}
	narrowed := 0
	for _, path := range []string{"/mcp", "/mcp/a1", "/mcp?instances=a1", "/mcp?instances=", "/mcp?instances=nope", "/mcp?categories=", "/mcp?readonly=true"} {
		for _, headers := range [][]string{nil, {"X-MCP-Tools", "read_*, whoami"}, {"X-MCP-Tools", ""}, {"X-MCP-Tools", "read_*", "X-MCP-Tools", "whoami"},
			{"X-MCP-Exclude-Tools", "a1/*,whoami"}, {"X-MCP-Toolsets", "tools"}, {"X-MCP-Readonly", "true"}, {"X-MCP-Exclude-Tools", strings.Join(long, ",")}} {
			c := a.connect(k, path, headers...)
			want := strings.Join(c.list(), " ")
			plain := &legacy{b, "/mcp", append(auth(k), c.headers[len(c.headers)-2:]...)} // asks for no narrowing itself
			if len(headers) > 1 && len(headers[1]) > 1000 {
				if got := plain.send(pingBody); got.status != http.StatusNotFound {
					t.Errorf("%s, many patterns: %d %s", path, got.status, got.body)
				}
				continue
			}
			if got := strings.Join(plain.list(), " "); got != want {
				t.Errorf("%s %v: %q, where it began %q", path, headers, got, want)
			}
			if !strings.Contains(want, "a1__write_x") {
				narrowed++
				if got := plain.call("a1__write_x", `{}`); !strings.Contains(got.body, "Unknown tool") {
					t.Errorf("%s %v: called %s", path, headers, got.body)
				}
			}
		}
	}
	if narrowed == 0 {
		t.Error("none was narrowed")
	}
}

// TestSessionOfNobodyElse: at a server that does not hold the session, its id is
// worth nothing to others, when it is too old, or when it was changed.
func TestSessionOfNobodyElse(t *testing.T) {
	a := newWorld(t)
	b := a.replica()
	k := a.key()
	c := a.connect(k, "/mcp")
	id := c.headers[len(c.headers)-1]
	gone := func(why string, l *legacy) {
		t.Helper()
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			if got := l.w.do(method, "/mcp", strings.NewReader(pingBody), append(l.headers, "Content-Type", "application/json")...); got.status != http.StatusNotFound || got.code() != "session_not_found" {
				t.Errorf("%s, %s: %d %s", why, method, got.status, got.body)
				return // a stream that opens would not end
			}
		}
	}
	gone("another key", &legacy{b, "/mcp", append(auth(a.key()), "Mcp-Session-Id", id)})
	gone("another tenant's key", &legacy{b, "/mcp", append(auth(a.keyAs(a.tenant("other"))), "Mcp-Session-Id", id)})
	for i := range len(id) {
		changed := id[:i] + flip(id[i]) + id[i+1:]
		if got := b.post("/mcp", pingBody, append(auth(k), "Mcp-Session-Id", changed)...); got.status != http.StatusNotFound {
			t.Fatalf("character %d changed: %d %s", i, got.status, got.body)
		}
	}
	if n := mcp.Sessions(b.gw); n != 0 {
		t.Errorf("%d sessions are held", n)
	}
	sse := a.stream(http.MethodGet, "/sse", "", auth(k)...)
	_, id, _ = strings.Cut(sse.next(), "sessionId=")
	gone("a session of HTTP+SSE", &legacy{b, "/mcp", append(auth(k), "Mcp-Session-Id", id)})
	if got := b.post("/message?sessionId="+id, pingBody, auth(k)...); got.status != http.StatusNotFound {
		t.Errorf("a session of HTTP+SSE, its own door: %d %s", got.status, got.body)
	}
	a.clock.Advance(24*time.Hour - time.Minute)
	if got := c.at(b).send(pingBody); got.status != http.StatusOK {
		t.Errorf("just before it is too old: %d %s", got.status, got.body)
	}
	a.clock.Advance(2 * time.Hour) // and b holds it no longer
	gone("too old", c.at(b))
}

// TestEndedSession: a session that was ended stays so where it was, be it that it
// began elsewhere; of many that were, the last are remembered.
func TestEndedSession(t *testing.T) {
	a := newWorld(t)
	b := a.replica()
	k := a.key()
	c := a.connect(k, "/mcp")
	if got := c.at(b).delete(); got.status != http.StatusOK {
		t.Fatalf("DELETE elsewhere: %d %s", got.status, got.body)
	}
	for range 2 {
		if got := c.at(b).send(pingBody); got.status != http.StatusNotFound {
			t.Errorf("after DELETE: %d", got.status)
		}
	}
	if got := c.send(pingBody); got.status != http.StatusOK { // nobody told it
		t.Errorf("where it began: %d", got.status)
	}
	if c.delete(); c.send(pingBody).status != http.StatusNotFound {
		t.Error("where it began it is not ended by DELETE")
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range mcp.MaxEnded / 4 {
				a.connect(k, "/mcp").delete()
			}
		})
	}
	all.Wait()
	if n := mcp.EndedSessions(a.gw); n != mcp.MaxEnded {
		t.Errorf("%d are remembered, want %d", n, mcp.MaxEnded)
	}
	last := a.connect(k, "/mcp")
	last.delete()
	if got := last.send(pingBody); got.status != http.StatusNotFound {
		t.Errorf("the last one ended: %d", got.status)
	}
}

// TestTakenUpAtOnce: many requests that come first to another server make one
// session of it.
func TestTakenUpAtOnce(t *testing.T) {
	a := newWorld(t)
	b := a.replica()
	k := a.key()
	p, err := b.svc.Authenticate(t.Context(), k.Secret)
	must(t, err)
	const rounds = 200
	for i := range rounds {
		c := a.connect(k, "/mcp")
		if n := mcp.TakeUp(b.gw, p, c.headers[len(c.headers)-1], 16); n != 1 {
			t.Fatalf("round %d: %d sessions", i, n)
		}
	}
	if n := mcp.Sessions(b.gw); n != rounds {
		t.Errorf("%d sessions are held, want %d", n, rounds)
	}
}

// TestAskedAtAnotherServer: what a client declared that it can be asked goes with
// its session. Its answer must reach the server that asked: another one refuses it
// and says so in its log, and the call ends.
func TestAskedAtAnotherServer(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	a := newWorld(t, func(c *mcp.Config) { c.Log = zap.New(core) })
	up, got := newUpstream(t, tool("ask", "r")), make(chan string, 1)
	up.on("ask", func(c fakeCall) string {
		got <- c.ask("elicitation/create", form)
		return `{"content":[],"done":true}`
	})
	a.mount("a1", up)
	b := a.replica(func(c *mcp.Config) { c.QuestionLimit = 2 * time.Second })
	for _, lost := range []bool{false, true} {
		c := a.connectCan(a.key(), canAll)
		e := c.at(b).callStream(7, "tools/call", `"name":"a1__ask"`)
		question := parse(t, e.next())
		if question.Method != "elicitation/create" {
			t.Fatalf("asked %+v", question)
		}
		if !lost {
			if r := c.at(b).send(answerTo(question.ID, formed)); r.status != http.StatusAccepted {
				t.Errorf("answered where it was asked: %d %s", r.status, r.body)
			}
			if g := <-got; !strings.Contains(g, formed) {
				t.Errorf("the upstream got %s", g)
			}
			continue
		}
		if r := c.send(answerTo(question.ID, formed)); r.status != http.StatusBadRequest || r.code() != "question_unknown" {
			t.Errorf("answered elsewhere: %d %s", r.status, r.body)
		}
		if logs.FilterMessageSnippet("keep a session at one server").Len() != 1 {
			t.Errorf("logged: %v", logs.All())
		}
		if g := <-got; !strings.Contains(g, "has not answered within 2s") {
			t.Errorf("the upstream got %s", g)
		}
		if m := parse(t, e.next()); m.Method != "notifications/cancelled" || !strings.Contains(string(m.Params), string(question.ID)) {
			t.Errorf("told %+v", m)
		}
		if m := parse(t, e.next()); !strings.Contains(string(m.Result), `"done":true`) {
			t.Errorf("the call: %+v", m)
		}
	}
}

// TestParkedAtAnotherServer: a call that waits for its client waits at one server;
// another one says what to do.
func TestParkedAtAnotherServer(t *testing.T) {
	p := newParkedWorld(t)
	core, logs := observer.New(zap.WarnLevel)
	b := p.replica(func(c *mcp.Config) { c.Log = zap.New(core) })
	in := p.begin()
	retry := callAsk + `,"requestState":` + quoted(*in.RequestState) + `,"inputResponses":{"question1":` + formed + `}`
	r := b.modernCan(p.k, canAll, "tools/call", retry)
	if r.status != http.StatusBadRequest || !strings.Contains(r.body, `"code":-32602`) || !strings.Contains(r.body, "waits at another server: make the request again without requestState") {
		t.Errorf("elsewhere: %d %s", r.status, r.body)
	}
	if logs.FilterMessageSnippet("another server has it").Len() != 1 {
		t.Errorf("logged: %v", logs.All())
	}
	again := inputOf(t, parse(t, b.modernCan(p.k, canAll, "tools/call", callAsk).body).Result)
	if again.RequestState == nil {
		t.Error("made again, it does not ask")
	}
	if got := p.call(retry); got.status != http.StatusOK || !strings.Contains(got.body, `"inputRequests"`) {
		t.Errorf("where it waits: %d %s", got.status, got.body)
	}
}
