package mcp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fakeUpstream is a small MCP server (2025-11-25, streamable HTTP) whose
// definitions and results are raw bytes.
type fakeUpstream struct {
	server *httptest.Server

	mu      sync.Mutex
	tools   []string // definitions
	more    others   // what it lists besides; never changed while it serves but by setOthers
	results map[string]func(call fakeCall) string
	calls   []fakeCall
	listens map[chan string]struct{} // get announcements, as members of a message
	fakeEra
	over      chan struct{}
	held      <-chan struct{} // requests wait for it; nil = they do not
	starts    int             // initialize requests
	asked     sync.Map        // requests of its own: id -> chan string, for the answer
	questions atomic.Int64    // how many there were
}

// others is what an upstream lists besides tools: definitions.
type others struct{ prompts, resources, templates []string }

// with adds them; before anything is served.
func (u *fakeUpstream) with(more others) *fakeUpstream {
	u.more = more
	return u
}

// setOthers changes them and tells the listeners what changed.
func (u *fakeUpstream) setOthers(more others) {
	u.mu.Lock()
	was := u.more
	u.more = more
	u.mu.Unlock()
	if !slices.Equal(was.prompts, more.prompts) {
		u.announce("notifications/prompts/list_changed")
	}
	if !slices.Equal(was.resources, more.resources) || !slices.Equal(was.templates, more.templates) {
		u.announce("notifications/resources/list_changed")
	}
}

// announce tells the listeners something without params.
func (u *fakeUpstream) announce(method string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.listens {
		select {
		case c <- `"method":` + quoted(method):
		default:
		}
	}
}

func prompt(name string) string {
	return `{"name":` + quoted(name) + `,"arguments":[{"name":"a","required":false}]}`
}

func resource(uri string) string { return `{"uri":` + quoted(uri) + `,"name":"r"}` }

func template(text string) string { return `{"uriTemplate":` + quoted(text) + `,"name":"t"}` }

// fakeCall is one request that was passed on, as it came: tools/call, or
// another one of Method.
type fakeCall struct {
	Method    string          `json:"-"`
	Params    json.RawMessage `json:"-"`
	Name      string          `json:"name"`
	URI       string          `json:"uri"`
	Arguments json.RawMessage `json:"arguments"`
	Meta      json.RawMessage `json:"_meta"`
	header    http.Header
	done      <-chan struct{} // the client went away or canceled
	progress  func(params string)
	notify    func(method, params string) // on the call's own stream
	// asking sends a request of the upstream's on that stream; the answer comes as
	// the whole message.
	asking func(method, params string) (id string, answer <-chan string)
}

// ask sends a request and waits for its answer; "" when the call ends before.
func (c fakeCall) ask(method, params string) string {
	_, answer := c.asking(method, params)
	select {
	case got := <-answer:
		return got
	case <-c.done:
		return ""
	}
}

// newModern is one of 2026-07-28.
func newModern(t testing.TB, tools ...string) *fakeUpstream {
	t.Helper()
	u := newUpstream(t, tools...)
	u.modern = true
	return u
}

func newUpstream(t testing.TB, tools ...string) *fakeUpstream {
	t.Helper()
	u := &fakeUpstream{tools: tools, results: map[string]func(fakeCall) string{},
		listens: map[chan string]struct{}{}, over: make(chan struct{})}
	u.server = httptest.NewServer(http.HandlerFunc(u.serve))
	t.Cleanup(func() {
		close(u.over)
		u.server.CloseClientConnections()
		u.server.Close()
	})
	return u
}

// tool is a definition with annotations: r read, w write, d destructive, - none.
func tool(name, effect string) string {
	annotations := map[string]string{
		"r": `,"annotations":{"readOnlyHint":true}`, "w": `,"annotations":{"destructiveHint":false}`,
		"d": `,"annotations":{"destructiveHint":true}`, "-": "",
	}[effect]
	return `{"name":` + quoted(name) + `,"description":"d","inputSchema":{"type":"object"}` + annotations + `}`
}

func (u *fakeUpstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.tools)
}

func (u *fakeUpstream) on(name string, result func(fakeCall) string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.results[name] = result
}

// hold makes every request wait until release is closed.
func (u *fakeUpstream) hold(release <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held = release
}

func (u *fakeUpstream) initialized() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.starts
}

func (u *fakeUpstream) seen() []fakeCall {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]fakeCall(nil), u.calls...)
}

// setTools changes the list and tells the listeners.
func (u *fakeUpstream) setTools(tools ...string) {
	u.mu.Lock()
	u.tools = tools
	u.mu.Unlock()
	u.announce("notifications/tools/list_changed")
}

func (u *fakeUpstream) serve(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	held := u.held
	u.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-u.over:
		}
	}
	switch r.Method {
	case http.MethodGet:
		if u.modern {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		u.listen(w, r)
		return
	case http.MethodDelete:
		return
	}
	body, _ := io.ReadAll(r.Body)
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	_ = json.Unmarshal(body, &m)
	if m.ID == nil || m.Method == "" {
		if c, ok := u.asked.LoadAndDelete(string(m.ID)); ok {
			c.(chan string) <- string(body)
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if u.modern && m.Method == "initialize" {
		w.WriteHeader(http.StatusNotFound)
		u.answer(w, m.ID, answersError+`{"code":-32601,"message":"Method not found"}`)
		return
	}
	switch u.serveEra(w, r, m.Method, m.ID, m.Params); m.Method {
	case "server/discover", "subscriptions/listen", "resources/subscribe", "resources/unsubscribe", "logging/setLevel":
	case "initialize":
		u.mu.Lock()
		u.starts++
		u.mu.Unlock()
		w.Header().Set("Mcp-Session-Id", "s1")
		u.mu.Lock()
		offers := `"tools":{"listChanged":true}`
		if u.more.prompts != nil {
			offers += `,"prompts":{"listChanged":true},"completions":{}`
		}
		if u.more.resources != nil || u.more.templates != nil {
			offers += `,"resources":{"listChanged":true` + u.offersSubscribe() + `}`
		}
		if u.logs {
			offers += `,"logging":{}`
		}
		u.mu.Unlock()
		u.answer(w, m.ID, `{"protocolVersion":"2025-11-25","capabilities":{`+offers+`},"serverInfo":{"name":"fake","version":"1"}}`)
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list":
		u.mu.Lock()
		member, list := "tools", u.tools
		switch m.Method {
		case "prompts/list":
			member, list = "prompts", u.more.prompts
		case "resources/list":
			member, list = "resources", u.more.resources
		case "resources/templates/list":
			member, list = "resourceTemplates", u.more.templates
		}
		text := strings.Join(list, ",")
		u.mu.Unlock()
		u.answer(w, m.ID, `{"`+member+`":[`+text+`]}`)
	case "tools/call", "prompts/get", "resources/read", "completion/complete":
		u.call(w, r, m.Method, m.ID, m.Params)
	default:
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`, m.ID)
	}
}

// answersError begins a result that is a JSON-RPC error: the object follows.
const answersError = "error "

func (u *fakeUpstream) answer(w io.Writer, id json.RawMessage, result string) {
	if failed, ok := strings.CutPrefix(result, answersError); ok {
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":%s}`, id, failed)
		return
	}
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
}

// plain are the results of requests for which no other was set.
var plain = map[string]string{
	"tools/call":          `{"content":[{"type":"text","text":"ok"}]}`,
	"prompts/get":         `{"messages":[{"role":"user","content":{"type":"text","text":"ok"}}]}`,
	"resources/read":      `{"contents":[{"uri":"x:y","text":"ok"}]}`,
	"completion/complete": `{"completion":{"values":["ok"]}}`,
}

func (u *fakeUpstream) call(w http.ResponseWriter, r *http.Request, method string, id, params json.RawMessage) {
	c := fakeCall{Method: method, Params: params, header: r.Header, done: r.Context().Done()}
	_ = json.Unmarshal(params, &c)
	var meta struct {
		ProgressToken json.RawMessage `json:"progressToken"`
	}
	_ = json.Unmarshal(c.Meta, &meta)
	streamed := false
	var writing sync.Mutex
	send := func(message string) {
		writing.Lock()
		defer writing.Unlock()
		if !streamed {
			w.Header().Set("Content-Type", "text/event-stream")
			streamed = true
		}
		_, _ = fmt.Fprintf(w, "data: %s\n\n", message)
		w.(http.Flusher).Flush()
	}
	c.notify = func(method, params string) {
		send(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":%s}`, method, params))
	}
	c.asking = func(method, params string) (string, <-chan string) {
		id, answer := fmt.Sprintf(`"up-%d"`, u.questions.Add(1)), make(chan string, 1)
		u.asked.Store(id, answer)
		send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, id, method, params))
		return id, answer
	}
	c.progress = func(params string) {
		c.notify("notifications/progress", `{"progressToken":`+string(meta.ProgressToken)+`,`+params+`}`)
	}
	u.mu.Lock()
	u.calls = append(u.calls, c)
	result := u.results[c.Name+c.URI]
	u.mu.Unlock()
	if result == nil {
		result = func(fakeCall) string { return plain[method] }
	}
	text := result(c)
	if streamed {
		_, _ = io.WriteString(w, "data: ")
	}
	u.answer(w, id, text)
	if streamed {
		_, _ = io.WriteString(w, "\n\n")
	}
}

func (u *fakeUpstream) listen(w http.ResponseWriter, r *http.Request) {
	changed := make(chan string, 10)
	u.mu.Lock()
	u.listens[changed] = struct{}{}
	u.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case said := <-changed:
			_, _ = io.WriteString(w, "data: {\"jsonrpc\":\"2.0\","+said+"}\n\n")
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		case <-u.over:
			return
		}
	}
}
