package mcp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestTaskSupport: a call is a task where its tool, its instance and the eras allow
// it; else what it is told says why.
func TestTaskSupport(t *testing.T) {
	w := newWorld(t)
	tools := []string{taskTool("no", "forbidden"), tool("plain", "w"), taskTool("may", "optional"), taskTool("must", "required")}
	old, without := newTaskUpstream(t, false, tools...), newTaskUpstream(t, false, tools...)
	without.without = true
	now := newTaskUpstream(t, true, append(tools, tool("only", "w"))...)
	w.mountTasks("old", old)
	w.mountTasks("without", without)
	w.mountTasks("now", now)
	const needed = `{"code":-32021,"message":"Missing required client capability","data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}`
	now.on("only", func(r taskRequest) string {
		if strings.Contains(string(r.params), `"io.modelcontextprotocol/tasks"`) {
			return ""
		}
		return answersError + needed
	})
	k := w.key()
	c, s := w.connect(k, "/mcp"), w.stateless(k)
	const ok, task = `"text":"ok"`, `"status":"working"`
	for _, x := range []struct{ tool, call, asTask, stateless string }{
		{"old__no", ok, "can't be called as a task: its execution.taskSupport does not offer it", ok},
		{"old__plain", ok, "can't be called as a task", ok},
		{"old__may", ok, task, ok},
		{"old__must", ok, task, "only runs as a task, and its instance only has tasks of another protocol version: use a client of 2025-11-25 with a session"},
		{"without__may", ok, "can't be called as a task: its instance offers no tasks", ok},
		{"without__must", ok, "its instance offers no tasks", "only runs as a task"},
		{"now__plain", ok, "can't be called as a task", task},
		{"now__may", ok, "can't be called as a task: its instance speaks 2026-07-28", task},
		{"now__must", "only runs as a task, and its instance only has tasks of another protocol version: use a client of 2026-07-28 with the extension io.modelcontextprotocol/tasks", "its instance speaks 2026-07-28", task},
		{"now__only", "only runs as a task", "can't be called as a task", task},
		{"whoami", `"content"`, "can't be called as a task", `"content"`},
	} {
		a := c.call(x.tool, `{}`)
		if !strings.Contains(a.body, x.call) || a.status != http.StatusOK {
			t.Errorf("%s: %d %s", x.tool, a.status, a.body)
		}
		a = c.makeTask(x.tool)
		if !strings.Contains(a.body, x.asTask) || a.status != http.StatusOK || strings.HasPrefix(x.asTask, "can't") && !strings.Contains(a.body, `"code":-32601`) {
			t.Errorf("%s as a task: %d %s", x.tool, a.status, a.body)
		}
		if a = s.makeTask(x.tool); !strings.Contains(a.body, x.stateless) || a.status != http.StatusOK {
			t.Errorf("%s in 2026-07-28: %d %s", x.tool, a.status, a.body)
		}
	}
	if a := c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"old__may","task":7}}`); !strings.Contains(a.body, "params.task must be an object") {
		t.Errorf("a number: %s", a.body)
	}
	// A hidden tool says nothing of itself, as a task neither.
	low := w.connect(w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) }), "/mcp")
	for _, name := range []string{"old__no", "now__must", "never__there"} {
		if a := low.makeTask(name); !strings.Contains(a.body, "Unknown tool: "+name+" (ref ") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	// A task of one era is none in the other.
	unknownTask(t, "legacy in modern", "x", s.task("tasks/get", "x"))
	id := c.makeTask("old__may").taskID(t)
	unknownTask(t, "legacy task, modern request", id, s.task("tasks/get", id))
	id = s.makeTask("now__may").taskID(t)
	unknownTask(t, "modern task, legacy request", id, c.task("tasks/get", id))
}

// TestTaskGarbage: a task without what a task must have is no answer.
func TestTaskGarbage(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "required"))
	w.mountTasks("a1", u)
	c := w.connect(w.key(), "/mcp")
	for what, made := range map[string]string{
		"no id": `{"task":{"status":"working","createdAt":"2026-01-01T00:00:00Z"}}`, "a number": `{"task":{"taskId":1,"createdAt":"2026-01-01T00:00:00Z"}}`,
		"no time": `{"task":{"taskId":"1"}}`, "long": `{"task":{"taskId":"` + strings.Repeat("x", 1025) + `","createdAt":"2026-01-01T00:00:00Z"}}`,
	} {
		u.on("run", func(taskRequest) string { return made })
		if a := c.makeTask("a1__run"); !strings.Contains(a.body, `"code":-32603`) || !strings.Contains(a.body, "a1 gave an answer that is not valid MCP") {
			t.Errorf("%s: %s", what, a.body)
		}
	}
	// A plain result instead of a task is the tool's result.
	u.on("run", func(taskRequest) string { return `{"content":[{"type":"text","text":"at once"}]}` })
	if a := c.makeTask("a1__run"); !strings.Contains(a.body, "at once") {
		t.Error(a.body)
	}
	// An error names the task as the client knows it.
	u.on("run", func(taskRequest) string {
		return `{"task":{"taskId":"upstream-task-4711","createdAt":"2026-01-01T00:00:00Z"}}`
	})
	id := c.makeTask("a1__run").taskID(t)
	u.on("tasks/get", func(taskRequest) string {
		return answersError + `{"code":-32602,"message":"no task upstream-task-4711","data":{"taskId":"upstream-task-4711"}}`
	})
	if a := c.task("tasks/get", id); strings.Contains(a.body, "4711") || !strings.Contains(a.body, "no task "+id) || !strings.Contains(a.body, `"data":{"taskId":"`+id+`"}`) {
		t.Error(a.body)
	}
	// What it says of another time is another task.
	u.on("tasks/get", func(taskRequest) string {
		return `{"taskId":"upstream-task-4711","status":"working","createdAt":"2026-01-01T00:00:02Z"}`
	})
	unknownTask(t, "made two seconds later", id, c.task("tasks/get", id))
	u.on("tasks/get", func(taskRequest) string {
		return `{"taskId":"upstream-task-4711","status":"working","createdAt":"2026-01-01T01:00:00.9+01:00"}`
	})
	if a := c.task("tasks/get", id); a.taskID(t) != id {
		t.Error(a.body)
	}
}

// TestTaskStatus: notifications/tasks/status reaches the session that made the task
// and no other, as long as its key may see the task, under the id that it knows.
func TestTaskStatus(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "required"))
	w.mountTasks("a1", u)
	w.until("the upstream is listened to", u.listening)
	k := w.key()
	c, sibling, foreign := w.connect(k, "/mcp"), w.connect(k, "/mcp"), w.connect(w.key(), "/mcp")
	listen := func(c *legacy) *events {
		c.list()
		return w.stream(http.MethodGet, "/mcp", "", c.headers...)
	}
	mine, others := listen(c), []*events{listen(sibling), listen(foreign)}
	id := c.makeTask("a1__run").taskID(t)
	state := func(status string) string {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.tasks[1].status = status
		return u.state(1)
	}
	u.tell("notifications/tasks/status", `{`+state("input_required")+`}`)
	want := `{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{` + strings.Replace(state("input_required"), `"taskId":"1"`, `"taskId":"`+id+`"`, 1) + `}}`
	if got := mine.next(); got != want {
		t.Errorf("told %s, not %s", got, want)
	}
	for _, other := range others {
		other.quiet("a task of another session")
	}
	// Of a task that nobody here made, or that is another one by now, nothing is said.
	u.tell("notifications/tasks/status", `{"taskId":"2","status":"working","createdAt":"2026-01-01T00:00:00Z"}`)
	u.tell("notifications/tasks/status", `{"taskId":"1","status":"working","createdAt":"2026-01-01T00:00:00Z"}`)
	mine.quiet("another task")
	_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}})
	must(t, err)
	if got := mine.next(); got != changed {
		t.Error(got)
	}
	u.tell("notifications/tasks/status", `{`+state("working")+`}`)
	mine.quiet("a task of a tool that was taken away")
}

// TestTasksOfPairs: over random keys and tasks, a task is there for the key that
// made it, if it may call the tool now, and for no other.
func TestTasksOfPairs(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "required"), taskTool("walk", "optional"), taskTool("sit", "optional"))
	w.mountTasks("a1", u)
	w.mountTasks("b2", u)
	tools := []string{"a1__run", "a1__walk", "a1__sit", "b2__run", "b2__walk", "b2__sit"}
	all := make([]keys.Issued, 4)
	clients := make([]*legacy, len(all))
	for i := range all {
		all[i] = w.key()
		clients[i] = w.connect(all[i], "/mcp")
	}
	rapid.Check(t, func(t *rapid.T) {
		allowed := make([]map[string]bool, len(all))
		allow := func(i int) {
			list := rapid.SliceOfDistinct(rapid.SampledFrom(tools), rapid.ID[string]).Draw(t, fmt.Sprintf("tools of key %d", i))
			allowed[i] = map[string]bool{}
			for _, name := range list {
				allowed[i][name] = true
			}
			_, err := w.svc.UpdateKey(w.t.Context(), w.op, all[i].Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{
				MCPAllowlistMode: keys.Some(policy.ModeAllow), MCPToolAllowlist: keys.Some(list)}})
			must(w.t, err)
		}
		for i := range all {
			allow(i)
		}
		type made struct {
			by   int
			tool string
			id   string
		}
		var tasks []made
		for range rapid.IntRange(1, 6).Draw(t, "tasks") {
			by, name := rapid.IntRange(0, len(all)-1).Draw(t, "by"), rapid.SampledFrom(tools).Draw(t, "tool")
			a := clients[by].makeTask(name)
			if got := strings.Contains(a.body, `"taskId"`); got != allowed[by][name] {
				t.Fatalf("key %d made a task of %s: %v", by, name, got)
			}
			if allowed[by][name] {
				tasks = append(tasks, made{by, name, a.taskID(w.t)})
			}
		}
		allow(rapid.IntRange(0, len(all)-1).Draw(t, "changed"))
		method := rapid.SampledFrom([]string{string(mcpgo.MethodTasksGet), string(mcpgo.MethodTasksCancel)}).Draw(t, "method")
		for _, task := range tasks {
			for i := range all {
				a := clients[i].task(method, task.id)
				want := i == task.by && allowed[i][task.tool]
				if got := strings.Contains(a.body, `"taskId":"`+task.id+`"`); got != want || !want && !strings.Contains(a.body, "Unknown task: "+task.id+" (ref ") {
					t.Fatalf("key %d, task of %s by key %d: %v %s", i, task.tool, task.by, got, a.body)
				}
			}
		}
	})
}

// TestTaskDoors is a task of each era by the transports without HTTP's own answers:
// stdio, relayed stdio, and HTTP+SSE.
func TestTaskDoors(t *testing.T) {
	w := newWorld(t)
	old, now := newTaskUpstream(t, false, taskTool("run", "required")), newTaskUpstream(t, true, tool("run", "w"))
	w.mountTasks("old", old)
	w.mountTasks("now", now)
	w.until("the upstream is listened to", old.listening)
	k := w.key()
	made := 0
	life := func(t *testing.T, send func(string), next func() string) {
		made++
		send(initialize)
		if got := next(); !strings.Contains(got, `"requests":{"tools":{"call":{}}}`) {
			t.Fatal(got)
		}
		send(initialized)
		send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"old__run","task":{}}}`)
		got := next()
		id := answer{200, nil, got}.taskID(t)
		status := make(chan struct{})
		go func() { // its stream opens beside the first requests
			for {
				select {
				case <-status:
					return
				case <-time.After(20 * time.Millisecond):
				}
				old.mu.Lock()
				state := old.state(made)
				old.mu.Unlock()
				old.tell("notifications/tasks/status", `{`+state+`}`)
			}
		}()
		if got = next(); !strings.Contains(got, `"method":"notifications/tasks/status","params":{"taskId":"`+id+`"`) {
			t.Fatal(got)
		}
		close(status)
		answered := func(id string) string {
			t.Helper()
			for {
				got := next()
				if strings.Contains(got, `"id":`+id+`,`) {
					return got
				}
				if !strings.Contains(got, "notifications/tasks/status") {
					t.Fatal(got)
				}
			}
		}
		send(`{"jsonrpc":"2.0","id":2,"method":"tasks/result","params":{"taskId":"` + id + `"}}`)
		send(`{"jsonrpc":"2.0","id":3,"method":"tasks/get","params":{"taskId":"` + id + `"}}`)
		if got = answered("3"); !strings.Contains(got, `"status":"working"`) {
			t.Error(got)
		}
		old.finish(made, "completed", `{"content":[{"type":"text","text":"ended"}]}`)
		if got = answered("2"); !strings.Contains(got, "ended") {
			t.Error(got)
		}
	}
	for name, serve := range doors(w, k) {
		t.Run(name, func(t *testing.T) {
			p := startPipes(t, serve)
			life(t, func(line string) { p.send(line) }, p.next)
			p.send(`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"now__run",` + takesTasks + `}}`)
			got := p.next()
			for strings.Contains(got, "notifications/") {
				got = p.next()
			}
			id := answer{200, nil, got}.taskID(t)
			p.send(`{"jsonrpc":"2.0","id":5,"method":"tasks/get","params":{"taskId":"` + id + `",` + takesTasks + `}}`)
			p.expect(`"id":5,`, `"taskId":"`+id+`"`, `"status":"working"`)
			// The call that makes a task is not ended by a word.
			started, release := make(chan struct{}), make(chan struct{})
			old.on("run", func(taskRequest) string { close(started); <-release; return "" })
			defer old.on("run", nil)
			p.send(`{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"old__run","task":{}}}`)
			<-started
			p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":6}}`, `{"jsonrpc":"2.0","id":7,"method":"ping"}`)
			p.expect(`"id":7,`)
			close(release)
			p.expect(`"id":6,`, `"taskId"`)
			made++
		})
	}
	t.Run("SSE", func(t *testing.T) {
		e := w.stream(http.MethodGet, "/sse", "", auth(k)...)
		endpoint := e.next()
		life(t, func(body string) {
			if a := w.post(endpoint, body, auth(k)...); a.status != http.StatusAccepted {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}, e.next)
	})
}
