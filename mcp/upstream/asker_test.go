package upstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// asker is a server of the legacy era that asks during its calls:
//   - ask says the lines of its arguments, and answers with what is answered to
//     each, once all is;
//   - hold answers when release is called, or was, for calls may overtake each
//     other on the way; hold and ask mind no cancellation.
type asker struct {
	mu       sync.Mutex
	held     []func(result string)
	released bool
	open     map[string]*asking // by the ids of their questions
	last     *asking
}

type asking struct {
	left    int
	answers []json.RawMessage
	reply   func(result string)
}

// call takes one tools/call; say sends a line, reply the result, at most once.
func (a *asker) call(m message, say func(line string), reply func(result string)) {
	var p struct {
		Arguments struct {
			Lines []json.RawMessage `json:"lines"`
			Open  int               `json:"open"` // of the lines are answered; 0 = all
		} `json:"arguments"`
	}
	_ = json.Unmarshal(m.Params, &p)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch m.tool() {
	case "ask":
		n := p.Arguments.Open
		if n == 0 {
			n = len(p.Arguments.Lines)
		}
		a.last = &asking{left: n, reply: reply}
		if a.open == nil {
			a.open = map[string]*asking{}
		}
		for _, line := range p.Arguments.Lines {
			var q message
			if _ = json.Unmarshal(line, &q); q.ID != nil {
				a.open[string(q.ID)] = a.last
			}
			say(string(line))
		}
	case "hold":
		a.keep(reply)
	case "release":
		a.released = true
		for _, release := range a.held {
			release(`{}`)
		}
		a.held = nil
		reply(`{}`)
	default:
		reply(`{}`)
	}
}

func (a *asker) hold(reply func(result string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keep(reply)
}

func (a *asker) keep(reply func(result string)) {
	if a.released {
		reply(`{}`)
		return
	}
	a.held = append(a.held, reply)
}

// answered takes an answer to a question.
func (a *asker) answered(m message) {
	b, _ := json.Marshal(map[string]json.RawMessage{"id": m.ID, "result": m.Result, "error": m.Error})
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.open[string(m.ID)]
	if one == nil {
		one = a.last
	}
	one.answers = append(one.answers, b)
	if one.left--; one.left == 0 {
		out, _ := json.Marshal(map[string]any{"answers": one.answers})
		one.reply(string(out))
	}
}

func init() {
	stdioServers["asker"] = func() {
		a := &asker{}
		script(func(m message, out func(string, ...any)) {
			say := func(line string) { out("%s", line) }
			switch m.Method {
			case "tools/call":
				a.call(m, say, func(result string) { out(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result) })
			case "tasks/result":
				a.hold(func(result string) { out(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result) })
			case "":
				note("answer " + string(m.ID))
				a.answered(m)
			case "notifications/cancelled":
				note("cancelled")
			default:
				if m.Method == "initialize" {
					note("initialize " + string(m.Params))
				}
				legacy("2025-11-25", []string{"ask"}, nil)(m, out)
			}
		})
	}
}

// webAsker serves it over streamable HTTP, the questions on the stream of their
// call or on that of the session.
func webAsker(t *testing.T, shared bool) *web {
	a, lines := &asker{}, make(chan string, 4096)
	h := legacyWeb("s", named("ask"))
	h["GET"] = func(w http.ResponseWriter, r *http.Request, _ message) {
		stream(w)
		for {
			select {
			case line := <-lines:
				event(w, "%s", line)
			case <-r.Context().Done():
				return
			}
		}
	}
	h["tools/call"] = func(w http.ResponseWriter, r *http.Request, m message) {
		stream(w)
		own, result := make(chan string, 4096), make(chan string, 1)
		say := func(line string) { own <- line }
		if shared {
			say = func(line string) { lines <- line }
		}
		a.call(m, say, func(s string) { result <- s })
		for {
			select {
			case line := <-own:
				event(w, "%s", line)
			case s := <-result:
				event(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, s)
				return
			case <-r.Context().Done():
				return
			}
		}
	}
	h[""] = func(w http.ResponseWriter, _ *http.Request, m message) {
		w.WriteHeader(202)
		a.answered(m)
	}
	return newWeb(t, h)
}

// sseAsker serves it over HTTP+SSE.
func sseAsker(t *testing.T) *web {
	a, lines := &asker{}, make(chan string, 4096)
	h := handlers{}
	h["GET"] = func(w http.ResponseWriter, r *http.Request, _ message) {
		stream(w)
		_, _ = fmt.Fprint(w, "event: endpoint\ndata: /messages\n\n")
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
	say := func(line string) { lines <- line }
	for _, method := range []string{"initialize", "tools/list", "notifications/initialized", "notifications/cancelled"} {
		h[method] = func(w http.ResponseWriter, _ *http.Request, m message) {
			w.WriteHeader(202)
			legacy("2024-11-05", []string{"ask"}, nil)(m, func(format string, args ...any) { say(fmt.Sprintf(format, args...)) })
		}
	}
	h["tools/call"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		w.WriteHeader(202)
		a.call(m, say, func(result string) { say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)) })
	}
	h[""] = func(w http.ResponseWriter, _ *http.Request, m message) {
		w.WriteHeader(202)
		a.answered(m)
	}
	return newWeb(t, h)
}

// askers are the same server over each transport; own says that its questions
// come on the stream of their call.
var askers = []struct {
	name   string
	own    bool
	config func(t *testing.T) upstream.Config
}{
	{"stdio", false, func(t *testing.T) upstream.Config { return stdio(t, "asker") }},
	{"sse", false, func(t *testing.T) upstream.Config { return remote(keys.TransportSSE, sseAsker(t).URL) }},
	{"http, the session's stream", false, func(t *testing.T) upstream.Config {
		return remote(keys.TransportHTTP, webAsker(t, true).URL)
	}},
	{"http, the call's stream", true, func(t *testing.T) upstream.Config {
		return remote(keys.TransportHTTP, webAsker(t, false).URL)
	}},
}

// runAsker mounts one of them.
func runAsker(t *testing.T, cfg upstream.Config) *mounted {
	t.Helper()
	cfg.Asks = true
	return run(t, cfg).ready()
}

// asked is the answer that the upstream got to one question.
type asked struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

// String is the result, or the error's message.
func (a asked) String() string {
	if a.Error != nil {
		return a.Error.Message
	}
	return string(a.Result)
}

// ask has the upstream say lines during a call, and returns what it got.
func (m *mounted) ask(c upstream.Call, lines ...string) (got []asked) {
	m.t.Helper()
	return m.askFor(len(lines), c, lines...)
}

// askFor is ask where only so many of the lines are answered.
func (m *mounted) askFor(n int, c upstream.Call, lines ...string) (got []asked) {
	m.t.Helper()
	raws := make([]json.RawMessage, len(lines))
	for i, line := range lines {
		raws[i] = raw(line)
	}
	c.Tool = "ask"
	c.Arguments, _ = json.Marshal(map[string]any{"lines": raws, "open": n})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := m.Call(ctx, c)
	if err != nil || reply.Error != nil {
		m.t.Errorf("ask: %v %v", reply.Error, err)
		return make([]asked, n)
	}
	var r struct {
		Answers []asked `json:"answers"`
	}
	if err := json.Unmarshal(reply.Result, &r); err != nil || len(r.Answers) != n {
		m.t.Errorf("%d answers of %d: %s", len(r.Answers), n, reply.Result)
		return make([]asked, n)
	}
	return r.Answers
}

// elicit is a question with this id, as JSON.
func elicit(id string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"elicitation/create","params":{"message":"which?"}}`
}

// answers is an Ask that says who answered.
func answers(who string) func(context.Context, string, json.RawMessage) (json.RawMessage, *upstream.Error) {
	return func(context.Context, string, json.RawMessage) (json.RawMessage, *upstream.Error) {
		return json.RawMessage(`{"by":"` + who + `"}`), nil
	}
}
