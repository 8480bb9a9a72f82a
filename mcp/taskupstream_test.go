package mcp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// taskUpstream is a small MCP server with tasks, of either era. It numbers its
// tasks, so that whose a task is can't be told from its id, and a server that
// begins anew gives the same ids again.
type taskUpstream struct {
	server *httptest.Server
	modern bool
	tools  []string // definitions
	over   chan struct{}

	mu      sync.Mutex
	without bool          // declares no tasks
	last    int           // task id
	born    time.Time     // of all tasks
	tasks   map[int]*task // by id
	seen    []taskRequest // all requests about tasks, and tools/call
	hooks   map[string]func(taskRequest) string
	listens map[chan string]struct{}
}

type task struct {
	status string
	result string
	done   chan struct{}
	inputs string
}

// taskRequest is one request as it came.
type taskRequest struct {
	method string
	params json.RawMessage
	header http.Header
	gone   <-chan struct{}
}

func (r taskRequest) text(key string) string {
	var v map[string]json.RawMessage
	_ = json.Unmarshal(r.params, &v)
	var s string
	_ = json.Unmarshal(v[key], &s)
	return s
}

// taskTool is a definition with a word on tasks.
func taskTool(name, support string) string {
	return `{"name":` + quoted(name) + `,"inputSchema":{"type":"object"},"annotations":{"destructiveHint":false},"execution":{"taskSupport":` + quoted(support) + `}}`
}

func newTaskUpstream(t testing.TB, modern bool, tools ...string) *taskUpstream {
	t.Helper()
	u := &taskUpstream{modern: modern, tools: tools, over: make(chan struct{}), born: time.Now(),
		tasks: map[int]*task{}, hooks: map[string]func(taskRequest) string{}, listens: map[chan string]struct{}{}}
	u.server = httptest.NewServer(http.HandlerFunc(u.serve))
	t.Cleanup(func() {
		close(u.over)
		u.server.CloseClientConnections()
		u.server.Close()
	})
	return u
}

// mountTasks mounts it and waits for its tools.
func (w *world) mountTasks(slug string, u *taskUpstream) keys.Instance {
	w.t.Helper()
	return w.mountTasksAs(w.op, slug, u)
}

func (w *world) mountTasksAs(p keys.Principal, slug string, u *taskUpstream) keys.Instance {
	w.t.Helper()
	fake := &fakeUpstream{server: u.server, tools: u.tools}
	return w.mountAs(p, slug, fake)
}

// on answers a method, or a tool, with another result or error.
func (u *taskUpstream) on(what string, answer func(taskRequest) string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hooks[what] = answer
}

func (u *taskUpstream) requests(method string) (out []taskRequest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.seen {
		if r.method == method {
			out = append(out, r)
		}
	}
	return out
}

// finish ends a task with a result.
func (u *taskUpstream) finish(id int, status, result string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.tasks[id]
	t.status, t.result = status, result
	select {
	case <-t.done:
	default:
		close(t.done)
	}
}

// beginAnew forgets every task, as a server does that restarts.
func (u *taskUpstream) beginAnew() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last, u.tasks, u.born = 0, map[int]*task{}, u.born.Add(time.Minute)
}

// tell sends a notification on every open stream.
func (u *taskUpstream) tell(method, params string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.listens {
		c <- `{"jsonrpc":"2.0","method":` + quoted(method) + `,"params":` + params + `}`
	}
}

func (u *taskUpstream) listening() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.listens) > 0
}

// state is a task as tasks/get answers it, without braces.
func (u *taskUpstream) state(id int) string {
	t := u.tasks[id]
	at := u.born.UTC().Format(time.RFC3339)
	out := fmt.Sprintf(`"taskId":"%d","status":%q,"createdAt":%q,"lastUpdatedAt":%q`, id, t.status, at, at)
	if !u.modern {
		return out + `,"ttl":60000,"big":12345678901234567890`
	}
	out += `,"ttlMs":60000,"pollIntervalMs":5,"big":12345678901234567890`
	if t.status == "completed" {
		out += `,"result":` + t.result
	}
	if t.status == "input_required" {
		out += `,"inputRequests":` + t.inputs
	}
	return out
}

func (u *taskUpstream) serve(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
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
	req := taskRequest{m.Method, m.Params, r.Header, r.Context().Done()}
	u.mu.Lock()
	u.seen = append(u.seen, req)
	hook := u.hooks[m.Method]
	if named := u.hooks[req.text("name")]; m.Method == "tools/call" && named != nil {
		hook = named
	}
	u.mu.Unlock()
	if m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if m.Method == "initialize" {
		w.Header().Set("Mcp-Session-Id", "s1")
	}
	var result string
	if hook != nil {
		result = hook(req)
	}
	if result == "" {
		result = u.answer(req)
	}
	if u.modern && result[0] == '{' && !hasKey(result, "resultType") {
		result = `{"resultType":"complete",` + result[1:]
		if result[len(result)-2] == ',' {
			result = result[:len(result)-2] + "}"
		}
	}
	(&fakeUpstream{}).answer(w, m.ID, result)
}

func hasKey(object, key string) bool {
	var v map[string]json.RawMessage
	return json.Unmarshal([]byte(object), &v) == nil && v[key] != nil
}

const noSuchTask = answersError + `{"code":-32602,"message":"no such task"}`

func (u *taskUpstream) answer(r taskRequest) string {
	switch {
	case r.method == "initialize" && !u.modern:
		u.mu.Lock()
		defer u.mu.Unlock()
		offers := `"tools":{"listChanged":true}`
		if !u.without {
			offers += `,"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}`
		}
		return `{"protocolVersion":"2025-11-25","capabilities":{` + offers + `},"serverInfo":{"name":"tasks","version":"1"}}`
	case r.method == "server/discover" && u.modern:
		return `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"ttlMs":0,"cacheScope":"private"}`
	case r.method == "tools/list":
		out := `{"tools":[`
		for i, t := range u.tools {
			if i > 0 {
				out += ","
			}
			out += t
		}
		return out + `]}`
	case r.method == "tools/call":
		return u.call(r)
	}
	return u.about(r)
}

// call makes a task where the client of its era wants one, or takes one.
func (u *taskUpstream) call(r taskRequest) string {
	var p struct {
		Task json.RawMessage `json:"task"`
		Meta struct {
			Capabilities struct {
				Extensions map[string]json.RawMessage `json:"extensions"`
			} `json:"io.modelcontextprotocol/clientCapabilities"`
		} `json:"_meta"`
	}
	_ = json.Unmarshal(r.params, &p)
	if u.modern && p.Meta.Capabilities.Extensions["io.modelcontextprotocol/tasks"] == nil || !u.modern && p.Task == nil {
		return plain["tools/call"]
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last++
	u.tasks[u.last] = &task{status: "working", done: make(chan struct{})}
	if u.modern {
		return `{"resultType":"task",` + u.state(u.last) + `}`
	}
	return `{"task":{` + u.state(u.last) + `},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"` + strconv.Itoa(u.last) + `"},"x":1}}`
}

// about answers a request about a task.
func (u *taskUpstream) about(r taskRequest) string {
	id, _ := strconv.Atoi(r.text("taskId"))
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.tasks[id]
	if t == nil {
		return noSuchTask
	}
	switch {
	case r.method == "tasks/get":
		return `{` + u.state(id) + `}`
	case r.method == "tasks/cancel":
		t.status = "cancelled"
		if u.modern {
			return `{}`
		}
		return `{` + u.state(id) + `}`
	case r.method == "tasks/update" && u.modern:
		t.status, t.inputs = "working", ""
		return `{}`
	case r.method == "tasks/result" && !u.modern:
		u.mu.Unlock()
		select {
		case <-t.done:
		case <-r.gone:
		case <-u.over:
		}
		u.mu.Lock()
		if t.result == "" {
			return noSuchTask
		}
		return t.result
	}
	return answersError + `{"code":-32601,"message":"Method not found"}`
}

func (u *taskUpstream) listen(w http.ResponseWriter, r *http.Request) {
	messages := make(chan string, 16)
	u.mu.Lock()
	u.listens[messages] = struct{}{}
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		delete(u.listens, messages)
		u.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case message := <-messages:
			_, _ = io.WriteString(w, "data: "+message+"\n\n")
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		case <-u.over:
			return
		}
	}
}
