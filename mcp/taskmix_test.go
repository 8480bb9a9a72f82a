package mcp_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
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
